"""Whom policies must never lock out, such as the people who publish them."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from gateway.core.facts import AnyFact
from gateway.core.terms import Operation, Operations, Outcome
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.findings import did_you_mean, quoted
from gateway.policies.schema import FACTS, FactSchema
from gateway.policies.testing import complete
from gateway.policies.values import problem

NEEDED: Final = "country"
"""Without it nearly every limit is in doubt, and what is in doubt is refused."""


class Guarded(NamedTuple):
    """Somebody who must go on being let through. Facts are meant as in a policy's test."""

    name: str
    facts: Mapping[str, AnyFact]
    operations: Operations


class LockedOut(NamedTuple):
    """Somebody guarded who would be refused."""

    name: str
    operation: Operation
    at: int
    """From when on, microseconds since the epoch."""
    rules: tuple[str, ...]
    """What refuses, as policy/rule; nothing where nothing grants."""

    def text(self) -> str:
        """Return it for people, without the instant."""
        by = f"by {', '.join(self.rules)}" if self.rules else "since nothing grants it"
        return f"{self.name} could not {self.operation} any more, {by}"


def guarded(name: str, facts: Mapping[str, object], operations: Iterable[Operation]) -> Guarded:
    """Return whom a configuration describes. Raise ValueError saying what is wrong with the facts."""
    read: dict[str, AnyFact] = {}
    for fact, value in facts.items():
        schema = FACTS.get(fact)
        if schema is None or fact == "operation":
            raise ValueError(f"unknown fact {quoted(fact)}{did_you_mean(fact, FACTS)}")
        read[fact] = _value(schema, value)
    if NEEDED not in read:
        raise ValueError(f"say from which `{NEEDED}`: a request from nowhere is refused by what speaks of countries")
    return Guarded(name, read, frozenset(operations))


def locked_out(bundle: Bundle, people: Iterable[Guarded], at: int) -> tuple[LockedOut, ...]:
    """Return who would be refused what at `at`, or from a later date of a rule on: of each operation the first.

    A challenge refuses nobody: who is asked for a proof can give it.
    """
    instants = [at, *(bound for bound in bundle.bounds if bound > at)]
    found = []
    for one in people:
        for operation in sorted(one.operations):
            refusals = (_refused(bundle, one, operation, instant) for instant in instants)
            first = next((refusal for refusal in refusals if refusal is not None), None)
            if first is not None:
                found.append(first)
    return tuple(found)


def _refused(bundle: Bundle, one: Guarded, operation: Operation, at: int) -> LockedOut | None:
    verdict = evaluate(complete(one.facts, operation, at), bundle)
    if verdict.outcome is not Outcome.DENY:
        return None
    return LockedOut(one.name, operation, at, tuple(f"{by.policy}/{by.rule}" for by in verdict.by))


def _value(schema: FactSchema, value: object) -> AnyFact:
    """Return the value as a fact. Raise ValueError where it cannot be one."""
    if schema.is_set is not isinstance(value, list | tuple):
        raise ValueError(f"`{schema.name}` is {'a list' if schema.is_set else 'one value'}, and {quoted(value)} is not")
    items = list(value) if isinstance(value, list | tuple) else [value]
    wrong = next((said for item in items if (said := problem(schema, item)) is not None), None)
    if wrong is not None:
        raise ValueError(wrong)
    if schema.is_set:
        return frozenset(map(str, items))
    found = items[0]
    assert isinstance(found, str | int | float), "`problem` says what else it is"
    return found
