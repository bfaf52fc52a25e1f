"""Two ways to do one thing, timed alternately in one process."""

import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.ratios import Spread, spread

Work = Callable[[], Awaitable[object] | object]
"""One batch."""

LEAST_NS = 20_000_000
"""A measurement lasts at least so long, or the clock's own grain would show."""


@dataclass(frozen=True)
class Pair:
    """One arrow of the line: ours, and what it is measured against."""

    arrow: str
    ours: Work
    theirs: Work
    against: str
    """What `theirs` is, in words."""
    batch: int
    """Operations in one call of either."""
    before: Callable[[], object] | None = None
    """What must be made anew for each batch, outside the time measured."""


@dataclass(frozen=True)
class Timing:
    """What came of one pair."""

    arrow: str
    against: str
    ratio: Spread
    """How many times as long theirs takes: more than 1 is faster than the other way."""
    ours_us: float
    theirs_us: float


async def time_pair(pair: Pair, rounds: int) -> Timing:
    """Return the ratio of each round's two measurements: ours, theirs, ours, theirs…"""
    repeats = await _repeats(pair, pair.ours), await _repeats(pair, pair.theirs)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        ours.append(await _once(pair, pair.ours, repeats[0]))
        theirs.append(await _once(pair, pair.theirs, repeats[1]))
    return Timing(
        pair.arrow,
        pair.against,
        spread([slow / fast for fast, slow in zip(ours, theirs, strict=True)]),
        spread(ours).median,
        spread(theirs).median,
    )


async def _repeats(pair: Pair, work: Work) -> int:
    """Return how many batches make a measurement; what runs here also warms what is to be warm."""
    await _once(pair, work, 1)
    took_us = await _once(pair, work, 1)
    return max(1, round(LEAST_NS / 1000 / max(took_us * pair.batch, 0.1)))


async def _once(pair: Pair, work: Work, repeats: int) -> float:
    """Return CPU microseconds per operation: CPU time, so that a busy machine counts for less."""
    spent = 0
    for _ in range(repeats):
        if pair.before is not None:
            pair.before()
        began = time.process_time_ns()
        done = work()
        if inspect.isawaitable(done):
            await done
        spent += time.process_time_ns() - began
    return spent / repeats / pair.batch / 1000


def table(timings: Sequence[Timing]) -> str:
    """Return the timings for a terminal, ratios first."""
    lines = [f"{'':24}{'times as fast':>22}{'ours µs':>10}{'theirs µs':>11}  against"]
    for one in timings:
        ratio = f"{one.ratio.median:.2f} ({one.ratio.least:.2f}..{one.ratio.most:.2f})"
        lines.append(f"{one.arrow:24}{ratio:>22}{one.ours_us:>10.2f}{one.theirs_us:>11.2f}  {one.against}")
    return "\n".join(lines)
