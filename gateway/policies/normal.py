"""Conditions in disjunctive normal form: a set of conjuncts, each a set of literals.

Kleene's three values with min, max and 2 - x form a distributive lattice in which De Morgan's laws and absorption
hold, so the form has the same truth as the condition for all facts, known or not. What does not hold there is the
excluded middle: `a and not a` may be unknown, so a conjunct that contradicts itself is kept.
"""

from typing import Final, TypeAlias

from gateway.policies.atoms import Atom, Lists, atom_of
from gateway.policies.expression import AllOf, AnyOf, Comparison, Condition, Known, Not

LIMIT: Final = 64
"""Conjuncts of one condition. Beyond it the form is given up: conditions can double it with every clause."""

Literal: TypeAlias = tuple[Atom, bool]
"""An atom, and whether it is denied."""
Conjunct: TypeAlias = frozenset[Literal]


def conjuncts(condition: Condition, lists: Lists) -> frozenset[Conjunct] | None:
    """Return the conjuncts, none within another, or None where there would be more than `LIMIT`."""
    try:
        return _walk(condition, lists, denied=False)
    except OverflowError:
        return None


def _walk(condition: Condition, lists: Lists, *, denied: bool) -> frozenset[Conjunct]:
    match condition:
        case Comparison() | Known():
            atom, negative = atom_of(condition, lists)
            return frozenset({frozenset({(atom, negative is not denied)})})
        case Not(part):
            return _walk(part, lists, denied=not denied)
        case AllOf(parts) | AnyOf(parts):
            forms = [_walk(part, lists, denied=denied) for part in parts]
            if isinstance(condition, AllOf) is denied:
                return _least(frozenset().union(*forms))
            product: frozenset[Conjunct] = frozenset({frozenset()})
            for form in forms:
                product = _least(frozenset(one | two for one in product for two in form))
            return product


def _least(found: frozenset[Conjunct]) -> frozenset[Conjunct]:
    """Return the conjuncts without those that a smaller one absorbs."""
    if len(found) > LIMIT * 4:
        raise OverflowError
    least = frozenset(one for one in found if not any(other < one for other in found))
    if len(least) > LIMIT:
        raise OverflowError
    return least
