"""Bundles so small that every combination of values that their rules tell apart can be tried, one after the other."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from random import Random
from typing import Any

from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.terms import EVERYTHING, LEVELS, Effect, Operation, Proof, Reason, WhyUnknown
from gateway.policies.atoms import Pair, facts_in
from gateway.policies.compile import Bundle
from gateway.policies.demands import atoms_of
from gateway.policies.expression import parse
from gateway.policies.findings import Place
from gateway.policies.rules import NamedList, Policy, PolicyException, Rule
from gateway.policies.schema import FACTS, Kind

PLACE = Place("small.yaml", 1, 1)
WHY = WhyUnknown.NO_RECORD
AT = 1_700_000_000_000_000
OPERATIONS = (Operation.VIEW, Operation.WITHDRAW, Operation.TRADE_SPOT)
INSTANTS = (AT - 2, AT, AT + 2)
TOGETHER = (
    ("country", "residence"), ("country", "documents"), ("residence", "nationality"), ("flags", "status"),
    ("assurance", "auth_age"), ("amount_usd", "withdrawn_today_usd"), ("subdivision", "flags"), ("asn", "verification"),
    ("holds", "status"), ("country", "flags"), ("documents", "residence"), ("account", "network"), ("signals", "risk"),
    ("credential", "documents"), ("auth_age", "continent"), ("country",), ("documents",), ("auth_age",),
)  # fmt: skip
VALUES: dict[Kind, tuple[Any, ...]] = {
    Kind.COUNTRY: ("US", "CA"),
    Kind.SUBDIVISION: ("US-NY", "CA-ON"),
    Kind.ASN: (7, 9),
    Kind.NETWORK: ("tor", "vpn"),
    Kind.ACCOUNT: ("alice", "bob"),
    Kind.FLAG: ("us-ip", "staff"),
    Kind.SIGNAL: ("a", "b"),
    Kind.SECONDS: (60, 300),
    Kind.USD: (100, 99.5),
    Kind.OPERATION: ("withdraw", "view"),
    Kind.STATUS: ("open", "flagged"),
    Kind.VERIFICATION: ("basic", "full"),
    Kind.ASSURANCE: (1, 2),
    Kind.RISK: ("low", "high"),
    Kind.CREDENTIAL: ("session", "api_key"),
    Kind.CONTINENT: ("EU", "NA"),
}
LISTS = {"near": NamedList("near", Kind.COUNTRY, "t", "s", "2026-01-01", frozenset({"US", "CA"}), PLACE)}
"""Named lists of the bundles."""


def comparison(rng: Random, facts: tuple[str, ...]) -> str:  # noqa: PLR0911 - one for each form
    pairs = [
        (one, other) for one, other in product(facts, facts) if one != other and FACTS[one].kind is FACTS[other].kind
    ]
    roll = rng.random()
    if roll < 0.15:
        return f"known({rng.choice(facts)})"
    if pairs and roll < 0.45:
        one, other = rng.choice(pairs)
        if FACTS[one].is_set:
            one, other = other, one
        if FACTS[other].is_set:
            return f"{one} {rng.choice(('in', 'not in'))} {other}"
        how = ("==", "!=", "<", "<=", ">", ">=") if FACTS[one].is_number else ("==", "!=")
        return f"{one} {rng.choice(how)} {other}"
    if "holds" in facts and roll < 0.4:
        return "operation in holds"
    if roll < 0.2:
        return f'operation {rng.choice(("==", "!="))} "withdraw"'
    fact = FACTS[rng.choice(facts)]
    one, other = rng.sample(VALUES[fact.kind], 2)
    within = rng.choice(("in", "not in"))
    if fact.is_set:
        return rng.choice((f"{one!r} {within} {fact.name}", f"[{one!r}, {other!r}] {within} {fact.name}"))
    forms = [f"{fact.name} == {one!r}", f"{fact.name} != {one!r}", f"{fact.name} {within} [{one!r}, {other!r}]"]
    if fact.is_number:
        forms += [f"{fact.name} {rng.choice(('<', '<=', '>', '>='))} {one}"] * 3
    if fact.kind is Kind.COUNTRY:
        forms.append(f"{fact.name} {within} near")
    return rng.choice(forms)


def condition(rng: Random, facts: tuple[str, ...], depth: int) -> str:
    roll = rng.random()
    if depth == 0 or roll < 0.4:
        return "True" if roll < 0.08 else comparison(rng, facts)
    if roll < 0.5:
        return f"not ({condition(rng, facts, depth - 1)})"
    joint = rng.choice((" and ", " or "))
    return joint.join(f"({condition(rng, facts, depth - 1)})" for _ in range(2))


def rule(rng: Random, facts: tuple[str, ...], number: int) -> Rule:
    effect = rng.choice((Effect.GRANT, Effect.LIMIT, Effect.LIMIT, Effect.REQUIRE))
    if number == 0:
        effect = Effect.GRANT
    text = condition(rng, facts, rng.randint(0, 2)) if number or rng.random() < 0.3 else "True"
    start, end = sorted(rng.sample((AT - 1, AT, AT + 1), 2))
    levels = (*LEVELS.values(), frozenset({Operation.WITHDRAW}), EVERYTHING - {Operation.WITHDRAW}, EVERYTHING)
    return Rule(
        policy="p",
        id=f"r{number}",
        effect=effect,
        operations=EVERYTHING if effect is Effect.GRANT and rng.random() < 0.5 else rng.choice(levels),
        when=parse(text, lambda _: PLACE),
        when_text=text,
        proof=rng.choice(tuple(Proof)) if effect is Effect.REQUIRE else None,
        max_age_s=rng.choice((None, 60, 300)) if effect is Effect.REQUIRE and "auth_age" in facts else None,
        reason=None if effect is Effect.GRANT else rng.choice((Reason.HOLD, Reason.ACCOUNT_FLAGGED)),
        basis=None if effect is Effect.GRANT else "a basis",
        start=start if rng.random() < 0.15 else None,
        end=end if rng.random() < 0.15 else None,
    )


def excepted(rng: Random, facts: tuple[str, ...], one: Rule) -> Rule:
    """Return the rule, at times with an exception to it."""
    whom = {"account": 'account == "alice"', "network": '"vpn" in network'}
    if one.effect is Effect.GRANT or not whom.keys() & set(facts) or rng.random() < 0.5:
        return one
    text = whom[rng.choice([name for name in whom if name in facts])]
    start, end = sorted(rng.sample((AT - 1, AT, AT + 1), 2))
    exception = PolicyException(
        name="e/x",
        owner="tests",
        operations=frozenset({rng.choice(OPERATIONS)}),
        when=parse(text, lambda _: PLACE),
        when_text=text,
        lifts=(one.ref,),
        reason="a reason",
        basis="a basis",
        approved_by=None,
        start=start,
        end=end,
    )
    return replace(one, exceptions=(exception,), absolute=rng.random() < 0.2)


def bundle_of(rules: list[Rule]) -> Bundle:
    return Bundle([Policy("p", "p", "tests", None, tuple(rules), (), PLACE)], LISTS, {}, "")


def rules(rng: Random, facts: tuple[str, ...], most: int = 4) -> list[Rule]:
    return [excepted(rng, facts, rule(rng, facts, number)) for number in range(rng.randint(1, most))]


def changed(rng: Random, facts: tuple[str, ...], some: list[Rule]) -> list[Rule]:
    """Return the rules with one or two removed, added, or with another condition, effect or proof."""
    made = list(some)
    for _ in range(rng.randint(1, 2)):
        place = rng.randrange(len(made) + 1)
        if place == len(made):
            made.append(replace(excepted(rng, facts, rule(rng, facts, len(some) + 7)), id=f"n{len(made)}"))
        elif rng.random() < 0.4 and len(made) > 1:
            del made[place]
        else:
            made[place] = replace(excepted(rng, facts, rule(rng, facts, place)), id=made[place].id)
    return made


def every(
    bundles: tuple[Bundle, ...], facts: tuple[str, ...], operations: tuple[Operation, ...] = OPERATIONS
) -> Iterator[Facts]:
    """Yield facts of every class that the rules can tell apart: each fact certain, in every doubt, or unknown."""
    asked = {atom for bundle in bundles for atom in atoms_of(bundle)}
    named = {*facts, *(name for atom in asked for name in facts_in(atom))} - {"operation"}
    ways = [(name, _classes(name, asked)) for name in sorted(named)]
    for values in product(*(values for _, values in ways)):
        stated = dict(zip((name for name, _ in ways), values, strict=True))
        for operation, at in product(operations, INSTANTS):
            yield Facts(at=at, operation=operation, **stated)


def _classes(name: str, asked: set[Any]) -> list[Any]:
    """Return values of a fact, one for each way in which the comparisons come out; all where two facts are compared."""
    atoms = [atom for atom in asked if name in facts_in(atom)]
    paired = any(isinstance(atom, Pair) and atom.fact != "operation" for atom in atoms)
    holds = any(isinstance(atom, Pair) and atom.fact == "operation" for atom in atoms)
    seen: dict[Any, Any] = {}
    for value in _values(name, paired):
        told = tuple(atom.truth(value) for atom in atoms if not isinstance(atom, Pair))
        seen.setdefault((told, value if paired or holds else None), value)
    return list(seen.values())


def _values(name: str, paired: bool) -> Iterator[Any]:
    fact = FACTS[name]
    named = VALUES[fact.kind]
    if fact.is_set:
        some = (*named, "XX") if paired else named
        certain: list[Any] = [frozenset(one) for size in range(len(some) + 1) for one in combinations(some, size)]
    elif fact.is_number and fact.domain is None:
        certain = sorted({number + step for number in named for step in (-1, -0.25, 0, 0.25, 1)})
        if fact.kind is not Kind.USD:
            certain = [number for number in certain if number == int(number)]
        if paired:
            certain = [98, 99, 99.5, 99.7, 99.8, 100, 101, 102]
    elif fact.domain is not None:
        certain = list(fact.domain)
    else:
        certain = [*named, "XX", "XY"] if fact.kind is not Kind.ASN else [*named, 8]
    if fact.nullable:
        certain.append(None)
    yield from certain
    yield Unknown(WhyUnknown.NO_RECORD)
    sizes = (1, 2) if paired and len(certain) > 4 else range(1, 5)
    for size in sizes:
        for some in combinations(certain, size):
            yield OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset(some))
