"""What a change widens and narrows, against trying everything."""

from random import Random

import pytest

from gateway.policies import reference
from gateway.policies.blame import Search, widens
from gateway.policies.diff import diff
from gateway.policies.evaluate import evaluate
from tests.policies import small

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_diff_is_what_trying_every_combination_finds(seed: int) -> None:
    rng = Random(seed)
    facts = rng.choice(small.TOGETHER)
    rules = small.rules(rng, facts)
    old, new = small.bundle_of(rules), small.bundle_of(small.changed(rng, facts, rules))
    since = rng.choice((None, small.AT))
    found = diff(old, new, since=since)
    assert found.complete
    every = [case for case in small.every((old, new), facts) if since is None or case.at >= since]
    for changes, (one, other) in ((found.widenings, (old, new)), (found.narrowings, (new, old))):
        shown = {(operation, change.rules[0]) for change in changes for operation in change.operations}
        for change in changes:
            for operation in change.operations:
                witness = change.witness._replace(operation=operation)
                assert since is None or witness.at >= since
                assert widens(reference.evaluate(witness, one), reference.evaluate(witness, other))
        search = Search(one, other, since)
        for case in every:
            if widens(evaluate(case, one), evaluate(case, other)):
                assert any((case.operation, ref) in shown for ref in search.blamed(case)), case
