"""The values of each fact that rules tell apart: finitely many, whatever else the fact might be."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count, islice, pairwise
from math import ceil, floor
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from gateway.core.countries import CONTINENT_OF
from gateway.core.facts import AnyFact
from gateway.core.subdivisions import SUBDIVISIONS
from gateway.core.terms import Credential, Status, TokenState, Verification
from gateway.policies.atoms import TRUE, Among, Atom, IsKnown, Ordered, Overlaps, Pair, Single
from gateway.policies.schema import FACTS, FactSchema, Kind

AT: Final = "at"
"""The instant, which is searched like a fact; it is always certain."""

CUSTOMER: Final[Mapping[str, AnyFact]] = MappingProxyType(
    {
        "network": frozenset(),
        "credential": str(Credential.SESSION),
        "token": str(TokenState.VALID),
        "assurance": 2,
        "auth_age": 0,
        "account": "someone",
        "status": str(Status.OPEN),
        "flags": frozenset(),
        "verification": str(Verification.FULL),
        "documents": frozenset(),
        "residence": None,
        "nationality": None,
        "holds": frozenset(),
        "signals": frozenset(),
        "risk": "low",
        "amount_usd": None,
        "destination": None,
        "withdrawn_today_usd": None,
    }
)
"""The customer of whom nothing remarkable is known: signed in with a second factor just now, verified, in good
standing. Nothing here says where the connection comes from."""

_COUNTRY: Final = "PT"
_ASN: Final = 64_496
_WHOLE: Final = 2**53
"""Beyond it no fraction is left between two numbers."""
_LINKED_POINTS: Final = 6
"""Numbers between two thresholds where amounts are compared with one another: two sets of them can lie there in any
order, overlap, or share one."""


class Domain(NamedTuple):
    """What one fact may be: values that stand for all others. For a set, its possible members."""

    fact: str
    values: tuple[Any, ...]
    position: Mapping[Any, int]
    everything: int
    """The mask of all values that it may have."""
    usual: int
    """The mask of the one that an unremarkable customer has; 0 where that is none of these, and for sets."""
    linked: bool
    """Whether it is compared with another fact. Those compared with one another have their values at the same bits."""

    @property
    def is_set(self) -> bool:
        """Whether the fact is a set, and its values here are members."""
        return FACTS[self.fact].is_set

    def mask(self, atom: Single) -> int:
        """Return which values satisfy a comparison; of a set, which members do."""
        match atom:
            case Among(_, values) | Overlaps(_, values):
                return sum(1 << self.position[value] for value in values if value in self.position)
            case Ordered():
                return sum(1 << place for place, value in enumerate(self.values) if atom.truth(value) == TRUE)
            case IsKnown():
                return self.everything

    def of_mask(self, mask: int) -> Iterator[Any]:
        """Yield the values in a mask, in their order."""
        while mask:
            low = mask & -mask
            mask ^= low
            yield self.values[low.bit_length() - 1]


def domains(atoms: Iterable[Atom]) -> dict[str, Domain]:
    """Return the domain of each fact that the comparisons speak of, but for `operation`, which is never searched."""
    named: dict[str, set[Any]] = {}
    thresholds: dict[str, set[Any]] = {}
    pairs: dict[Kind, set[Pair]] = {}
    for atom in atoms:
        match atom:
            case Pair("operation", _, "holds"):
                named.setdefault("holds", set())
            case Pair(fact, _, other):
                pairs.setdefault(FACTS[fact].kind, set()).add(atom)
                named.setdefault(fact, set())
                named.setdefault(other, set())
            case Among(fact, values) | Overlaps(fact, values):
                named.setdefault(fact, set()).update(values)
            case Ordered(fact, _, number):
                named.setdefault(fact, set())
                thresholds.setdefault(fact, set()).add(number)
            case IsKnown(fact):
                named.setdefault(fact, set())
    linked = {fact for some in pairs.values() for pair in some for fact in (pair.fact, pair.other)}
    for kind in pairs:
        together = [fact for fact in linked if FACTS[fact].kind is kind]
        for table in (named, thresholds):
            every = set[Any]().union(*(table.get(fact, set()) for fact in together))
            table.update(dict.fromkeys(together, every))
    several = {fact: len(pairs[FACTS[fact].kind]) for fact in linked}
    return {
        fact: _domain(FACTS[fact], values, thresholds.get(fact, set()), several.get(fact, 0))
        for fact, values in named.items()
        if fact != "operation"
    }


def natural(country: str = _COUNTRY) -> dict[str, Any]:
    """Return the facts of an unremarkable customer, connected from a country whose part no rule is likely to name."""
    part = SUBDIVISIONS.get(country, "00").split()[-1]
    continent = CONTINENT_OF.get(country, "EU")
    return {"country": country, "subdivision": f"{country}-{part}", "continent": continent, "asn": _ASN, **CUSTOMER}


def ordinary(domains: Mapping[str, Domain]) -> dict[str, Any]:
    """Return the facts of an unremarkable customer, none of whose particulars a rule names where there is a choice."""
    country = domains.get("country")
    facts = natural() if country is None else natural(next(country.of_mask(country.usual)))
    for fact, domain in domains.items():
        if not domain.is_set and facts[fact] in domain.position:
            facts[fact] = next(domain.of_mask(domain.usual))
    return facts


def _domain(fact: FactSchema, named: set[Any], thresholds: set[Any], pairs: int) -> Domain:
    usual = natural()[fact.name]
    # A solution needs no more values that nobody names than there are pairs of facts to be alike or different: one for
    # each pair that has to meet, two for each that has to differ.
    fresh = _fresh(fact.kind, named, 3 * pairs + 1)
    values: Iterable[Any]
    if fact.domain is not None:
        values = fact.domain
    elif fact.is_number:
        values = chain(() if usual in named else (usual,), _numbers(fact.kind, named, thresholds, pairs))
    else:
        values = sorted(named) if fact.is_set and not pairs else chain(fresh, sorted(named))
    plain = (str(value) if isinstance(value, str) else value for value in values)
    some = tuple(dict.fromkeys(chain(plain, (None,) if fact.nullable or pairs else ())))
    position = {value: place for place, value in enumerate(some)}
    everything = (1 << len(some)) - 1
    if None in position and (fact.is_set or not fact.nullable):
        everything ^= 1 << position[None]
    first = 0 if usual in named and fact.domain is None else position.get(usual, 0)
    return Domain(fact.name, some, position, everything, 0 if fact.is_set else 1 << first, bool(pairs))


def _fresh(kind: Kind, named: set[Any], many: int) -> Iterator[str]:
    """Return texts that nobody names, codes that exist before those that do not."""
    match kind:
        case Kind.COUNTRY:
            codes = chain((_COUNTRY,), sorted(CONTINENT_OF), (f"X{number}" for number in count()))
        case Kind.SUBDIVISION:
            parts = reversed(SUBDIVISIONS[_COUNTRY].split())
            codes = chain((f"{_COUNTRY}-{part}" for part in parts), (f"{_COUNTRY}-X{number}" for number in count()))
        case _:
            codes = chain(("someone",), (f"someone-{number}" for number in count(2)))
    return islice((one for one in codes if one not in named), many)


def _numbers(kind: Kind, named: set[Any], thresholds: set[Any], pairs: int) -> list[Any]:
    """Return the numbers named, and some below, between and above all that are compared with; no negative one first.

    Seconds and numbers of networks are whole; a fraction counts only where it is named.
    """
    marks = sorted(named | thresholds)
    found: set[Any] = set(named)
    if kind is Kind.USD:
        many = _LINKED_POINTS if pairs else 1
        low, high = (floor(marks[0]), ceil(marks[-1])) if marks else (0, 0)
        found |= {*marks, *range(low - many, low), *range(high + 1, high + many + 1)}
        for left, right in pairwise(marks):
            found |= {point for point in _between(left, right, many) if left < point < right}
    else:
        for mark in marks:
            found |= {floor(mark) - 1, floor(mark), ceil(mark), ceil(mark) + 1}
        if not found:
            found.add(0)
    return sorted(found, key=lambda number: (number < 0, number))


def _between(left: Any, right: Any, many: int) -> list[Any]:  # noqa: ANN401 - whole numbers or fractions
    """Return numbers between two, whole ones where they are far enough apart."""
    if ceil(right) - floor(left) > many + 2 or abs(left) > _WHOLE:
        return [floor(left) + step for step in range(1, many + 1)]
    return [left + (right - left) * (step / (many + 1)) for step in range(1, many + 1)]
