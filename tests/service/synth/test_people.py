"""Customers are as different as customers are."""

from itertools import pairwise
from statistics import fmean

import pytest

from gateway.service.synth.chance import Chance
from gateway.service.synth.events import DAY
from gateway.service.synth.networks import Internet
from gateway.service.synth.people import Person, person

YEAR = 365 * DAY


@pytest.fixture(scope="module")
def people() -> list[Person]:
    internet = Internet(7)
    return [person(internet, number, YEAR, Chance.of(7, "person", number)) for number in range(2_000)]


def share(people: list[Person], holds: list[bool]) -> float:
    return sum(holds) / len(people)


def test_they_come_about_74_times_a_year_on_average(people: list[Person]) -> None:
    assert fmean(one.rate for one in people) == pytest.approx(75, rel=0.08)


def test_most_have_one_device_and_some_have_three(people: list[Person]) -> None:
    assert share(people, [len(one.devices) == 1 for one in people]) == pytest.approx(0.45, abs=0.04)
    assert share(people, [len(one.devices) == 3 for one in people]) == pytest.approx(0.17, abs=0.03)
    assert all(len(one.devices) == len(one.device_weights) for one in people)
    assert all(len({device.family.phone for device in one.devices}) == 2 for one in people if len(one.devices) > 1)


def test_a_third_has_a_vpn_and_a_quarter_an_office(people: list[Person]) -> None:
    assert share(people, [one.vpn is not None for one in people]) == pytest.approx(0.31, abs=0.03)
    assert share(people, [one.office is not None for one in people]) == pytest.approx(0.28, abs=0.03)
    assert share(people, [one.relay for one in people]) == pytest.approx(0.15, abs=0.03)


def test_few_are_silent_for_long_and_a_third_never_withdraws(people: list[Person]) -> None:
    silent = [one.silence for one in people if one.silence is not None]

    assert len(silent) / len(people) == pytest.approx(0.06, abs=0.02)
    assert all(60 * DAY <= ends - begins <= 210 * DAY for begins, ends in silent)
    assert share(people, [one.withdrawals == 0 for one in people]) == pytest.approx(0.30, abs=0.04)
    assert all(one.withdrawals <= one.rate / 3 for one in people)


def test_journeys_do_not_overlap_and_half_stay_at_home(people: list[Person]) -> None:
    for one in people:
        assert all(before.end <= after.start for before, after in pairwise(one.trips))
    abroad = sum(trip.line.city.country != one.home.city.country for one in people for trip in one.trips)

    assert 0.42 < share(people, [not one.trips for one in people]) < 0.50
    assert abroad / len(people) == pytest.approx(0.55 * 1.6, rel=0.15)
    assert any(trip.roaming is not None for one in people for trip in one.trips)


def test_moves_lead_somewhere_else(people: list[Person]) -> None:
    moves = [(one.home.city, *(move.city for move in one.moves)) for one in people]

    assert sum(len(one) - 1 for one in moves) / len(people) == pytest.approx(0.11, abs=0.03)
    assert all(before != after for one in moves for before, after in pairwise(one))
