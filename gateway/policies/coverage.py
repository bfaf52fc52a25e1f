"""What of a policy its tests would miss: each part is left out in turn, and is tested where some test then fails."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gateway.core.terms import Effect, Operation
from gateway.core.verdict import RuleRef
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.expression import AllOf, AnyOf, Condition, Not, comparisons
from gateway.policies.findings import Finding, Place, Severity, quoted
from gateway.policies.rules import NamedList, Policy, Rule
from gateway.policies.testing import alone, differences, facts_of_test
from gateway.policies.times import written
from gateway.policies.unparse import text_of


class Part(NamedTuple):
    """Something that a rule says, and whether a test would miss it."""

    rule: RuleRef
    what: str
    """The whole `rule`, a part of its `condition`, a date (`from`, `until`), an `obligation` or its `max_age`."""
    place: Place
    advice: str
    """What to add where no test misses it."""
    missed_by: frozenset[Operation]
    """The operations of the tests that fail without it; empty where none does."""


class Coverage(NamedTuple):
    """What the tests of some policies cover."""

    parts: tuple[Part, ...]
    cells: Mapping[tuple[Effect, Operation], bool]
    """Of each effect and operation that some rule speaks of: whether a test would miss such a rule there."""

    @property
    def tested(self) -> int:
        """How many parts a test would miss."""
        return sum(bool(part.missed_by) for part in self.parts)

    @property
    def percent(self) -> int:
        """The tested parts in a hundred, rounded down; 100 where there is nothing to test."""
        return 100 * self.tested // len(self.parts) if self.parts else 100

    def findings(self) -> list[Finding]:
        """Return a note for each part that no test would miss."""
        return sorted(
            Finding(part.place, f"no test would miss {part.advice}", "part-untested", Severity.NOTE)
            for part in self.parts
            if not part.missed_by
        )

    def to_json(self) -> dict[str, Any]:
        """Return the counts, and operations by effect: true where tested; what no rule speaks of is left out."""
        table: dict[str, dict[str, bool]] = {}
        for (effect, operation), tested in self.cells.items():
            table.setdefault(effect.value, {})[operation.value] = tested
        return {"parts": len(self.parts), "tested": self.tested, "percent": self.percent, "operations": table}


def coverage(policies: Sequence[Policy], lists: Mapping[str, NamedList]) -> Coverage:
    """Return what the tests of the policies cover. Each is looked at alone, as it is tested.

    The time it takes grows with the parts of a policy times its tests.
    """
    parts = [part for policy in policies for part in _parts(policy, lists)]
    cells: dict[tuple[Effect, Operation], bool] = {}
    missed = {part.rule: part.missed_by for part in parts if part.what == "rule"}
    for policy in policies:
        for rule in policy.rules:
            for operation in Operation:
                if (operation in rule.operations) is (rule.effect is not Effect.LIMIT):
                    cell = (rule.effect, operation)
                    cells[cell] = cells.get(cell, False) or operation in missed[rule.ref]
    return Coverage(tuple(parts), cells)


def _parts(policy: Policy, lists: Mapping[str, NamedList]) -> Iterator[Part]:
    whole = alone(policy, lists)
    tests = [(test, facts_of_test(test, policy)) for test in policy.tests]
    passing = [one for one in tests if not any(differences(one[0], evaluate(one[1], whole)))]
    (tested,) = whole.policies  # with everything granted, where the policy grants nothing
    for rule in policy.rules:
        for what, place, advice, changed in _without_a_part(rule):
            rules = [changed if one.id == rule.id else one for one in tested.rules]
            less = tested._replace(rules=tuple(one for one in rules if one is not None))
            bundle = Bundle([less], lists, {}, "")
            missed = {test.operation for test, facts in passing if any(differences(test, evaluate(facts, bundle)))}
            yield Part(rule.ref, what, place, advice, frozenset(missed))


def _without_a_part(rule: Rule) -> Iterator[tuple[str, Place, str, Rule | None]]:
    """Yield what each part is, where it stands, what to test, and the rule without it; None without the rule itself."""
    yield "rule", rule.place, f"rule `{rule.id}`: add one that it decides", None
    if rule.start is not None:
        advice = f"the date from which rule `{rule.id}` is in force: test the day before {written(rule.start)}"
        yield "from", rule.place, advice, replace(rule, start=None)
    if rule.end is not None:
        advice = f"the date until which rule `{rule.id}` is in force: test {written(rule.end)} itself"
        yield "until", rule.place, advice, replace(rule, end=None)
    if rule.max_age_s is not None:
        advice = f"the `max_age` of rule `{rule.id}`: test `auth_age: {rule.max_age_s + 1}`"
        yield "max_age", rule.place, advice, replace(rule, max_age_s=None)
    for left_out, condition in _without_a_comparison(rule.when):
        said = quoted(text_of(left_out, whole=False))
        place = next((one.place for one in comparisons(left_out)), rule.place)
        advice = f"{said} in rule `{rule.id}`: test facts where only that decides"
        yield "condition", place, advice, replace(rule, when=condition)
    for duty in (*rule.on_match, *rule.on_refusal):
        advice = f"`{duty.kind}: {duty.value}` of rule `{rule.id}`: expect it among the `obligations`"
        left = [tuple(one for one in duties if one is not duty) for duties in (rule.on_match, rule.on_refusal)]
        yield "obligation", rule.place, advice, replace(rule, on_match=left[0], on_refusal=left[1])


def _without_a_comparison(condition: Condition) -> Iterator[tuple[Condition, Condition]]:
    """Yield each part of a conjunction or disjunction, with the condition that remains where it is left out."""
    match condition:
        case AllOf(parts) | AnyOf(parts) if len(parts) > 1:
            joined = type(condition)
            for position, part in enumerate(parts):
                before, after = parts[:position], parts[position + 1 :]
                yield part, joined((*before, *after))
                for left_out, rest in _without_a_comparison(part):
                    yield left_out, joined((*before, rest, *after))
        case Not(part):
            for left_out, rest in _without_a_comparison(part):
                yield left_out, Not(rest)
        case _:
            return
