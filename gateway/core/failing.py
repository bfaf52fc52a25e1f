"""What is done while something that a verdict depends on does not answer: classes of operations, and the bounds.

Nothing here widens what a customer may do. It says for how long what was known for certain is relied on, who is
refused first where there is more work than time, and what is never done by memory.
"""

from collections.abc import Set as AbstractSet
from enum import StrEnum, unique
from typing import Final, NamedTuple
from zlib import crc32

from gateway.core.terms import MONEY_MOVING, Operation

_SECOND: Final = 1_000_000
LONGEST_REMEMBERED_S: Final = 30
"""The longest that an account may be relied on from memory. The change feed vouches for no more than a minute."""
LONGEST_GOING_ON_S: Final = 60
"""The longest that what stays open may go on undecided, and the longest over which ends are spread."""


@unique
class Kind(StrEnum):
    """What depends on an operation, where something fails."""

    MONEY = "money"
    """`withdraw`, `transfer`: cannot be undone."""
    CHANGES = "changes"
    """Whatever else changes something."""
    LOOKS = "looks"
    """`view`: changes nothing."""


def kind_of(operation: Operation) -> Kind:
    """Return what depends on the operation."""
    if operation in MONEY_MOVING:
        return Kind.MONEY
    return Kind.LOOKS if operation is Operation.VIEW else Kind.CHANGES


class Grace(NamedTuple):
    """How long what stays open goes on by its last verdict while nobody can decide about it."""

    go_on_s: int = 10
    end_within_s: int = 5
    """Over how long the ends are spread: clients that were ended at once would come back at once."""
    strict: AbstractSet[Operation] = frozenset()
    """Operations whose streams do not go on at all, besides those that move money."""

    def us(self, operation: Operation, name: bytes) -> int:
        """Return the microseconds for a stream. `name` is random enough to spread the ends by."""
        if operation in self.strict or kind_of(operation) is Kind.MONEY:
            return 0
        return self.go_on_s * _SECOND + self.end_within_s * _SECOND * crc32(name) // 2**32
