"""The specification: what a bundle answers to a set of facts, written to be read aloud.

It tries every combination of values that the facts may have, one rule after the other, and remembers nothing. The
gateway answers by `evaluate.py`, which is fast; tests hold the two equal. This file shares with it the parsed policies
and nothing else.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from math import inf, isfinite
from typing import Any, Final

from gateway.core.facts import AnyFact, Facts, OneOf, Unknown
from gateway.core.terms import OUTAGES, Effect, Operation, Outcome, Proof, Reason, TokenState
from gateway.core.verdict import Challenge, Determining, Excepted, Obligation, Verdict
from gateway.policies.compile import Bundle
from gateway.policies.expression import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    FactName,
    Known,
    ListName,
    Literal,
    Literals,
    Not,
    Operand,
    Operator,
    facts_of,
)
from gateway.policies.rules import PolicyException, Rule
from gateway.policies.schema import FACTS

TRUE: Final = 1.0
UNKNOWN: Final = 0.5
FALSE: Final = 0.0

ANYTHING: Final = "~"
"""A text that no policy mentions. It is the same for all facts, so that two of them may agree on it."""


def evaluate(facts: Facts, bundle: Bundle) -> Verdict:
    """Return the verdict."""
    # Only the rules in force at the instant of the request speak, and of these only what no exception lifts.
    operation = facts.operation
    in_force = [rule for policy in bundle.policies for rule in policy.rules if rule.in_force(facts.at)]
    rules = [rule for rule in in_force if not lifting(rule, operation, facts, bundle)]
    truth = {rule.ref: truth_of(rule.when, facts, bundle) for rule in rules}

    # Over an unknown condition a grant does not match; a limit or a requirement does.
    grants = [rule for rule in rules if rule.effect is Effect.GRANT and truth[rule.ref] == TRUE]
    limits = [rule for rule in rules if rule.effect is Effect.LIMIT and truth[rule.ref] != FALSE]
    requirements = [rule for rule in rules if rule.effect is Effect.REQUIRE and truth[rule.ref] != FALSE]

    # Access is the union of the grants that match, less what some limit closes: for each operation by itself, since
    # an exception lifts a limit for the operations that it names and leaves it to close the others.
    granted = frozenset().union(*(grant.operations for grant in grants))
    access = frozenset(one for one in granted if not any(closes(rule, one, facts, bundle) for rule in in_force))

    # Every limit that leaves the operation out, and every unmet requirement that guards it, excludes it.
    excluding = [limit for limit in limits if operation not in limit.operations]
    excluding += [one for one in requirements if operation in one.operations and proved(one, facts, bundle) != TRUE]
    excluding.sort(key=lambda rule: (list(Reason).index(reason_of(rule)), rule.policy, rule.id))

    outcome = Outcome.ALLOW
    if excluding:
        outcome = Outcome.CHALLENGE
    if operation not in access:
        outcome = Outcome.DENY

    # What must happen besides: nothing follows from what is uncertain.
    duties = {duty for rule in rules if truth[rule.ref] == TRUE for duty in rule.on_match}
    duties |= {duty for rule in excluding if truth[rule.ref] == TRUE for duty in rule.on_refusal}
    if not isinstance(facts.account, str):
        duties = {duty for duty in duties if duty.kind == "notify"}

    return Verdict(
        operation=operation,
        outcome=outcome,
        access=access,
        by=tuple(determining(rule, uncertain=truth[rule.ref] == UNKNOWN) for rule in excluding),
        nothing_granted=operation not in granted,
        reason=reason(outcome, excluding, facts),
        challenge=challenge(excluding) if outcome is Outcome.CHALLENGE else None,
        uncertain=tuple(sorted(rule.ref for rule in rules if truth[rule.ref] == UNKNOWN)),
        obligations=tuple(sorted(duties, key=_order_of_duties)),
        outage=outcome is not Outcome.ALLOW
        and all(caused_by_outage(rule, truth[rule.ref], facts, bundle) for rule in excluding)
        and (
            operation in granted
            or any(
                rule.effect is Effect.GRANT
                and operation in rule.operations
                and truth[rule.ref] == UNKNOWN
                and only_outages(facts_of(rule.when), facts)
                for rule in rules
            )
        ),
        excepted=tuple(sorted(one for rule in in_force for one in excepted(rule, facts, bundle))),
    )


def lifting(rule: Rule, operation: Operation, facts: Facts, bundle: Bundle) -> list[PolicyException]:
    """Return the exceptions that lift a rule for an operation: those in force, and certainly for this customer.

    Nothing lifts an absolute rule. Where it is not certain whom an exception is for, it is for somebody else.
    """
    if rule.absolute:
        return []
    return [
        one
        for one in rule.exceptions
        if one.in_force(facts.at) and operation in one.operations and truth_of(one.when, facts, bundle) == TRUE
    ]


def closes(rule: Rule, operation: Operation, facts: Facts, bundle: Bundle) -> bool:
    """Return whether a rule is a limit that matches, leaves the operation out, and is not lifted for it."""
    if rule.effect is not Effect.LIMIT or operation in rule.operations:
        return False
    return truth_of(rule.when, facts, bundle) != FALSE and not lifting(rule, operation, facts, bundle)


def excepted(rule: Rule, facts: Facts, bundle: Bundle) -> list[Excepted]:
    """Return the exceptions without which a rule would exclude the operation."""
    if rule.effect is Effect.GRANT or (facts.operation in rule.operations) is (rule.effect is Effect.LIMIT):
        return []
    if rule.effect is Effect.REQUIRE and proved(rule, facts, bundle) == TRUE:
        return []
    if truth_of(rule.when, facts, bundle) == FALSE:
        return []
    lifted_by = lifting(rule, facts.operation, facts, bundle)
    return [Excepted(rule.policy, rule.id, one.name, one.owner, one.end) for one in lifted_by]


def truth_of(condition: Condition, facts: Facts, bundle: Bundle) -> float:
    """Return whether a condition is true, false or unknown, by Kleene's tables."""
    match condition:
        case AllOf(parts):
            return min((truth_of(part, facts, bundle) for part in parts), default=TRUE)
        case AnyOf(parts):
            return max((truth_of(part, facts, bundle) for part in parts), default=FALSE)
        case Not(part):
            return TRUE - truth_of(part, facts, bundle)
        case Known(name):
            return TRUE if is_certain(getattr(facts, name)) else FALSE
        case Comparison(left, operator, right):
            return compared(left, operator, right, facts, bundle)


def compared(left: Operand, operator: Operator, right: Operand, facts: Facts, bundle: Bundle) -> float:
    """Return TRUE where the comparison holds for every combination of possible values, FALSE where for none."""
    mentioned = [*values_mentioned(left, facts, bundle), *values_mentioned(right, facts, bundle)]
    answers = {
        holds(one, operator, other)
        for one in values_to_try(left, facts, bundle, mentioned)
        for other in values_to_try(right, facts, bundle, mentioned)
    }
    return UNKNOWN if len(answers) == 2 else TRUE if answers == {True} else FALSE


def holds(left: Any, operator: Operator, right: Any) -> bool:  # noqa: ANN401, PLR0911 - plain values or sets of them
    """Return whether a comparison of two values holds. `None` is "there is none": it is equal to nothing."""
    if left is None or right is None:
        return operator in {Operator.UNEQUAL, Operator.NOT_IN}
    match operator:
        case Operator.EQUAL:
            return bool(left == right)
        case Operator.UNEQUAL:
            return bool(left != right)
        case Operator.LESS:
            return bool(left < right)
        case Operator.AT_MOST:
            return bool(left <= right)
        case Operator.MORE:
            return bool(left > right)
        case Operator.AT_LEAST:
            return bool(left >= right)
        case Operator.IN | Operator.NOT_IN:  # of two sets: whether some member of the one is in the other
            inside = bool(left & right) if isinstance(left, frozenset) else left in right
            return inside is (operator is Operator.IN)


def values_mentioned(operand: Operand, facts: Facts, bundle: Bundle) -> list[Any]:
    """Return the single values that an operand brings into a comparison."""
    match operand:
        case Literal(value):
            return [value]
        case Literals(values):
            return list(values)
        case ListName(name):
            return list(bundle.lists[name].entries)
        case FactName(name):
            return values_named(name, getattr(facts, name))


def values_named(name: str, fact: AnyFact) -> list[Any]:
    """Return the single values that a fact names, and for each prefix a text that begins with it."""
    values: Iterable[Any] = [fact] if is_certain(fact) else []
    begun: list[str] = []
    if isinstance(fact, OneOf) and makes_sense(name, fact):
        values = fact.values
        begun = [prefix + ANYTHING for prefix in fact.prefixes]
    return [*begun, *(one for value in values for one in (value if isinstance(value, frozenset) else (value,)))]


def values_to_try(operand: Operand, facts: Facts, bundle: Bundle, mentioned: list[Any]) -> Iterable[Any]:
    """Return all the values that an operand may have, as far as the comparison can tell them apart.

    To ask about anything at all it is enough to try each value that the comparison mentions and some that it does not.
    """
    match operand:
        case Literal(value):
            return [value]
        case Literals(values):
            return [frozenset(values)]
        case ListName(name):
            return [bundle.lists[name].entries]
        case FactName(name):
            return values_of_fact(name, getattr(facts, name), mentioned)


def values_of_fact(name: str, fact: AnyFact, mentioned: list[Any]) -> Iterable[Any]:
    """Return the values of a fact to try."""
    if is_certain(fact):
        return [fact]
    schema = FACTS[name]
    named = [value for value in mentioned if value is not None]
    if isinstance(fact, OneOf) and makes_sense(name, fact):
        return values_of_doubt(name, fact, named)
    if schema.is_set:
        return [frozenset(), frozenset([*named, ANYTHING])]
    none = [None] if schema.nullable else []
    if schema.domain is not None:
        return [*schema.domain, *none]
    if schema.is_number:
        return [*named, -inf, 0, inf, *none]
    return [*named, name, ANYTHING, *none]  # no code is called as a fact is: both are values that nobody mentioned


def values_of_doubt(name: str, fact: OneOf, named: list[Any]) -> list[Any]:
    """Return the values to try of a fact that is one of several, or begins in one of several ways."""
    domain = FACTS[name].domain
    if domain is not None:
        return [*fact.values, *beginning(fact.prefixes, domain)]
    unmentioned = [prefix + text for prefix in fact.prefixes for text in (name, ANYTHING)]
    return [*fact.values, *beginning(fact.prefixes, named), *unmentioned]


def beginning(prefixes: Iterable[str], values: Iterable[Any]) -> list[str]:
    """Return the texts among the values that begin with one of the prefixes."""
    return [value for value in values if isinstance(value, str) and value.startswith(tuple(prefixes))]


def makes_sense(name: str, fact: OneOf) -> bool:
    """Return whether the doubt names something that the fact may be. Else it may be anything."""
    if fact.prefixes and (FACTS[name].is_set or FACTS[name].is_number):
        return False
    domain = FACTS[name].domain
    some = fact.values or (fact.prefixes if domain is None else beginning(fact.prefixes, domain))
    return bool(some) and all(is_a_value(value) for value in fact.values)


def is_certain(fact: AnyFact) -> bool:
    """Return whether a fact has exactly one possible value."""
    return not isinstance(fact, Unknown | OneOf) and is_a_value(fact)


def is_a_value(value: Any) -> bool:  # noqa: ANN401 - whatever a fact holds
    """Return whether this can be a value at all: not a number is none, and infinity is no amount."""
    return not isinstance(value, float) or isfinite(value)


def proved(requirement: Rule, facts: Facts, bundle: Bundle) -> float:
    """Return whether the subject has given the proof: TRUE, FALSE, or UNKNOWN, which is not enough."""
    assert requirement.proof is not None
    enough = compared(FactName("assurance"), Operator.AT_LEAST, Literal(requirement.proof.assurance), facts, bundle)
    if requirement.max_age_s is None:
        return enough
    fresh = compared(FactName("auth_age"), Operator.AT_MOST, Literal(requirement.max_age_s), facts, bundle)
    return min(enough, fresh)


def caused_by_outage(rule: Rule, truth: float, facts: Facts, bundle: Bundle) -> bool:
    """Return whether an excluding rule would perhaps not exclude, had an outage not made facts Unknown."""
    if truth == UNKNOWN:
        return only_outages(facts_of(rule.when), facts)
    if rule.effect is not Effect.REQUIRE or proved(rule, facts, bundle) != UNKNOWN:
        return False
    return only_outages({"assurance"} if rule.max_age_s is None else {"assurance", "auth_age"}, facts)


def only_outages(names: AbstractSet[str], facts: Facts) -> bool:
    """Return whether every uncertain fact among these is Unknown because of an outage, which passes by itself."""
    uncertain = [fact for name in names if not is_certain(fact := getattr(facts, name))]
    return all(isinstance(fact, Unknown) and fact.why in OUTAGES for fact in uncertain)


def reason(outcome: Outcome, excluding: Sequence[Rule], facts: Facts) -> Reason | None:
    """Return the one reason that the visitor is given."""
    if outcome is Outcome.ALLOW:
        return None
    if outcome is Outcome.CHALLENGE:
        return reason_of(excluding[0])
    for rule in excluding:
        if rule.effect is Effect.LIMIT:
            return reason_of(rule)
    # Nothing granted it. Had there been a credential, a valid one, an account that was read, something might have.
    if not is_certain(facts.token):
        return Reason.ACCOUNT_UNKNOWN
    unusable: dict[AnyFact, Reason] = {
        TokenState.ABSENT: Reason.CREDENTIAL_REQUIRED,
        TokenState.EXPIRED: Reason.CREDENTIAL_EXPIRED,
        TokenState.INVALID: Reason.CREDENTIAL_INVALID,
    }
    unread = Reason.NOT_GRANTED if is_certain(facts.status) else Reason.ACCOUNT_UNKNOWN
    return unusable.get(facts.token, unread)


def challenge(requirements: Sequence[Rule]) -> Challenge:
    """Return the strongest proof and the shortest age that the unmet requirements ask."""
    proofs = [rule.proof for rule in requirements if rule.proof is not None]
    ages = [rule.max_age_s for rule in requirements if rule.max_age_s is not None]
    return Challenge(max(proofs, key=list(Proof).index), min(ages) if ages else None)


def determining(rule: Rule, *, uncertain: bool) -> Determining:
    """Return what the verdict says of a rule that excludes the operation."""
    return Determining(
        rule.policy, rule.id, rule.effect, reason_of(rule), rule.basis or "", uncertain, rule.status, rule.message
    )


def reason_of(rule: Rule) -> Reason:
    """Return the reason of a limit or requirement; each has one."""
    assert rule.reason is not None
    return rule.reason


def _order_of_duties(duty: Obligation) -> tuple[object, ...]:
    endless = duty.expires_s is None
    told = (duty.kind, duty.value, duty.policy, duty.rule, duty.evidence)
    return (*told, not endless, duty.expires_s or 0, duty.after or (), duty.expeditable)
