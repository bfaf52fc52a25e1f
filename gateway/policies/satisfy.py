"""Facts that satisfy what is required of them, or the certainty that there are none.

The search settles what follows by itself, gives a fact the one value that serves everything asked of it where there is
such a value, and only then tries the ways that are left, one after the other. None of the three loses a solution. The
whole is bounded by a `Budget`; where that runs out, the search says so and claims nothing.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, TypeVar

from gateway.core.facts import AnyFact, Facts, OneOf, Unknown
from gateway.core.terms import Operation, WhyUnknown
from gateway.policies.constraints import (
    Certainty,
    Every,
    Formula,
    Leaf,
    Meets,
    Member,
    Option,
    Related,
    Some,
    State,
    Weight,
    Within,
    bits,
    leaves,
)
from gateway.policies.domains import AT, Domain, ordinary

LOOKS: Final = 100_000
"""Requirements that one search looks at: half a second, or some seconds where facts are compared with one another."""


Key = TypeVar("Key", bound=Hashable)


class Exhausted(Exception):
    """Raised where the budget of a search has run out."""


@dataclass(slots=True)
class Budget:
    """How much a search may still look at."""

    looks: int = LOOKS

    def spend(self, looks: int) -> None:
        """Count looks. Raise Exhausted where they are more than were left."""
        self.looks -= looks
        if self.looks < 0:
            raise Exhausted


class Settled(NamedTuple):
    """What follows by itself from requirements: a state, and what is still required in it."""

    state: State
    open: tuple[Formula, ...]


_Branch: TypeAlias = tuple[State, tuple[Formula, ...]]


class Ground(NamedTuple):
    """Where facts are searched: one operation, what each fact may be, and the instants that differ."""

    operation: Operation
    domains: Mapping[str, Domain]
    at: Sequence[int]

    def start(self) -> State:
        """Return the state in which every fact may be anything."""
        state = {fact: Option(domain.everything) for fact, domain in self.domains.items()}
        return {**state, AT: Option((1 << len(self.at)) - 1, certain=True)}

    def facts(self, settled: Settled) -> Facts:
        """Return the facts of a state: as uncertain as they are required to be, the usual ones where nothing is."""
        asking = _asking(settled.open)
        values = ordinary(self.domains)
        values[AT] = self.at[next(bits(settled.state[AT].upper)).bit_length() - 1]
        for fact, domain in self.domains.items():
            option, leafs = settled.state[fact], asking.get(fact, ([], []))[0]
            values[fact] = (_set_value if domain.is_set else _single_value)(option, domain, leafs)
        return Facts(operation=self.operation, **values)


def seek(
    required: Iterable[Formula], obstacles: Callable[[Facts], Mapping[Key, Formula]], ground: Ground, budget: Budget
) -> Facts | tuple[Key, ...]:
    """Return facts of which everything required is so and that meet no obstacle; else the rules that are in the way.

    `obstacles` says of facts which rules stand in their way, and what has to be so without each. Only those that facts
    ran into are ever required, so that most of a large bundle is never looked at. Raise Exhausted.
    """
    agenda, met = list(required), dict[Key, Formula]()
    while (settled := find([*agenda, *met.values()], ground.start(), ground.domains, budget)) is not None:
        facts = ground.facts(settled)
        more = obstacles(facts)
        if not more:
            return facts
        assert not more.keys() <= met.keys(), "a rule is in the way of facts that were searched to be without it"
        met.update(more)
    return tuple(met)


def find(required: Iterable[Formula], start: State, domains: Mapping[str, Domain], budget: Budget) -> Settled | None:
    """Return a state that, read as it is, satisfies what is required, or None where none does. Raise Exhausted."""
    untried: list[_Branch] = [(start, tuple(required))]
    while untried:
        settled = settle(*untried.pop(), budget)
        while settled is not None and (served := _served(settled, domains)) is not None:
            settled = settle(served, settled.open, budget)
        if settled is None:
            continue
        branches = _branches(settled)
        if branches is None:
            return settled
        untried += reversed(branches)
    return None


def settle(start: State, required: Iterable[Formula], budget: Budget) -> Settled | None:
    """Return what follows by itself, or None where the requirements contradict one another. Raise Exhausted."""
    state, agenda = start, list(required)
    while True:
        before, kept = state, list[Formula]()
        budget.spend(len(agenda))
        while agenda:
            formula = agenda.pop()
            weight = formula.weigh(state)
            if weight is Weight.FAILS:
                return None
            if weight is Weight.HOLDS:
                continue
            if weight is Weight.OPEN:
                if isinstance(formula, Every):
                    agenda += formula.parts
                    continue
                if isinstance(formula, Some):
                    alive = [part for part in formula.parts if part.weigh(state) is not Weight.FAILS]
                    if len(alive) == 1:
                        agenda.append(alive[0])
                        continue
                else:
                    ways = formula.ways(state)
                    if not ways:
                        return None
                    if len(ways) == 1:
                        state = ways[0]
            kept.append(formula)
        agenda = kept[::-1]
        if state is before:
            return Settled(state, tuple(kept))


def _branches(settled: Settled) -> list[_Branch] | None:
    """Return the ways on that something open leaves, the fewest there are; None where nothing is open."""
    best: list[_Branch] | None = None
    for place, formula in enumerate(settled.open):
        if isinstance(formula, Every) or formula.weigh(settled.state) is not Weight.OPEN:
            continue
        if isinstance(formula, Some):
            rest = (*settled.open[:place], *settled.open[place + 1 :])
            alive = (part for part in formula.parts if part.weigh(settled.state) is not Weight.FAILS)
            found = [(settled.state, (part, *rest)) for part in alive]
        else:
            found = [(state, settled.open) for state in formula.ways(settled.state)]
        if best is None or len(found) < len(best):
            best = found
        if len(best) <= 2:
            break
    return best


def _served(settled: Settled, domains: Mapping[str, Domain]) -> State | None:
    """Return the state with values for the facts that can please all who ask about them; None where there is none.

    Whoever solves the rest solves it with those too, so nothing is lost.
    """
    changed: dict[str, Option] = {}
    for fact, (leafs, formulas) in _asking(settled.open).items():
        option = settled.state[fact]
        if any(isinstance(leaf, Related | Member) for leaf in leafs):
            continue
        values = [leaf for leaf in leafs if not isinstance(leaf, Certainty)]
        if len(values) < len(leafs):
            option = option._replace(certain=True)
        domain = domains.get(fact)
        found = _set(option, values) if domain is not None and domain.is_set else _single(option, values, domain)
        if found is None or found == settled.state[fact]:
            continue
        tried = {**settled.state, fact: found}
        if len(values) == len(leafs) or all(formula.weigh(tried) is Weight.HOLDS for formula in formulas):
            changed[fact] = found
    return {**settled.state, **changed} if changed else None


def _asking(formulas: Iterable[Formula]) -> dict[str, tuple[list[Leaf], list[Formula]]]:
    """Return, for each fact, the comparisons that speak of it and the requirements that they stand in."""
    found: dict[str, tuple[list[Leaf], list[Formula]]] = {}
    for formula in formulas:
        for leaf in leaves(formula):
            for fact in _facts(leaf):
                leafs, standing = found.setdefault(fact, ([], []))
                leafs.append(leaf)
                if not standing or standing[-1] is not formula:
                    standing.append(formula)
    return found


def _facts(leaf: Leaf) -> tuple[str, ...]:
    match leaf:
        case Related(fact, other) | Member(fact, other):
            return (fact, other)
        case _:
            return (leaf.fact,)


def _single(option: Option, leafs: Iterable[Leaf], domain: Domain | None) -> Option | None:
    upper = option.upper
    for leaf in leafs:
        assert isinstance(leaf, Within)
        upper &= leaf.mask
    return option._replace(upper=_usual(upper, domain)) if upper else None


def _set(option: Option, leafs: Iterable[Leaf]) -> Option | None:
    upper, through = option.upper, option.through
    for leaf in leafs:
        assert isinstance(leaf, Meets)
        if leaf.wanted:
            through |= {leaf.mask}
        else:
            upper &= ~leaf.mask
    return None if any(not upper & one for one in through) else option._replace(upper=upper, through=through)


def _usual(upper: int, domain: Domain | None) -> int:
    """Return the usual one of the values in a mask, else the first."""
    return domain.usual if domain is not None and upper & domain.usual else next(bits(upper))


def _single_value(option: Option, domain: Domain, leafs: Sequence[Leaf]) -> AnyFact:
    if option.certain or not leafs:
        found: AnyFact = next(domain.of_mask(_usual(option.upper, domain)))
        return found
    if option.upper == domain.everything and not domain.linked:  # linked, the set of another could hold all of these
        return Unknown(WhyUnknown.NOT_SUPPLIED)
    return OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset(domain.of_mask(option.upper)))


def _set_value(option: Option, domain: Domain, leafs: Sequence[Leaf]) -> AnyFact:
    if not leafs and not option.certain:
        for bit in bits(option.upper):
            if option.spares(bit):
                option = option._replace(upper=option.upper & ~bit)
    widest = frozenset(domain.of_mask(option.upper))
    if option.certain or not leafs:
        return widest
    others = {option.upper & ~mask for mask in _doubted(leafs, option) if option.spares(mask)}
    return OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({widest, *(frozenset(domain.of_mask(one)) for one in others)}))


def _doubted(leafs: Iterable[Leaf], option: Option) -> Iterator[int]:
    """Yield the members that may be missing from a set together, as far as somebody asks whether they are."""
    for leaf in leafs:
        if isinstance(leaf, Meets) and not leaf.wanted:
            yield leaf.mask
        elif isinstance(leaf, Member) and not leaf.wanted:
            yield from bits(option.upper)
