"""The line of risk that a hold budget draws: from the withdrawals that all processes scored, anew each day."""

import asyncio
from contextlib import suppress
from typing import Any, Final, Protocol

import structlog

from gateway.core.anomaly import Score
from gateway.core.errors import StoreUnavailable
from gateway.core.forgetting import day
from gateway.core.score_days import ScoreDays
from gateway.core.signals import Lines
from gateway.ports import Clock

log: Any = structlog.get_logger("gateway")

LOOK_EVERY_S: Final = 60.0
LAST_S: Final = 5.0
"""How long the last counts may take to be kept."""
_MOST: Final = 65_536
"""Withdrawals of a day that are told from repeats."""


class Scores(Protocol):
    """Where the counts of all processes come together."""

    async def add(self, counted: ScoreDays) -> ScoreDays:
        """Keep these counts with all others, and return them together. Raise StoreUnavailable: then none is kept."""


class HoldLine:
    """The lines of risk in force. Fixed ones serve until there is history enough to draw by."""

    def __init__(self, scores: Scores, *, budget: float, fixed: Lines, clock: Clock) -> None:
        """Build for a budget as a share of customers' withdrawals, such as 0.02."""
        self._scores = scores
        self._budget = budget
        self._fixed = fixed
        self._clock = clock
        self._counted = ScoreDays()
        self._repeats: set[tuple[str, int | None]] = set()
        self._today = 0
        self._looking: asyncio.Task[None] | None = None
        self.lines = fixed
        """What is medium, and what is high."""
        self.drawn = False
        """Whether the budget drew them, and not the settings."""

    def count(self, account: str, destination: int | None, score: Score, at: int, *, held: bool) -> None:
        """Count a withdrawal: once a day for each account and destination, however often it is tried."""
        if day(at) != self._today or len(self._repeats) >= _MOST:
            self._today = day(at)
            self._repeats.clear()
        if (account, destination) not in self._repeats:
            self._repeats.add((account, destination))
            self._counted.count(at, score, held=held, drawn=self.drawn)

    async def look(self) -> None:
        """Hand in what was counted here, and draw the line by what all counted. Raise StoreUnavailable."""
        counted, self._counted = self._counted, ScoreDays()
        try:
            everyones = await self._scores.add(counted)
        except BaseException:
            self._counted.add(counted)
            raise
        line = everyones.line(self._budget, self._clock.now())
        lines = self._fixed if line is None else Lines(min(self._fixed.medium, line), line)
        if lines != self.lines:
            log.info("risk:line_drawn", hold_above=lines.high, was=self.lines.high, budget=self._budget)
        self.lines, self.drawn = lines, line is not None

    async def start(self) -> None:
        """Draw the line by what is kept, and go on in the background. Raise StoreUnavailable."""
        if self._looking is None:
            await self.look()
            self._looking = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Hand in what is left, within `LAST_S`, and stop."""
        looking, self._looking = self._looking, None
        if looking is None:
            return
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        try:
            async with asyncio.timeout(LAST_S):
                await self.look()
        except (StoreUnavailable, TimeoutError) as fault:
            log.warning("risk:scores_lost", why=str(fault) or "the store was too slow")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except StoreUnavailable as fault:
                log.warning("risk:line_behind", why=str(fault))
            except Exception:
                # The line that serves goes on serving; the next look may be better.
                log.exception("risk:line_failed")
