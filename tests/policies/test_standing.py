"""What is certain of a bundle without traffic, against trying everything."""

from pathlib import Path
from random import Random

import pytest

from gateway.adapters.policy_files import read_sources
from gateway.core.facts import Facts
from gateway.core.terms import Effect, Operation
from gateway.core.verdict import Verdict
from gateway.policies import standing
from gateway.policies.bundle import assemble
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.findings import Severity
from gateway.policies.rules import Rule
from gateway.policies.standing import SEVERITIES, notices
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


def found(rules: str, head: str = HEAD) -> list[tuple[str, int, str]]:
    """Return code, line and message of what is found in some rules, which begin at line 6."""
    bundle = assemble({"p.yaml": head + rules}, sources_configured=None)
    return [(one.code, one.place.line, one.message) for one in notices(bundle, 1_770_000_000_000_000)]


def test_a_bundle_in_order_has_nothing_to_be_looked_at() -> None:
    assert found('  - {id: far, limit: read_only, when: country == "CU", reason: hold, basis: b}\n') == []


def test_the_shipped_library_has_no_rule_without_effect() -> None:
    bundle = assemble(read_sources(["library:*"], Path()), sources_configured=None)
    assert [one for one in notices(bundle, 1_770_000_000_000_000) if one.code.startswith("rule-")] == []


def test_a_contradiction_is_found_with_what_was_perhaps_meant() -> None:
    when = "risk == 'low' and risk == 'high'"
    rule = f"  - {{id: both, limit: none, when: {when}, reason: hold, basis: b, justification: j}}\n"
    assert found(rule) == []  # a risk that nobody measured may be either
    ((code, line, message),) = found(rule.replace("when: ", "when: known(risk) and "))
    assert (code, line) == ("rule-never-matches", 6)
    assert "perhaps `or` is meant" in message


def test_a_rule_is_shadowed_by_those_that_refuse_the_same() -> None:
    far = "  - {id: far, limit: none, when: \"country in ['CU', 'IR']\", reason: hold, basis: b}\n"
    ((code, line, message),) = found(
        far + '  - {id: cuba, limit: none, when: country == "CU", reason: hold, basis: b}\n'
    )
    assert (code, line) == ("rule-shadowed", 7)
    assert "`cuba`" in message
    assert "`p/far`" in message


def test_a_reason_that_goes_before_is_a_difference() -> None:
    far = "  - {id: far, limit: none, when: \"country in ['CU', 'IR']\", reason: hold, basis: b}\n"
    cuba = '  - {id: cuba, limit: none, when: country == "CU", reason: sanctioned-region, basis: b}\n'
    assert found(far + cuba) == []


def test_a_rule_that_does_something_besides_is_not_shadowed() -> None:
    far = "  - {id: far, limit: none, when: \"country in ['CU', 'IR']\", reason: hold, basis: b}\n"
    cuba = '  - {id: cuba, limit: none, when: country == "CU", reason: hold, basis: b, on_match: [{flag: seen}]}\n'
    assert found(far + cuba) == []


def test_a_limit_of_what_nothing_grants_determines_nothing() -> None:
    head = "policy: p\ntitle: t\nowner: o\nrules:\n  - {id: all, grant: read_only, when: true}\n"
    limit = "  - {id: far, limit: {all_but: [withdraw]}, when: country == 'CU', reason: hold, basis: b}\n"
    codes = {code for code, _, _ in found(limit, head)}
    assert "rule-never-determines" in codes
    assert "operation-never-open" in codes


def test_a_limit_that_leaves_everything_open_limits_nothing() -> None:
    ((code, _, message),) = found("  - {id: far, limit: full, when: country == 'CU', reason: hold, basis: b}\n")
    assert code == "rule-says-nothing"
    assert "limits nothing" in message


def test_an_operation_that_only_strangers_may_perform_is_told() -> None:
    limit = "  - {id: shut, limit: {all_but: [deposit]}, when: status == 'open', reason: hold, basis: b}\n"
    ((code, _, message),) = found(limit)
    assert code == "operation-closed-to-customers"
    assert "`deposit`" in message


def test_a_part_that_grants_nothing_is_told_once() -> None:
    head = "policy: p\ntitle: t\nowner: o\nrules:\n"
    ((code, _, _),) = found("  - {id: far, limit: none, when: country == 'CU', reason: hold, basis: b}\n", head)
    assert code == "nothing-granted"


def test_what_could_not_be_searched_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "LOOKS", 1)
    far = "  - {id: far, limit: none, when: country == 'CU' and status == 'open', reason: hold, basis: b}\n"
    assert found(far + far.replace("id: far", "id: again")) == []


def test_every_finding_has_its_severity_and_none_stops_a_bundle() -> None:
    assert Severity.ERROR not in SEVERITIES.values()
