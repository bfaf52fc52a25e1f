from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.anomaly import SHIPPED, Params, Score, bucket_of, holds, score
from gateway.core.everyone import Global
from gateway.core.login import HOURS, Login
from gateway.core.profile import Profile
from gateway.core.risk_tables import GROUPS, NEARBY
from gateway.core.withdrawal_context import Withdrawal
from tests.core.accounts import AWAY, CHROME, IPHONE, alice, crowd, destination, login

CROWD = crowd()
WALLET = destination("cold wallet")
NEW = Withdrawal(destination("somewhere else"), 1.0)


def of(profile: Profile, seen: Login, withdrawal: Withdrawal | None = None, everyone: Global = CROWD) -> Score:
    profile.settle(seen.at)
    return score(profile, everyone, seen, withdrawal)


def terms(found: Score) -> dict[str, float]:
    return {term.name: term.value for term in found.terms}


def test_the_owner_at_home_is_no_stranger_and_a_stranger_is_none_of_hers() -> None:
    home, away = of(alice(), login()), of(alice(), login(**AWAY))

    assert home.total < -3
    assert away.total > 5
    assert terms(away)["device"] > 0 > terms(home)["device"]
    assert terms(away)["network"] > 0 > terms(home)["network"]


def test_who_copies_all_that_can_be_copied_still_has_another_device() -> None:
    copied = of(alice(), login(device="charlie's", ip="85.240.9.9"))

    assert terms(copied)["device"] + terms(copied)["new device"] > 0
    assert copied.total > of(alice(), login()).total + 3


def test_a_device_that_waits_speaks_against_less_than_one_of_today() -> None:
    profile = alice()
    profile.observe(login(0, "first", device="new phone"))

    told = [terms(of(profile, login(day, device="new phone")))["new device"] for day in (0.5, 2, 31)]
    assert told[0] - told[1] == pytest.approx(0.5, abs=0.01)
    assert told[2] == 0.0
    assert terms(of(profile, login(2, device=None)))["new device"] == pytest.approx(told[0], abs=0.2)


def test_a_device_that_waits_and_was_never_at_home_speaks_against_most() -> None:
    at_home, elsewhere = alice(), alice()
    at_home.observe(login(0, "first", device="new phone"))
    for number in range(5):
        elsewhere.observe(login(3 * number, f"try {number}", **AWAY))

    told = {term.name: term for term in of(elsewhere, login(14, **AWAY)).terms}["new device"]
    assert told.told == "never at home"
    assert told.value > terms(of(alice(), login(14, **AWAY)))["new device"]
    assert {term.name: term.told for term in of(at_home, login(14, device="new phone")).terms}[
        "new device"
    ] == "waiting"


def test_a_new_device_at_the_very_address_of_the_account_says_less_than_one_nearby() -> None:
    profile = alice()
    at_home, nearby, away = (
        terms(of(profile, login(device="new phone", ip=ip)))["new device"]
        for ip in ("85.240.1.7", "85.240.1.8", "133.1.2.3")
    )

    assert at_home < 0 < nearby
    assert nearby == away
    assert at_home > 1.5 - 3


def test_an_address_that_everybody_has_says_nothing_of_a_new_device() -> None:
    profile, everyone = alice(), Global()
    for number in range(200):
        everyone.observe(login(-40, f"{number}"))

    told = {term.name: term.value for term in score(profile, everyone, login(device="new phone")).terms}
    assert told["new device"] == pytest.approx(1.5, abs=0.05)


def test_an_unknown_device_that_pays_a_stranger_weighs_more_than_either() -> None:
    profile = alice()
    profile.confirm(login(-20), [], WALLET)
    new, old = (
        terms(of(profile, login(device="new phone"), withdrawal))["new device"]
        for withdrawal in (NEW, Withdrawal(WALLET, 0.1))
    )

    assert new == pytest.approx(old + 0.5)
    assert terms(of(profile, login(), NEW))["new device"] == 0.0


def test_a_network_nearby_does_not_excuse_an_unknown_device_that_pays_a_stranger() -> None:
    profile, many = alice(), crowd()
    for number in range(2000):
        many.observe(login(-40, ip=f"85.{number % 200}.1.7", device=f"neighbour {number}"))
    nearby, at_home = (login(device="new phone", ip=ip) for ip in ("85.240.1.8", "85.240.1.7"))

    assert terms(of(profile, nearby, everyone=many))["network"] < NEARBY
    assert terms(of(profile, nearby, NEW, many))["network"] == NEARBY
    assert terms(of(profile, at_home, NEW, many))["network"] < NEARBY
    assert terms(of(profile, login(ip="85.240.1.8"), NEW, many))["network"] < NEARBY


def test_the_device_of_a_session_that_moved_does_not_speak_for_the_owner() -> None:
    profile = alice()
    profile.observe(login(-0.1, "begun", session="hers"))
    stayed, moved = (login(ip=ip, session="hers") for ip in ("85.240.1.7", "133.1.2.3"))

    assert terms(of(profile, stayed, NEW))["device"] < 0
    assert terms(of(profile, moved, NEW))["device"] == 0
    assert terms(of(profile, moved))["device"] < 0


def test_an_anonymous_network_counts_unless_the_account_uses_it_and_tor_always() -> None:
    profile = alice()

    def value(kind: str, asn: int) -> float:
        return terms(of(profile, login(networks=frozenset({kind, "other"}), asn=asn)))["anonymity"]

    assert value("vpn", 9009) == 0.7
    assert value("vpn", 3243) == 0.0
    assert value("tor", 3243) == 2.0
    assert value("relay", 9009) == 0.0
    assert terms(of(profile, login(networks=None)))["anonymity"] == 0.0


def test_a_withdrawal_to_where_money_never_went_weighs_more() -> None:
    profile = alice()
    profile.confirm(login(-20), [], WALLET)

    assert (
        terms(of(profile, login(), NEW))["destination"]
        > 0
        > terms(of(profile, login(), Withdrawal(WALLET)))["destination"]
    )


def test_an_account_without_history_says_so_and_rule_n_decides() -> None:
    found = of(Profile(), login(), NEW)

    assert "0.0 trusted logins" in found.learning[0]
    assert found.too_early
    assert holds(found, float("inf"))


def test_where_all_together_are_few_rule_n_decides_as_well() -> None:
    few = Global(64)
    for number in range(100):
        few.observe(login(-number / 2))

    assert "all accounts together have 100 logins" in of(alice(), login(), NEW, few).learning[0]
    assert holds(of(alice(), login(device="charlie's"), NEW, few), float("inf"))
    assert not holds(of(alice(), login(), NEW, few), float("inf"))


def test_a_table_of_everyone_that_was_lost_makes_nobody_trusted_more() -> None:
    lost = of(alice(), login(), None, Global(64))

    assert isfinite(lost.total)
    assert lost.total >= of(alice(), login()).total


def test_history_sizes_have_the_bounds_that_they_say() -> None:
    assert [bucket_of(logins) for logins in (0, 2.9, 3, 6, 12, 30, 1e6)] == [0, 0, 1, 2, 3, 4, 4]


def test_every_row_of_the_tables_is_a_whole() -> None:
    for group in GROUPS:
        for row in (group.attacker, *group.customer):
            assert sum(row) == pytest.approx(1)
            assert min(row) >= 0.001
            assert len(row) == len(group.attacker)


FACTS = st.fixed_dictionaries(
    {
        "ip": st.sampled_from(["85.240.1.7", "85.240.1.99", "133.1.2.3", "2a02:908:1:2::1", None]),
        "agent": st.sampled_from([CHROME, IPHONE, "curl/8", None]),
        "device": st.sampled_from(["alice's laptop", "charlie's phone", None]),
        "country": st.sampled_from(["PT", "JP", None]),
        "asn": st.sampled_from([3243, 2907, None]),
        "networks": st.sampled_from([frozenset(), frozenset({"vpn"}), frozenset({"tor"}), None]),
        "session": st.sampled_from(["s1", None]),
    }
)
WITHDRAWALS = st.builds(
    Withdrawal, st.sampled_from([WALLET, destination("elsewhere"), None]), st.sampled_from([0.1, 0.7, 1.0, None])
)
HISTORIES = st.lists(st.tuples(st.floats(-300, 0), FACTS), max_size=12)


def played(history: list[tuple[float, dict[str, object]]]) -> Profile:
    profile = Profile()
    for number, (day, facts) in enumerate(sorted(history, key=lambda one: one[0])):
        profile.observe(login(day, f"event {number}", **facts))
    return profile


@given(HISTORIES, FACTS, st.none() | WITHDRAWALS)
def test_the_total_is_the_sum_of_the_terms(
    history: list[tuple[float, dict[str, object]]], facts: dict[str, object], withdrawal: Withdrawal | None
) -> None:
    found = of(played(history), login(1, **facts), withdrawal)

    assert found.total == sum(term.value for term in found.terms)
    assert isfinite(found.total)


@given(HISTORIES, FACTS, WITHDRAWALS, st.floats(-20, 20))
def test_forgetting_the_history_never_ends_a_hold(
    history: list[tuple[float, dict[str, object]]], facts: dict[str, object], withdrawal: Withdrawal, line: float
) -> None:
    facts = {**facts, "device": "charlie's phone"}
    forgotten = of(Profile(), login(1, **facts), withdrawal)

    assert holds(forgotten, line)
    assert holds(forgotten, float("inf")) or not holds(of(played(history), login(1, **facts), withdrawal), line)


@given(HISTORIES, FACTS, WITHDRAWALS)
def test_forgetting_destinations_never_lowers_a_score(
    history: list[tuple[float, dict[str, object]]], facts: dict[str, object], withdrawal: Withdrawal
) -> None:
    profile = played(history)
    profile.confirm(login(-20), [], WALLET)
    before = of(profile, login(1, **facts), withdrawal)
    profile.destinations.clear()

    assert of(profile, login(1, **facts), withdrawal).total >= before.total


@given(HISTORIES, FACTS, WITHDRAWALS, st.sampled_from(["ip", "device", "country", "asn"]))
def test_a_withdrawal_by_a_new_device_is_not_excused_by_what_is_missing(
    history: list[tuple[float, dict[str, object]]], facts: dict[str, object], withdrawal: Withdrawal, missing: str
) -> None:
    told = of(played(history), login(1, **{**facts, "device": None, missing: None}), withdrawal)

    complete = of(played(history), login(1, **{**facts, "device": None}), withdrawal)
    assert terms(told)["new device"] >= terms(complete)["new device"]
    assert terms(told)["device"] >= -6
    known = {term.name: term.shares for term in told.terms if term.levels}
    assert known["device"][-1] is None


@settings(max_examples=30)
@given(HISTORIES, st.integers(1, 11))
def test_an_event_that_is_seen_twice_gives_no_more_trust(
    history: list[tuple[float, dict[str, object]]], again: int
) -> None:
    once, twice = played(history), played(history)
    ordered = sorted(history, key=lambda one: one[0])
    for number, (day, facts) in enumerate(ordered):
        if day > -29 and number >= len(ordered) - again:
            twice.observe(login(day, f"event {number}", **facts))

    assert of(twice, login(1), NEW) == of(once, login(1), NEW)


def test_fitted_shares_take_the_place_of_the_shipped_ones() -> None:
    flat = tuple(tuple((1 / len(group.attacker),) * len(group.attacker) for _ in group.customer) for group in GROUPS)
    profile = alice()
    profile.settle(login().at)

    assert score(profile, CROWD, login(), params=Params.of(flat)).total > score(profile, CROWD, login()).total
    assert Params.of() == SHIPPED
    assert HOURS == 8
