from gateway.core.anomaly import Term, score
from gateway.core.risk_words import words
from gateway.core.withdrawal_context import QUESTIONS, Withdrawal
from tests.core.accounts import AWAY, alice, crowd, destination, login

CROWD = crowd(500)


def told(day: float = 0.0, **facts: object) -> dict[str, str]:
    profile = alice()
    seen = login(day, **facts)
    profile.settle(seen.at)
    found = score(profile, CROWD, seen, Withdrawal(destination("x"), 0.97))
    return {term.name: words(term, seen) for term in found.terms}


def test_a_reviewer_reads_what_a_term_was_computed_from() -> None:
    home, away = told(), told(**AWAY)

    assert home["network"].startswith("country PT seen in 100 % of logins, AS3243 seen in 100 % of logins")
    assert away["network"] == "country JP never seen, AS2907 never seen, network never seen, address never seen"
    assert away["device"].endswith("device key never seen")
    assert home["hours"] == "time of day 12-16 h UTC seen in 100 % of logins"
    assert away["new device"] == "the device was first seen less than a day ago, or never"
    assert home["balance share"] == "takes 95 % of the balance or more"


def test_what_is_missing_is_said_to_be() -> None:
    assert told(device=None)["device"].endswith("device key not known")
    assert told(country=None)["network"].startswith("country not known")
    assert told(networks=frozenset({"tor"}))["anonymity"] == "the address is one of tor"


def test_no_personal_value_is_in_the_words() -> None:
    text = " ".join(told().values())

    assert "85.240" not in text
    assert "laptop" not in text
    assert not any(len(word) > 15 and word.isdigit() for word in text.split())


def test_every_class_of_every_question_has_words() -> None:
    for question in QUESTIONS:
        for told_class in (*question.classes, "unknown"):
            assert words(Term(question.name, 0.0, told=told_class), login())
