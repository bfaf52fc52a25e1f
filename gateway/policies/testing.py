"""Running the tests that policies carry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from gateway.core.facts import ACCOUNT_FACTS, AnyFact, Facts
from gateway.core.terms import EVERYTHING, Credential, Effect, Operation, Status, TokenState
from gateway.core.verdict import Verdict
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.excepting import without_exceptions
from gateway.policies.expression import ALWAYS
from gateway.policies.findings import Finding, Place, quoted
from gateway.policies.rules import Duty, NamedList, Policy, PolicyTest, Rule
from gateway.policies.times import written

_EMPTY: Final[frozenset[str]] = frozenset()

QUIET: Final[Mapping[str, AnyFact]] = {
    "network": _EMPTY,
    "signals": _EMPTY,
    "risk": "low",
    "amount_usd": None,
    "destination": None,
    "withdrawn_today_usd": None,
}
"""What a test need not say, besides the defaults of `Facts`."""

SIGNED_IN: Final[Mapping[str, AnyFact]] = {
    "token": TokenState.VALID,
    "credential": Credential.SESSION,
    "account": "someone",
    "assurance": 1,
    "auth_age": 60,
}
"""What a test that speaks of an account need not say either."""


_DOES: Final = {Effect.LIMIT: "limit refuses", Effect.REQUIRE: "requirement challenges"}


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of one test."""

    __test__: ClassVar[bool] = False  # pytest takes every class of such a name for its own

    policy: str
    name: str
    place: Place
    differences: tuple[str, ...]
    """What the test expects and what the verdict says instead; empty where they agree."""
    verdict: Verdict

    @property
    def passed(self) -> bool:
        """Whether the verdict is as expected."""
        return not self.differences


def run(tested: Bundle | Policy, lists: Mapping[str, NamedList] | None = None) -> list[TestResult]:
    """Return the result of every test of a bundle, or of one policy with the lists it names."""
    if isinstance(tested, Bundle):
        own = [result for policy in tested.policies for result in run(policy, tested.lists)]
        return [*own, *run_exceptions(tested)]
    bundle = alone(tested, lists or {})
    return [_run(test, tested, bundle) for test in tested.tests]


def run_exceptions(bundle: Bundle) -> list[TestResult]:
    """Return the result of every test that exceptions carry, each with the policies whose rules it lifts."""
    results = []
    for one in bundle.exceptions:
        lifted = {ref.policy for ref in one.lifts}
        small = _granting([policy for policy in bundle.policies if policy.name in lifted], bundle.lists)
        for test in one.tests:
            at = one.start if test.at is None else test.at
            verdict = evaluate(complete(test.facts, test.operation, at), small)
            results.append(TestResult(one.name, test.name, test.place, tuple(differences(test, verdict)), verdict))
    return results


def failures(results: Iterable[TestResult]) -> list[Finding]:
    """Return the tests that fail, as findings."""
    return [
        Finding(result.place, f"test {quoted(result.name)} fails: {'; '.join(result.differences)}", "test-fails")
        for result in results
        if not result.passed
    ]


def findings(policy: Policy, results: Iterable[TestResult]) -> list[Finding]:
    """Return what keeps a policy from being loaded: tests that fail, and rules that no test determines."""
    results = list(results)
    return [*failures(results), *untested(policy, results)]


def untested(policy: Policy, results: Iterable[TestResult]) -> list[Finding]:
    """Return the limits and requirements that determine no test: nobody has shown that they do what they should."""
    determined = {one.rule for result in results for one in result.verdict.by}
    return [
        Finding(
            rule.place,
            f"no test is determined by rule `{rule.id}`: add one that this {_DOES[rule.effect]}",
            "rule-untested",
        )
        for rule in policy.rules
        if rule.effect is not Effect.GRANT and rule.id not in determined
    ]


def alone(policy: Policy, lists: Mapping[str, NamedList]) -> Bundle:
    """Return a bundle of this policy and nothing else, without exceptions.

    Where it grants nothing itself, everything is granted.
    """
    return _granting([without_exceptions(policy)], lists)


def _granting(policies: list[Policy], lists: Mapping[str, NamedList]) -> Bundle:
    """Return a bundle of these policies, and everything granted where they grant nothing."""
    if policies and not any(rule.effect is Effect.GRANT for policy in policies for rule in policy.rules):
        everything = Rule("", "everything", Effect.GRANT, EVERYTHING, ALWAYS, "True")
        policies = [policies[0]._replace(rules=(*policies[0].rules, everything)), *policies[1:]]
    return Bundle(policies, lists, {}, "")


def facts_of_test(test: PolicyTest, policy: Policy) -> Facts:
    """Return the complete facts that a test means."""
    bounds = [bound for rule in policy.rules for bound in (rule.start, rule.end) if bound is not None]
    at = max(bounds, default=0) if test.at is None else test.at
    return complete(test.facts, test.operation, at)


def complete(stated: Mapping[str, AnyFact], operation: Operation, at: int) -> Facts:
    """Return the facts that are meant where only these are stated."""
    whole = {**QUIET, **stated}
    if any(name in stated for name in ACCOUNT_FACTS) and stated.get("status") != Status.NONE:
        whole = {**SIGNED_IN, **whole}
    return Facts(at=at, operation=operation, **whole)  # type: ignore[arg-type]  # each was checked when it was read


def _run(test: PolicyTest, policy: Policy, bundle: Bundle) -> TestResult:
    verdict = evaluate(facts_of_test(test, policy), bundle)
    found = (*differences(test, verdict), *_out_of_force(test, policy, verdict))
    return TestResult(policy.name, test.name, test.place, found, verdict)


def differences(test: PolicyTest, verdict: Verdict) -> Iterable[str]:
    """Yield what the test expects and what the verdict says instead."""
    expect = test.expect
    by = frozenset(one.rule for one in verdict.by)
    if verdict.outcome is not expect.outcome:
        yield f"expected the outcome {expect.outcome}, and it is {verdict.outcome} (by {_names(by)})"
    if expect.by is not None and by != expect.by:
        yield f"expected it to be determined by {_names(expect.by)}, and it is by {_names(by)}"
    if expect.reason is not None and verdict.reason is not expect.reason:
        yield f"expected the reason {expect.reason}, and it is {verdict.reason or 'none'}"
    if expect.access is not None and verdict.level is not expect.access:
        yield f"expected the access {expect.access}, and it is {verdict.level}"
    duties = frozenset(map(Duty.of, verdict.obligations))
    if expect.obligations is not None and duties != expect.obligations:
        yield f"expected the obligations {_duties(expect.obligations)}, and they are {_duties(duties)}"


def _out_of_force(test: PolicyTest, policy: Policy, verdict: Verdict) -> Iterable[str]:
    """Yield which of the rules that should determine were not in force, since that is why they did not."""
    missing = (test.expect.by or frozenset()) - {one.rule for one in verdict.by}
    at = facts_of_test(test, policy).at
    for rule in policy.rules:
        if rule.id in missing and not rule.in_force(at):
            bounds = (("from", rule.start), ("until", rule.end))
            when = " ".join(f"{word} {written(bound)}" for word, bound in bounds if bound is not None)
            yield f"`{rule.id}` is not in force at {written(at)}: it is {when}"


def _names(rules: frozenset[str]) -> str:
    return ", ".join(f"`{rule}`" for rule in sorted(rules)) or "no rule"


def _duties(duties: frozenset[Duty]) -> str:
    return ", ".join(sorted(map(_duty, duties))) or "none"


def _duty(duty: Duty) -> str:
    after = f" after {duty.after.days} days within {duty.after.within_days}d" if duty.after else ""
    fast = "" if duty.expeditable else ", not expeditable"
    return f"{duty.kind} {duty.value}{after}{fast}"
