"""From turns to figures: what belongs together is compared within one round, never across."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Round = Mapping[str, "Turn"]
"""One turn of every app, measured one after the other."""


@dataclass(frozen=True)
class Load:
    """What a load generator saw of one turn."""

    requests: int
    seconds: float
    wrong: int
    """Answers that were not 200, and connections that failed: there must be none."""
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Turn:
    """One app under load for a few seconds."""

    load: Load
    cpu_s: float | None
    """CPU time of the whole server process meanwhile; None where the system does not tell."""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.load.requests / self.load.seconds

    @property
    def cpu_us(self) -> float | None:
        """CPU microseconds per request."""
        return None if self.cpu_s is None else self.cpu_s / self.load.requests * 1e6

    @property
    def busy(self) -> float | None:
        """Share of the time that the server computed: near 1, or something else was the limit."""
        return None if self.cpu_s is None else self.cpu_s / self.load.seconds


@dataclass(frozen=True)
class Spread:
    """A median with what it lies between."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.least:.3g} to {self.most:.3g})"


def spread(values: Sequence[float]) -> Spread:
    """Return the median, least and most of at least one value."""
    return Spread(median(values), min(values), max(values))


def paired(rounds: Sequence[Round], figure: Callable[[Round], float | None]) -> Spread | None:
    """Return the spread over rounds of a figure taken within each; None where no round has it."""
    values = [value for one in rounds if (value := figure(one)) is not None]
    return spread(values) if values else None


def rate_ratio(rounds: Sequence[Round], app: str, to: str) -> Spread | None:
    """Return how many times as many requests per second `app` answers as `to`."""
    return paired(rounds, lambda one: one[app].rate / one[to].rate if app in one and to in one else None)


def cpu_ratio(rounds: Sequence[Round], app: str, to: str) -> Spread | None:
    """Return the share of the CPU time of `to` that `app` needs.

    With a core to itself, that is the inverse ratio of their rates; with a core that others use too, it still holds.
    """

    def share(one: Round) -> float | None:
        if app not in one or to not in one:
            return None
        mine, theirs = one[app].cpu_us, one[to].cpu_us
        return mine / theirs if mine is not None and theirs else None

    return paired(rounds, share)


def added_cpu(rounds: Sequence[Round], app: str, to: str) -> Spread | None:
    """Return how many CPU microseconds per request `app` needs more than `to`."""

    def more(one: Round) -> float | None:
        if app not in one or to not in one:
            return None
        mine, theirs = one[app].cpu_us, one[to].cpu_us
        return None if mine is None or theirs is None else mine - theirs

    return paired(rounds, more)


def added_cpu_ratio(rounds: Sequence[Round], app: str, than: str, to: str) -> Spread | None:
    """Return how many times as much CPU time `app` adds to `to` as `than` does; None where `than` adds none."""

    def times(one: Round) -> float | None:
        mine, theirs = added_cpu([one], app, to), added_cpu([one], than, to)
        return None if mine is None or theirs is None or theirs.median <= 0 else mine.median / theirs.median

    return paired(rounds, times)


def of(rounds: Sequence[Round], app: str, figure: Callable[[Turn], float | None]) -> Spread | None:
    """Return the spread over rounds of one app's own figure."""
    return paired(rounds, lambda one: figure(one[app]) if app in one else None)
