"""What one customer does hangs together."""

from collections import defaultdict

import pytest

from gateway.service.synth.chance import Chance
from gateway.service.synth.events import CHANGE, DAY, LOGIN, WITHDRAWAL, Event
from gateway.service.synth.networks import Internet
from gateway.service.synth.people import Person, person
from gateway.service.synth.year import Year

YEAR = 365 * DAY


@pytest.fixture(scope="module")
def years() -> list[tuple[Person, list[Event]]]:
    internet = Internet(7)
    found = []
    for number in range(300):
        one = person(internet, number, YEAR, Chance.of(7, "person", number))
        found.append((one, Year(internet, one, YEAR, Chance.of(7, "year", number)).run()))
    return found


def test_events_come_in_order_and_nobody_is_an_attacker(years: list[tuple[Person, list[Event]]]) -> None:
    for someone, events in years:
        assert [event.at for event in events] == sorted(event.at for event in events)
        assert {(event.account, event.label) for event in events} <= {(someone.account, None)}


def test_every_withdrawal_follows_a_login_of_its_session_on_its_device(
    years: list[tuple[Person, list[Event]]],
) -> None:
    for _, events in years:
        begun: dict[str | None, Event] = {}
        for event in events:
            if event.type == LOGIN and event.outcome == "succeeded":
                begun[event.client.session] = event
            if event.type == WITHDRAWAL:
                assert begun[event.client.session].client.device == event.client.device


def test_nobody_is_signed_in_by_a_login_that_failed(years: list[tuple[Person, list[Event]]]) -> None:
    failed = [event for _, events in years for event in events if event.outcome == "failed"]

    assert failed
    assert all(event.type == LOGIN and event.client.session is None for event in failed)


def test_resets_come_before_the_login_and_other_changes_within_it(years: list[tuple[Person, list[Event]]]) -> None:
    changes = [event for _, events in years for event in events if event.type == CHANGE]

    assert {event.detail["method"] for event in changes} >= {"password", "totp", "phone"}
    assert all((event.client.session is None) == (event.detail["change"] == "reset") for event in changes)
    assert all(
        event.detail["proved_with"] == "password"
        for event in changes
        if (event.detail["method"], event.detail["change"]) == ("password", "replaced")
    )


def test_who_is_silent_does_not_come(years: list[tuple[Person, list[Event]]]) -> None:
    silent = [(someone, events) for someone, events in years if someone.silence]

    assert silent
    for someone, events in silent:
        assert someone.silence is not None
        begins, ends = someone.silence
        # The last visit before it may still be under way for a few hours.
        assert not [event for event in events if begins + DAY <= event.at < ends]


def test_first_withdrawals_go_to_a_new_address_and_most_others_do_not(
    years: list[tuple[Person, list[Event]]],
) -> None:
    used: dict[str, list[str]] = defaultdict(list)
    for _, events in years:
        for event in events:
            if event.type == WITHDRAWAL:
                used[event.account].append(str(event.detail["destination"]))
    repeated = sum(len(some) - len(set(some)) for some in used.values())

    assert repeated / sum(map(len, used.values())) > 0.5
    owners = [(to, account) for account, some in used.items() for to in set(some)]
    assert len({to for to, _ in owners}) == len(owners)


def test_amounts_and_shares_are_possible(years: list[tuple[Person, list[Event]]]) -> None:
    paid = [event.detail for _, events in years for event in events if event.type == WITHDRAWAL]

    assert all(0.0 < float(one["balance_share"]) <= 1.0 and float(one["amount_usd"]) >= 1.0 for one in paid)


def test_devices_are_replaced_and_lose_their_keys_now_and_then(years: list[tuple[Person, list[Event]]]) -> None:
    keys = [len({event.client.device for event in events}) for _, events in years]

    assert sum(keys) > sum(len(someone.devices) for someone, _ in years)
    assert any(key == 1 for key in keys)


def test_somebody_who_never_comes_has_an_empty_year() -> None:
    internet = Internet(7)
    rare = person(internet, 1, DAY, Chance.of(7, "person", 1))
    rare.rate = 0.01

    assert Year(internet, rare, DAY, Chance.of(9, "rare")).run() == []
