from math import log

import pytest

from gateway.core.forgetting import DAY
from gateway.core.profile import Profile
from gateway.core.withdrawal_context import QUESTIONS, UNKNOWN, Withdrawal, classes_of, evidence, shares_of
from tests.core.accounts import AWAY, NOON, alice, destination, login

WALLET = destination("cold wallet")
NOTHING = Withdrawal()
NAMES = [question.name for question in QUESTIONS]


def asked(profile: Profile, withdrawal: Withdrawal = NOTHING, day: float = 0.0, **facts: object) -> dict[str, str]:
    seen = login(day, **facts)
    profile.settle(seen.at)
    classes = classes_of(profile, seen, withdrawal)
    return {
        question.name: "unknown" if one == UNKNOWN else question.classes[one]
        for question, one in zip(QUESTIONS, classes, strict=True)
    }


def test_a_destination_is_new_then_recent_then_old() -> None:
    profile = alice()
    assert asked(profile, Withdrawal(WALLET))["destination"] == "new"

    profile.confirm(login(0), [], WALLET)

    assert [asked(profile, Withdrawal(WALLET), day)["destination"] for day in (0, 1, 7)] == ["new", "recent", "old"]
    assert asked(profile)["destination"] == "unknown"


@pytest.mark.parametrize(
    ("share", "expected"), [(0.1, "below half"), (0.5, "most"), (0.95, "nearly all"), (None, "unknown")]
)
def test_the_share_of_the_balance_has_three_classes(share: float | None, expected: str) -> None:
    assert asked(alice(), Withdrawal(None, share))["balance share"] == expected


@pytest.mark.parametrize(("days", "expected"), [(0.5, "24 h"), (2, "1-3 d"), (5, "3-7 d"), (8, "none")])
def test_a_change_of_verification_counts_for_a_week(days: float, expected: str) -> None:
    profile = alice()
    profile.change("password", NOON - int(days * DAY), recovered=False)
    profile.change("totp", NOON - int(days * DAY), recovered=True)

    told = asked(profile)
    assert (told["password change"], told["factor change"]) == (expected, expected)


def test_an_unheard_of_method_is_a_factor() -> None:
    profile = alice()
    profile.change("iris scan", NOON, recovered=False)

    assert asked(profile)["factor change"] == "24 h"


def test_whoever_comes_back_after_60_days_stays_dormant_for_a_week() -> None:
    profile = alice()
    assert asked(profile, day=50)["dormancy"] == "no"
    assert asked(profile, day=70)["dormancy"] == "return"

    profile.observe(login(70, "back"))

    assert [asked(profile, day=day)["dormancy"] for day in (71, 78)] == ["return", "no"]


def test_a_session_is_where_it_began_or_elsewhere() -> None:
    profile = alice()
    profile.observe(login(0, "begun", session="s1"))

    assert asked(profile, session="s1", ip="85.240.1.99")["session"] == "stayed"
    assert asked(profile, session="s1", ip="85.240.77.1")["session"] == "familiar operator"
    assert asked(profile, session="s1", **AWAY)["session"] == "elsewhere"
    assert asked(profile, session="another")["session"] == "unknown"
    assert asked(profile)["session"] == "unknown"


def test_what_is_unknown_is_never_a_reason_for_trust() -> None:
    for question, values in zip(QUESTIONS, evidence(), strict=True):
        unknown = values[UNKNOWN]
        assert unknown >= 0
        assert not question.unknown_is_worst or unknown == max(values)


def test_shares_add_up_and_evidence_is_the_logarithm_of_the_one_by_the_other() -> None:
    for question in QUESTIONS:
        assert sum(question.attack) == pytest.approx(1)
        assert sum(question.legitimate) == pytest.approx(1, abs=0.005)
    assert evidence()[0][0] == pytest.approx(log(0.97 / 0.213))


def test_counted_shares_replace_the_shipped_ones_as_they_become_many() -> None:
    few = shares_of([(0, 0, 0, 0, 0, 0)] * 10)
    many = shares_of([(0, 0, 0, 0, 0, UNKNOWN)] * 100_000)

    assert few[0][0] < 0.3
    assert many[0][0] > 0.99
    assert min(min(row) for row in many) >= 0.001
    assert many[NAMES.index("session")][0] == pytest.approx(0.94)
