"""Whom policies must never lock out: found before the policies decide, also where it comes later."""

import pytest

from gateway.core.decision import parse_instant
from gateway.core.terms import Operation
from gateway.policies.bundle import load
from gateway.policies.lock_out import Guarded, guarded, locked_out

POLICY = """\
policy: house
title: The rules of the tests
owner: tests
rules:
  - id: everybody
    grant: [view, withdraw]
    when: status == "open"
  - id: closed
    limit: support_only
    when: country == "KP"
    reason: jurisdiction-blocked
    basis: The tests
  - id: later
    limit: support_only
    when: country == "PT"
    reason: jurisdiction-exit
    basis: The tests
    in_force: {from: 2030-01-01, until: 2030-02-01}
  - id: proof
    require: {for: [withdraw], proof: mfa, max_age: 5m}
    when: token == "valid"
    reason: step-up-required
    basis: The tests
tests:
  - {name: KP, facts: {country: KP, status: open}, operation: view, expect: {outcome: deny, by: [closed]}}
  - name: PT
    facts: {country: PT, status: open}
    operation: view
    at: 2030-01-02
    expect: {outcome: deny, by: [later]}
  - name: A withdrawal needs a proof
    facts: {country: DE, status: open}
    operation: withdraw
    expect: {outcome: challenge, by: [proof]}
"""
BUNDLE = load({"house.yaml": POLICY}, sources_configured=None)
NOW = parse_instant("2027-01-01T00:00:00Z")


def desk(country: str = "PT", *operations: Operation, **more: object) -> Guarded:
    return guarded("the desk", {"country": country, "status": "open", **more}, operations or (Operation.VIEW,))


def test_who_is_let_through_for_good_is_not_locked_out() -> None:
    assert locked_out(BUNDLE, [desk("DE")], NOW) == ()


def test_who_is_refused_now_is_named_with_the_rule() -> None:
    (one,) = locked_out(BUNDLE, [desk("KP")], NOW)
    assert (one.at, one.rules) == (NOW, ("house/closed",))
    assert one.text() == "the desk could not view any more, by house/closed"


def test_who_is_refused_by_a_date_to_come_is_found_now() -> None:
    (one,) = locked_out(BUNDLE, [desk("PT")], NOW)
    assert one.at == parse_instant("2030-01-01T00:00:00Z")
    assert locked_out(BUNDLE, [desk("PT")], parse_instant("2030-02-01T00:00:00Z")) == ()


def test_what_nothing_grants_is_locked_out_too() -> None:
    (one,) = locked_out(BUNDLE, [desk("DE", Operation.DEPOSIT)], NOW)
    assert one.text() == "the desk could not deposit any more, since nothing grants it"


def test_a_challenge_locks_nobody_out() -> None:
    assert locked_out(BUNDLE, [desk("DE", Operation.WITHDRAW)], NOW) == ()


def test_each_operation_is_asked() -> None:
    found = locked_out(BUNDLE, [desk("KP", Operation.VIEW, Operation.WITHDRAW)], NOW)
    assert [one.operation for one in found] == [Operation.VIEW, Operation.WITHDRAW]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"contry": "PT"}, "unknown fact `contry`: did you mean `country`?"),
        ({"operation": "view", "country": "PT"}, "unknown fact `operation`"),
        ({"country": "XX"}, "`XX` is not a country code"),
        ({"country": ["PT"]}, "`country` is one value"),
        ({"country": "PT", "flags": "staff"}, "`flags` is a list, and `staff` is not"),
        ({"status": "open"}, "say from which `country`"),
        ({"country": "PT", "assurance": "high"}, "a number"),
    ],
)
def test_facts_that_cannot_be_are_said(facts, said) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        guarded("the desk", facts, [Operation.VIEW])


def test_sets_and_numbers_are_read() -> None:
    one = desk("PT", flags=["staff"], assurance=2, documents=("PT",))
    assert (one.facts["flags"], one.facts["assurance"]) == (frozenset({"staff"}), 2)
