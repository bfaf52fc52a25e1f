"""What kinds of decisions are kept for different lengths of time."""

from enum import StrEnum, unique
from typing import Final

from gateway.core.terms import MONEY_MOVING, Outcome

_MONEY: Final = frozenset(map(str, MONEY_MOVING))


@unique
class Keep(StrEnum):
    """For how long a decision is kept depends on which of these it is: the first that applies."""

    MONEY = "money"
    """Its operation moves money."""
    REFUSED = "refused"
    """Its outcome is anything but `allow`; what could not be read was refused."""
    REST = "rest"


def keep_of(operation: str, outcome: str) -> Keep:
    """Return what a decision counts as when it is asked how long it is kept."""
    if operation in _MONEY:
        return Keep.MONEY
    return Keep.REST if outcome == Outcome.ALLOW else Keep.REFUSED
