"""What would change an answer: found by trying, nothing that teaches evasion, no smaller set left unsaid."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.terms import Operation, Outcome, Status, WhyUnknown
from gateway.policies import what_if
from gateway.policies.bundle import Bundle, load
from gateway.policies.evaluate import evaluate
from gateway.policies.what_if import EVIDENCE, MOST_FACTS, changes_that_allow

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
        ({"risk": "high"}, [{"risk": "low"}, {"risk": "medium"}]),
        ({"holds": frozenset({"withdraw", "view"})}, [{"holds": frozenset({"view"})}]),
        (
            {"amount_usd": 5000},
            [{"verification": "full"}, {"amount_usd": 999}, {"amount_usd": 1000}, {"amount_usd": None}],
        ),
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
    three = _facts(risk="high", auth_age=999, holds=frozenset({"withdraw"}))
    assert {"risk": "low", "auth_age": 0, "holds": frozenset()} in _sets(three)
    assert _sets(three._replace(status="restricted")) == []


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
    monkeypatch.setattr(what_if, "MOST_TRIALS", 3)
    changes = changes_that_allow(_facts(country="US"), BUNDLE)
    assert (changes.sets, changes.complete) == ((), False)
    monkeypatch.undo()
    assert changes_that_allow(_facts(country="US"), BUNDLE).complete


def test_values_left_untried_make_the_search_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(what_if, "MOST_VALUES", 2)
    changes = changes_that_allow(_facts(status="flagged"), BUNDLE)
    assert not changes.complete
    assert {change.fact for one in changes.sets for change in one} >= {"status"}


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
        values = {change.fact: change.value for change in changes}
        assert len(values) <= MOST_FACTS
        assert evaluate(facts._replace(**values), BUNDLE).outcome is Outcome.ALLOW
        for size in range(len(changes)):
            for part in combinations(changes, size):
                less = facts._replace(**{change.fact: change.value for change in part})
                assert evaluate(less, BUNDLE).outcome is not Outcome.ALLOW


@settings(max_examples=15, deadline=None)
@given(generated)
def test_nothing_that_teaches_evasion_is_suggested(facts: Facts) -> None:
    named = {change.fact for one in changes_that_allow(facts, BUNDLE).sets for change in one}
    assert not named & (EVIDENCE | {"account", "token", "operation"})
