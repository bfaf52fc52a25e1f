"""A candidate beside the policies in force: what it would have answered to what the journal brings."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from gateway.core.decision import Document, instant_text
from gateway.policies.compile import Bundle
from gateway.policies.simulate import Weigher
from gateway.policies.simulated import NOTHING_GRANTED, Simulation
from gateway.ports import Moment
from gateway.service.simulation import Counting, Walk

MOST_ACCOUNTS: Final = 100_000
MOST_SERIES: Final = 200
"""Kinds of divergence that are told apart; the rest are one, `(others)`."""
OTHERS: Final = "(others)"
_AHEAD_US: Final = 2 * 86_400_000_000
"""How far beyond now its dates are minded; half that time later they are looked at anew."""


class Shadow:
    """One candidate, from when it began to be followed. It answers nobody: it reads what was answered."""

    def __init__(self, candidate: Bundle, since: int, digests: Mapping[str, str] | None = None) -> None:
        self.candidate = candidate
        self.simulation = Simulation(since, since, candidate.digest, most_accounts=MOST_ACCOUNTS)
        self._since = since
        self._digests = digests
        self._counting = Counting(self.simulation)
        self._divergences: Counter[tuple[str, str, str]] = Counter()
        self._begin(since)

    async def take(self, moment: Moment, now: int) -> None:
        """Weigh a piece of the journal. What was answered before the shadow began is left alone."""
        if now >= self._renewed_at:
            self._begin(now)
        walk = self._walk
        before = walk.decisions
        async for some in moment.alike(self._since, self._until):
            weighed = await walk.weigh(moment, some)
            await self._counting.count(moment, weighed)
            for one in weighed:
                if one.turn.flipped:
                    rule = (one.turn.rules or (NOTHING_GRANTED,))[0]
                    self._diverge(one.turn.before.outcome, one.turn.after.outcome, rule, one.decisions)
        self.simulation.decisions += walk.decisions - before
        self.simulation.until = now

    def to_json(self) -> Document:
        """Return what came of it so far, as a JSON object."""
        return {
            "since": instant_text(self._since),
            "at": self.simulation.until,
            "candidate": self.candidate.digest,
            "decisions": self.simulation.decisions,
            "divergences": [
                {"from": before, "to": after, "rule": rule, "decisions": number}
                for (before, after, rule), number in sorted(self._divergences.items())
            ],
            "text": self.simulation.text(),
            "simulation": self.simulation.to_json(),
        }

    def _begin(self, now: int) -> None:
        self._renewed_at, self._until = now + _AHEAD_US // 2, now + _AHEAD_US
        self._walk = Walk(
            Weigher(self.candidate, None, self._since, self._until, digests=self._digests), self._since, self._until
        )
        self._walk.left_out = self.simulation.left_out

    def _diverge(self, before: str, after: str, rule: str, decisions: int) -> None:
        key = (before, after, rule)
        if key not in self._divergences and len(self._divergences) >= MOST_SERIES:
            key = (OTHERS, OTHERS, OTHERS)
        self._divergences[key] += decisions
