"""What is done while something does not answer: who is of which kind, and how long a stream may go on."""

import uuid
from itertools import pairwise

import pytest

from gateway.core.failing import LONGEST_GOING_ON_S, Grace, Kind, kind_of
from gateway.core.terms import MONEY_MOVING, Operation

SECOND = 1_000_000
NAMES = [str(uuid.UUID(int=number)).encode() for number in range(500)]


def test_every_operation_is_of_one_kind_and_only_looking_changes_nothing() -> None:
    assert {one for one in Operation if kind_of(one) is Kind.MONEY} == MONEY_MOVING
    assert [one for one in Operation if kind_of(one) is Kind.LOOKS] == [Operation.VIEW]


@pytest.mark.parametrize("operation", sorted(MONEY_MOVING))
def test_no_stream_that_moves_money_goes_on_undecided(operation: Operation) -> None:
    assert {Grace(LONGEST_GOING_ON_S, LONGEST_GOING_ON_S).us(operation, name) for name in NAMES} == {0}


def test_a_strict_operation_has_no_grace() -> None:
    assert Grace(strict=frozenset({Operation.SECURITY})).us(Operation.SECURITY, NAMES[0]) == 0


def test_ends_are_spread_over_the_stated_time_and_never_come_early_or_late() -> None:
    left = sorted(Grace(10, 5).us(Operation.VIEW, name) for name in NAMES)
    assert left[0] >= 10 * SECOND
    assert left[-1] < 15 * SECOND
    assert max(later - sooner for sooner, later in pairwise(left)) < SECOND // 4
