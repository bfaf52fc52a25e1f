"""A bundle that grants nothing is part of another."""

from dataclasses import replace
from random import Random

from gateway.core.terms import EVERYTHING, Effect
from gateway.policies.evaluate import evaluate
from gateway.policies.whole import whole
from tests.policies import small


def test_what_grants_nothing_is_given_a_grant_of_everything() -> None:
    limit = small.rule(Random(3), ("country",), 1)
    limit = replace(limit, effect=Effect.LIMIT, operations=EVERYTHING, proof=None, max_age_s=None)
    part = small.bundle_of([limit])
    (found,) = whole([part])
    case = next(small.every((part,), ("country",)))
    assert evaluate(case, part).nothing_granted
    assert not evaluate(case, found).nothing_granted


def test_bundles_stay_as_they_are_where_one_of_them_grants() -> None:
    granting, empty = small.bundle_of(small.rules(Random(1), ("country",))), small.bundle_of([])
    assert whole([granting, empty]) == (granting, empty)
