"""What rules come to for one operation."""

from random import Random

import pytest

from gateway.core.terms import Effect, Operation, Outcome
from gateway.policies.bundle import assemble
from gateway.policies.constraints import ALWAYS, NEVER, Weight
from gateway.policies.demands import Demands, atoms_of, instants
from gateway.policies.domains import AT, domains
from gateway.policies.evaluate import evaluate
from gateway.policies.satisfy import Budget, Ground, find
from tests.policies import small

POLICY = """
policy: p
title: t
owner: o
rules:
  - {id: all, grant: full, when: true}
  - {id: far, limit: read_only, when: country == "CU", reason: hold, basis: b, in_force: {from: 2026-01-01}}
  - {id: held, limit: none, when: operation in holds, reason: hold, basis: b}
  - {id: only, limit: none, when: operation == "view", reason: hold, basis: b}
  - {id: fresh, require: {for: [withdraw], proof: mfa, max_age: 5m}, when: true, reason: step-up-required, basis: b}
"""
BUNDLE = assemble({"p.yaml": POLICY}, sources_configured=None)


def demands(operation: Operation, since: int | None = None) -> tuple[Demands, Ground]:
    ground = Ground(operation, domains(atoms_of(BUNDLE)), instants((BUNDLE,), since))
    return Demands(BUNDLE, ground), ground


def test_only_rules_with_a_say_in_the_operation_speak() -> None:
    withdraw, _ = demands(Operation.WITHDRAW)
    assert {ref.rule for ref in withdraw.rules} == {"all", "far", "held", "only", "fresh"}
    view, _ = demands(Operation.VIEW)
    assert {ref.rule for ref in view.rules} == {"all", "held", "only"}


def test_instants_stand_for_the_times_between_bounds_the_last_first() -> None:
    (start,) = BUNDLE.bounds
    assert instants((BUNDLE,), None) == (start, start - 1)
    assert instants((BUNDLE,), start - 5) == (start - 5, start)
    assert instants((BUNDLE,), start) == (start,)
    assert instants((small.bundle_of([]),), None) == (0,)


def test_what_an_operation_settles_is_not_searched() -> None:
    rules = {rule.id: rule for rule in BUNDLE.rules}
    assert demands(Operation.VIEW)[0].applies(rules["only"]) == ALWAYS
    assert demands(Operation.WITHDRAW)[0].applies(rules["only"]) == NEVER


def test_a_fact_that_nobody_asks_about_has_any_value() -> None:
    assert demands(Operation.VIEW)[0].has("verification", "full") == ALWAYS


def test_a_rule_before_its_date_does_not_apply() -> None:
    far = next(rule for rule in BUNDLE.rules if rule.id == "far")
    withdraw, ground = demands(Operation.WITHDRAW)
    early = {**ground.start(), AT: ground.start()[AT]._replace(upper=0b10)}
    assert withdraw.applies(far, possibly=True).weigh(early) is Weight.FAILS
    assert withdraw.applies(far, wanted=False).weigh(early) is Weight.HOLDS


@pytest.mark.parametrize("seed", range(40))
def test_facts_without_any_rule_in_the_way_are_allowed(seed: int) -> None:
    rng = Random(seed)
    facts = rng.choice(small.TOGETHER)
    bundle = small.bundle_of(small.rules(rng, facts))
    for operation in small.OPERATIONS:
        ground = Ground(operation, domains(atoms_of(bundle)), instants((bundle,), None))
        asked = Demands(bundle, ground)
        excluding = (ref for ref, rule in asked.rules.items() if rule.effect is not Effect.GRANT)
        required = [asked.granted(), *asked.without(excluding).values()]
        settled = find(required, ground.start(), ground.domains, Budget())
        every = (evaluate(case, bundle) for case in small.every((bundle,), facts, (operation,)))
        if settled is None:
            assert all(verdict.outcome is not Outcome.ALLOW for verdict in every)
        else:
            assert evaluate(ground.facts(settled), bundle).outcome is Outcome.ALLOW
