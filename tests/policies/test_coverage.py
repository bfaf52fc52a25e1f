from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.terms import Effect, Operation
from gateway.policies.bundle import assemble
from gateway.policies.coverage import coverage
from gateway.policies.findings import Severity

POLICY = """\
policy: far
title: Far away
owner: security
rules:
  - {id: everybody, grant: [view, withdraw], when: true}
  - id: far
    limit: read_only
    when: country == "CU" or country == "KP"
    reason: hold
    basis: b
    in_force: {from: 2026-01-01, until: 2026-02-01}
    on_match: [{flag: far-away}]
  - id: proof
    require: {for: [withdraw], proof: mfa, max_age: 5m}
    when: true
    reason: step-up-required
    basis: b
"""
FAR = (
    "{name: far, facts: {country: CU, account: a, assurance: 2}, operation: withdraw, at: 2026-01-01, "
    "expect: {outcome: deny, by: [far]}}"
)
TESTS = {
    "rule": FAR,
    "grant": "{name: g, facts: {country: PT, account: a, assurance: 2}, operation: withdraw, expect: {outcome: allow}}",
    "condition": FAR.replace("CU", "KP").replace("far,", "farther,"),
    "from": FAR.replace(
        "at: 2026-01-01, expect: {outcome: deny, by: [far]}", "at: 2025-12-31, expect: {outcome: allow}"
    ),
    "until": FAR.replace(
        "at: 2026-01-01, expect: {outcome: deny, by: [far]}", "at: 2026-02-01, expect: {outcome: allow}"
    ),
    "obligation": FAR.replace("by: [far]", "obligations: [{flag: far-away}]"),
    "proof": "{name: p, facts: {country: PT, account: a}, operation: withdraw, expect: {outcome: challenge}}",
    "max_age": "{name: m, facts: {country: PT, account: a, assurance: 2, auth_age: 301}, operation: withdraw, "
    "expect: {outcome: challenge}}",
}


def covered(*tests):
    listed = "".join(f"\n  - {test}" for test in tests) or " []"
    bundle = assemble({"far.yaml": f"{POLICY}tests:{listed}\n"}, sources_configured=None)
    return coverage(bundle.policies, bundle.lists)


def missing(*tests):
    return [finding.message.removeprefix("no test would miss ") for finding in covered(*tests).findings()]


def test_with_every_part_tested_nothing_is_missing():
    found = covered(*TESTS.values())
    assert found.findings() == []
    assert found.percent == 100
    assert {part.what for part in found.parts} == {"rule", "from", "until", "condition", "obligation", "max_age"}


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ("grant", None),
        ("condition", '`country == "KP"` in rule `far`: test facts where only that decides'),
        ("from", "the date from which rule `far` is in force: test the day before 2026-01-01"),
        ("until", "the date until which rule `far` is in force: test 2026-02-01 itself"),
        ("obligation", "`flag: far-away` of rule `far`: expect it among the `obligations`"),
        ("max_age", "the `max_age` of rule `proof`: test `auth_age: 301`"),
    ],
)
def test_what_no_test_would_miss_is_named_with_what_to_test(left_out, said):
    found = missing(*(test for name, test in TESTS.items() if name != left_out))
    assert found == ([] if said is None else [said])


def test_without_tests_every_part_is_missing():
    found = covered()
    assert found.tested == 0
    assert found.percent == 0
    assert all(finding.severity is Severity.NOTE for finding in found.findings())
    assert len(found.findings()) == len(found.parts)
    assert not any(found.cells.values())


def test_a_grant_is_tested_where_a_test_needs_it():
    assert "rule `everybody`: add one that it decides" in missing(FAR)
    assert "rule `everybody`: add one that it decides" not in missing(TESTS["grant"])


def test_an_operation_is_tested_where_a_test_of_it_would_miss_the_rule():
    cells = covered(FAR, TESTS["grant"]).cells
    assert cells[Effect.LIMIT, Operation.WITHDRAW] is True
    assert cells[Effect.LIMIT, Operation.TRANSFER] is False
    assert cells[Effect.GRANT, Operation.WITHDRAW] is True
    assert cells[Effect.GRANT, Operation.VIEW] is False
    assert cells[Effect.REQUIRE, Operation.WITHDRAW] is False
    assert (Effect.GRANT, Operation.TRANSFER) not in cells  # no rule speaks of it
    assert covered(FAR).to_json()["operations"]["limit"]["withdraw"] is True


def test_a_test_that_fails_covers_nothing():
    assert covered(TESTS["grant"].replace("allow", "deny")).tested == 0


def test_a_policy_without_parts_is_covered():
    assert coverage([], {}).percent == 100


@given(st.integers(0, 2**32))
def test_a_test_more_never_covers_less(seed):
    rng = Random(seed)
    tests = list(TESTS.values())
    rng.shuffle(tests)
    some = tests[: rng.randrange(len(tests))]
    assert covered(*some).tested <= covered(*tests).tested
