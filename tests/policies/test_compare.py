"""Then and now: whether the answer is the same, and every cause named led there when it was tried alone."""

import json
from itertools import combinations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.client_ip import ClientIP, How
from gateway.core.decision import Document, RequestLine, decision_document, instant_text, ruling_document
from gateway.core.errors import ReplayError
from gateway.core.facts import Facts, Unknown
from gateway.core.reply import reply_to
from gateway.core.terms import Operation, Outcome, WhyUnknown
from gateway.policies import compare
from gateway.policies.bundle import load
from gateway.policies.compare import RULES, TIME, RuleChange, facts_then, now, refreshed
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate

AT = 1_795_262_400_000_000
LATER = AT + 86_400_000_000
POLICY = """
policy: p
title: A policy
owner: tests
rules:
  - {id: open, grant: full, when: status == "open"}
  - {id: far, limit: support_only, when: country in far_away, reason: jurisdiction-blocked, basis: tests}
  - {id: held, limit: read_only, when: operation in holds, reason: hold, basis: tests}
  - id: soon
    limit: read_only
    when: residence == "DE"
    reason: jurisdiction-exit
    basis: tests
    in_force: {from: 2026-11-22}
tests:
  - {name: far, facts: {country: CU}, operation: withdraw, expect: {outcome: deny}}
  - {name: held, facts: {holds: [withdraw], status: open, country: PT}, operation: withdraw, expect: {outcome: deny}}
  - {name: soon, facts: {residence: DE, status: open, country: PT}, operation: withdraw, expect: {outcome: deny}}
"""
LIST = "list: far-away\ntitle: Far away\nkind: countries\nsource: tests\ndate: 2026-01-01\nentries: [{entries}]\n"


def _bundle(policy: str = POLICY, entries: str = "CU") -> Bundle:
    return load({"p.yaml": policy, "lists/far.yaml": LIST.format(entries=entries)}, sources_configured=None)


BUNDLE = _bundle()


def _facts(at: int = AT, **facts: Any) -> Facts:
    alice: dict[str, Any] = {
        "country": "PT", "account": "alice", "status": "open", "token": "valid", "credential": "session",
        "assurance": 2, "auth_age": 60,
    }  # fmt: skip
    return Facts(at, Operation.WITHDRAW, **{**alice, **facts})


def _document(facts: Facts, bundle: Bundle = BUNDLE) -> Document:
    verdict = evaluate(facts, bundle)
    client_ip = ClientIP("203.0.113.9", How.PEER)
    ruling = ruling_document(client_ip, facts, bundle.digest, ["country 2026-06-01 aa"], verdict, reply_to(verdict))
    document = decision_document(
        ruling, decision_id="d", at=instant_text(facts.at), request=RequestLine("GET", "/", "h", ""), took_us=1
    )
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def test_the_same_facts_under_the_same_rules_have_the_same_answer() -> None:
    facts = _facts(country="CU")
    found = now(_document(facts), facts, BUNDLE, BUNDLE)
    assert (found.same, found.facts, found.rules, found.causes, found.explained) == (True, (), (), (), True)


def test_what_changed_without_effect_is_told_and_is_no_cause() -> None:
    found = now(_document(_facts(country="CU")), _facts(country="CU", status="flagged"), BUNDLE, BUNDLE)
    assert found.same
    assert [(change.fact, change.then, change.now) for change in found.facts] == [("status", "open", "flagged")]
    assert found.causes == ()


def test_the_fact_that_flips_the_answer_is_named() -> None:
    found = now(_document(_facts(country="CU")), _facts(country="PT", asn=7), BUNDLE, BUNDLE)
    assert found.now.outcome is Outcome.ALLOW
    assert not found.same
    assert {change.fact for change in found.facts} == {"country", "asn"}
    assert found.causes == (("country",),)


def test_two_changes_that_are_needed_together_are_one_cause() -> None:
    then = _facts(country="CU", holds=frozenset({"withdraw"}))
    assert now(_document(then), _facts(), BUNDLE, BUNDLE).causes == (("country", "holds"),)


def test_either_of_two_changes_is_a_cause_of_its_own() -> None:
    found = now(_document(_facts()), _facts(country="CU", holds=frozenset({"withdraw"})), BUNDLE, BUNDLE)
    assert found.causes == (("country",), ("holds",))


def test_a_date_that_passed_is_a_cause() -> None:
    facts = _facts(residence="DE")
    found = now(_document(facts), facts._replace(at=LATER), BUNDLE, BUNDLE)
    assert found.causes == ((TIME,),)
    assert found.now.by[0].rule == "soon"


def test_a_list_that_changed_is_a_change_of_the_rules_that_mention_it() -> None:
    facts = _facts(country="IR")
    found = now(_document(facts), facts, BUNDLE, _bundle(entries="CU, IR"))
    assert found.causes == ((RULES,),)
    assert found.rules == (RuleChange("p", "far", "changed", ("far_away",), matters=True),)


def test_a_changed_rule_that_says_the_same_of_these_facts_does_not_matter() -> None:
    facts = _facts(country="CU")
    found = now(_document(facts), facts, BUNDLE, _bundle(entries="CU, IR"))
    assert found.same
    assert found.rules == (RuleChange("p", "far", "changed", ("far_away",), matters=False),)


def test_rules_added_and_removed_are_named_and_those_that_matter_told_apart() -> None:
    more = POLICY.replace("  - {id: held,", "  - {id: kept,").replace(
        "tests:\n", "  - {id: views, grant: [view], when: true}\ntests:\n"
    )
    facts = _facts(holds=frozenset({"withdraw"}))
    found = now(_document(facts), facts, BUNDLE, _bundle(more))
    assert found.rules == (
        RuleChange("p", "held", "removed", (), matters=True),
        RuleChange("p", "kept", "added", (), matters=True),
        RuleChange("p", "views", "added", (), matters=False),
    )
    assert not found.same
    assert found.causes == ((RULES,),)


EXCEPTION = """exceptions: desk
owner: compliance
entries:
  - id: settle
    operations: [withdraw]
    account: ACCOUNT
    lifts: [p/far]
    reason: tests
    basis: tests
    from: 2026-11-20
    until: 2026-11-22
"""


def _excepting(account: str) -> Bundle:
    lists = {"lists/far.yaml": LIST.format(entries="CU")}
    return load({"p.yaml": POLICY, "e.yaml": EXCEPTION.replace("ACCOUNT", account), **lists}, sources_configured=None)


def test_an_exception_that_came_is_a_change_of_the_rule_and_matters_to_whom_it_is_for() -> None:
    facts = _facts(country="CU")
    found = now(_document(facts), facts, BUNDLE, _excepting("alice"))
    assert found.rules == (RuleChange("p", "far", "changed", (), matters=True, exceptions=("desk/settle",)),)
    assert found.causes == ((RULES,),)
    assert found.now.excepted[0].exception == "desk/settle"
    others = now(_document(facts), facts, BUNDLE, _excepting("bob"))
    assert others.same
    assert [change.matters for change in others.rules] == [False]


def test_an_exception_that_ended_is_a_date_that_passed() -> None:
    bundle, facts = _excepting("alice"), _facts(country="CU")
    found = now(_document(facts, bundle), facts._replace(at=LATER), bundle, bundle)
    assert found.causes == ((TIME,),)
    assert [one.rule for one in found.now.by] == ["far"]


def test_a_grant_that_is_gone_matters() -> None:
    facts = _facts()
    found = now(_document(facts), facts, BUNDLE, _bundle(POLICY.replace('status == "open"', 'status == "flagged"', 1)))
    assert [(change.rule, change.matters) for change in found.rules] == [("open", True)]
    assert found.now.outcome is Outcome.DENY


def test_editions_stand_beside_each_other_where_they_are_known() -> None:
    facts = _facts()
    assert now(_document(facts), facts, BUNDLE, BUNDLE).editions is None
    found = now(_document(facts), facts, BUNDLE, BUNDLE, ["country 2026-07-01 bb"])
    assert found.editions == (("country 2026-06-01 aa",), ("country 2026-07-01 bb",))


@pytest.mark.parametrize("other", [None, _bundle(entries="CU, DE")])
def test_without_the_bundle_of_then_no_cause_is_guessed(other: Bundle | None) -> None:
    found = now(_document(_facts(country="CU")), _facts(), other, BUNDLE)
    assert (found.same, found.explained, found.causes) == (False, False, ())
    assert found.facts


def test_a_record_that_its_bundle_does_not_bear_out_is_not_explained() -> None:
    document = _document(_facts(country="CU"))
    document["verdict"]["reason"] = "hold"
    assert not now(document, _facts(), BUNDLE, BUNDLE).explained


def test_what_cannot_be_compared_is_refused_in_one_line() -> None:
    unread = {**_document(_facts()), "verdict": None}
    with pytest.raises(ReplayError, match="there is no verdict to compare"):
        now(unread, _facts(), BUNDLE, BUNDLE)
    with pytest.raises(ReplayError, match="not a whole decision: KeyError at 'verdict'"):
        now({}, _facts(), BUNDLE, BUNDLE)


def test_facts_of_now_are_read_anew_but_for_the_credential() -> None:
    then = _facts(country="CU")
    later = refreshed(then, LATER, {"country": "PT", "status": "spoilt"}, {"status": "flagged", "auth_age": 5})
    assert later == then._replace(at=LATER, country="PT", status="flagged")
    assert refreshed(then, LATER, None, None) == then._replace(at=LATER)
    assert facts_then(_document(then)) == then


def test_many_changes_at_once_come_down_to_one_set_from_which_none_can_be_left_out() -> None:
    lost = ("country", "residence", "documents", "nationality", "asn")
    named = " or ".join(f"not known({name})" for name in lost)
    policy = f"""
policy: p
title: A policy
owner: tests
rules:
  - {{id: open, grant: full, when: status == "open"}}
  - {{id: lost, limit: none, when: {named}, reason: hold, basis: tests, justification: tests}}
tests:
  - {{name: a, facts: {{status: open, asn: {{unknown: no-record}}}}, operation: view, expect: {{outcome: deny}}}}
"""
    bundle = load({"p.yaml": policy}, sources_configured=None)
    known = _facts(asn=7, risk="low")
    unread: dict[str, Any] = {name: Unknown(WhyUnknown.STORE_UNAVAILABLE) for name in (*lost, "risk")}
    then = known._replace(**unread)
    found = now(_document(then, bundle), known, bundle, bundle)
    assert found.causes == (("country", "asn", "documents", "residence", "nationality"),)
    assert not found.complete


def test_the_search_is_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "MOST_TRIALS", 1)
    then = _facts(country="CU", holds=frozenset({"withdraw"}))
    found = now(_document(then), _facts(), BUNDLE, BUNDLE)
    assert (found.causes, found.complete) == ((("country", "holds"),), False)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_each_cause_leads_there_alone_and_no_part_of_it_does(generate: Any, seed: int) -> None:
    rng = Random(seed)
    policies = generate.policies(rng)
    before, after = generate.bundle_of(policies), generate.bundle_of([*policies[1:], *generate.policies(rng)[:1]])
    then, facts = generate.facts(rng, doubtful=0.1), generate.facts(rng, doubtful=0.1)
    kept = {name: getattr(then, name) for name in then._fields if rng.random() < 0.6}
    facts = facts._replace(**{**kept, "operation": then.operation})
    document = _document(then, before)
    found = now(document, facts, before, after)
    was, is_now = evaluate(then, before), evaluate(facts, after)
    if found.same:
        assert (was.outcome, was.reason) == (is_now.outcome, is_now.reason)
        assert found.causes == ()
        return
    assert found.causes

    def outcome(chosen: Any) -> Any:
        values = {name: getattr(facts, name) for name in chosen if name not in {RULES, TIME}}
        mixed = then._replace(**values, at=facts.at if TIME in chosen else then.at)
        verdict = evaluate(mixed, after if RULES in chosen else before)
        if was.outcome is not is_now.outcome:
            return verdict.outcome
        return verdict.outcome, verdict.reason, [(one.policy, one.rule) for one in verdict.by], verdict.challenge

    wanted = outcome([*(change.fact for change in found.facts), RULES, TIME])
    for cause in found.causes:
        assert outcome(cause) == wanted
        if found.complete:
            for size in range(len(cause)):
                assert all(outcome(part) != wanted for part in combinations(cause, size))
