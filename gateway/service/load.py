"""How much is in work, and what is refused at once because there is too much of it: looks first, money last."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.core.failing import Kind

AT_ONCE: Final = 16
"""Decisions that ask for facts at a time: more would spend the store's own deadline waiting for its connections."""
PLACE_WITHIN_S: Final = 2.0
"""How long a request waits for its turn to ask."""
_LOOK_EVERY_S: Final = 0.05
_STANDING: Final = 4
"""So many looks in a row must have been late: one long task is no overload."""

_SHARE: Final = {Kind.LOOKS: 0.5, Kind.CHANGES: 0.75, Kind.MONEY: 1.0}
"""The part of the room that each may fill: what is left is kept for what matters more."""
_LATENESS: Final = {Kind.LOOKS: 1, Kind.CHANGES: 2, Kind.MONEY: 4}


class TooMuch(Exception):
    """There is more to do than time to do it in."""


class Load:
    """Counts the requests that are decided anew. Belongs to one event loop; what is answered from memory never asks."""

    def __init__(self, *, most: int = 1024, late_s: float = 0.25, place_within_s: float = PLACE_WITHIN_S) -> None:
        """Build.

        Args:
            most: requests in work at a time, those that wait included.
            late_s: how late the event loop may be before looks are refused; changes at twice, money at four times that.
            place_within_s: how long a request waits for its turn.
        """
        self._most = {kind: max(1, int(most * share)) for kind, share in _SHARE.items()}
        self._late_s = {kind: late_s * factor for kind, factor in _LATENESS.items()}
        self._place_within_s = place_within_s
        self._places = asyncio.Semaphore(AT_ONCE)
        self._seen: deque[float] = deque([0.0] * _STANDING, maxlen=_STANDING)
        self.in_work = 0
        """Requests that are decided anew now."""
        self.late = 0.0
        """Seconds by which the event loop was late in each of its last looks."""
        self.shed: Counter[Kind] = Counter()
        """Requests refused since the start because there was too much to do."""

    def takes(self, kind: Kind) -> bool:
        """Return whether there is room for one more of this kind."""
        return self.in_work < self._most[kind] and self.late < self._late_s[kind]

    @asynccontextmanager
    async def place(self, kind: Kind, *, let_in: bool = False) -> AsyncIterator[None]:
        """Hold a place while facts are asked for. Raise TooMuch where there is none, soon if not at once.

        What was `let_in` before needs none.
        """
        if let_in:
            yield
            return
        if not self.takes(kind):
            raise TooMuch
        self.in_work += 1
        try:
            await self._turn()
            try:
                yield
            finally:
                self._places.release()
        finally:
            self.in_work -= 1

    def answered(self, kind: Kind, status: int) -> None:
        """Count an answer that was given without asking for facts, where that is why it refuses."""
        if status == 503:
            self.shed[kind] += 1

    async def _turn(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(self._place_within_s):
                await self._places.acquire()
        except TimeoutError:
            raise TooMuch from None

    async def watch(self) -> None:
        """Measure how late the event loop is, until cancelled."""
        time = asyncio.get_running_loop().time
        while True:
            due = time() + _LOOK_EVERY_S
            await asyncio.sleep(_LOOK_EVERY_S)
            self.saw(time() - due)

    def saw(self, late: float) -> None:
        """Note one look. What counts is the least of the last few: work that never gets less, not one long task."""
        self._seen.append(late)
        self.late = max(0.0, min(self._seen))
