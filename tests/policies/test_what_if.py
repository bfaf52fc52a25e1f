"""What would change an answer: found by trying, nothing that teaches evasion, no smaller set left unsaid."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, product
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.terms import Effect, Operation, Outcome, Status, Verification, WhyUnknown
from gateway.policies import alternatives, what_if
from gateway.policies.bundle import Bundle, load
from gateway.policies.evaluate import evaluate
from gateway.policies.expression import parse
from gateway.policies.findings import Place
from gateway.policies.reference import evaluate as reference
from gateway.policies.rules import Policy
from gateway.policies.schema import FACTS
from gateway.policies.what_if import (
    CHANGEABLE,
    EVIDENCE,
    FIXED,
    MEASURED,
    MOST_FACTS,
    changed,
    changes_that_allow,
    consistent,
)

AT = 1_795_219_200_000_000
POLICY = """
policy: rules
title: Rules to try changes on
owner: tests
rules:
  - {id: open, grant: full, when: status == "open" or "vip" in flags}
  - {id: looking, grant: read_only, when: true}
  - id: review
    limit: read_only
    when: '["review", "fraud"] in flags or risk == "high"'
    reason: account-flagged
    basis: tests
  - id: held
    limit: support_only
    when: operation in holds
    reason: hold
    basis: tests
  - id: large
    limit: {all_but: [withdraw]}
    when: amount_usd > 1000 and verification != "full"
    reason: identity-unverified
    basis: tests
  - id: fresh
    require: {for: [withdraw], proof: mfa, max_age: 5m}
    when: credential != "none"
    reason: step-up-required
    basis: tests
  - id: old
    require: {for: [security], proof: sign_in}
    when: auth_age > 3600
    reason: step-up-required
    basis: tests
  - id: abroad
    limit: support_only
    when: country == "US" or residence in documents and country == "IR"
    reason: jurisdiction-blocked
    basis: tests
  - id: one-customer
    limit: support_only
    when: account == "mallory" or destination == "new" and not known(signals)
    reason: account-restricted
    basis: tests
    justification: tests
  - id: past
    limit: none
    when: '"past" in flags'
    reason: account-archived
    basis: tests
    in_force: {until: 2020-01-01}
tests:
  - {name: review, facts: {flags: [review]}, operation: withdraw, expect: {outcome: deny}}
  - {name: held, facts: {holds: [view], status: open}, operation: view, expect: {outcome: deny}}
  - {name: large, facts: {amount_usd: 5000, status: open}, operation: withdraw, expect: {outcome: deny}}
  - {name: fresh, facts: {country: PT, status: open}, operation: withdraw, expect: {outcome: challenge}}
  - name: old
    facts: {country: PT, status: open, auth_age: 4000, assurance: 0}
    operation: security
    expect: {outcome: challenge}
  - {name: abroad, facts: {country: US}, operation: view, expect: {outcome: deny}}
  - {name: account, facts: {account: mallory}, operation: view, expect: {outcome: deny}}
  - {name: past, facts: {flags: [past]}, operation: support, at: 2019-01-01, expect: {outcome: deny}}
"""
BUNDLE = load({"rules.yaml": POLICY}, sources_configured=None)
ALICE: dict[str, Any] = {
    "country": "PT",
    "credential": "session",
    "token": "valid",
    "assurance": 2,
    "auth_age": 60,
    "account": "alice",
    "status": "open",
    "risk": "low",
    "signals": frozenset(),
    "amount_usd": 10.0,
    "destination": "known",
    "withdrawn_today_usd": 0.0,
}


def _facts(operation: str = "withdraw", **facts: Any) -> Facts:
    return Facts(AT, Operation(operation), **{**ALICE, **facts})


def _sets(facts: Facts, bundle: Bundle = BUNDLE) -> list[dict[str, Any]]:
    return [{change.fact: change.value for change in one} for one in changes_that_allow(facts, bundle).sets]


def test_a_bundle_that_asks_for_no_proof_tries_none() -> None:
    policy = """
policy: simple
title: Open to open accounts
owner: tests
rules:
  - {id: open, grant: full, when: status == "open"}
"""
    bundle = load({"simple.yaml": policy}, sources_configured=None)
    assert _sets(_facts(status="flagged", assurance=0), bundle) == [{"status": "open"}]


@pytest.mark.parametrize(
    ("facts", "sets"),
    [
        ({"flags": frozenset({"review", "other"})}, [{"flags": frozenset({"other"})}]),
        ({"flags": frozenset({"review", "fraud"})}, [{"flags": frozenset()}]),
        (
            {"destination": "new", "signals": Unknown(WhyUnknown.NO_RECORD)},
            [{"destination": "known"}, {"destination": None}],
        ),
        ({"risk": "high"}, []),
        ({"holds": frozenset({"withdraw", "view"})}, [{"holds": frozenset({"view"})}]),
        ({"amount_usd": 5000}, [{"verification": "full"}]),
        ({"assurance": 1}, [{"assurance": 2}, {"assurance": 3}]),
        ({"auth_age": 301}, [{"auth_age": 0}]),
        ({"auth_age": Unknown(WhyUnknown.TOKEN_LACKS_CLAIM)}, [{"auth_age": 0}]),
        (
            {"credential": "api_key", "assurance": 1, "auth_age": None},
            [{"credential": "session", "assurance": 2}, {"credential": "session", "assurance": 3}],
        ),
        ({"status": "flagged"}, [{"status": "open"}, {"flags": frozenset({"vip"})}]),
        ({"status": Unknown(WhyUnknown.NO_ACCOUNT)}, [{"status": "open"}, {"flags": frozenset({"vip"})}]),
        ({"holds": Unknown(WhyUnknown.NO_ACCOUNT)}, [{"holds": frozenset()}]),
        ({"country": "US"}, []),
        ({"account": "mallory"}, []),
        ({"country": "US", "risk": "high"}, []),
    ],
)
def test_the_smallest_sets_are_found(facts: Mapping[str, Any], sets: list[dict[str, Any]]) -> None:
    found = _sets(_facts(**facts))
    smallest = [one for one in found if len(one) == len(found[0])]
    assert [one for one in sets if one not in smallest] == []
    assert all(set(one) in [set(expected) for expected in sets] for one in smallest)


def test_three_things_at_once_are_found_and_four_are_not() -> None:
    three = _facts(flags=frozenset({"review"}), auth_age=999, holds=frozenset({"withdraw"}))
    assert {"flags": frozenset(), "auth_age": 0, "holds": frozenset()} in _sets(three)
    assert _sets(three._replace(amount_usd=5000.0)) == []


def test_nobody_is_taken_for_a_customer_who_signs_in() -> None:
    nobody = Facts(AT, Operation.WITHDRAW, country="PT", risk="low", amount_usd=None, destination=None)
    assert _sets(nobody) == [{"sign_in": "open", "assurance": 2}, {"sign_in": "open", "assurance": 3}]
    assert _sets(nobody._replace(operation=Operation.TRADE_SPOT)) == [{"sign_in": "open"}]


def test_a_bad_token_is_signed_in_again_not_wished_valid() -> None:
    forged = Facts(AT, Operation.TRADE_SPOT, country="PT", credential="session", token="invalid", risk="low")
    assert _sets(forged._replace(amount_usd=None, destination=None)) == [{"sign_in": "open"}]


def test_an_age_is_not_wished_for_an_api_key() -> None:
    key = _facts(credential="api_key", assurance=1, auth_age=None)
    assert not [one for one in _sets(key) if "auth_age" in one and "credential" not in one]


def test_rules_out_of_force_ask_for_nothing() -> None:
    assert _sets(_facts(flags=frozenset({"past"}))) == [{}]


def test_the_search_is_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(what_if, "MOST_TRIALS", 0)
    flagged = _facts(status="flagged", amount_usd=5000.0)
    changes = changes_that_allow(flagged, BUNDLE)
    assert (changes.sets, changes.complete) == ((), False)
    monkeypatch.undo()
    assert changes_that_allow(flagged, BUNDLE).complete


def test_a_rule_that_rests_on_evidence_alone_ends_the_search_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(what_if, "MOST_TRIALS", 0)
    assert changes_that_allow(_facts(country="US", status="flagged"), BUNDLE) == ((), True)


def test_ways_left_untried_make_the_search_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alternatives, "MOST_SETS", 2)
    marks = "".join(f"  - {{id: g{n}, grant: full, when: '\"m{n}\" in flags'}}\n" for n in range(3))
    bundle = load({"m.yaml": f"policy: m\ntitle: M\nowner: tests\nrules:\n{marks}"}, sources_configured=None)
    assert not changes_that_allow(_facts(), bundle).complete


_CHOICES: dict[str, list[Any]] = {
    "country": ["PT", "US"],
    "assurance": [1, 2, Unknown(WhyUnknown.TOKEN_LACKS_CLAIM)],
    "auth_age": [0, 301, 4000],
    "status": [*map(str, list(Status)[1:]), Unknown(WhyUnknown.STORE_UNAVAILABLE)],
    "flags": [frozenset(), frozenset({"review"}), frozenset({"review", "fraud", "vip"})],
    "holds": [frozenset(), frozenset({"withdraw", "view"}), Unknown(WhyUnknown.STORE_UNAVAILABLE)],
    "risk": ["low", "high", OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"low", "high"}))],
    "amount_usd": [None, 10.0, 5000.0],
    "verification": ["none", "full"],
}
generated = st.builds(
    _facts,
    operation=st.sampled_from([str(one) for one in Operation]),
    **{name: st.sampled_from(choices) for name, choices in _CHOICES.items()},
)


@settings(max_examples=25, deadline=None)
@given(generated)
def test_every_set_named_was_enough_and_no_part_of_it_is(facts: Facts) -> None:
    for changes in changes_that_allow(facts, BUNDLE).sets:
        values: dict[str, Any] = {change.fact: change.value for change in changes}
        assert len(changes) == len(values) <= MOST_FACTS
        assert evaluate(facts._replace(**values), BUNDLE).outcome is Outcome.ALLOW
        for size in range(len(changes)):
            for part in combinations(changes, size):
                less = facts._replace(**{change.fact: values[change.fact] for change in part})
                assert evaluate(less, BUNDLE).outcome is not Outcome.ALLOW


@settings(max_examples=15, deadline=None)
@given(generated)
def test_nothing_that_teaches_evasion_or_that_nobody_may_change_is_suggested(facts: Facts) -> None:
    named = {change.fact for one in changes_that_allow(facts, BUNDLE).sets for change in one}
    assert not named & (EVIDENCE | MEASURED | FIXED)


def test_every_fact_is_changeable_or_has_its_cause_not_to_be() -> None:
    assert sorted([*CHANGEABLE, *EVIDENCE, *MEASURED, *FIXED]) == sorted(FACTS)


_HELD = ("withdraw", "view", "trade.spot")
_DOMAINS: dict[str, list[Any]] = {
    "credential": ["session", "api_key"],
    "assurance": [0, 1, 2, 3],
    "auth_age": [None, 0, 1, 58, 59, 60, 61, 62, 299, 300, 301, 302],
    "status": [str(one) for one in Status if one is not Status.NONE],
    "flags": [frozenset(some) for size in range(3) for some in combinations(("us-ip", "staff"), size)],
    "verification": [str(one) for one in Verification],
    "holds": [frozenset(some) for size in range(4) for some in combinations(_HELD, size)],
    "destination": ["known", "new", None],
}
"""Everything that each changeable fact can be, as far as the conditions generated here speak of it."""


def _weaker(name: str, current: Any, value: Any) -> bool:
    """Whether the value is a weaker proof than the current one."""
    if name == "assurance":
        return isinstance(current, int) and value < current
    if name == "auth_age":
        return value is None or (isinstance(current, int) and value > current)
    return name == "credential" and value != "session"


def _opening_by_brute_force(facts: Facts, bundle: Bundle, most: int) -> set[frozenset[str]]:
    """Return every set of at most `most` facts for which some values open the operation, by trying all of them."""
    found = set()
    for size in range(most + 1):
        for names in combinations(_DOMAINS, size):
            for values in product(*(_DOMAINS[name] for name in names)):
                wanted = dict(zip(names, values, strict=True))
                if any(getattr(facts, name) == value for name, value in wanted.items()):
                    continue
                brought: dict[str, Any] = {"auth_age": 0} if "credential" in wanted else {}
                if any(_weaker(name, getattr(facts, name), value) for name, value in wanted.items()):
                    continue
                tried = facts._replace(**{**brought, **wanted})
                api_key = tried.credential == "api_key"
                impossible = api_key is not (tried.auth_age is None) or (api_key and tried.assurance != 1)
                if not (names and impossible) and evaluate(tried, bundle).outcome is Outcome.ALLOW:
                    found.add(frozenset(names))
                    break
    return found


_ATOMS = (
    'status == "open"', 'status in ["open", "flagged"]', 'status != "restricted"', "known(status)",
    '"us-ip" in flags', '"staff" in flags', '["us-ip", "staff"] in flags', '"staff" not in flags', "known(flags)",
    'verification == "full"', 'verification in ["basic", "full"]', "operation in holds", '"view" in holds',
    '["view", "trade.spot"] in holds', "not known(holds)", 'destination == "new"', 'destination != "known"',
    'credential == "session"', 'credential != "api_key"', "assurance >= 2", "assurance != 1", "auth_age <= 300",
    "auth_age > 60", "59 <= auth_age < 301", 'country == "US"', 'country in ["US", "DE"]', 'risk == "high"',
)  # fmt: skip


def _condition(rng: Random, depth: int = 2) -> str:
    if depth == 0 or rng.random() < 0.4:
        return rng.choice(_ATOMS)
    joint = rng.choice((" and ", " or "))
    text = joint.join(f"({_condition(rng, depth - 1)})" for _ in range(2))
    return f"not ({text})" if rng.random() < 0.15 else text


def _small_bundle(rng: Random, generate: Any) -> Bundle:
    rules = []
    for number in range(rng.randint(2, 7)):
        text = _condition(rng)
        made = generate.rule(rng, "p", number, effect=Effect.GRANT if number == 0 else None)
        rules.append(replace(made, when=parse(text, lambda _: Place("p", 1, 1)), when_text=text))
    policies = [Policy("p", "p", "tests", None, tuple(rules), (), Place("p", 1, 1))]
    return cast("Bundle", generate.bundle_of(generate.excepted(rng, policies) if rng.random() < 0.4 else policies))


def _small_facts(rng: Random, generate: Any, operation: str) -> Facts:
    made = {name: rng.choice(values) for name, values in _DOMAINS.items()}
    if rng.random() < 0.3:
        name = rng.choice(tuple(_DOMAINS))
        made[name] = generate.doubt(rng, FACTS[name])
    if made["credential"] == "api_key":
        made |= {"assurance": 1, "auth_age": None}
    elif made["auth_age"] is None:
        made["auth_age"] = 60
    at = generate.facts(rng).at
    return Facts(at, Operation(operation), country=rng.choice(("US", "PT")), risk="low", account="alice", **made)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(_HELD))
def test_the_sets_named_are_those_that_brute_force_finds(generate: Any, seed: int, operation: str) -> None:
    """Each stated set flips the verdict, and no set of fewer or of some of its facts does, whatever their values."""
    rng = Random(seed)
    bundle, facts = _small_bundle(rng, generate), _small_facts(rng, generate, operation)
    assert consistent(facts)
    changes = changes_that_allow(facts, bundle)
    assert changes.complete
    stated = {frozenset(change.fact for change in one) for one in changes.sets}
    opening = _opening_by_brute_force(facts, bundle, 2)
    smallest = {one for one in opening if not any(other < one for other in opening)}
    assert {one for one in stated if len(one) <= 2} == smallest
    assert not any(other < one for one in stated for other in opening)
    for one in changes.sets:
        tried = changed(facts, one)
        assert reference(tried, bundle).outcome is Outcome.ALLOW
        assert all(getattr(facts, change.fact) != change.value for change in one)
        for change in one:
            rest = changed(facts, [other for other in one if other is not change])
            assert not (len(one) > 1 and consistent(rest)) or reference(rest, bundle).outcome is not Outcome.ALLOW


def test_of_two_ways_to_change_a_set_the_smaller_is_named() -> None:
    policy = """
policy: kept
title: A mark that is needed, and two that are in the way
owner: tests
rules:
  - {id: vip, grant: full, when: '"vip" in flags'}
  - {id: no-fraud, limit: none, when: '"fraud" in flags', reason: account-flagged, basis: tests}
  - {id: no-review, limit: none, when: '"review" in flags', reason: account-flagged, basis: tests}
tests:
  - {name: fraud, facts: {flags: [fraud]}, operation: view, expect: {outcome: deny}}
  - {name: review, facts: {flags: [review]}, operation: view, expect: {outcome: deny}}
"""
    bundle = load({"kept.yaml": policy}, sources_configured=None)
    assert _sets(_facts(flags=frozenset({"vip", "fraud", "review", "else"})), bundle) == [
        {"flags": frozenset({"vip", "else"})}
    ]
    assert _sets(_facts(flags=frozenset({"fraud"})), bundle) == [{"flags": frozenset({"vip"})}]


def test_an_api_key_is_not_suggested_where_a_rule_spares_it() -> None:
    policy = """
policy: p
title: No people in data centres
owner: tests
rules:
  - {id: g, grant: full, when: true}
  - id: hosting
    limit: read_only
    when: '"hosting" in network and credential != "api_key"'
    reason: anonymous-network
    basis: tests
tests:
  - {name: t, facts: {network: [hosting], status: open}, operation: withdraw, expect: {outcome: deny}}
"""
    bundle = load({"p.yaml": policy}, sources_configured=None)
    assert _sets(_facts(network=frozenset({"hosting"})), bundle) == []
