from gateway.core.facts import Unknown
from gateway.core.terms import WhyUnknown
from gateway.policies.simulate import Answer, Turn
from gateway.policies.simulated import SAMPLES, Simulation, Tally
from tests.recorded import AT, HOUR, facts

ALLOWED, DENIED = Answer("allow", None, (), None), Answer("deny", "hold", ("p/r", "p/s"), None)


def simulation(**more) -> Simulation:
    return Simulation(AT, AT + HOUR, "c" * 64, **more)


def test_accounts_are_counted_once_whatever_their_number() -> None:
    tally = Tally()
    for number in (0, 7, 8, 100_000, 8, None, 0):
        tally.add(2, number)
    assert (tally.decisions, tally.accounts) == (14, 4)


def test_a_decision_is_counted_by_every_rule_that_determines_it() -> None:
    found = simulation()
    for tally in found.tallies(Turn(ALLOWED, DENIED), facts(country=Unknown(WhyUnknown.NO_RECORD))):
        tally.add(3, None)
    assert {name: list(table) for name, table in found.tables.items()} == {
        "rule": ["p/r", "p/s"],
        "country": ["(uncertain)"],
        "operation": ["withdraw"],
        "status": ["open"],
    }
    assert found.flipped == 3


def test_accounts_beyond_the_bound_are_said_to_be_a_lower_bound() -> None:
    found = simulation(most_accounts=2)
    assert [found.number(one) for one in ("a", "b", "a", "c", None)] == [0, 1, 0, None, None]
    assert found.accounts_bounded
    assert found.to_json()["accounts_are_lower_bounds"]
    assert "lower bounds" in found.text()


def test_nothing_to_weigh_is_no_share() -> None:
    assert simulation().share == 0.0


def test_the_text_names_what_leads_and_says_how_much_more_there_is() -> None:
    found = simulation(against="d" * 64)
    found.decisions = 100
    found.leave_out("refused unread", 4)
    for number in range(12):
        by = Answer("deny", "hold", (f"p/r{number:02}",), None)
        for tally in found.tallies(Turn(ALLOWED, by), facts()):
            tally.add(number + 1, number)
            tally.withdrawals += 1
            tally.samples.append(number.to_bytes(16))
    text = found.text()
    assert "78 would have another outcome (78.000%)" in text
    assert "4 could not be weighed: refused unread" in text
    assert "against bundle dddddddddddd" in text
    assert "Newly refused: 78 decisions of 12 accounts, 12 withdrawals" in text
    assert text.index("rule p/r11: 12 decisions") < text.index("rule p/r02: 3 decisions")
    assert "p/r01" not in text
    assert "and 2 more of that; --json has all" in text
    assert "00000000-0000-0000-0000-000000000003" in text


def test_samples_are_ids_in_json() -> None:
    tally = Tally()
    tally.samples = [bytes(16)] * SAMPLES
    assert tally.to_json()["samples"][0] == "00000000-0000-0000-0000-000000000000"
