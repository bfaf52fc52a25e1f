"""What exceptions come to: whether they may lift what they name, the rules that know them, and how long they last."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum, unique
from typing import Final

from gateway.core.terms import EVERYTHING, Effect, Operation, Operations
from gateway.core.verdict import RuleRef
from gateway.policies.expression import Comparison, Literal, facts_of
from gateway.policies.findings import Finding, Place, Severity, did_you_mean, quoted
from gateway.policies.rules import Exceptions, Policy, PolicyException, Rule
from gateway.policies.schema import NETWORKS, Sources

DAY_US: Final = 86_400_000_000
NOTICE_DAYS: Final = 14
"""So long before its end an exception is noticed."""


@unique
class Standing(StrEnum):
    """Where an exception stands at an instant."""

    COMING = "coming"
    IN_FORCE = "in force"
    EXPIRED = "expired"


def standing(one: PolicyException, at: int) -> Standing:
    """Return where an exception stands at an instant, in microseconds since the epoch."""
    if at < one.start:
        return Standing.COMING
    return Standing.IN_FORCE if at < one.end else Standing.EXPIRED


def days_left(one: PolicyException, at: int) -> int:
    """Return in how many days an exception ends, each begun day counted; 0 where it has ended."""
    return max(0, -(-(one.end - at) // DAY_US))


def expiring(some: Iterable[PolicyException], at: int, within_us: int) -> list[PolicyException]:
    """Return the exceptions in force that end within so long, the next to end first."""
    found = [one for one in some if one.in_force(at) and one.end - at <= within_us]
    return sorted(found, key=lambda one: (one.end, one.name))


def check_exceptions(files: Sequence[Exceptions], policies: Sequence[Policy], sources: Sources | None) -> list[Finding]:
    """Return all that is wrong with what exceptions name. Without `sources` every network counts as listed."""
    findings: list[Finding] = []
    seen: dict[str, Place] = {}
    rules = {rule.ref: rule for policy in policies for rule in policy.rules}
    for file in files:
        if file.name in seen:
            where = f"the first stand in {seen[file.name].file}"
            message = f"a second file of exceptions named {quoted(file.name)}: {where}"
            findings.append(Finding(file.place, message, "duplicate-name"))
        seen[file.name] = file.place
        for one in file.entries:
            findings += _network(one, sources)
            for ref, place in zip(one.lifts, one.lifts_at, strict=True):
                wrong = _lifted(one, ref, rules)
                if wrong is not None:
                    findings.append(Finding(place, *wrong))
            closed = frozenset[Operation]().union(*(_excluded(rules[ref]) for ref in one.lifts if ref in rules))
            if one.operations & closed and one.operations - closed:
                listed = ", ".join(sorted(one.operations - closed))
                message = f"no rule that `{one.name}` lifts excludes {listed}: leave that out, or name the rule"
                findings.append(Finding(one.place, message, "exception-lifts-nothing"))
    return findings


def attached(policies: Iterable[Policy], files: Iterable[Exceptions]) -> list[Policy]:
    """Return the policies, each rule with the exceptions that lift it."""
    lifted: dict[RuleRef, list[PolicyException]] = {}
    for one in sorted((one for file in files for one in file.entries), key=lambda one: one.name):
        for ref in one.lifts:
            lifted.setdefault(ref, []).append(one)
    if not lifted:
        return list(policies)
    return [policy._replace(rules=tuple(_with(rule, lifted) for rule in policy.rules)) for policy in policies]


def without_exceptions(policy: Policy) -> Policy:
    """Return the policy as it is for everybody."""
    if not any(rule.exceptions for rule in policy.rules):
        return policy
    return policy._replace(rules=tuple(replace(rule, exceptions=()) for rule in policy.rules))


def notices(some: Iterable[PolicyException], at: int) -> list[Finding]:
    """Return which exceptions have ended and can go, and which will end soon. None of them stops a bundle."""
    found = []
    for one in some:
        days = days_left(one, at)
        if days == 0:
            message = f"exception `{one.name}` has ended: take it out"
            found.append(Finding(one.place, message, "exception-expired", Severity.WARNING))
        elif days <= NOTICE_DAYS and one.in_force(at):
            message = f"exception `{one.name}` of {one.owner} ends within {days} {'day' if days == 1 else 'days'}"
            found.append(Finding(one.place, message, "exception-expires", Severity.NOTE))
    return found


def _with(rule: Rule, lifted: Mapping[RuleRef, Sequence[PolicyException]]) -> Rule:
    found = lifted.get(rule.ref)
    return rule if found is None else replace(rule, exceptions=tuple(found))


def _network(one: PolicyException, sources: Sources | None) -> Iterable[Finding]:
    """Return what is wrong with the network that an exception is for."""
    if not isinstance(one.when, Comparison) or not isinstance(one.when.left, Literal):
        return
    name, place = str(one.when.left.value), one.when.place
    if name in NETWORKS:
        message = f"`{name}` is a kind of network, which anybody may come from: name a list of networks of your own"
        yield Finding(place, message, "exception-too-wide")
    elif sources is not None and name not in sources.networks:
        hint = did_you_mean(name, sources.networks - set(NETWORKS))
        message = f"no network list is named {quoted(name)}{hint or ': add it under `[geodb] networks`'}"
        yield Finding(place, message, "no-source")


def _lifted(one: PolicyException, ref: RuleRef, rules: Mapping[RuleRef, Rule]) -> tuple[str, str] | None:
    """Return what is wrong with lifting a rule, and what kind of fault it is."""
    rule = rules.get(ref)
    written = "/".join(ref)
    if rule is None:
        hint = did_you_mean(written, ("/".join(known) for known in rules))
        return f"no rule {quoted(written)} to lift{hint}", "unknown-rule"
    apart = (rule.end is not None and rule.end <= one.start) or (rule.start is not None and one.end <= rule.start)
    listed = ", ".join(sorted(one.operations))
    faults = (
        (rule.effect is Effect.GRANT, "is a grant: an exception lifts limits and requirements", "grant"),
        (rule.absolute, "is absolute: no exception lifts it, whoever it is for", "absolute"),
        # A hold is lifted by two people at its ticket, and one that is not expeditable by nobody.
        ("holds" in facts_of(rule.when), "asks about holds: those are lifted at their tickets", "hold"),
        (not one.operations & _excluded(rule), f"never excludes {listed}: there is nothing to lift", "nothing"),
        (apart, "is not in force while the exception is: there is nothing to lift", "nothing"),
    )
    found = ((f"`{written}` {said}", f"exception-lifts-{what}") for wrong, said, what in faults if wrong)
    return next(found, None)


def _excluded(rule: Rule) -> Operations:
    """Return the operations that a limit or requirement stands in the way of."""
    return rule.operations if rule.effect is Effect.REQUIRE else EVERYTHING - rule.operations
