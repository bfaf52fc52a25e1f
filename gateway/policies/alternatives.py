"""Which other values a fact could have had that would have made a difference, as far as the rules can tell."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any, Final, NamedTuple

from gateway.core.facts import AnyFact, Facts
from gateway.core.terms import Credential, Effect, Status
from gateway.policies.atoms import Among, Atom, Ordered, Overlaps, Pair, atom_of, facts_in, is_known
from gateway.policies.compile import Bundle
from gateway.policies.expression import AllOf, AnyOf, Comparison, Condition, Known, Not, Operator
from gateway.policies.rules import Rule
from gateway.policies.schema import FACTS

MOST_SETS: Final = 256
"""So many ways to change one set are looked at, the smallest changes first."""


class Alternative(NamedTuple):
    """Values of one fact that no rule tells apart; the first stands for all."""

    values: tuple[AnyFact, ...]


class Alternatives(NamedTuple):
    """What each fact could have been instead."""

    by_fact: Mapping[str, tuple[Alternative, ...]]
    complete: bool
    """False where a set could have been changed in more ways than are looked at."""


def decides(rule: Rule, facts: Facts) -> bool:
    """Return whether the rule, at this instant, has a say in whether this operation is open."""
    if not rule.in_force(facts.at):
        return False
    return (facts.operation in rule.operations) is (rule.effect is not Effect.LIMIT)


def alternatives(facts: Facts, bundle: Bundle, changeable: Iterable[str]) -> Alternatives:
    """Return, for each changeable fact that some rule asks about, the values to try in place of the one it has.

    Two values for which every comparison comes out the same lead to the same answer: one of them is tried.
    """
    atoms = _atoms(facts, bundle)
    found: dict[str, tuple[Alternative, ...]] = {}
    complete = True
    for name in changeable:
        asked = {atom: helps for atom, helps in atoms.items() if name in facts_in(atom)}
        if not asked and not (name == "credential" and _asks_for_proof(atoms)):
            continue
        current = getattr(facts, name)
        if FACTS[name].is_set:
            options, all_of_them = _sets(asked, facts, current)
            complete &= all_of_them
        else:
            options = _alike(name, asked, current)
        if options:
            found[name] = tuple(options)
    return Alternatives(found, complete)


def _atoms(facts: Facts, bundle: Bundle) -> dict[Atom, set[bool]]:
    """Return everything that the deciding rules compare, and whether its being true helps (True) or harms (False)."""
    atoms: dict[Atom, set[bool]] = {}
    for rule in bundle.rules:
        if not decides(rule, facts):
            continue
        for part, helps in _parts(rule.when, rule.effect is Effect.GRANT):
            atom, denied = atom_of(part, bundle.entries)
            atoms.setdefault(atom, set()).add(helps is not denied)
        if rule.proof is not None:
            atoms.setdefault(Ordered("assurance", Operator.AT_LEAST, rule.proof.assurance), set()).add(True)
            if rule.max_age_s is not None:
                atoms.setdefault(Ordered("auth_age", Operator.AT_MOST, rule.max_age_s), set()).add(True)
    return atoms


def _parts(condition: Condition, helps: bool) -> Iterator[tuple[Comparison | Known, bool]]:
    """Yield the comparisons of a condition, and whether their being true helps where that of the condition does."""
    match condition:
        case Not(part):
            yield from _parts(part, not helps)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _parts(part, helps)
        case Comparison() | Known():
            yield condition, helps


def _asks_for_proof(atoms: Iterable[Atom]) -> bool:
    return any({"assurance", "auth_age"} & set(facts_in(atom)) for atom in atoms)


def _values(name: str, asked: Iterable[Atom], current: AnyFact) -> list[AnyFact]:
    """Return every value that the comparisons could tell apart, the most natural first.

    Never a weaker proof than the one that was given: no API key in place of a session, no lower assurance, no older
    proof. Where a rule spares those, saying so would teach evasion.
    """
    if name == "status":
        return [status for status in Status if status is not Status.NONE]
    if name == "credential":
        return [Credential.SESSION]
    fact = FACTS[name]
    if name == "auth_age":
        ages = {0}
        for number in _numbers(asked):
            ages |= {age for age in (int(number // 1) - 1, int(number // 1), int(number // 1) + 1) if age >= 0}
        return [age for age in sorted(ages) if not isinstance(current, int) or age < current]
    assert fact.domain is not None  # the other facts that may be changed can be counted
    if name == "assurance":
        return [one for one in fact.domain if not isinstance(current, int) or int(one) > current]
    return [*fact.domain, None] if fact.nullable else [*fact.domain]


def _numbers(asked: Iterable[Atom]) -> Iterator[Any]:
    for atom in asked:
        match atom:
            case Ordered(_, _, number):
                yield number
            case Among(_, values):
                yield from values
            case _:
                pass


def _alike(name: str, asked: Iterable[Atom], current: AnyFact) -> list[Alternative]:
    """Return the values that some comparison tells apart from the current one, those that none tells apart together."""
    singles = [atom for atom in asked if not isinstance(atom, Pair)]

    def kind(value: AnyFact) -> Any:  # noqa: ANN401 - anything that can be compared
        told_by = tuple(atom.truth(value) for atom in singles)
        # A credential brings its own proof with it, and "there is none" is like no value.
        return told_by, value is None, value if name == "credential" else None

    groups: dict[Any, list[AnyFact]] = {}
    for value in _values(name, asked, current):
        groups.setdefault(kind(value), []).append(value)
    if is_known(current):
        groups.pop(kind(current), None)
    return [Alternative(tuple(group)) for group in groups.values()]


def _sets(asked: Mapping[Atom, set[bool]], facts: Facts, current: AnyFact) -> tuple[list[Alternative], bool]:
    """Return the sets that could stand in place of the current one, and whether those are all there are.

    Members that stand in the same comparisons are alike: all of them have to go, or one of them has to come; neither
    where that could only harm. A set in doubt is taken for empty.
    """
    present = current if isinstance(current, frozenset) else frozenset[str]()
    kinds: dict[tuple[Atom, ...], list[str]] = {}
    within = {atom: _members(atom, facts) for atom in asked}
    for member in sorted(frozenset[str]().union(*within.values())):
        kinds.setdefault(tuple(atom for atom, members in within.items() if member in members), []).append(member)
    worth = [
        members for atoms, members in kinds.items() if any(present.isdisjoint(members) in asked[atom] for atom in atoms)
    ]
    found = [] if isinstance(current, frozenset) else [Alternative((present,))]
    for size in range(1, len(worth) + 1):
        for chosen in combinations(worth, size):
            if len(found) >= MOST_SETS:
                return found, False
            found.append(Alternative(tuple(_changed(present, chosen))))
    return found, True


def _members(atom: Atom, facts: Facts) -> frozenset[Any]:
    match atom:
        case Overlaps(_, members):
            return members
        case Pair(other, _, _):
            value = getattr(facts, other)
            return frozenset({value}) if isinstance(value, str) else frozenset()
        case _:
            return frozenset()


def _changed(present: frozenset[str], chosen: Iterable[list[str]]) -> Iterator[frozenset[str]]:
    """Yield the set with each chosen kind turned: taken away where it was there, added where it was not."""
    made = [present]
    for kind in chosen:
        there = present.intersection(kind)
        made = [one - there for one in made] if there else [one | {member} for one in made for member in kind]
    yield from made
