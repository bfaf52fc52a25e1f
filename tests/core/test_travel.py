import pytest

from gateway.core.forgetting import SECOND
from gateway.core.login import Place
from gateway.core.travel import compared, distance_km, journey
from tests.core.accounts import LISBON, TOKYO

HOUR = 3600 * SECOND
PORTO = Place(41.15, -8.61, 10.0)


def test_lisbon_lies_11150_km_from_tokyo() -> None:
    assert distance_km(LISBON, TOKYO) == pytest.approx(11_150, abs=30)
    assert distance_km(LISBON, LISBON) == 0


def test_two_hours_from_lisbon_to_tokyo_are_impossible_and_a_day_is_not() -> None:
    assert journey(LISBON, 0, TOKYO, 2 * HOUR).impossible
    assert not journey(LISBON, 0, TOKYO, 24 * HOUR).impossible


def test_nobody_is_impossibly_fast_within_500_km() -> None:
    assert not journey(LISBON, 0, PORTO, 0).impossible


def test_five_minutes_at_least_are_allowed() -> None:
    assert journey(LISBON, 0, TOKYO, 0).kmh == pytest.approx(journey(LISBON, 0, TOKYO, HOUR // 12).kmh)


def test_an_end_that_may_be_far_off_is_taken_as_near_as_it_can_be() -> None:
    vague = Place(48.85, 2.35, 700.0)

    assert journey(LISBON, 0, vague, HOUR).km == pytest.approx(distance_km(LISBON, vague) - 1.5 * 710, abs=1)
    assert not journey(LISBON, 0, vague, HOUR).impossible
    assert journey(LISBON, 0, vague._replace(radius_km=10.0), HOUR).impossible


def test_a_place_without_a_radius_is_50_km_wide() -> None:
    assert journey(LISBON, 0, TOKYO._replace(radius_km=None), HOUR).km == pytest.approx(
        journey(LISBON, 0, TOKYO._replace(radius_km=50.0), HOUR).km
    )


@pytest.mark.parametrize("kind", ["mobile", "relay", "vpn", "satellite", "tor", "corporate"])
def test_what_says_nothing_of_where_its_user_is_is_not_compared(kind: str) -> None:
    assert not compared(frozenset({kind}))


def test_a_fixed_line_and_an_unlisted_exit_are_compared_and_what_is_unknown_is_not() -> None:
    assert compared(frozenset())
    assert compared(frozenset({"hosting"}))
    assert not compared(None)
