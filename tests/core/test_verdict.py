"""A verdict tells the customer a level that is true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.terms import EVERYTHING, LEVELS, Access, Operation, Operations, Outcome
from gateway.core.verdict import Verdict


def _verdict(access: Operations) -> Verdict:
    return Verdict(
        operation=Operation.VIEW,
        outcome=Outcome.ALLOW,
        access=access,
        by=(),
        nothing_granted=False,
        reason=None,
        challenge=None,
        uncertain=(),
        obligations=(),
        outage=False,
    )


@pytest.mark.parametrize(
    ("access", "level"),
    [
        (EVERYTHING, Access.FULL),
        (EVERYTHING - {Operation.UNCLASSIFIED}, Access.REDUCE_ONLY),
        (frozenset({Operation.VIEW, Operation.LOGIN, Operation.SUPPORT, Operation.WITHDRAW}), Access.WITHDRAW_ONLY),
        (frozenset({Operation.VIEW, Operation.LOGIN, Operation.SUPPORT, Operation.DEPOSIT}), Access.READ_ONLY),
        (frozenset({Operation.SUPPORT, Operation.WITHDRAW}), Access.SUPPORT_ONLY),
        (frozenset({Operation.VIEW, Operation.WITHDRAW}), Access.NONE),
        (frozenset(), Access.NONE),
    ],
)
def test_the_level_told_is_the_widest_that_is_open_completely(access: Operations, level: Access) -> None:
    assert _verdict(access).level is level


@given(st.frozensets(st.sampled_from(Operation)))
def test_the_level_told_never_promises_more_than_the_access(access: Operations) -> None:
    assert LEVELS[_verdict(access).level] <= access
