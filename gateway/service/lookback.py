"""Whom one rule would have refused: over all that was recorded, by the data of that day and by that of now."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple
from uuid import UUID

from gateway.core.decision import Document, instant_text
from gateway.core.terms import EVERYTHING, Effect
from gateway.policies.compile import Bundle
from gateway.policies.expression import ALWAYS
from gateway.policies.findings import Place
from gateway.policies.rules import Policy, Rule
from gateway.policies.simulate import UNCERTAIN, Weigher
from gateway.policies.simulated import Simulation
from gateway.ports import Moment
from gateway.service.simulation import Counting, Refresh, Walk, Weighed

COLUMNS: Final = ("id", "at", "account", "operation", "country", "answered", "then", "now")


class Row(NamedTuple):
    """A decision that the rule would have refused or challenged."""

    id: str
    at: str
    account: str | None
    operation: str
    country: str
    answered: str
    """What was answered then."""
    then: str
    """What the rule makes of the facts of that day: `deny`, `challenge`, or `allow` where it leaves them alone."""
    now: str
    """And of what is known now of the same address and account."""


class Lookback:
    """What came of looking back."""

    def __init__(self, rule: str, then: Simulation, now: Simulation) -> None:
        self.rule, self.then, self.now = rule, then, now
        self.answered: dict[str, int] = {}
        """How the decisions that it would have refused by the data of that day were answered."""

    def to_json(self) -> Document:
        """Return the same as a JSON object."""
        then, now = self.then.to_json(), self.now.to_json()
        kept = ("refused", "challenged", "by_country", "by_operation", "by_status")
        return {
            "rule": self.rule,
            "since": then["since"],
            "until": then["until"],
            "decisions": then["decisions"],
            "left_out": then["left_out"],
            "accounts_are_lower_bounds": then["accounts_are_lower_bounds"] or now["accounts_are_lower_bounds"],
            "answered": self.answered,
            "then": {name: then[name] for name in kept},
            "now": {name: now[name] for name in kept},
        }

    def text(self) -> str:
        """Return the same for people."""
        span = f"from {instant_text(self.then.since)} to {instant_text(self.then.until)}"
        lines = [f"{self.rule} over {self.then.decisions:,} decisions {span}"]
        lines += [f"{number:,} could not be weighed: {why}" for why, number in sorted(self.then.left_out.items())]
        lines += self.then.lines({key: f"{head}, by the data of that day" for key, head in _HEADS.items()})
        if self.answered:
            answered = ", ".join(f"{word} {number:,}" for word, number in sorted(self.answered.items()))
            lines += [f"  then they were answered: {answered}"]
        lines += self.now.lines({key: f"{head}, by what is known now" for key, head in _HEADS.items()})
        return "\n".join(lines if len(lines) > 1 else [*lines, "none that it would have refused"])


def alone(rule: Rule | None, bundle: Bundle, *, dated: bool = False) -> Bundle:
    """Return the rule in a bundle of its own, in which everything is granted besides; without a rule that alone.

    Its dates are left out unless `dated`. The exceptions to it stay as they are.
    """
    everything = Rule("", "everything", Effect.GRANT, EVERYTHING, ALWAYS, "True")
    rules: tuple[Rule, ...] = (everything,)
    if rule is not None:
        rules = (rule if dated else replace(rule, start=None, end=None), everything)
    return Bundle([Policy("alone", "alone", "", None, rules, (), Place("", 1, 1))], bundle.lists, {}, bundle.digest)


async def look_back(
    moments: AsyncIterator[Moment],
    rule: Rule,
    bundle: Bundle,
    window: tuple[int, int],
    refresh: Refresh,
    *,
    digests: Mapping[str, str] | None = None,
    write: Callable[[Sequence[Row]], None] | None = None,
    dated: bool = False,
) -> Lookback:
    """Return what the rule would have refused of what was answered in `[since, until)`. Raise StoreUnavailable.

    `refresh` says what is known now. `write` is given each decision of which either is true.
    """
    by_rule, by_nothing = alone(rule, bundle, dated=dated), alone(None, bundle)
    name = f"{rule.policy}/{rule.id}"
    found = Lookback(name, *(Simulation(*window, bundle.digest, by_nothing.digest) for _ in range(2)))
    walks = [Walk(Weigher(by_rule, by_nothing, *window, digests=digests), *window, known) for known in (None, refresh)]
    countings = [Counting(found.then), Counting(found.now)]
    async for moment in moments:
        async for some in moment.alike(*window):
            weighed = [await walk.weigh(moment, some) for walk in walks]
            for counting, ones in zip(countings, weighed, strict=True):
                await counting.count(moment, ones)
            for one in weighed[0]:
                outcome = one.variety.recorded.outcome
                found.answered[outcome] = found.answered.get(outcome, 0) + one.decisions
            if write is not None:
                write(await _rows(moment, weighed[0], weighed[1], window))
    for simulation, walk in zip((found.then, found.now), walks, strict=True):
        simulation.decisions, simulation.varieties, simulation.left_out = walk.decisions, walk.varieties, walk.left_out
    return found


async def _rows(moment: Moment, then: Sequence[Weighed], now: Sequence[Weighed], window: tuple[int, int]) -> list[Row]:
    """Return a row for each decision, in the order of their ids."""
    rulings: dict[int, Weighed] = {one.one.ruling: one for one in (*now, *then)}
    whole: dict[int, list[str]] = {}
    single: dict[bytes, list[str]] = {}
    for place, ones in enumerate((then, now)):
        for one in ones:
            outcome = one.turn.after.outcome
            for each in one.each:
                single.setdefault(each.id, ["allow", "allow"])[place] = outcome
            if not one.each:
                whole.setdefault(one.one.ruling, ["allow", "allow"])[place] = outcome
    rows: list[Row] = []
    for each in sorted(await moment.each(sorted(rulings), *window), key=lambda one: one.id):
        told = [
            max(pair, key=_ORDER.index)
            for pair in zip(whole.get(each.ruling, _ALLOWED), single.get(each.id, _ALLOWED), strict=True)
        ]
        if told == _ALLOWED:
            continue
        one = rulings[each.ruling]
        facts: Any = one.variety.facts
        country = facts.country if isinstance(facts.country, str) else UNCERTAIN
        raw = (str(UUID(bytes=each.id)), instant_text(each.at), one.one.account, str(facts.operation), country)
        rows.append(Row(*raw, one.variety.recorded.outcome, *told))
    return rows


_HEADS: Final = {"refused": "It would have refused", "challenged": "It would have challenged"}
_ALLOWED: Final = ["allow", "allow"]
_ORDER: Final = ("allow", "challenge", "deny")
