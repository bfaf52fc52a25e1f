"""What is certain of a bundle without any traffic: rules that change no answer, operations that nobody may perform.

Exact, because facts fall into finitely many kinds that rules tell apart: each finding says that facts were searched, in
every doubt, and that there are none. What could not be searched to the end is not claimed.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.core.facts import Facts
from gateway.core.terms import Credential, Effect, Operation, Reason, Status, TokenState
from gateway.core.verdict import RuleRef
from gateway.policies.blame import excluding, granting
from gateway.policies.compile import Bundle
from gateway.policies.constraints import Formula
from gateway.policies.demands import Demands, atoms_of, instants
from gateway.policies.domains import domains
from gateway.policies.evaluate import evaluate
from gateway.policies.expression import facts_of
from gateway.policies.findings import Finding, Place, Severity
from gateway.policies.phrases import listed
from gateway.policies.rules import Rule
from gateway.policies.satisfy import LOOKS, Budget, Exhausted, Ground, find, seek

SEVERITIES: Final[Mapping[str, Severity]] = MappingProxyType(
    {
        "rule-says-nothing": Severity.WARNING,
        "rule-never-matches": Severity.WARNING,
        "rule-never-determines": Severity.WARNING,
        "rule-shadowed": Severity.WARNING,
        "operation-never-open": Severity.WARNING,
        "operation-closed-to-customers": Severity.WARNING,
        "nothing-granted": Severity.NOTE,
    }
)
"""How much each of these findings matters. All are of bundles that load."""

IN_ALL: Final = 100 * LOOKS

_PRECEDENCE: Final = {reason: place for place, reason in enumerate(Reason)}
_CUSTOMER: Final = {"token": TokenState.VALID, "credential": Credential.SESSION, "status": Status.OPEN}
_MOST_NAMED: Final = 4


def notices(bundle: Bundle, at: int) -> list[Finding]:
    """Return what is certain of the answers from an instant on, microseconds since the epoch, and somebody should see.

    Rules that are out of force for good by then are left to those who look at dates.
    """
    return sorted(_Standing(bundle, at).findings())


class _Question(NamedTuple):
    """Whether some answer owes something to a rule."""

    rule: Rule
    demands: Demands
    asks: str
    """Of a requirement: `proof`, `age` or `reason`."""
    required: list[Formula]


class _InTheWay(NamedTuple):
    """Rules that leave another no part in any answer."""

    question: _Question
    rules: tuple[RuleRef, ...]


class _Standing:
    """The analysis of one bundle."""

    def __init__(self, bundle: Bundle, at: int) -> None:
        self._bundle = bundle
        ground = Ground(Operation.VIEW, domains(atoms_of(bundle)), instants((bundle,), at))
        self._grounds = {one: ground._replace(operation=one) for one in Operation}
        self._demands = {one: Demands(bundle, self._grounds[one]) for one in Operation}
        self._distinct = tuple({_kind(one, bundle): one for one in self._demands.values()}.values())
        self._at = at
        self._grants = any(rule.effect is Effect.GRANT for rule in bundle.rules)
        self._left = IN_ALL

    def findings(self) -> Iterator[Finding]:
        """Yield what is found of rules, then of operations."""
        for rule in self._bundle.rules:
            if rule.end is None or rule.end > self._at:
                try:
                    found = self._of_rule(rule)
                except Exhausted:
                    continue
                if found is not None:
                    yield _finding(rule.place, *found)
        if self._bundle.policies:
            yield from self._of_operations(self._bundle.policies[0].place)

    def _of_rule(self, rule: Rule) -> tuple[str, str] | None:
        """Return code and message of what is wrong with a rule. Raise Exhausted."""
        asked = [demands for demands in self._distinct if rule.ref in demands.rules]
        name = f"rule `{rule.id}`"
        if not asked:
            return "rule-says-nothing", f"{name} {_SAYS_NOTHING[rule.effect]}"
        in_the_way: list[_InTheWay] = []
        for demands in asked:
            for question in self._questions(rule, demands):
                found = self._sought(question)
                if isinstance(found, Facts):
                    return None
                in_the_way.append(_InTheWay(question, found))
        strongest = rule.effect is not Effect.GRANT
        if not any(self._exist([demands.applies(rule, possibly=strongest)], demands) for demands in asked):
            hint = "its comparisons exclude one another; perhaps `or` is meant where `and` stands"
            return "rule-never-matches", f"{name} can never match, whatever the facts: {hint}"
        reach = [self._reach(rule, demands) for demands in asked]
        if not any(self._exist(required, demands) for required, demands in zip(reach, asked, strict=True)):
            return "rule-never-determines", f"{name} {_NEVER_DETERMINES[rule.effect]}"
        if rule.on_match or rule.on_refusal or rule.status is not None or rule.message is not None:
            return None
        shadows = listed(_named(self._shadows(in_the_way)))
        return "rule-shadowed", f"{name} changes no answer: {_SHADOWED[rule.effect].format(shadows)}"

    def _reach(self, rule: Rule, demands: Demands) -> list[Formula]:
        """Return what facts must be for a rule to have a say at all, other rules of its kind aside."""
        match rule.effect:
            case Effect.GRANT:
                return [demands.applies(rule), *demands.without(one.ref for one in demands.limits).values()]
            case Effect.LIMIT:
                return [demands.applies(rule, possibly=True), *self._granted(demands)]
            case Effect.REQUIRE:
                return [*demands.unmet(rule), *self._granted(demands)]

    def _granted(self, demands: Demands) -> list[Formula]:
        """Return that the operation is granted. A bundle that grants nothing is part of another, which does."""
        return [demands.granted()] if self._grants else []

    def _questions(self, rule: Rule, demands: Demands) -> "Iterator[_Question]":
        """Yield what the answer may owe to a rule: the outcome, the reason given, the proof asked for and its age."""
        match rule.effect:
            case Effect.GRANT:
                yield _Question(rule, demands, "", [demands.applies(rule)])
            case Effect.LIMIT:
                yield _Question(rule, demands, "", self._reach(rule, demands))
            case Effect.REQUIRE:
                for asks in ("proof", "reason") if rule.max_age_s is None else ("proof", "reason", "age"):
                    yield _Question(rule, demands, asks, self._reach(rule, demands))

    def _sought(self, question: "_Question") -> Facts | tuple[RuleRef, ...]:
        """Return facts to which the answer owes that much to the rule, or the rules that leave it no part."""

        def obstacles(facts: Facts) -> dict[RuleRef, Formula]:
            found = excluding(evaluate(facts, self._bundle))
            if question.rule.effect is Effect.GRANT:
                found += granting(facts, self._bundle)
            rules = question.demands.rules
            return question.demands.without(ref for ref in found if _covers(rules[ref], question))

        budget = self._budget()
        try:
            return seek(question.required, obstacles, self._grounds[question.demands.operation], budget)
        finally:
            self._left -= LOOKS - budget.looks

    def _shadows(self, in_the_way: Iterable["_InTheWay"]) -> set[RuleRef]:
        """Return few rules that leave no part in any answer."""
        named: set[RuleRef] = set()
        for one in in_the_way:
            demands = one.question.demands
            if self._exist([*one.question.required, *demands.without(named).values()], demands):
                named.update(self._needed(one))
        return named

    def _needed(self, one: "_InTheWay") -> tuple[RuleRef, ...]:
        """Return of the rules in the way those that are enough, none of which can be left out."""
        required, demands = one.question.required, one.question.demands
        kept = list(one.rules)
        for ref in one.rules:
            fewer = [other for other in kept if other != ref]
            if not self._exist([*required, *demands.without(fewer).values()], demands):
                kept = fewer
        return tuple(kept)

    def _exist(self, required: Iterable[Formula], demands: Demands) -> bool:
        """Return whether there are facts of which everything required is so. Raise Exhausted."""
        budget = self._budget()
        ground = self._grounds[demands.operation]
        try:
            return find(required, ground.start(), ground.domains, budget) is not None
        finally:
            self._left -= LOOKS - budget.looks

    def _budget(self) -> Budget:
        return Budget(min(LOOKS, max(0, self._left)))

    def _of_operations(self, place: Place) -> Iterator[Finding]:
        """Yield which operations nobody may perform, and which no customer may."""
        if not self._grants:
            yield _finding(place, "nothing-granted", "no rule grants anything, so all would be refused: this is a part")
            return
        closed, to_customers = list[str](), list[str]()
        for operation, demands in self._demands.items():
            open_to_some = [demands.granted(), *demands.without(one.ref for one in demands.limits).values()]
            try:
                if not self._exist(open_to_some, demands):
                    closed.append(f"`{operation}`")
                elif not self._exist([*open_to_some, *(demands.has(*one) for one in _CUSTOMER.items())], demands):
                    to_customers.append(f"`{operation}`")
            except Exhausted:
                continue
        if closed:
            message = f"nobody may ever {listed(closed)}: no grant opens that, or limits close it for all"
            yield _finding(place, "operation-never-open", message)
        if to_customers:
            message = f"no customer who is signed in, with an open account, may ever {listed(to_customers)}"
            yield _finding(place, "operation-closed-to-customers", message)


_SAYS_NOTHING: Final = {
    Effect.GRANT: "grants no operation: it opens nothing",
    Effect.LIMIT: "leaves every operation open, so it limits nothing: a limit names what stays open at most",
    Effect.REQUIRE: "guards no operation: it asks nobody for anything",
}
_NEVER_DETERMINES: Final = {
    Effect.GRANT: "opens nothing: wherever it applies, limits close all that it grants",
    Effect.LIMIT: "can never refuse anything: wherever it applies, nothing grants what it closes",
    Effect.REQUIRE: "can never ask for anything: nothing grants what it guards, or the proof has always been given",
}
_SHADOWED: Final = {
    Effect.GRANT: "whatever it opens is opened as well, or closed, by {}. Leave it out, or look at its condition",
    Effect.LIMIT: "wherever it applies, {} refuses as well, for the same reason or one that goes before. Leave it out, "
    "or look at its condition",
    Effect.REQUIRE: "wherever it applies, no less is asked or refused by {}. Leave it out, or look at its condition",
}


def _kind(demands: Demands, bundle: Bundle) -> object:
    """Return what operations have in common that no rule and no exception tells apart."""
    if any("operation" in facts_of(rule.when) for rule in bundle.rules):
        return demands.operation
    lifted = ((rule.ref, one.name) for rule in demands.rules.values() for one in demands.exceptions(rule))
    return frozenset(demands.rules), frozenset(lifted)


def _covers(one: Rule, question: _Question) -> bool:
    """Return whether another rule that excludes or opens as well leaves the one in question no part in the answer."""
    rule = question.rule
    match one.effect, rule.effect:
        case _ if one is rule:
            return False
        case (Effect.GRANT | Effect.LIMIT, Effect.GRANT) | (Effect.LIMIT, Effect.REQUIRE):
            return True
        case Effect.LIMIT, Effect.LIMIT:
            return _precedence(one) <= _precedence(rule)
        case Effect.REQUIRE, Effect.REQUIRE:
            return _asks_as_much(one, rule, question.asks)
        case _:
            return False


def _asks_as_much(one: Rule, rule: Rule, what: str) -> bool:
    match what:
        case "proof":
            return one.proof is not None and rule.proof is not None and one.proof.assurance >= rule.proof.assurance
        case "age":
            return one.max_age_s is not None and rule.max_age_s is not None and one.max_age_s <= rule.max_age_s
        case _:
            return _precedence(one) <= _precedence(rule)


def _precedence(rule: Rule) -> int:
    return -1 if rule.reason is None else _PRECEDENCE[rule.reason]


def _named(refs: Iterable[RuleRef]) -> list[str]:
    names = [f"`{ref.policy}/{ref.rule}`" for ref in sorted(refs)]
    more = len(names) - _MOST_NAMED
    return names if more <= 0 else [*names[:_MOST_NAMED], f"{more} more"]


def _finding(place: Place, code: str, message: str) -> Finding:
    return Finding(place, message, code, SEVERITIES[code])
