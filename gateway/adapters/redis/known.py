"""Whether what was read of the store, by whomever, is no older than what this process has heard of it."""

from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from gateway.adapters.feed import Heard
from gateway.ports import MICROSECONDS

_KEPT: Final = 4096
CLOCKS_DIFFER_US: Final = 5 * MICROSECONDS
"""How much the clocks of two gateways may differ."""


class Known:
    """What each look at the store vouched for, so that a number read elsewhere can be judged here.

    A snapshot has the number that the store had when it was read. The latest look that saw that number or a lower one
    says how far this process had heard before it: all of that is in the snapshot. So it holds unless this process heard
    of a change of the same account since.
    """

    def __init__(self, changed_at: Callable[[str | None], int]) -> None:
        self._changed_at = changed_at
        self._since = 0
        self._numbers: list[int] = []
        self._generations: list[int] = []

    def heard(self, look: Heard) -> None:
        """Take in what a look vouches for."""
        if look.since != self._since or (self._numbers and look.number < self._numbers[-1]):
            # Another connection, perhaps to a store that was put back: its numbers say nothing of the ones before.
            self._numbers.clear()
            self._generations.clear()
            self._since = look.since
        if self._numbers and self._numbers[-1] == look.number:
            self._generations[-1] = look.generation
            return
        self._numbers.append(look.number)
        self._generations.append(look.generation)
        if len(self._numbers) > _KEPT:
            del self._numbers[: _KEPT // 2], self._generations[: _KEPT // 2]

    def holds(self, uid: str, number: int, read_at: int) -> bool:
        """Return whether a snapshot of the account with this number is provably no older than what was heard here."""
        at = bisect_right(self._numbers, number) - 1
        if at < 0 or self._changed_at(uid) > self._generations[at]:
            return False
        # Before this connection the store may have been another one: a copy put back, a replica that took over.
        return read_at - CLOCKS_DIFFER_US >= self._since
