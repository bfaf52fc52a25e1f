"""Comparisons decided over everything that their facts may be: false, unknown or true.

A comparison is true when it holds for every possible value, false when it holds for none, else unknown. What is
possible is described, never enumerated: `anything` stands for all values of an open fact, and a prefix for as many
texts that begin so as anybody could ask for.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, NamedTuple, TypeAlias

from gateway.core.facts import AnyFact, OneOf, Unknown
from gateway.policies.expression import Comparison, FactName, Known, ListName, Literal, Literals, Operand, Operator
from gateway.policies.schema import FACTS, FactSchema

FALSE: Final = 0
UNKNOWN: Final = 1
TRUE: Final = 2

Lists: TypeAlias = Mapping[str, frozenset[str | int]]
"""The entries of the named lists, by the names that conditions use."""

_ORDER: Final[dict[Operator, Callable[[Any, Any], bool]]] = {
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.MORE: operator.gt,
    Operator.AT_LEAST: operator.ge,
}
_MIRRORED: Final = {
    Operator.LESS: Operator.MORE,
    Operator.AT_MOST: Operator.AT_LEAST,
    Operator.MORE: Operator.LESS,
    Operator.AT_LEAST: Operator.AT_MOST,
}
_UNDENIED: Final = {Operator.UNEQUAL: Operator.EQUAL, Operator.NOT_IN: Operator.IN}


class Possible(NamedTuple):
    """What a fact may be."""

    values: frozenset[Any]
    prefixes: frozenset[str] = frozenset()
    anything: bool = False

    @property
    def endless(self) -> bool:
        """Whether there are more possible values than any list holds."""
        return self.anything or bool(self.prefixes)

    @property
    def something(self) -> bool:
        """Whether it may be anything but "there is none"."""
        return self.endless or any(value is not None for value in self.values)


_ANYTHING: Final = Possible(frozenset(), anything=True)


def possible(fact: FactSchema, value: AnyFact) -> Possible:
    """Return what a fact of this value may be. Where its doubt makes no sense it may be anything."""
    if isinstance(value, Unknown):
        return _ANYTHING
    if not isinstance(value, OneOf):
        return Possible(frozenset({value})) if _is_value(value) else _ANYTHING
    values, prefixes = value.values, value.prefixes
    if (prefixes and (fact.is_set or fact.is_number)) or not all(_is_value(one) for one in values):
        return _ANYTHING
    if fact.domain is not None:  # all texts that begin so can be counted
        values |= {one for one in fact.domain if _begins(frozenset({one}), prefixes)}
        prefixes = frozenset()
    return Possible(values, prefixes) if values or prefixes else _ANYTHING


def is_known(value: AnyFact) -> bool:
    """Return whether a fact has exactly one possible value."""
    return not isinstance(value, Unknown | OneOf) and _is_value(value)


@dataclass(frozen=True, slots=True)
class Among:
    """Whether a single value is one of some values."""

    fact: str
    values: frozenset[str | int | float]

    def truth(self, value: AnyFact) -> int:
        """Return the truth for a value."""
        if is_known(value):
            return TRUE if value in self.values else FALSE
        fact = FACTS[self.fact]
        may = possible(fact, value)
        if may.anything:
            domain = fact.domain
            holds = any(one in self.values for one in domain) if domain is not None else bool(self.values)
            fails = domain is None or fact.nullable or any(one not in self.values for one in domain)
            return _truth(holds, fails)
        holds = any(one in self.values for one in may.values) or _begins(self.values, may.prefixes)
        return _truth(holds, bool(may.prefixes) or any(one not in self.values for one in may.values))


@dataclass(frozen=True, slots=True)
class Ordered:
    """Whether a number stands in an order to another."""

    fact: str
    operator: Operator
    number: int | float

    def truth(self, value: AnyFact) -> int:
        """Return the truth for a value."""
        if is_known(value):
            return TRUE if _ordered(self.operator, value, self.number) else FALSE
        fact = FACTS[self.fact]
        may = possible(fact, value)
        values = may.values
        if may.anything:
            if fact.domain is None:
                return UNKNOWN
            values = frozenset(fact.domain)
        answers = {_ordered(self.operator, one, self.number) for one in values}
        return _truth(True in answers, False in answers)


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Whether some member of a set is one of some values."""

    fact: str
    members: frozenset[str | int | float]

    def truth(self, value: AnyFact) -> int:
        """Return the truth for a value."""
        may = possible(FACTS[self.fact], value)
        if may.anything:
            return _truth(bool(self.members), fails=True)
        answers = {not self.members.isdisjoint(one) for one in may.values}
        return _truth(True in answers, False in answers)


@dataclass(frozen=True, slots=True)
class IsKnown:
    """Whether a fact is certain. Never unknown."""

    fact: str

    def truth(self, value: AnyFact) -> int:
        """Return the truth for a value."""
        return TRUE if is_known(value) else FALSE


@dataclass(frozen=True, slots=True)
class Pair:
    """Whether two facts are equal, stand in an order, or one is a member of the other."""

    fact: str
    operator: Operator
    """`==`, `in`, or an order."""
    other: str

    def truths(self, value: AnyFact, other: AnyFact) -> int:
        """Return the truth for two values."""
        left, right = possible(FACTS[self.fact], value), possible(FACTS[self.other], other)
        if self.operator is Operator.EQUAL:
            single = left == right and not left.endless and len(left.values) == 1
            return _truth(_meet(left, right), not single)
        return _member(left, right) if self.operator is Operator.IN else _in_order(self.operator, left, right)


Single: TypeAlias = Among | Ordered | Overlaps | IsKnown
Atom: TypeAlias = Single | Pair


def atom_of(part: Comparison | Known, lists: Lists) -> tuple[Atom, bool]:
    """Return the atom that a comparison comes down to, and whether the comparison denies it."""
    if isinstance(part, Known):
        return IsKnown(part.fact), False
    denied = part.operator in _UNDENIED
    match part.left, part.right:
        case FactName(left), FactName(right):
            return Pair(left, _UNDENIED.get(part.operator, part.operator), right), denied
        case FactName(name), values if part.operator in _ORDER:
            return Ordered(name, part.operator, _number(values)), False
        case values, FactName(name) if part.operator in _ORDER:
            return Ordered(name, _MIRRORED[part.operator], _number(values)), False
        case (FactName(name), values) | (values, FactName(name)):
            kind: Callable[[str, frozenset[str | int | float]], Single] = Overlaps if FACTS[name].is_set else Among
            return kind(name, _entries(values, lists)), denied
        case _:
            raise AssertionError(part)  # `check` lets no comparison pass that names no fact


def facts_in(atom: Atom) -> tuple[str, ...]:
    """Return the names of the facts that an atom compares."""
    return (atom.fact, atom.other) if isinstance(atom, Pair) else (atom.fact,)


def _entries(operand: Operand, lists: Lists) -> frozenset[str | int | float]:
    assert not isinstance(operand, FactName)
    match operand:
        case Literal(value):
            return frozenset({value})
        case Literals(values):
            return frozenset(values)
        case ListName(name):
            return frozenset(lists[name])


def _number(operand: Operand) -> int | float:
    assert isinstance(operand, Literal)
    assert isinstance(operand.value, int | float)
    return operand.value


def _ordered(how: Operator, value: Any, number: Any) -> bool:  # noqa: ANN401 - numbers, or None
    """Return whether the order holds. "There is none" stands in no order to anything."""
    return value is not None and number is not None and _ORDER[how](value, number)


def _in_order(how: Operator, left: Possible, right: Possible) -> int:
    if left.anything or right.anything:
        return _truth(left.something and right.something, fails=True)
    answers = {_ordered(how, one, two) for one in left.values for two in right.values}
    return _truth(True in answers, False in answers)


def _member(left: Possible, right: Possible) -> int:
    if right.anything:
        return _truth(left.something, fails=True)
    fails = left.endless or any(one not in members for one in left.values for members in right.values)
    return _truth(_meet(left, Possible(frozenset().union(*right.values))), fails)


def _meet(left: Possible, right: Possible) -> bool:
    """Return whether both may be the same value."""
    if left.anything or right.anything:
        return left.something and right.something
    return (
        any(value is not None for value in left.values & right.values)
        or _begins(left.values, right.prefixes)
        or _begins(right.values, left.prefixes)
        or any(one.startswith(two) or two.startswith(one) for one in left.prefixes for two in right.prefixes)
    )


def _is_value(value: object) -> bool:
    """Return whether this can be a value at all: infinity is no amount, and "not a number" is no number."""
    return not isinstance(value, float) or isfinite(value)


def _begins(values: frozenset[Any], prefixes: frozenset[str]) -> bool:
    """Return whether some value begins with some prefix."""
    return any(isinstance(value, str) and value.startswith(prefix) for value in values for prefix in prefixes)


def _truth(holds: bool, fails: bool) -> int:
    """Return the truth of a comparison that may hold, and may fail."""
    return (UNKNOWN if fails else TRUE) if holds else FALSE
