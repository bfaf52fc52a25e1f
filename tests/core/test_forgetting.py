import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.forgetting import DAY, HALF_LIFE, day, unit


@given(st.integers(946_684_800_000_000, 4_102_444_800_000_000))
def test_a_login_weighs_half_of_one_that_is_90_days_younger(at: int) -> None:
    assert unit(at + HALF_LIFE) == pytest.approx(2 * unit(at))


def test_days_begin_at_midnight_utc() -> None:
    assert day(DAY - 1) == 0
    assert day(DAY) == 1
