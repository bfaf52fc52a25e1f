"""A search finds facts where there are some, shows that there are none, or says that it was too long."""

from random import Random

import pytest

from gateway.core.facts import Facts
from gateway.core.terms import Operation
from gateway.policies import reference
from gateway.policies.demands import Demands, atoms_of, instants
from gateway.policies.domains import domains
from gateway.policies.satisfy import Budget, Exhausted, Ground, find, seek
from tests.policies import small


@pytest.mark.parametrize("seed", range(80))
def test_facts_that_are_found_make_the_condition_what_is_required(seed: int) -> None:
    rng = Random(seed)
    facts = rng.choice(small.TOGETHER)
    rule = small.rule(rng, facts, 1)
    bundle = small.bundle_of([rule])
    ground = Ground(Operation.WITHDRAW, domains(atoms_of(bundle)), instants((bundle,), None))
    demands = Demands(bundle, ground)
    every = [one for one in small.every((bundle,), facts) if one.operation is ground.operation]
    for wanted, possibly in ((True, False), (True, True), (False, False), (False, True)):
        enough = {(True, False): {1.0}, (True, True): {0.5, 1.0}, (False, False): {0.0}, (False, True): {0.0, 0.5}}

        def so(case: Facts, enough: set[float] = enough[wanted, possibly]) -> bool:
            return reference.truth_of(rule.when, case, bundle) in enough

        settled = find(
            [demands.of(rule.when, wanted=wanted, possibly=possibly)], ground.start(), ground.domains, Budget()
        )
        if settled is None:
            assert not any(map(so, every))
        else:
            assert so(ground.facts(settled))


def test_a_search_that_is_too_long_claims_nothing() -> None:
    bundle = small.bundle_of(small.rules(Random(1), ("country", "residence")))
    ground = Ground(Operation.VIEW, domains(atoms_of(bundle)), instants((bundle,), None))
    with pytest.raises(Exhausted):
        find([Demands(bundle, ground).granted()] * 3, ground.start(), ground.domains, Budget(2))


def test_what_is_in_the_way_is_told_where_there_are_no_facts() -> None:
    bundle = small.bundle_of(small.rules(Random(1), ("country",)))
    ground = Ground(Operation.VIEW, domains(atoms_of(bundle)), instants((bundle,), None))
    demands = Demands(bundle, ground)
    never = demands.applies(bundle.rules[0], wanted=False)
    found = seek([demands.applies(bundle.rules[0])], lambda _: {"that": never}, ground, Budget())
    assert found == ("that",)
    assert isinstance(seek([], lambda _: {}, ground, Budget()), Facts)
