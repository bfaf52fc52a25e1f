"""How many requests were answered in each way, and how long that took: counted as it happens, added up when asked."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.core.reply import Reply
from gateway.core.search import AMBIGUOUS
from gateway.core.terms import Outcome
from gateway.core.verdict import Verdict

TOOK: Final = 64
"""Where a tally has the sum of all times. Before it stands, at each number of bits, how many took a time (microseconds)
with so many: a power of two is found without comparing."""

Tally = list[int]


class Way(NamedTuple):
    """What is counted together. Few: nobody outside makes another one."""

    operation: str
    outcome: str
    reason: str
    """Nothing where there is none."""


class Tallies:
    """The tallies of one process."""

    def __init__(self) -> None:
        self._found: dict[Way, Tally] = {}

    def of(self, verdict: Verdict | None, reply: Reply) -> Tally:
        """Return where requests that are answered so are counted."""
        operation = AMBIGUOUS if verdict is None else str(verdict.operation)
        outcome = str(Outcome.DENY if verdict is None else verdict.outcome)
        way = Way(operation, outcome, "" if reply.reason is None else str(reply.reason))
        return self._found.setdefault(way, [0] * (TOOK + 1))

    def items(self) -> Iterator[tuple[Way, Tally]]:
        """Yield each way with a copy of its tally."""
        for way, tally in [*self._found.items()]:
            yield way, tally.copy()
