"""What a change widens and narrows, against trying everything."""

from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from gateway.adapters.policy_files import LIBRARY, read_sources
from gateway.core.terms import Operation
from gateway.policies import blame, reference
from gateway.policies.blame import Search, widens
from gateway.policies.bundle import assemble
from gateway.policies.compile import Bundle
from gateway.policies.diff import diff, operations_text
from gateway.policies.evaluate import evaluate
from tests.policies import small

SEEDS = range(40)


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


@pytest.mark.parametrize("seed", range(12))
def test_what_is_found_of_bundles_about_everything_is_so_and_covers_what_facts_show(
    seed: int, generate: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blame, "LOOKS", 5_000)  # what is harder than that is only looked at, not finished
    rng = Random(seed)
    old, new = generate.bundle(rng), generate.bundle(rng)
    found = diff(old, new)
    for changes, (one, other) in ((found.widenings, (old, new)), (found.narrowings, (new, old))):
        for change in changes:
            assert widens(reference.evaluate(change.witness, one), reference.evaluate(change.witness, other))
        shown = {operation for change in changes for operation in change.operations}
        for case in (generate.facts(rng) for _ in range(300 if found.complete else 0)):
            if widens(evaluate(case, one), evaluate(case, other)):
                assert case.operation in shown, case


POLICY = """
policy: p
title: t
owner: o
rules:
  - {id: all, grant: full, when: true}
  - {id: far, limit: read_only, when: country == "CU", reason: hold, basis: b, in_force: {from: 2026-01-01}}
  - {id: fresh, require: {for: [withdraw], proof: mfa, max_age: 5m}, when: true, reason: step-up-required, basis: b}
"""


def bundle(old: str = "", new: str = "") -> Bundle:
    return assemble({"p.yaml": POLICY.replace(old, new)}, sources_configured=None)


def test_each_difference_is_one_line_that_names_what_shows_it() -> None:
    found = diff(bundle(), bundle('country == "CU"', 'country == "IR"'))
    operations = "deposit, trade, transfer, withdraw, security, unclassified"
    assert found.text().splitlines() == [
        f"wider     {operations}: deny -> allow where country CU, at 2026-01-01: p/far changed",
        f"narrower  {operations}: allow -> deny where country IR, at 2026-01-01: p/far changed",
    ]


def test_a_weaker_requirement_says_what_is_asked() -> None:
    found = diff(bundle(), bundle("max_age: 5m", "max_age: 10m"))
    assert found.text() == (
        "wider     withdraw: challenge (mfa, at most 5 minutes old) -> allow where auth_age 301, "
        "at 2026-01-01: p/fresh changed"
    )


def test_what_is_past_does_not_count() -> None:
    later = bundle("from: 2026-01-01", "from: 2027-01-01")
    assert diff(bundle(), later).widens
    assert diff(bundle(), later, since=bundle().bounds[0]).widens
    assert not diff(bundle(), later, since=later.bounds[0]).widens
    assert diff(bundle(), later, since=later.bounds[0]).text() == "No answer differs."


def test_json_has_the_witness_as_facts_of_a_decision() -> None:
    document = diff(bundle(), bundle('country == "CU"', 'country == "IR"')).to_json()
    assert document["widens"]
    assert document["complete"]
    first = document["widenings"][0]
    assert first["witness"]["facts"]["country"] == "CU"
    assert first["rules"] == [{"policy": "p", "rule": "far"}]
    assert first["how"] == "changed"


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        (tuple(Operation), "everything"),
        (tuple(one for one in Operation if one is not Operation.SUPPORT), "everything but support"),
        ((Operation.VIEW, Operation.TRADE_SPOT), "view, trade.spot"),
        (tuple(one for one in Operation if one.startswith("trade")), "trade"),
    ],
)
def test_operations_are_told_as_one_reads_them(operations: tuple[Operation, ...], words: str) -> None:
    assert operations_text(operations) == words


def test_the_shipped_library_is_compared_exactly() -> None:
    texts = read_sources(["library:*"], Path())
    whole = assemble(texts, sources_configured=None)
    name = f"{LIBRARY}us-exit.yaml"
    without = assemble({one: text for one, text in texts.items() if one != name}, sources_configured=None)
    assert not diff(whole, whole).widens
    found = diff(whole, without)
    assert found.complete
    assert {change.rules[0].policy for change in found.widenings} == {"us-exit"}
    assert not found.narrowings
