"""What the rules of a bundle come to for one operation, as requirements on facts: to be granted, clear, proved."""

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.core.terms import Effect
from gateway.core.verdict import RuleRef
from gateway.policies.atoms import Among, Atom, IsKnown, Ordered, Overlaps, Pair, atom_of
from gateway.policies.compile import Bundle
from gateway.policies.constraints import (
    ALWAYS,
    NEVER,
    Certainty,
    Formula,
    Meets,
    Member,
    Related,
    Within,
    every,
    some,
)
from gateway.policies.domains import AT
from gateway.policies.expression import AllOf, AnyOf, Comparison, Condition, Known, Not, Operator, comparisons
from gateway.policies.reference import holds
from gateway.policies.rules import PolicyException, Rule
from gateway.policies.satisfy import Ground


def atoms_of(bundle: Bundle) -> Iterator[Atom]:
    """Yield everything that the rules, the exceptions to them and the proofs that they ask for compare."""
    for rule in bundle.rules:
        for when in (rule.when, *(one.when for one in rule.exceptions)):
            for part in comparisons(when):
                yield atom_of(part, bundle.entries)[0]
        yield from (atom for atom in _proof(rule))


def instants(bundles: Iterable[Bundle], since: int | None) -> tuple[int, ...]:
    """Return an instant for each time between two bounds, from `since` on; those first that are the most to the point.

    Without `since` the last is, when all that is written has come into force.
    """
    bounds = sorted({bound for bundle in bundles for bound in bundle.bounds})
    if since is not None:
        return (since, *(bound for bound in bounds if bound > since))
    return (*reversed(bounds), bounds[0] - 1) if bounds else (0,)


class Demands:
    """What one bundle requires of facts where one operation is asked for."""

    def __init__(self, bundle: Bundle, ground: Ground) -> None:
        self.operation: Final = ground.operation
        self._bundle = bundle
        self._domains = ground.domains
        self._at = ground.at
        self._always = (1 << len(ground.at)) - 1
        self._masks: dict[Atom, int] = {}
        self._applying: dict[tuple[RuleRef, bool, bool], Formula] = {}
        spoken = [rule for rule in bundle.rules if self._speaks(rule)]
        self.grants: Final = tuple(rule for rule in spoken if rule.effect is Effect.GRANT)
        self.limits: Final = tuple(rule for rule in spoken if rule.effect is Effect.LIMIT)
        self.requirements: Final = tuple(rule for rule in spoken if rule.effect is Effect.REQUIRE)
        self.rules: Final = {rule.ref: rule for rule in spoken}

    def applies(self, rule: Rule, *, wanted: bool = True, possibly: bool = False) -> Formula:
        """Return that a rule is in force and its condition holds, for certain or possibly; or, not `wanted`, fails."""
        key = (rule.ref, wanted, possibly)
        if key not in self._applying:
            self._applying[key] = self._applies(rule, wanted=wanted, possibly=possibly)
        return self._applying[key]

    def proved(self, rule: Rule, *, wanted: bool = True, possibly: bool = False) -> Formula:
        """Return that the proof which a requirement asks for was given, or, not `wanted`, that it was not."""
        parts = [self._leaf(atom, wanted=wanted, possibly=possibly) for atom in _proof(rule)]
        return every(parts) if wanted else some(parts)

    def granted(self) -> Formula:
        """Return that some grant opens the operation."""
        return some(self.applies(rule) for rule in self.grants)

    def exceptions(self, rule: Rule) -> list[PolicyException]:
        """Return what may lift a rule for the operation."""
        return [] if rule.absolute else [one for one in rule.exceptions if self.operation in one.operations]

    def met(self, rule: Rule) -> Formula:
        """Return that a requirement is met, or does not apply."""
        return some([self.applies(rule, wanted=False), self.proved(rule)])

    def unmet(self, rule: Rule) -> list[Formula]:
        """Return that a requirement may apply, and that what it asks for may be lacking."""
        return [self.applies(rule, possibly=True), self.proved(rule, wanted=False, possibly=True)]

    def has(self, fact: str, value: str) -> Formula:
        """Return that a fact has a value; always so where no rule asks about it."""
        if fact not in self._domains:
            return ALWAYS
        return self._leaf(Among(fact, frozenset({value})), wanted=True, possibly=False)

    def without(self, rules: Iterable[RuleRef]) -> dict[RuleRef, Formula]:
        """Return, for each of these rules that has a say, that it neither opens nor excludes the operation."""
        return {ref: self._absent(self.rules[ref]) for ref in rules if ref in self.rules}

    def _applies(self, rule: Rule, *, wanted: bool, possibly: bool) -> Formula:
        parts = [
            self._in_force(rule.start, rule.end, wanted=wanted),
            self.of(rule.when, wanted=wanted, possibly=possibly),
            *(self._lifts(one, wanted=not wanted, possibly=possibly) for one in self.exceptions(rule)),
        ]
        return every(parts) if wanted else some(parts)

    def _absent(self, rule: Rule) -> Formula:
        if rule.effect is Effect.REQUIRE:
            return self.met(rule)
        return self.applies(rule, wanted=False, possibly=rule.effect is Effect.GRANT)

    def of(self, condition: Condition, *, wanted: bool = True, possibly: bool = False) -> Formula:
        """Return that a condition is true, or, not `wanted`, false; or that it is possibly so."""
        match condition:
            case AllOf(parts) | AnyOf(parts):
                found = [self.of(part, wanted=wanted, possibly=possibly) for part in parts]
                return every(found) if isinstance(condition, AllOf) is wanted else some(found)
            case Not(part):
                return self.of(part, wanted=not wanted, possibly=possibly)
            case Comparison() | Known():
                atom, denied = atom_of(condition, self._bundle.entries)
                return self._leaf(atom, wanted=wanted is not denied, possibly=possibly)

    def _speaks(self, rule: Rule) -> bool:
        """Return whether a rule has a say in whether the operation is open, at some of the instants."""
        said = (self.operation in rule.operations) is (rule.effect is not Effect.LIMIT)
        return said and self._in_force(rule.start, rule.end, wanted=True) != NEVER

    def _lifts(self, one: PolicyException, *, wanted: bool, possibly: bool) -> Formula:
        parts = [self._in_force(one.start, one.end, wanted=wanted), self.of(one.when, wanted=wanted, possibly=possibly)]
        return every(parts) if wanted else some(parts)

    def _in_force(self, start: int | None, end: int | None, *, wanted: bool) -> Formula:
        mask = sum(
            1 << place
            for place, at in enumerate(self._at)
            if (start is None or start <= at) and (end is None or at < end)
        )
        return _within(AT, mask if wanted else self._always & ~mask, self._always, possibly=False)

    def _leaf(self, atom: Atom, *, wanted: bool, possibly: bool) -> Formula:
        found: Formula
        match atom:
            case Among("operation", values):
                found = ALWAYS if (self.operation in values) is wanted else NEVER
            case IsKnown("operation") | Pair("operation", _, "operation"):
                found = ALWAYS if wanted else NEVER
            case Pair("operation", _, holder):
                held = Overlaps(holder, frozenset({str(self.operation)}))
                found = Meets(holder, self._mask(held), wanted, possibly)
            case Pair():
                found = self._pair(atom, wanted=wanted, possibly=possibly)
            case IsKnown(fact):
                found = Certainty(fact, wanted, self._domains[fact].linked)
            case Overlaps(fact, _):
                found = Meets(fact, self._mask(atom), wanted, possibly)
            case Among(fact, _) | Ordered(fact, _, _):
                everything = self._domains[fact].everything
                mask = self._mask(atom)
                found = _within(fact, mask if wanted else everything & ~mask, everything, possibly=possibly)
        return found

    def _mask(self, atom: Among | Ordered | Overlaps) -> int:
        if atom not in self._masks:
            self._masks[atom] = self._domains[atom.fact].mask(atom)
        return self._masks[atom]

    def _pair(self, atom: Pair, *, wanted: bool, possibly: bool) -> Formula:
        here, there = self._domains[atom.fact], self._domains[atom.other]
        if atom.operator is Operator.IN:
            none = 1 << here.position[None] if None in here.position else 0
            return Member(atom.fact, atom.other, none, wanted, possibly)
        relation = tuple(
            sum(1 << place for place, other in enumerate(there.values) if holds(value, atom.operator, other) is wanted)
            for value in here.values
        )
        return Related(atom.fact, atom.other, relation, possibly)


def _proof(rule: Rule) -> Iterator[Ordered]:
    if rule.proof is not None:
        yield Ordered("assurance", Operator.AT_LEAST, rule.proof.assurance)
        if rule.max_age_s is not None:
            yield Ordered("auth_age", Operator.AT_MOST, rule.max_age_s)


def _within(fact: str, mask: int, everything: int, *, possibly: bool) -> Formula:
    if mask & everything == everything:
        return ALWAYS
    return Within(fact, mask, possibly) if mask & everything else NEVER
