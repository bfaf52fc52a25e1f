"""What is required of facts, as a tree of comparisons, and how far facts that are settled in part are from it.

A `State` says of each fact what it may still be. What is required comes in two strengths: that a comparison is so for
everything that a fact may be, or, `possibly`, for something among it. The first only ever takes possible values away;
the second is best served by keeping them. So a state is read as "as uncertain as it allows", and narrowed only where
something has to be certain: no solution is lost by that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeAlias


class Option(NamedTuple):
    """What one fact may still be."""

    upper: int
    """The values that it may have; of a set, the members that it may have."""
    through: frozenset[int] = frozenset()
    """Of a set: some member of each of these masks is in it for certain."""
    certain: bool = False
    """Whether it has to have exactly one value."""

    def spares(self, mask: int) -> bool:
        """Return whether a set can be without the members of a mask."""
        return all(self.upper & ~mask & one for one in self.through)


State: TypeAlias = Mapping[str, Option]


class Weight(IntEnum):
    """How far something is from being so. Of a conjunction the least counts, of a disjunction the greatest."""

    FAILS = 0
    OPEN = 1
    """It is not so yet, and may be made so."""
    SEEMS = 2
    """It is so, as long as nothing more is taken away."""
    HOLDS = 3


@dataclass(frozen=True, slots=True)
class Within:
    """A fact has only values of a mask; or, `possibly`, some value of it."""

    fact: str
    mask: int
    possibly: bool = False

    def weigh(self, state: State) -> Weight:
        """Return how far it is so."""
        option = state[self.fact]
        inside = option.upper & self.mask
        if inside == option.upper:
            return Weight.HOLDS
        if not inside:
            return Weight.FAILS
        return Weight.SEEMS if self.possibly and not option.certain else Weight.OPEN

    def ways(self, state: State) -> list[State]:
        """Return the states that lead on from an open one: every solution in it is in one of them."""
        return _keeping(state, self.fact, self.mask)


@dataclass(frozen=True, slots=True)
class Meets:
    """A set has some member of a mask, or, where not `wanted`, none; or possibly so."""

    fact: str
    mask: int
    wanted: bool = True
    possibly: bool = False

    def weigh(self, state: State) -> Weight:
        """Return how far it is so."""
        option = state[self.fact]
        inside = option.upper & self.mask
        if not self.wanted:
            if not inside:
                return Weight.HOLDS
            if not option.spares(self.mask):
                return Weight.FAILS
            return Weight.SEEMS if self.possibly and not option.certain else Weight.OPEN
        if not inside:
            return Weight.FAILS
        if any(one & ~self.mask == 0 for one in option.through):
            return Weight.HOLDS
        return Weight.SEEMS if self.possibly or option.certain else Weight.OPEN

    def ways(self, state: State) -> list[State]:
        """Return the states that lead on from an open one: every solution in it is in one of them."""
        return _having(state, self.fact, self.mask) if self.wanted else _lacking(state, self.fact, self.mask)


@dataclass(frozen=True, slots=True)
class Certainty:
    """A fact has exactly one value, or, where not `wanted`, not for certain."""

    fact: str
    wanted: bool
    each: bool
    """Whether its values have to be tried one by one: they are compared with those of another fact."""

    def weigh(self, state: State) -> Weight:
        """Return how far it is so."""
        if state[self.fact].certain:
            return Weight.HOLDS if self.wanted else Weight.FAILS
        return Weight.OPEN if self.wanted else Weight.SEEMS

    def ways(self, state: State) -> list[State]:
        """Return the states that lead on from an open one: every solution in it is in one of them."""
        option = state[self.fact]._replace(certain=True)
        uppers = bits(option.upper) if self.each else (option.upper,)
        return [{**state, self.fact: option._replace(upper=upper)} for upper in uppers]


@dataclass(frozen=True, slots=True)
class Related:
    """Each value of one fact stands in a relation to each of the other; or, `possibly`, some to some."""

    fact: str
    other: str
    relation: tuple[int, ...]
    """For each value of the one the values of the other that it is related to."""
    possibly: bool

    def weigh(self, state: State) -> Weight:
        """Return how far it is so."""
        here, there = state[self.fact], state[self.other]
        related = [self.relation[bit.bit_length() - 1] & there.upper for bit in bits(here.upper)]
        if all(one == there.upper for one in related):
            return Weight.HOLDS
        if not any(related):
            return Weight.FAILS
        return Weight.SEEMS if self.possibly else Weight.OPEN

    def ways(self, state: State) -> list[State]:
        """Return the states that lead on from an open one: every solution in it is in one of them."""
        here, there = state[self.fact].upper, state[self.other].upper
        bit = next(bit for bit in bits(here) if there & ~self.relation[bit.bit_length() - 1])
        related = self.relation[bit.bit_length() - 1]
        return [*_keeping(state, self.other, related), *_keeping(state, self.fact, ~bit)]


@dataclass(frozen=True, slots=True)
class Member:
    """Each value of a fact is in a set, or, where not `wanted`, none is; or possibly so."""

    fact: str
    holder: str
    none: int
    """The mask of "there is none", which is in no set."""
    wanted: bool
    possibly: bool

    def weigh(self, state: State) -> Weight:
        """Return how far it is so."""
        option, holder = state[self.fact], state[self.holder]
        some, meeting = option.upper & ~self.none, option.upper & ~self.none & holder.upper
        if self.wanted:
            if not meeting:
                return Weight.FAILS
            if some == option.upper and all(bit in holder.through for bit in bits(some)):
                return Weight.HOLDS
            sure = self.possibly or (holder.certain and meeting == option.upper)
            return Weight.SEEMS if sure else Weight.OPEN
        if not meeting:
            return Weight.HOLDS
        if holder.certain:
            return Weight.SEEMS if self.possibly and meeting != option.upper else Weight.OPEN
        spared = meeting != option.upper or any(holder.spares(bit) for bit in bits(meeting))
        return (Weight.SEEMS if spared else Weight.FAILS) if self.possibly else Weight.OPEN

    def ways(self, state: State) -> list[State]:
        """Return the states that lead on from an open one: every solution in it is in one of them."""
        option, holder = state[self.fact], state[self.holder]
        if self.possibly:  # of a set that has to be certain: some value is not in it
            return [found for bit in bits(option.upper) for found in _lacking(state, self.holder, bit)]
        if not self.wanted:
            bit = next(bits(option.upper & ~self.none & holder.upper))
            return [*_keeping(state, self.fact, ~bit), *_lacking(state, self.holder, bit)]
        if option.upper & self.none:
            return _keeping(state, self.fact, ~self.none)
        bit = next(bit for bit in bits(option.upper) if bit not in holder.through)
        return [*_having(state, self.holder, bit), *_keeping(state, self.fact, ~bit)]


@dataclass(frozen=True, slots=True)
class Every:
    """All parts are so; with no parts, always."""

    parts: "tuple[Formula, ...]"

    def weigh(self, state: State) -> Weight:
        """Return how far it is so."""
        least = Weight.HOLDS
        for part in self.parts:
            weight = part.weigh(state)
            if weight is Weight.FAILS:
                return weight
            least = min(least, weight)
        return least


@dataclass(frozen=True, slots=True)
class Some:
    """Some part is so; with no parts, never."""

    parts: "tuple[Formula, ...]"

    def weigh(self, state: State) -> Weight:
        """Return how far it is so."""
        most = Weight.FAILS
        for part in self.parts:
            weight = part.weigh(state)
            if weight is Weight.HOLDS:
                return weight
            most = max(most, weight)
        return most


Leaf: TypeAlias = Within | Meets | Certainty | Related | Member
Formula: TypeAlias = Leaf | Every | Some

ALWAYS = Every(())
NEVER = Some(())


def every(parts: Iterable[Formula]) -> Formula:
    """Return the conjunction, without what always or never is so."""
    kept = tuple(part for part in parts if part != ALWAYS)
    if NEVER in kept:
        return NEVER
    return kept[0] if len(kept) == 1 else Every(kept)


def some(parts: Iterable[Formula]) -> Formula:
    """Return the disjunction, without what always or never is so."""
    kept = tuple(part for part in parts if part != NEVER)
    if ALWAYS in kept:
        return ALWAYS
    return kept[0] if len(kept) == 1 else Some(kept)


def leaves(formula: Formula) -> Iterator[Leaf]:
    """Yield the comparisons of a formula."""
    if isinstance(formula, Every | Some):
        for part in formula.parts:
            yield from leaves(part)
    else:
        yield formula


def bits(mask: int) -> Iterator[int]:
    """Yield the single bits of a mask, the lowest first."""
    while mask:
        low = mask & -mask
        mask ^= low
        yield low


def _keeping(state: State, fact: str, mask: int) -> list[State]:
    option = state[fact]
    upper = option.upper & mask
    return [{**state, fact: option._replace(upper=upper)}] if upper else []


def _lacking(state: State, fact: str, mask: int) -> list[State]:
    option = state[fact]
    return [{**state, fact: option._replace(upper=option.upper & ~mask)}] if option.spares(mask) else []


def _having(state: State, fact: str, mask: int) -> list[State]:
    option = state[fact]
    return [{**state, fact: option._replace(through=option.through | {mask})}] if option.upper & mask else []
