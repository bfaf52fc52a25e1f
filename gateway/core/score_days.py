"""How high customers' withdrawals scored on each of the last 60 days, and the line that a hold budget draws by them.

Counts alone, in steps of a twentieth: small, added up over any number of processes in any order, and nobody's.
"""

import json
import zlib
from collections import Counter
from math import floor
from typing import Any, Final, Self

from gateway.core.anomaly import Score
from gateway.core.forgetting import day
from gateway.core.hold_budget import WINDOW_DAYS, Day, share

ENOUGH_DAYS: Final = 28
ENOUGH: Final = 1_000
"""Withdrawals, and days since the first of them, before a line is drawn by them."""
_STEP: Final = 0.05
_HIGHEST: Final = 2_000
"""Steps from 0 in either direction: 100, which is more than all terms together."""
_VERSION: Final = 1
_LARGEST: Final = 4 * 1024**2


class ScoreDay:
    """One day's withdrawals."""

    __slots__ = ("anyway", "drawn", "held", "steps")

    def __init__(self) -> None:
        self.steps = Counter[int]()
        """How many scored within each step."""
        self.anyway = 0
        """How many rule N held, whatever their score."""
        self.held = 0
        """How many were held, by their score or rule N."""
        self.drawn = False
        """Whether a line that the budget drew served on this day."""

    @property
    def withdrawals(self) -> int:
        """All of them."""
        return self.steps.total() + self.anyway


class ScoreDays:
    """The days, by their number since the epoch (UTC)."""

    __slots__ = ("days",)

    def __init__(self) -> None:
        self.days: dict[int, ScoreDay] = {}

    def count(self, at: int, score: Score, *, held: bool, drawn: bool) -> None:
        """Count a withdrawal, at `at` microseconds since the epoch."""
        one = self.days.setdefault(day(at), ScoreDay())
        if score.new_here and score.too_early:
            one.anyway += 1
        else:
            one.steps[max(-_HIGHEST, min(_HIGHEST, floor(score.total / _STEP)))] += 1
        one.held += held
        one.drawn = one.drawn or drawn

    def add(self, other: "ScoreDays") -> None:
        """Add what somebody else counted."""
        for number, theirs in other.days.items():
            mine = self.days.setdefault(number, ScoreDay())
            mine.steps.update(theirs.steps)
            mine.anyway += theirs.anyway
            mine.held += theirs.held
            mine.drawn = mine.drawn or theirs.drawn

    def forget(self, at: int) -> None:
        """Drop the days that nothing is drawn by any more at `at`."""
        for number in [number for number in self.days if number < day(at) - WINDOW_DAYS]:
            del self.days[number]

    def line(self, budget: float, at: int) -> float | None:
        """Return the score above which withdrawals are held on the day of `at`; None where the days say too little.

        The day itself is not looked at, so that the line stays for it, and is the same in every process.
        """
        today = day(at)
        past = {number: one for number, one in self.days.items() if today - WINDOW_DAYS <= number < today}
        total, span = sum(one.withdrawals for one in past.values()), today - min(past, default=today)
        if total < ENOUGH or span < ENOUGH_DAYS:
            return None
        kept = [Day(one.withdrawals, one.held) for _, one in sorted(past.items()) if one.drawn]
        anyway = sum(one.anyway for one in past.values())
        whole = share(budget, kept, total / span) * total
        # As `anomaly_fit.threshold`: who is held anyway uses up half of the budget at most.
        left = int(max(whole - anyway, whole / 2))
        steps = Counter[int]()
        for one in past.values():
            steps.update(one.steps)
        for step in sorted(steps, reverse=True):
            if steps[step] > left:
                return round((step + 1) * _STEP, 2)
            left -= steps[step]
        return None

    def to_bytes(self) -> bytes:
        """Return all of it as bytes: some 10 kB."""
        days = {
            str(number): [one.anyway, one.held, one.drawn, sorted(one.steps.items())]
            for number, one in sorted(self.days.items())
        }
        return zlib.compress(json.dumps({"version": _VERSION, "days": days}, separators=(",", ":")).encode())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` wrote. Raise ValueError for anything else."""
        self = cls()
        try:
            unpacking = zlib.decompressobj()
            found: Any = json.loads(unpacking.decompress(data, _LARGEST))
            for number, (anyway, held, drawn, steps) in found["days"].items():
                one = self.days[int(number)] = ScoreDay()
                one.anyway, one.held, one.drawn = int(anyway), int(held), bool(drawn)
                one.steps.update({int(step): int(count) for step, count in steps})
        except (zlib.error, KeyError, TypeError, AttributeError, ValueError) as fault:
            raise ValueError(f"damaged scores: {fault}") from fault
        if found.get("version") != _VERSION or not unpacking.eof:
            raise ValueError(f"damaged scores: not those of version {_VERSION}")
        return self
