"""Counts of decisions, added up the ways that people ask: by outcome, by reason, by hour."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from gateway.core.decision import Document, instant_text
from gateway.ports import Count, Step

_DAY: Final = 86_400_000_000
NOTHING: Final = "-"
"""The name of what a count has no value for: no reason, no certain country."""

GROUPS: Final[Mapping[str, Callable[[Count], str]]] = {
    "outcome": lambda count: count.outcome,
    "reason": lambda count: count.reason or NOTHING,
    "country": lambda count: count.country or NOTHING,
    "operation": lambda count: count.operation,
    "bundle": lambda count: count.bundle[:12],
    "hour": lambda count: instant_text(count.start)[:16] + "Z",
    "day": lambda count: instant_text(count.start - count.start % _DAY)[:10],
}
"""By what decisions are counted, and the name of a count's group."""
IN_TIME: Final = frozenset({"hour", "day"})
"""Groups that are told in their own order; the others begin with the largest."""


def step_for(groups: Iterable[str]) -> Step:
    """Return the longest time that counts may be of, to be grouped so."""
    names = set(groups)
    if "hour" in names:
        return Step.HOUR
    return Step.DAY if "day" in names else Step.ALL


def overview(counts: Iterable[Count], groups: Iterable[str] = GROUPS) -> Document:
    """Return `{"decisions": N, "by": {group: {name: N}}}` of the counts."""
    names = list(groups)
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    total = 0
    for count in counts:
        total += count.decisions
        for name in names:
            found[name][GROUPS[name](count)] += count.decisions
    return {"decisions": total, "by": {name: _ordered(name, found[name]) for name in names}}


def _ordered(group: str, counter: Counter[str]) -> dict[str, int]:
    if group in IN_TIME:
        return dict(sorted(counter.items()))
    return dict(sorted(counter.items(), key=lambda one: (-one[1], one[0])))
