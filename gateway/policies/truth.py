"""The truth of a condition asked as a whole, for conditions whose normal form would be too large."""

from collections.abc import Callable
from operator import attrgetter
from typing import TypeAlias

from gateway.core.facts import Facts
from gateway.policies.atoms import FALSE, TRUE, Atom, Lists, Pair, atom_of
from gateway.policies.expression import AllOf, AnyOf, Comparison, Condition, Known, Not

Truth: TypeAlias = Callable[[Facts], int]


def truth_of(condition: Condition, lists: Lists) -> Truth:
    """Return a function of facts: false, unknown or true by Kleene's tables.

    Those are the least of a conjunction, the greatest of a disjunction.
    """
    match condition:
        case Comparison() | Known():
            atom, denied = atom_of(condition, lists)
            return _not(_atom(atom)) if denied else _atom(atom)
        case Not(part):
            return _not(truth_of(part, lists))
        case AllOf(parts):
            needed = [truth_of(part, lists) for part in parts]
            return lambda facts: min((part(facts) for part in needed), default=TRUE)
        case AnyOf(parts):
            enough = [truth_of(part, lists) for part in parts]
            return lambda facts: max((part(facts) for part in enough), default=FALSE)


def _atom(atom: Atom) -> Truth:
    if isinstance(atom, Pair):
        both = attrgetter(atom.fact, atom.other)
        return lambda facts: atom.truths(*both(facts))
    value = attrgetter(atom.fact)
    return lambda facts: atom.truth(value(facts))


def _not(truth: Truth) -> Truth:
    return lambda facts: TRUE - truth(facts)
