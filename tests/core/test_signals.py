import pytest

from gateway.core.anomaly import score
from gateway.core.login import PREFIX, Place
from gateway.core.profile import Profile
from gateway.core.signals import Lines, risk_of, signals_of
from gateway.core.stuffing import Attempts
from gateway.core.withdrawal_context import Withdrawal
from tests.core.accounts import AWAY, NOON, alice, crowd, destination, login

HOUR = 1 / 24
CROWD = crowd(10_500)
WALLET = destination("cold wallet")


def named(
    profile: Profile,
    day: float = 0.0,
    withdrawal: Withdrawal | None = None,
    attempts: Attempts | None = None,
    **facts: object,
) -> dict[str, dict[str, str | float]]:
    seen = login(day, **facts)
    profile.settle(seen.at)
    return {one.name: dict(one.terms) for one in signals_of(profile, seen, withdrawal, attempts)}


def test_nothing_is_unusual_about_alice_at_home() -> None:
    profile = alice()
    profile.confirm(login(-20), [], WALLET)

    assert named(profile, withdrawal=Withdrawal(WALLET)) == {}


def test_a_stranger_is_unfamiliar_in_each_way() -> None:
    found = named(alice(), 5, **AWAY)

    assert {"unfamiliar_network", "unfamiliar_country", "unfamiliar_device"} == found.keys()
    assert found["unfamiliar_network"]["value"] == "AS2907"
    assert found["unfamiliar_country"]["value"] == "JP"
    assert found["unfamiliar_device"]["value"] == "never seen"


def test_what_is_unknown_is_unfamiliar() -> None:
    found = named(alice(), device=None, asn=None, country=None)

    assert {"unfamiliar_network", "unfamiliar_country", "unfamiliar_device"} == found.keys()
    assert found["unfamiliar_device"]["value"] == "not known"


def test_what_waits_is_unfamiliar_for_30_days() -> None:
    profile = alice()
    profile.observe(login(0, "first", **AWAY))

    assert "unfamiliar_device" in named(profile, 29, **AWAY)
    assert "unfamiliar_device" not in named(profile, 30, **AWAY)


def test_tokyo_two_hours_after_lisbon_is_impossible_and_says_how_far_it_is() -> None:
    found = named(alice(), -1 + 2 * HOUR, **AWAY)["impossible_travel"]

    assert found["km"] == pytest.approx(11_120, abs=30)
    assert found["hours"] == 2.0
    assert found["from"] == "PT"


@pytest.mark.parametrize(
    ("why", "facts"),
    [
        ("a mobile address says little of where it is", {"networks": frozenset({"mobile"})}),
        ("a relay has its exits anywhere", {"networks": frozenset({"relay"})}),
        ("so has a satellite", {"networks": frozenset({"satellite"})}),
        ("and a company", {"networks": frozenset({"corporate"})}),
        ("nobody knows the kind", {"networks": None}),
        ("nobody knows the place", {"place": None}),
        ("the address is the same, and the database changed its mind", {"ip": "85.240.1.7"}),
        ("so is the network", {"ip": "85.240.1.200"}),
        ("she has been in that country for months", {"country": "PT"}),
        ("the area is as wide as a country", {"place": Place(48.85, 2.35, 900.0), "country": "FR"}),
    ],
)
def test_travel_is_not_judged_where(why: str, facts: dict[str, object]) -> None:
    assert "impossible_travel" not in named(alice(), -1 + 2 * HOUR, **{**AWAY, **facts}), why


def test_from_a_to_b_and_back_to_a_is_found_by_the_login_before_the_last() -> None:
    profile = alice()
    profile.observe(login(-1 + HOUR, "away", **AWAY, session="s1"))

    found = named(profile, -1 + 1.5 * HOUR, **{**AWAY, "ip": "133.9.9.9"})
    assert "impossible_travel" in found


def test_a_session_in_two_places_within_90_minutes_was_copied() -> None:
    profile = alice()
    profile.observe(login(0, "begun", session="s1"))

    found = named(profile, HOUR, session="s1", **AWAY)
    assert found["session_moved"]["same"] == "session"
    assert "session_moved" not in named(profile, 2 * HOUR, session="s1", **AWAY)
    assert "session_moved" not in named(profile, HOUR, session="s2", **AWAY)


def test_a_device_key_in_two_places_was_copied_too_and_one_at_home_was_not() -> None:
    profile = alice()
    profile.observe(login(0, "begun"))

    assert named(profile, HOUR, **{**AWAY, "device": "alice's laptop"})["session_moved"]["same"] == "device"
    profile.observe(login(0.1, "away", **{**AWAY, "device": "alice's laptop"}))
    assert "session_moved" not in named(profile, 0.1 + HOUR)


def test_a_change_of_verification_is_a_signal_for_a_week_and_says_how_it_was_proved() -> None:
    profile = alice()
    profile.change("totp", NOON, recovered=True)

    assert named(profile, 0.5)["verification_changed"] == {"method": "totp", "hours": 12.0, "how": "recovered"}
    assert "verification_changed" not in named(profile, 7.1)


def test_who_was_silent_for_60_days_is_dormant_for_a_week_after_the_return() -> None:
    profile = alice()
    assert named(profile, 70)["dormant"] == {"days": 71}

    profile.observe(login(70, "back"))

    assert named(profile, 70.5)["dormant"] == {"hours since return": 12.0}
    assert "dormant" not in named(profile, 78)


def test_a_network_that_tries_many_accounts_is_named_with_its_counts() -> None:
    found = named(alice(), attempts=Attempts(40, 38, 20))

    assert found["credential_stuffing"] == {"attempts": 40, "failed": 38, "accounts": 20}
    assert "credential_stuffing" not in named(alice(), attempts=Attempts(4, 4, 1))


def test_an_anonymous_network_is_named_by_its_kinds() -> None:
    assert named(alice(), networks=frozenset({"vpn", "hosting", "office"}))["anonymous_network"] == {
        "kind": "hosting, vpn"
    }
    assert "anonymous_network" not in named(alice(), networks=frozenset({"relay"}))


def test_a_destination_is_new_until_a_withdrawal_to_it_was_confirmed() -> None:
    profile = alice()

    assert "new_destination" in named(profile, withdrawal=Withdrawal(WALLET))
    assert named(profile, withdrawal=Withdrawal())["new_destination"] == {"destination": "not known"}
    profile.confirm(login(0), [], WALLET)
    assert "new_destination" not in named(profile, 1, Withdrawal(WALLET))


def test_the_risk_is_where_the_score_lies_and_never_low_for_want_of_history() -> None:
    lines = Lines(medium=0.0, high=4.0)
    profile = alice()
    profile.settle(login().at)

    def risk(profile: Profile, **facts: object) -> str:
        return risk_of(score(profile, CROWD, login(**facts)), lines)

    assert risk(profile) == "low"
    assert risk(profile, **AWAY) == "high"
    assert risk_of(score(profile, CROWD, login()), Lines(-99.0, 4.0)) == "medium"
    assert risk(Profile()) != "low"


def test_no_signal_carries_a_personal_value() -> None:
    profile = alice()
    profile.change("totp", NOON, recovered=True)
    found = named(profile, -1 + HOUR, Withdrawal(WALLET), **AWAY)

    text = str(found)
    assert "133.1" not in text
    assert "charlie" not in text
    assert str(login(**AWAY).values[PREFIX]) not in text
