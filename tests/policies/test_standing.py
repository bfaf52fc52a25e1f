"""What is certain of a bundle without traffic, against trying everything."""

from random import Random

import pytest

from gateway.core.facts import Facts
from gateway.core.terms import Effect, Operation
from gateway.core.verdict import Verdict
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.rules import Rule
from gateway.policies.standing import notices
from tests.policies import small

OPERATIONS = (Operation.SUPPORT, Operation.VIEW, Operation.WITHDRAW, Operation.TRANSFER, Operation.TRADE_SPOT)
"""One of each kind that the levels of access tell apart."""
TOGETHER = tuple(facts for facts in small.TOGETHER if "holds" not in facts)

HEAD = "policy: p\ntitle: t\nowner: o\nrules:\n  - {id: all, grant: full, when: true}\n"


def answer(verdict: Verdict) -> tuple[object, ...]:
    return verdict.outcome, verdict.reason, verdict.challenge


@pytest.mark.parametrize("seed", [*range(60), 282, 482, 483, 832])
def test_a_rule_is_found_idle_exactly_where_no_answer_owes_anything_to_it(seed: int) -> None:
    rng = Random(seed)
    facts = rng.choice(TOGETHER)
    bundle = small.bundle_of(small.rules(rng, facts, most=5))
    every = [case for case in small.every((bundle,), facts, OPERATIONS) if case.at >= small.AT]
    found = {
        finding.message.split("`")[1]: finding.code for finding in notices(bundle, small.AT) if "rule `" in str(finding)
    }
    granting = any(rule.effect is Effect.GRANT for rule in bundle.rules)
    for rule in bundle.rules:
        if rule.end is not None and rule.end <= small.AT:
            assert rule.id not in found
            continue
        assert (rule.id in found) is _idle(rule, bundle, every), (rule, found.get(rule.id))


def _idle(rule: Rule, bundle: Bundle, every: list[Facts]) -> bool:
    """Return whether no answer where something is granted would be another without the rule."""
    rest = small.bundle_of([one for one in bundle.rules if one is not rule])
    for case in every:
        one, other = evaluate(case, bundle), evaluate(case, rest)
        if answer(one) != answer(other) and (rule.effect is Effect.GRANT or not one.nothing_granted):
            return False
    return True
