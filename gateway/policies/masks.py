"""Bit sets: which conjuncts a value of each fact leaves possible, and which certain.

Every conjunct of every rule has one bit. For each value of a fact two masks say which conjuncts are still possibly
and still certainly satisfied as far as that fact goes; intersected over all facts they say which conjuncts are. What
was worked out for a value is remembered, so that a decision is a few look-ups and intersections.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from gateway.core.facts import AnyFact, Facts, Unknown
from gateway.core.terms import OUTAGES
from gateway.policies.atoms import FALSE, TRUE, Among, Ordered, Pair, Single, is_known
from gateway.policies.schema import FACTS

REMEMBERED: Final = 8_192
"""Values remembered at each place; then all are forgotten, which costs each one cold answer."""

_UNNAMED: Final = object()
_INDEX: Final = {name: index for index, name in enumerate(Facts._fields)}


class Masks(NamedTuple):
    """What the value of a fact, or of several, leaves of the conjuncts."""

    possible: int
    certain: int
    doubtful: int
    """Facts, one bit each by their index, that are uncertain and will stay so."""
    lost: int
    """Facts that an outage made Unknown."""


class Column:
    """One fact: its literals, and the conjuncts they stand in."""

    def __init__(self, fact: str, every: int) -> None:
        self.fact = fact
        self.index = _INDEX[fact]
        self.literals: list[tuple[Single, bool, int]] = []
        """Each with the mask of all conjuncts but those that it stands in."""
        self._every = every
        self._remembered: dict[Any, Masks] = {}
        self._named: frozenset[Any] = frozenset()
        """The values that some literal names."""

    def add(self, atom: Single, denied: bool, bits: int) -> None:
        """Let the conjuncts in `bits` depend on a literal."""
        self.literals.append((atom, denied, self._every & ~bits))
        if isinstance(atom, Among):
            self._named |= atom.values

    def masks(self, value: AnyFact) -> Masks:
        """Return what a value leaves."""
        # Texts that no literal names are alike: one answer serves all, however many literals name an account.
        key = _UNNAMED if isinstance(value, str) and value not in self._named else value
        found = self._remembered.get(key)
        return found if found is not None else _keep(self._remembered, key, self._work_out(value))

    def _work_out(self, value: AnyFact) -> Masks:
        possible = certain = self._every
        for atom, denied, others in self.literals:
            possible, certain = _weigh(atom.truth(value), denied, others, possible, certain)
        if is_known(value):
            return Masks(possible, certain, 0, 0)
        lost = isinstance(value, Unknown) and value.why in OUTAGES
        bit = 1 << self.index
        return Masks(possible, certain, 0 if lost else bit, bit if lost else 0)


class MeasuredColumn(Column):
    """A number with too many values to remember: only its order against the thresholds matters."""

    def __init__(self, fact: str, every: int) -> None:
        super().__init__(fact, every)
        self.thresholds: list[int | float] = []
        self._regions: list[Masks | None] = [None]

    def settle(self) -> None:
        """Gather the thresholds, once all literals are there."""
        found: set[Any] = set()
        for atom, _, _ in self.literals:
            match atom:
                case Ordered(_, _, number):
                    found.add(number)
                case Among(_, values):
                    found |= values
                case _:
                    pass
        self.thresholds = sorted(found)
        self._regions = [None] * (2 * len(found) + 1)

    def measured(self, value: AnyFact) -> Masks:
        """Return what a value leaves. All numbers between two thresholds, and each threshold, are alike."""
        if isinstance(value, int | float) and value - value == 0:  # false for infinity and "not a number"
            region = bisect_left(self.thresholds, value) + bisect_right(self.thresholds, value)
            found = self._regions[region]
            if found is None:
                found = self._regions[region] = self._work_out(value)
            return found
        return self.masks(value)


class Group:
    """Facts that are looked up together, so that what repeats together costs one look-up."""

    def __init__(self, columns: Sequence[Column], pairs: Sequence[tuple[Pair, bool, int]] = ()) -> None:
        facts = [column.index for column in columns] or [_INDEX[pairs[0][0].fact], _INDEX[pairs[0][0].other]]
        self.key = itemgetter(*facts)
        self.remembered: dict[Any, Masks] = {}
        self._columns = tuple(columns)
        self._pairs = tuple(pairs)

    def learn(self, key: Any, facts: Facts, every: int) -> Masks:  # noqa: ANN401 - one fact or a tuple of them
        """Return what these facts leave, and remember it."""
        possible = certain = every
        doubtful = lost = 0
        for column in self._columns:
            one = column.masks(facts[column.index])
            possible &= one.possible
            certain &= one.certain
            doubtful |= one.doubtful
            lost |= one.lost
        for pair, denied, others in self._pairs:
            truth = pair.truths(facts[_INDEX[pair.fact]], facts[_INDEX[pair.other]])
            possible, certain = _weigh(truth, denied, others, possible, certain)
        return _keep(self.remembered, key, Masks(possible, certain, doubtful, lost))


def fact_bits(facts: frozenset[str]) -> int:
    """Return the mask of facts, one bit each by their index."""
    return sum(1 << _INDEX[name] for name in facts)


def is_measured(fact: str) -> bool:
    """Return whether values of a fact are compared with thresholds rather than remembered."""
    return FACTS[fact].measured


def _weigh(truth: int, denied: bool, others: int, possible: int, certain: int) -> tuple[int, int]:
    """Return both masks after a literal has spoken. `others` are the conjuncts that it does not stand in."""
    if denied:
        truth = TRUE - truth
    if truth == TRUE:
        return possible, certain
    return possible & others if truth == FALSE else possible, certain & others


def _keep(memo: dict[Any, Masks], key: Any, masks: Masks) -> Masks:  # noqa: ANN401 - a fact, or several
    if len(memo) >= REMEMBERED:
        memo.clear()
    memo[key] = masks
    return masks
