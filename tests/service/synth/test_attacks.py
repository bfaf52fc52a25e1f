"""Each attacker presents what it has in hand, and no more."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import pytest

from gateway.service.synth.attacks import ATTACKERS, NEW_DEVICE, Campaign, Victim, attacks
from gateway.service.synth.chance import Chance
from gateway.service.synth.events import CHANGE, DAY, HOUR, LOGIN, WITHDRAWAL, Client, Event
from gateway.service.synth.history import test_window as last_days
from gateway.service.synth.history import window
from gateway.service.synth.networks import Internet, Kind
from gateway.service.synth.people import person
from tests.service.synth.conftest import LARGE

Stories = Mapping[str, Sequence[tuple[list[Event], Event]]]


@pytest.fixture(scope="module")
def stories(large: list[Event]) -> Stories:
    """For each attacker, each of its withdrawals with all that the customer did before it."""
    own: dict[str, list[Event]] = defaultdict(list)
    told: dict[str, list[tuple[list[Event], Event]]] = defaultdict(list)
    for event in large:
        if event.label is None:
            own[event.account].append(event)
        elif event.type == WITHDRAWAL:
            told[event.label].append((list(own[event.account]), event))
    return told


def logins(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.type == LOGIN and event.outcome == "succeeded"]


def test_there_are_as_many_attacks_as_were_asked_for_half_of_them_for_validation(
    large: list[Event], stories: Stories
) -> None:
    begin, end = last_days(LARGE)
    for label in ATTACKERS:
        times = [event.at for _, event in stories[label]]

        assert sum(begin <= at < end for at in times) == LARGE.attacks
        assert sum(window((240, 300), LARGE.days)[0] <= at < begin for at in times) == LARGE.attacks // 2
        assert len(times) == LARGE.attacks * 3 // 2


def test_every_victim_had_logged_in_three_times(stories: Stories) -> None:
    assert all(len(logins(past)) >= 3 for told in stories.values() for past, _ in told)


@pytest.mark.parametrize("label", sorted(NEW_DEVICE))
def test_attackers_from_afar_show_a_device_that_the_account_never_had(stories: Stories, label: str) -> None:
    for past, theft in stories[label]:
        assert theft.client.device not in {event.client.device for event in past}


@pytest.mark.parametrize("label", ["session_hijack", "malware_on_device"])
def test_a_replayed_cookie_and_a_program_within_show_the_victims_device(stories: Stories, label: str) -> None:
    for past, theft in stories[label]:
        assert (theft.client.device, theft.client.user_agent) in {
            (event.client.device, event.client.user_agent) for event in past
        }


def test_all_withdraw_to_an_address_of_their_own_and_most_take_everything(stories: Stories) -> None:
    for label, told in stories.items():
        taken = [float(theft.detail["balance_share"]) for _, theft in told]
        to = [theft.detail["destination"] for _, theft in told]

        assert len(set(to)) == len(to), label
        assert 0.6 <= sum(share >= 0.95 for share in taken) / len(taken) <= 1.0, label
        assert not {event.detail.get("destination") for past, _ in told for event in past} & set(to), label


def test_a_hijacker_replays_a_session_and_never_logs_in(large: list[Event], stories: Stories) -> None:
    assert not [event for event in large if event.label == "session_hijack" and event.type != WITHDRAWAL]
    for past, theft in stories["session_hijack"]:
        assert theft.client.session in {event.client.session for event in logins(past)}
        assert theft.client.seen.ip not in {event.client.seen.ip for event in past[-3:]}


def test_malware_uses_the_victims_own_line(stories: Stories) -> None:
    assert all(
        theft.client.seen.ip in {event.client.seen.ip for event in past} for past, theft in stories["malware_on_device"]
    )


def test_a_targeted_attacker_has_the_operator_the_city_and_the_browser(stories: Stories) -> None:
    for past, theft in stories["targeted_isp_ua"]:
        seen = {(event.client.seen.operator, event.client.seen.city) for event in past}

        assert (theft.client.seen.operator, theft.client.seen.city) in seen
        assert theft.client.user_agent in {event.client.user_agent for event in past}


def test_neighbours_come_from_the_city_and_vpns_from_the_country(stories: Stories) -> None:
    for label in ("resi_same_city", "patient_resi"):
        assert all(
            theft.client.seen.city in {event.client.seen.city for event in past} for past, theft in stories[label]
        )
    for past, theft in stories["vpn_country"]:
        assert theft.client.seen.operator.kind is Kind.VPN
        assert theft.client.seen.city.country in {event.client.seen.city.country for event in past}


def test_a_naive_attacker_comes_from_anywhere_and_tries_others_too(large: list[Event], stories: Stories) -> None:
    kinds = {theft.client.seen.operator.kind for _, theft in stories["naive_bot"]}
    failed = [event for event in large if event.label == "naive_bot" and event.outcome == "failed"]

    assert kinds >= {Kind.HOSTING, Kind.FIXED}
    assert len({event.account for event in failed}) > len(stories["naive_bot"])
    assert all(event.client.session is None for event in failed)


def test_a_phisher_shows_the_victims_browser_and_adds_a_factor_now_and_then(
    large: list[Event], stories: Stories
) -> None:
    added = [event for event in large if event.label == "aitm_phish" and event.type == CHANGE]

    assert all(
        theft.client.user_agent in {event.client.user_agent for event in past} for past, theft in stories["aitm_phish"]
    )
    assert 0.1 < len(added) / len(stories["aitm_phish"]) < 0.5
    assert {event.detail["change"] for event in added} == {"added"}


def test_a_stolen_number_resets_the_password_and_replaces_the_factor_first(
    large: list[Event], stories: Stories
) -> None:
    changes: dict[str, list[Event]] = defaultdict(list)
    for event in large:
        if event.label == "sim_swap_2fa" and event.type == CHANGE:
            changes[event.client.device].append(event)
    waits = []
    for _, theft in stories["sim_swap_2fa"]:
        mine = changes[theft.client.device]
        assert [event.detail["method"] for event in mine] == ["password", "totp"]
        assert {event.detail["proved_with"] for event in mine} == {"sms"}
        waits.append(theft.at - mine[0].at)

    assert min(waits) < HOUR
    assert 3 * DAY <= max(waits) < 7 * DAY + HOUR
    assert 0.25 < sum(wait < 12 * HOUR for wait in waits) / len(waits) < 0.75


def test_patience_is_five_visits_over_two_weeks(large: list[Event], stories: Stories) -> None:
    for _, theft in stories["patient_resi"]:
        visits = [event for event in large if event.client.device == theft.client.device and event.type == LOGIN]

        assert len(visits) == 6
        assert 13 * DAY < theft.at - visits[0].at <= 14 * DAY
        assert {event.client.seen.ip for event in visits} == {theft.client.seen.ip}


def test_attacks_on_one_account_lie_apart_where_there_are_accounts_enough(stories: Stories) -> None:
    times: dict[str, list[int]] = defaultdict(list)
    for told in stories.values():
        for _, theft in told:
            times[theft.account].append(theft.at)
    near = sum(
        after - before < 19 * DAY
        for some in times.values()
        for before, after in zip(sorted(some), sorted(some)[1:], strict=False)
    )

    assert near <= 3


def test_nobody_is_attacked_who_was_hardly_seen() -> None:
    internet = Internet(7)
    seen = Client(internet.v4(internet.tor, 1, 2), "x", "d", "s")
    somebody = person(internet, 1, 30 * DAY, Chance.of(1, "somebody"))
    hardly = [Victim(somebody, [Event(0, LOGIN, "a", seen)])]

    assert attacks(internet, hardly, Campaign("naive_bot", (DAY, 2 * DAY), 3), Chance.of(1, "x")) == []


def test_withdrawals_are_proved_with_what_each_has_in_hand(large: list[Event], stories: Stories) -> None:
    proofs = {label: {theft.detail.get("proved_with") for _, theft in told} for label, told in stories.items()}
    own: dict[str, set[object]] = defaultdict(set)
    for event in large:
        if event.type == WITHDRAWAL and event.label is None:
            own[event.account].add(event.detail.get("proved_with"))

    assert proofs.pop("aitm_phish") == {"totp"}
    assert proofs.pop("sim_swap_2fa") == {"sms"}
    assert all(found == {None} for found in proofs.values())
    assert all(len(found) == 1 for found in own.values())
    assert set.union(*own.values()) == {"totp", "sms", "passkey", None}
