"""Bundles and facts made at random, small enough that every rule is hit and every kind of doubt occurs."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core.evidence import After
from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.terms import EVERYTHING, LEVELS, Effect, Operation, Proof, Reason, WhyUnknown
from gateway.core.verdict import Obligation, RuleRef
from gateway.policies.bundle import assemble
from gateway.policies.compile import Bundle
from gateway.policies.expression import parse
from gateway.policies.findings import Place, Rejected
from gateway.policies.rules import NamedList, Policy, PolicyException, Rule
from gateway.policies.schema import FACTS, FactSchema, Kind

PLACE = Place("generated.yaml", 1, 1)
AT = 1_700_000_000_000_000
INSTANTS = (AT - 2, AT - 1, AT, AT + 1, AT + 2)
VALUES: dict[Kind, tuple[Any, ...]] = {
    Kind.COUNTRY: ("US", "CA", "CU", "DE"),
    Kind.SUBDIVISION: ("US-NY", "US-CA", "UA-43", "DE-BE"),
    Kind.ASN: (0, 7, 64_500),
    Kind.NETWORK: ("tor", "vpn", "hosting"),
    Kind.ACCOUNT: ("alice", "bob"),
    Kind.FLAG: ("us-ip", "staff"),
    Kind.SIGNAL: ("impossible_travel", "unfamiliar_network"),
    Kind.SECONDS: (0, 59, 60, 61, 300, 301),
    Kind.USD: (0, 99.5, 100, 1000.25),
}
PREFIXES = {Kind.COUNTRY: ("U", "C"), Kind.SUBDIVISION: ("US-", "U", "DE-"), Kind.ACCOUNT: ("a",), Kind.STATUS: ("o",)}
LISTS = {
    one.key: one
    for one in (
        NamedList("far-away", Kind.COUNTRY, "t", "s", "2026-01-01", frozenset({"CU", "DE"}), PLACE),
        NamedList("regions", Kind.SUBDIVISION, "t", "s", "2026-01-01", frozenset({"US-NY", "UA-43"}), PLACE),
        NamedList("carriers", Kind.ASN, "t", "s", "2026-01-01", frozenset({7, 64_500}), PLACE),
    )
}
PAIRS = (
    "country == residence",
    "country != nationality",
    "residence == nationality",
    "residence in documents",
    "country not in documents",
    "nationality in documents",
    "operation in holds",
    "withdrawn_today_usd > amount_usd",
    "amount_usd <= withdrawn_today_usd",
    "amount_usd == withdrawn_today_usd",
)
NUMBERS_OF_NO_KIND = (float("nan"), float("inf"), float("-inf"))


def values_of(fact: FactSchema) -> tuple[Any, ...]:
    return fact.domain if fact.domain is not None else VALUES[fact.kind]


def written(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def comparison(rng: Random, *, known: bool) -> str:
    roll = rng.random()
    if known and roll < 0.1:
        return f"known({rng.choice(tuple(FACTS))})"
    if roll < 0.25:
        return rng.choice(PAIRS)
    fact = rng.choice(tuple(FACTS.values()))
    values = values_of(fact)
    some = rng.sample(values, rng.randint(1, len(values)))
    listed = next((name for name, one in LISTS.items() if one.kind is fact.kind), None)
    within = rng.choice(("in", "not in"))
    if fact.is_set:
        members = [written(some[0]), f"[{', '.join(map(written, some))}]", *([listed] if listed else [])]
        return f"{rng.choice(members)} {within} {fact.name}"
    forms = [f"{fact.name} == {written(some[0])}", f"{written(some[0])} != {fact.name}"]
    forms.append(f"{fact.name} {within} ({', '.join(map(written, some))},)")
    if listed:
        forms.append(f"{fact.name} {within} {listed}")
    if fact.is_number:
        order = ("<", "<=", ">", ">=")
        forms = [*forms, f"{fact.name} {rng.choice(order)} {some[0]}", f"{some[0]} {rng.choice(order)} {fact.name}"]
        forms.append(f"{some[0]} <= {fact.name} < {some[-1]}")
    return rng.choice(forms)


def condition(rng: Random, depth: int, *, known: bool) -> str:
    roll = rng.random()
    if depth == 0 or roll < 0.35:
        return comparison(rng, known=known)
    if roll < 0.5:
        return f"not ({condition(rng, depth - 1, known=known)})"
    if roll < 0.53:  # a normal form too large to write out
        return " and ".join(f"({' or '.join(comparison(rng, known=known) for _ in range(3))})" for _ in range(5))
    joint = rng.choice((" and ", " or "))
    return joint.join(f"({condition(rng, depth - 1, known=known)})" for _ in range(rng.randint(2, 3)))


def operations(rng: Random) -> frozenset[Operation]:
    if rng.random() < 0.5:
        return rng.choice(tuple(LEVELS.values()))
    return frozenset(rng.sample(tuple(Operation), rng.randint(1, len(Operation) - 1)))


def duties(rng: Random, policy: str, rule: str) -> tuple[Obligation, ...]:
    every = (
        Obligation("flag", "us-ip", policy, rule),
        Obligation("flag", "us-ip", policy, rule, after=After(3, 30)),
        Obligation("flag", "us-ip", policy, rule, after=After(2, 60)),
        Obligation("hold", "withdraw", policy, rule, ("id",), 60, expeditable=False),
        Obligation("notify", "access.refused", policy, rule),
        Obligation("hold", "withdraw", policy, rule, ("id",), None),
        Obligation("hold", "withdraw", policy, rule, ("id",), 60),
        Obligation("ticket", "review", policy, rule),
    )
    return tuple(rng.sample(every, rng.choice((0, 0, 0, 1, 2))))


def rule(rng: Random, policy: str, number: int, *, known: bool = True, effect: Effect | None = None) -> Rule:
    effect = effect or rng.choice((Effect.GRANT, Effect.GRANT, Effect.LIMIT, Effect.LIMIT, Effect.REQUIRE))
    name = f"r{number}"
    text = "True" if rng.random() < 0.1 else condition(rng, rng.randint(0, 3), known=known)
    start, end = sorted(rng.sample(INSTANTS, 2))
    return Rule(
        policy=policy,
        id=name,
        effect=effect,
        operations=EVERYTHING if effect is Effect.GRANT and rng.random() < 0.4 else operations(rng),
        when=parse(text, lambda _: PLACE),
        when_text=text,
        proof=rng.choice(tuple(Proof)) if effect is Effect.REQUIRE else None,
        max_age_s=rng.choice((None, 60, 300)) if effect is Effect.REQUIRE else None,
        reason=None if effect is Effect.GRANT else rng.choice(tuple(Reason)[:20]),
        basis=None if effect is Effect.GRANT else "a basis",
        start=start if rng.random() < 0.2 else None,
        end=end if rng.random() < 0.2 else None,
        on_match=duties(rng, policy, name),
        on_refusal=() if effect is Effect.GRANT else duties(rng, policy, name),
        status=451 if effect is Effect.LIMIT and rng.random() < 0.2 else None,
    )


WHOM = (
    'account in ["alice"]',
    'account in ["alice", "bob"]',
    'account in ["carol"]',
    '"vpn" in network',
    '"tor" in network',
)


def exception(rng: Random, number: int, lifts: Sequence[RuleRef]) -> PolicyException:
    start, end = rng.choice([(one, two) for one in INSTANTS for two in INSTANTS if one < two])
    text = rng.choice(WHOM)
    return PolicyException(
        name=f"some/e{number}",
        owner="tests",
        operations=frozenset(rng.sample(tuple(Operation), rng.randint(1, 6))),
        when=parse(text, lambda _: PLACE),
        when_text=text,
        lifts=tuple(lifts),
        reason="a reason",
        basis="a basis",
        approved_by=None,
        start=start if rng.random() < 0.5 else AT - 10,
        end=end if rng.random() < 0.5 else AT + 10,
    )


def excepted(rng: Random, some: Sequence[Policy]) -> list[Policy]:
    """Return the policies with exceptions to some of their rules, and with some of these absolute."""
    rules = [one for policy in some for one in policy.rules if one.effect is not Effect.GRANT]
    lifted: dict[RuleRef, list[PolicyException]] = {}
    for number in range(rng.randint(1, 4) if rules else 0):
        chosen = sorted(one.ref for one in rng.sample(rules, rng.randint(1, min(3, len(rules)))))
        made = exception(rng, number, chosen)
        for ref in chosen:
            lifted.setdefault(ref, []).append(made)
    return [
        policy._replace(
            rules=tuple(
                replace(one, exceptions=tuple(lifted.get(one.ref, ())), absolute=rng.random() < 0.15)
                for one in policy.rules
            )
        )
        for policy in some
    ]


def policies(rng: Random, *, known: bool = True, exceptions: float = 0.4) -> list[Policy]:
    made = []
    for number in range(rng.randint(1, 3)):
        name = f"p{number}"
        rules = tuple(rule(rng, name, index, known=known) for index in range(rng.randint(1, 4)))
        made.append(Policy(name, name, "tests", None, rules, (), PLACE))
    return excepted(rng, made) if rng.random() < exceptions else made


def bundle(rng: Random, *, known: bool = True) -> Bundle:
    return bundle_of(policies(rng, known=known))


def bundle_of(some: Sequence[Policy]) -> Bundle:
    return Bundle(some, LISTS, {}, "")


def certain(rng: Random, fact: FactSchema) -> Any:
    values = values_of(fact)
    if fact.is_set:
        return frozenset(value for value in values if rng.random() < 0.3)
    if fact.nullable and rng.random() < 0.25:
        return None
    if fact.measured and rng.random() < 0.03:
        return rng.choice(NUMBERS_OF_NO_KIND)
    return rng.choice(values)


def doubt(rng: Random, fact: FactSchema, *including: Any) -> Unknown | OneOf:
    """Return a fact in doubt, which may have the values given."""
    why = rng.choice((*WhyUnknown, WhyUnknown.STORE_UNAVAILABLE, WhyUnknown.STORE_UNAVAILABLE))
    if rng.random() < 0.5:
        return Unknown(why)
    values = frozenset({*including, *(certain(rng, fact) for _ in range(rng.randint(0, 2)))})
    prefixes = PREFIXES.get(fact.kind, ("1",)) if rng.random() < 0.3 else ()
    return OneOf(why, values, frozenset(rng.sample(prefixes, rng.randint(0, len(prefixes)))))


def facts(rng: Random, *, doubtful: float = 0.25) -> Facts:
    made: dict[str, Any] = {}
    for fact in FACTS.values():
        made[fact.name] = doubt(rng, fact) if rng.random() < doubtful else certain(rng, fact)
    made["operation"] = rng.choice(tuple(Operation))
    return Facts(at=rng.choice((AT - 3, *INSTANTS, AT + 3)), **made)


@pytest.fixture(scope="session")
def generate() -> SimpleNamespace:
    """The generators, each of which takes a `Random`."""
    return SimpleNamespace(
        bundle=bundle,
        bundle_of=bundle_of,
        certain=certain,
        condition=condition,
        doubt=doubt,
        excepted=excepted,
        facts=facts,
        lists=LISTS,
        policies=policies,
        rule=rule,
    )


HEADER = "policy: p\ntitle: A policy\nowner: tests\n"


def policy_with(condition: str, *, effect: str = "limit: none", more: str = "") -> str:
    """Return the text of a policy with one rule, its condition at line 7, column 11."""
    return (
        f"{HEADER}rules:\n  - id: only\n    {effect}\n    when: {condition}\n"
        f"    reason: hold\n    basis: the house rules\n{more}"
    )


def findings_in(*texts: str, sources: Any = None) -> list[str]:
    """Return what keeps these texts from being assembled, one finding a line."""
    named = {f"f{number}.yaml": text for number, text in enumerate(texts)}
    try:
        assemble(named, sources_configured=sources)
    except Rejected as rejected:
        return str(rejected).splitlines()
    return []


@pytest.fixture(scope="session")
def write() -> SimpleNamespace:
    """Texts of policies, and what is found wrong with them."""
    return SimpleNamespace(header=HEADER, policy_with=policy_with, findings_in=findings_in)
