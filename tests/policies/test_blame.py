"""Which rules make an answer wider."""

from dataclasses import replace
from random import Random

import pytest

from gateway.core.terms import Outcome
from gateway.core.verdict import RuleRef
from gateway.policies import blame
from gateway.policies.blame import Search, granting, says, widens
from gateway.policies.bundle import assemble
from gateway.policies.compile import Bundle
from gateway.policies.diff import diff
from gateway.policies.evaluate import evaluate
from tests.policies import small

POLICY = """
policy: p
title: t
owner: o
rules:
  - {id: all, grant: full, when: true}
  - {id: far, limit: read_only, when: country in far_away, reason: hold, basis: b}
  - {id: fresh, require: {for: [withdraw], proof: mfa, max_age: 5m}, when: true, reason: step-up-required, basis: b}
"""
LIST = "list: far-away\nkind: countries\ntitle: t\nsource: s\ndate: 2026-01-01\nentries: [CU, IR]\n"


def bundle(old: str = "", new: str = "") -> Bundle:
    texts = {"p.yaml": POLICY, "l.yaml": LIST}
    return assemble({name: text.replace(old, new) for name, text in texts.items()}, sources_configured=None)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_wider_than_itself(seed: int) -> None:
    rng = Random(seed)
    facts = rng.choice(small.TOGETHER)
    rules = small.rules(rng, facts)
    again = [replace(rule, message="in other words", place=small.PLACE) for rule in reversed(rules)]
    one, other = small.bundle_of(rules), small.bundle_of(again)
    assert list(Search(one, other, None).found()) == []


@pytest.mark.parametrize("seed", range(20))
def test_every_rule_that_is_blamed_makes_the_answer_wider(seed: int) -> None:
    rng = Random(seed)
    facts = rng.choice(small.TOGETHER)
    rules = small.rules(rng, facts)
    old, new = small.bundle_of(rules), small.bundle_of(small.changed(rng, facts, rules))
    search = Search(old, new, None)
    for ref, case, operations in search.found():
        for operation in operations:
            facts_of = case._replace(operation=operation)
            assert ref in search.blamed(facts_of)
            assert widens(evaluate(facts_of, old), evaluate(facts_of, new))


def test_a_code_that_leaves_a_list_is_found_by_the_rule_that_names_it() -> None:
    search = Search(bundle(), bundle("[CU, IR]", "[CU]"), None)
    (found,) = search.found()
    assert found.rule == RuleRef("p", "far")
    assert found.facts.country == "IR"
    assert search.how(found.rule) == "changed"
    assert search.lists(found.rule) == ("`far_away` is without IR",)
    assert "(`far_away` is without IR)" in diff(bundle(), bundle("[CU, IR]", "[CU]")).text()
    assert "(`far_away` is with KP)" in diff(bundle(), bundle("[CU, IR]", "[CU, IR, KP]")).text()


def test_an_older_proof_that_is_enough_is_wider() -> None:
    (found,) = Search(bundle(), bundle("5m", "10m"), None).found()
    assert found.rule == RuleRef("p", "fresh")
    assert isinstance(found.facts.auth_age, int)
    assert found.facts.auth_age > 300
    assert list(Search(bundle("5m", "10m"), bundle(), None).found()) == []


def test_a_weaker_proof_asked_for_is_wider_though_it_stays_a_challenge() -> None:
    old = bundle("when: true, reason: step", "when: assurance == 0, reason: step")
    new = bundle("mfa, max_age: 5m}, when: true", "sign_in, max_age: 5m}, when: assurance == 0")
    (found,) = Search(old, new, None).found()
    assert evaluate(found.facts, old).outcome is evaluate(found.facts, new).outcome is Outcome.CHALLENGE


def test_a_rule_under_another_name_says_the_same() -> None:
    one, other = bundle(), bundle("id: far,", "id: farther,")
    assert {says(rule, one) for rule in one.rules} == {says(rule, other) for rule in other.rules}
    assert not diff(one, other).widens


def test_grants_that_open_the_operation_are_named() -> None:
    case = next(iter(Search(bundle(), bundle("[CU, IR]", "[CU]"), None).found())).facts
    assert granting(case, bundle()) == (RuleRef("p", "all"),)


def test_a_search_that_was_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blame, "LOOKS", 1)
    found = diff(bundle(), bundle("[CU, IR]", "[CU]"))
    assert not found.complete
    assert found.widens
