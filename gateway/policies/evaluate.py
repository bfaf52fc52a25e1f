"""The answer to one set of facts under a bundle. `reference.py` says the same, slowly and legibly."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from gateway.core.facts import Facts
from gateway.core.terms import EVERYTHING, Effect, Operation, Operations, Outcome, Reason, TokenState
from gateway.core.verdict import Challenge, Determining, Excepted, Obligation, RuleRef, Verdict
from gateway.policies.compile import Bundle, CompiledRule
from gateway.policies.duties import ON_ACCOUNT
from gateway.policies.rules import PolicyException

REMEMBERED: Final = 16_384
"""Verdicts remembered; then all are forgotten."""

_PRECEDENCE: Final = {reason: position for position, reason in enumerate(Reason)}

_BY_TOKEN: Final[dict[str | None, Reason]] = {
    TokenState.ABSENT: Reason.CREDENTIAL_REQUIRED,
    TokenState.EXPIRED: Reason.CREDENTIAL_EXPIRED,
    TokenState.INVALID: Reason.CREDENTIAL_INVALID,
}
"""Why nothing was granted, where the credential says it."""


def evaluate(facts: Facts, bundle: Bundle) -> Verdict:
    """Return what these facts may do, and which rules determined it. Equal to `reference.evaluate` on every input."""
    possible, certain, doubtful = bundle.matching(facts)
    token = facts.token
    key = (
        facts.operation,
        possible,
        certain,
        doubtful,
        token if isinstance(token, str) else None,
        isinstance(facts.status, str),
        isinstance(facts.account, str),
    )
    verdict = bundle.verdicts.get(key)
    if verdict is None:
        verdict = _combine(bundle, *key)
        if len(bundle.verdicts) >= REMEMBERED:
            bundle.verdicts.clear()
        bundle.verdicts[key] = verdict
    return verdict


class _Excluding(NamedTuple):
    """A limit or requirement that excludes the operation."""

    one: CompiledRule
    certain: bool
    outage: bool
    """True where it would perhaps not exclude, had an outage not made a fact Unknown."""


def _combine(  # noqa: PLR0917 - the parts of the key
    bundle: Bundle,
    operation: Operation,
    possible: int,
    certain: int,
    doubtful: int,
    token: str | None,
    status_read: bool,
    account_read: bool,
) -> Verdict:
    """Return the verdict that these conjuncts, possibly and certainly satisfied, come to."""
    granted: Operations = frozenset()
    limit = EVERYTHING
    grant_lost = False
    excluding: list[_Excluding] = []
    excepted: list[Excepted] = []
    uncertain: list[RuleRef] = []
    duties: set[Obligation] = set()
    for one in bundle.matched(possible & bundle.rule_bits):
        rule = one.rule
        excludes = _excludes(one, operation, certain)
        opened, lifting = _lifted(one, operation, certain) if one.exceptions else (rule.operations, ())
        if rule.effect is Effect.LIMIT:
            limit &= opened
        if lifting:
            if excludes:
                excepted += (Excepted(*rule.ref, each.name, each.owner, each.end) for each in lifting)
            continue
        sure = bool(certain & one.bits)
        outage = not sure and not one.facts & doubtful
        if sure:
            duties.update(rule.on_match)
        else:
            uncertain.append(rule.ref)
        if excludes:
            unproved = sure and bool(possible & one.satisfied) and not one.proof_facts & doubtful
            excluding.append(_Excluding(one, sure, outage or unproved))
        elif rule.effect is Effect.GRANT:
            granted |= rule.operations if sure else frozenset()
            grant_lost |= outage and operation in rule.operations
    excluding.sort(key=lambda each: _rank(each.one))
    access = granted & limit
    outcome = _outcome(operation, access, excluding)
    for each in excluding:
        if each.certain:
            duties.update(each.one.rule.on_refusal)
    return Verdict(
        operation=operation,
        outcome=outcome,
        access=access,
        by=tuple(_determining(each) for each in excluding),
        nothing_granted=operation not in granted,
        reason=_reason(outcome, excluding, token, status_read),
        challenge=_challenge(excluding) if outcome is Outcome.CHALLENGE else None,
        uncertain=tuple(sorted(uncertain)),
        obligations=in_order(duty for duty in duties if account_read or duty.kind not in ON_ACCOUNT),
        outage=(
            outcome is not Outcome.ALLOW
            and (operation in granted or grant_lost)
            and all(each.outage for each in excluding)
        ),
        excepted=tuple(sorted(excepted)),
    )


def _lifted(one: CompiledRule, operation: Operation, certain: int) -> tuple[Operations, tuple[PolicyException, ...]]:
    """Return what a rule names and exceptions open besides, and by which of these it does not apply here."""
    holding = [each.exception for each in one.exceptions if certain & each.bit]
    opened = one.rule.operations.union(*(each.operations for each in holding))
    return opened, tuple(each for each in holding if operation in each.operations)


def _excludes(one: CompiledRule, operation: Operation, certain: int) -> bool:
    """Return whether a rule that matches excludes the operation, as far as nothing lifts it."""
    match one.rule.effect:
        case Effect.GRANT:
            return False
        case Effect.LIMIT:
            return operation not in one.rule.operations
        case Effect.REQUIRE:
            return operation in one.rule.operations and not certain & one.satisfied


def in_order(duties: Iterable[Obligation]) -> tuple[Obligation, ...]:
    """Return obligations in the order of a verdict."""
    return tuple(sorted(duties, key=_place))


def _place(duty: Obligation) -> tuple[object, ...]:
    told = (duty.kind, duty.value, duty.policy, duty.rule, duty.evidence)
    return (*told, duty.expires_s is not None, duty.expires_s or 0, duty.after or (), duty.expeditable)


def _outcome(operation: Operation, access: Operations, excluding: list[_Excluding]) -> Outcome:
    if operation not in access:
        return Outcome.DENY
    return Outcome.CHALLENGE if excluding else Outcome.ALLOW


def _reason(outcome: Outcome, excluding: list[_Excluding], token: str | None, status_read: bool) -> Reason | None:
    if outcome is Outcome.ALLOW:
        return None
    for each in excluding:
        if outcome is Outcome.CHALLENGE or each.one.rule.effect is Effect.LIMIT:
            return each.one.rule.reason
    if token == TokenState.VALID and status_read:
        return Reason.NOT_GRANTED
    return _BY_TOKEN.get(token, Reason.ACCOUNT_UNKNOWN)


def _challenge(excluding: list[_Excluding]) -> Challenge:
    """Return the strongest proof and the shortest age that any of them asks."""
    proofs = [proof for each in excluding if (proof := each.one.rule.proof) is not None]
    ages = [age for each in excluding if (age := each.one.rule.max_age_s) is not None]
    return Challenge(max(proofs, key=lambda proof: proof.assurance), min(ages, default=None))


def _determining(each: _Excluding) -> Determining:
    rule = each.one.rule
    assert rule.reason is not None  # `syntax` lets no limit or requirement pass without reason and basis
    assert rule.basis is not None
    return Determining(
        rule.policy, rule.id, rule.effect, rule.reason, rule.basis, not each.certain, rule.status, rule.message
    )


def _rank(one: CompiledRule) -> tuple[int, str, str]:
    assert one.rule.reason is not None
    return (_PRECEDENCE[one.rule.reason], one.rule.policy, one.rule.id)
