"""The properties that every bundle has, and that `evaluate` says what `reference` says."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.terms import Effect, Operation, Outcome, WhyUnknown
from gateway.policies import reference
from gateway.policies.evaluate import evaluate
from gateway.policies.schema import FACTS

randoms = st.randoms(use_true_random=False)
WIDTH = {Outcome.DENY: 0, Outcome.CHALLENGE: 1, Outcome.ALLOW: 2}


def assert_equal(facts, bundle):
    fast, slow = evaluate(facts, bundle), reference.evaluate(facts, bundle)
    assert fast == slow, (
        facts,
        [
            (rule.ref, rule.effect, rule.when_text, reference.truth_of(rule.when, facts, bundle))
            for rule in bundle.rules
        ],
    )
    assert evaluate(facts, bundle) is fast  # remembered, and the same


@given(randoms)
def test_evaluate_equals_reference(generate, rng):
    assert_equal(generate.facts(rng), generate.bundle(rng))


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(8))
def test_evaluate_equals_reference_on_100_000_pairs(generate, seed):
    _compare(generate, Random(seed), bundles=50)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", range(1_000, 1_040))
def test_evaluate_equals_reference_on_4_000_000_pairs(generate, seed):
    _compare(generate, Random(seed), bundles=400)


def _compare(generate, rng, bundles):
    """Compare both on 250 facts for each of so many bundles."""
    for _ in range(bundles):
        bundle = generate.bundle(rng)
        for _ in range(250):
            assert_equal(generate.facts(rng, doubtful=rng.choice((0.05, 0.25, 0.6))), bundle)


def widened(generate, rng, facts):
    """Return the facts with less known: some may be anything, or one of several values, the true one among them."""
    names = rng.sample([name for name in FACTS if name != "operation"], rng.randint(1, 4))
    changes = {}
    for name in names:
        fact = getattr(facts, name)
        if isinstance(fact, Unknown | OneOf):
            changes[name] = Unknown(WhyUnknown.STORE_UNAVAILABLE)
        else:
            changes[name] = generate.doubt(rng, FACTS[name], fact)
            if isinstance(changes[name], OneOf) and rng.random() < 0.2 and isinstance(fact, str):
                changes[name] = OneOf(WhyUnknown.NO_RECORD, frozenset(), frozenset({fact[:1]}))
    return facts._replace(**changes)


def assert_no_wider(after, before):
    assert after.access <= before.access
    assert WIDTH[after.outcome] <= WIDTH[before.outcome]


def many(check, rounds=1_000, seed=20_261_121):
    """Run a property on many seeded examples: cheaper by far than as many drawn ones, which are there to shrink."""
    rng = Random(seed)
    for _ in range(rounds):
        check(rng)


def check_ignorance(generate, rng):
    bundle = generate.bundle(rng, known=False)
    facts = generate.facts(rng, doubtful=0.1)
    assert_no_wider(evaluate(widened(generate, rng, facts), bundle), evaluate(facts, bundle))


@given(randoms)
def test_ignorance_never_widens(generate, rng):
    check_ignorance(generate, rng)


@pytest.mark.untraced
def test_ignorance_never_widens_in_many_worlds(generate):
    many(lambda rng: check_ignorance(generate, rng))


def check_limit(generate, rng):
    policies = generate.policies(rng)
    limit = generate.rule(rng, policies[0].name, 99, effect=Effect.LIMIT)
    more = [policies[0]._replace(rules=(*policies[0].rules, limit)), *policies[1:]]
    facts = generate.facts(rng)
    assert_no_wider(evaluate(facts, generate.bundle_of(more)), evaluate(facts, generate.bundle_of(policies)))


@given(randoms)
def test_adding_a_limit_never_widens(generate, rng):
    check_limit(generate, rng)


@pytest.mark.untraced
def test_adding_a_limit_never_widens_in_many_worlds(generate):
    many(lambda rng: check_limit(generate, rng))


def stripped(policies, keep=lambda _: False):
    """Return the policies with only those exceptions that are to be kept."""
    return [
        policy._replace(
            rules=tuple(
                replace(rule, exceptions=tuple(one for one in rule.exceptions if keep(one))) for rule in policy.rules
            )
        )
        for policy in policies
    ]


def check_removing(generate, rng):
    policies = generate.excepted(rng, generate.policies(rng))
    facts = generate.facts(rng, doubtful=0.1)
    fewer = stripped(policies, keep=lambda _: rng.random() < 0.5)
    assert_no_wider(evaluate(facts, generate.bundle_of(fewer)), evaluate(facts, generate.bundle_of(policies)))


@pytest.mark.untraced
def test_removing_an_exception_never_widens(generate):
    many(lambda rng: check_removing(generate, rng))


def check_absolute(generate, rng):
    policies = generate.excepted(rng, generate.policies(rng))
    absolute = [
        policy._replace(rules=tuple(replace(rule, absolute=True) for rule in policy.rules)) for policy in policies
    ]
    facts = generate.facts(rng, doubtful=0.1)
    assert evaluate(facts, generate.bundle_of(absolute)) == evaluate(facts, generate.bundle_of(stripped(policies)))


@pytest.mark.untraced
def test_an_absolute_rule_is_never_lifted(generate):
    many(lambda rng: check_absolute(generate, rng))


def check_nobody(generate, rng):
    policies = generate.excepted(rng, generate.policies(rng))
    unknown = Unknown(rng.choice(tuple(WhyUnknown)))
    facts = generate.facts(rng, doubtful=0.1)._replace(account=unknown, network=unknown)
    after, before = (evaluate(facts, generate.bundle_of(some)) for some in (policies, stripped(policies)))
    assert after == before


@pytest.mark.untraced
def test_an_exception_is_for_nobody_who_is_not_known(generate):
    many(lambda rng: check_nobody(generate, rng))


def check_only_what_it_names(generate, rng):
    """Whatever is open with exceptions and not without them, some exception in force names."""
    policies = generate.excepted(rng, generate.policies(rng))
    facts = generate.facts(rng, doubtful=0.1)
    after, before = (evaluate(facts, generate.bundle_of(some)) for some in (policies, stripped(policies)))
    bundle = generate.bundle_of(policies)
    named = frozenset().union(*(one.operations for one in bundle.exceptions if one.in_force(facts.at)))
    assert after.access - before.access <= named
    if WIDTH[after.outcome] > WIDTH[before.outcome]:
        assert after.excepted
    assert {(one.policy, one.rule) for one in before.by} <= {
        *((one.policy, one.rule) for one in after.by),
        *((one.policy, one.rule) for one in after.excepted),
    }


@pytest.mark.untraced
def test_an_exception_opens_only_what_it_names_and_is_named_for_it(generate):
    many(lambda rng: check_only_what_it_names(generate, rng))


def check_customers(generate, rng):
    """One bundle that has answered many customers answers each as one that has answered nobody."""
    policies = generate.excepted(rng, generate.policies(rng))
    shared = generate.bundle_of(policies)
    facts = generate.facts(rng, doubtful=0.1)
    for account in rng.choices(("alice", "bob", "carol", None, Unknown(WhyUnknown.NO_ACCOUNT)), k=6):
        mine = facts._replace(account=account)
        assert evaluate(mine, shared) == evaluate(mine, generate.bundle_of(policies))


@pytest.mark.untraced
def test_no_customer_is_given_the_verdict_of_another(generate):
    many(lambda rng: check_customers(generate, rng), rounds=300)


def check_order(generate, rng):
    policies = generate.policies(rng)
    facts = generate.facts(rng)
    before = evaluate(facts, generate.bundle_of(policies))
    shuffled = [policy._replace(rules=tuple(rng.sample(policy.rules, len(policy.rules)))) for policy in policies]
    rng.shuffle(shuffled)
    assert evaluate(facts, generate.bundle_of(shuffled)) == before
    twice = [*policies, *(policy._replace(name=f"{policy.name}-again") for policy in policies)]
    after = evaluate(facts, generate.bundle_of(twice))
    assert (after.outcome, after.access, after.reason, after.challenge, after.outage, after.nothing_granted) == (
        before.outcome,
        before.access,
        before.reason,
        before.challenge,
        before.outage,
        before.nothing_granted,
    )


@given(randoms)
def test_order_and_duplicates_never_matter(generate, rng):
    check_order(generate, rng)


@pytest.mark.untraced
def test_order_and_duplicates_never_matter_in_many_worlds(generate):
    many(lambda rng: check_order(generate, rng))


@given(randoms)
def test_no_grant_no_access(generate, rng):
    policies = [
        policy._replace(rules=tuple(rule for rule in policy.rules if rule.effect is not Effect.GRANT))
        for policy in generate.policies(rng)
    ]
    verdict = evaluate(generate.facts(rng), generate.bundle_of(policies))
    assert verdict.access == frozenset()
    assert verdict.outcome is Outcome.DENY
    assert verdict.nothing_granted


@given(randoms)
def test_limit_trumps_grant(generate, rng):
    bundle = generate.bundle(rng)
    verdict = evaluate(generate.facts(rng), bundle)
    rules = {rule.ref: rule for rule in bundle.rules}
    for one in verdict.by:
        if one.effect is Effect.LIMIT:
            assert verdict.outcome is Outcome.DENY
            rule = rules[one.policy, one.rule]
            assert verdict.access <= rule.operations.union(*(each.operations for each in rule.exceptions))


@given(randoms)
def test_a_verdict_is_consistent_with_itself(generate, rng):
    facts = generate.facts(rng)
    verdict = evaluate(facts, generate.bundle(rng))
    assert (verdict.outcome is Outcome.DENY) == (facts.operation not in verdict.access)
    assert (verdict.reason is None) == (verdict.outcome is Outcome.ALLOW)
    assert (verdict.challenge is None) == (verdict.outcome is not Outcome.CHALLENGE)
    if verdict.outcome is Outcome.ALLOW:
        assert verdict.by == ()
        assert not verdict.outage


@given(randoms)
def test_the_past_and_the_future_never_bound_the_present(generate, rng):
    """Between two bounds nothing changes, so an answer holds until `next_change` says otherwise."""
    bundle = generate.bundle(rng)
    facts = generate.facts(rng)
    change = bundle.next_change(facts.at)
    until = facts.at + 1_000 if change is None else change - 1
    assert evaluate(facts._replace(at=until), bundle) == evaluate(facts, bundle)


@given(randoms, st.integers(0, 400))
def test_an_answer_holds_until_the_next_age(generate, rng, age):
    bundle = generate.bundle(rng)
    facts = generate.facts(rng)._replace(auth_age=age)
    change = bundle.next_auth_age(age)
    until = age + 1_000 if change is None else change - 1
    assert until >= age
    assert evaluate(facts._replace(auth_age=until), bundle) == evaluate(facts, bundle)


def test_memories_are_bounded_and_forgetting_changes_nothing(generate, monkeypatch):
    monkeypatch.setattr("gateway.policies.evaluate.REMEMBERED", 2)
    monkeypatch.setattr("gateway.policies.masks.REMEMBERED", 2)
    rng = Random(7)
    bundle = generate.bundle(rng)
    for _ in range(300):
        facts = generate.facts(rng)
        assert evaluate(facts, bundle) == reference.evaluate(facts, bundle)
        assert len(bundle.verdicts) <= 2


def test_nobody_without_an_age_waits_for_one(generate):
    assert generate.bundle(Random(1)).next_auth_age(None) is None


def test_every_operation_has_an_answer(generate):
    bundle = generate.bundle(Random(3))
    for operation in Operation:
        assert evaluate(Facts(at=0, operation=operation), bundle).operation is operation
