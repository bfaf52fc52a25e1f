"""Fitting the score to an exchange's own customers: how their logins repeat, and where to draw the line."""

from collections.abc import Iterable, Sequence
from operator import truediv
from typing import Final

from gateway.core.risk_tables import BUCKETS, GROUPS, Row

ROUNDS: Final = 60
FLOOR: Final = 0.001
_STILL: Final = 1e-5
ENOUGH: Final = 200
"""Logins of one history size before its shares are fitted; until then the shipped ones serve."""

Sample = tuple[int, tuple[tuple[float, ...], ...]]
"""A customer's login: the place of the history's size, and the ratios of each group (`anomaly.ratios`)."""


def fit(samples: Iterable[Sample]) -> tuple[tuple[Row, ...], ...]:
    """Return for each group and history size the shares of the levels that explain customers' logins best.

    Expectation maximisation of a mixture whose parts are known: what each level explains of each login, by turns with
    the mean of that. Never an attack in it: whoever fits to attacks misses the next one.
    """
    by_size: list[list[tuple[tuple[float, ...], ...]]] = [[] for _ in range(BUCKETS)]
    for bucket, found in samples:
        by_size[bucket].append(found)
    return tuple(
        tuple(
            mixture([found[number] for found in rows], group.customer[bucket])
            if len(rows) >= ENOUGH
            else group.customer[bucket]
            for bucket, rows in enumerate(by_size)
        )
        for number, group in enumerate(GROUPS)
    )


def mixture(rows: Sequence[Sequence[float]], start: Row, rounds: int = ROUNDS) -> Row:
    """Return the shares, none below the floor, under which the rows of ratios are most likely."""
    shares = list(start)
    levels = list(zip(*rows, strict=True))
    for _ in range(rounds):
        # By levels rather than by rows: this is done some hundred thousand times.
        parts = [[share * ratio for ratio in level] for share, level in zip(shares, levels, strict=True)]
        wholes = [sum(row) for row in zip(*parts, strict=True)]
        sums = [sum(map(truediv, level, wholes)) for level in parts]
        raised = [max(FLOOR, one / len(rows)) for one in sums]
        whole = sum(raised)
        before, shares = shares, [one / whole for one in raised]
        if all(abs(one - other) < _STILL for one, other in zip(before, shares, strict=True)):
            break
    return tuple(shares)


def threshold(scores: Sequence[float], budget: float, held_anyway: int = 0) -> float:
    """Return the score above which the budget's share of these lies at most; infinite where there are none.

    `scores` are those of the customers' withdrawals of the last 60 days, `budget` is a share of them, such as 0.015.
    `held_anyway` more were held for another reason. They use the budget up, but half of it at most: many new customers
    shall not make the score blind for all others.
    """
    if not 0 < budget < 1:
        raise ValueError(f"a budget is a share of withdrawals above 0 and below 1, such as 0.015, not {budget}")
    if not scores:
        return float("inf")
    whole = budget * (len(scores) + held_anyway)
    ordered = sorted(scores)
    return ordered[max(0, len(ordered) - 1 - int(max(whole - held_anyway, whole / 2)))]
