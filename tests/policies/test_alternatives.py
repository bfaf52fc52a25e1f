"""The values to try are those that rules tell apart: all of them, and each kind once."""

from typing import Any

import pytest

from gateway.core.facts import Facts, Unknown
from gateway.core.terms import Operation, WhyUnknown
from gateway.policies.alternatives import alternatives, decides
from gateway.policies.bundle import load

POLICY = """
policy: some
title: Rules that ask about many facts
owner: tests
rules:
  - {id: open, grant: full, when: 'status == "open" or verification in ["full", "institutional"]'}
  - {id: views, grant: [view], when: '"viewer" in flags'}
  - {id: copies, grant: [trade.copy], when: '["trader", "copier"] in flags'}
  - {id: marked, limit: read_only, when: '["review", "fraud"] in flags', reason: account-flagged, basis: tests}
  - {id: held, limit: read_only, when: operation in holds, reason: hold, basis: tests}
  - {id: fresh, require: {for: [withdraw], proof: mfa, max_age: 5m}, when: true, reason: hold, basis: tests}
  - {id: gone, limit: none, when: destination == "new", reason: hold, basis: tests, in_force: {until: 2020-01-01}}
tests:
  - {name: a, facts: {flags: [fraud]}, operation: withdraw, expect: {outcome: deny}}
  - {name: b, facts: {holds: [withdraw], status: open}, operation: withdraw, expect: {outcome: deny}}
  - {name: c, facts: {status: open}, operation: withdraw, expect: {outcome: challenge}}
  - {name: d, facts: {destination: new}, operation: view, at: 2019-01-01, expect: {outcome: deny}}
"""
BUNDLE = load({"some.yaml": POLICY}, sources_configured=None)
NAMES = ("credential", "assurance", "auth_age", "status", "flags", "verification", "holds", "destination")


def _options(operation: str, **facts: Any) -> dict[str, list[tuple[Any, ...]]]:
    some = Facts(1_795_219_200_000_000, Operation(operation), **facts)
    found = alternatives(some, BUNDLE, NAMES)
    assert found.complete
    return {name: [option.values for option in options] for name, options in found.by_fact.items()}


def test_values_that_no_rule_tells_apart_are_tried_once() -> None:
    options = _options("deposit", status="open", verification="none", credential="session", auth_age=0)
    assert options["status"] == [("exit_only", "flagged", "restricted", "archived")]
    assert options["verification"] == [("full", "institutional")]


def test_only_rules_with_a_say_in_the_operation_are_asked() -> None:
    assert "flags" in _options("view", status="open")
    assert _options("view", status="open")["flags"] == [(frozenset({"viewer"}),)]
    held: Any = {"status": "open", "holds": frozenset({"deposit", "withdraw"}), "flags": frozenset({"fraud"})}
    assert set(_options("deposit", **held)) == {"status", "flags", "verification", "holds"}
    assert set(_options("withdraw", **held, credential="api_key", assurance=1)) == {
        "credential", "assurance", "auth_age", "status", "flags", "verification", "holds"
    }  # fmt: skip


def test_members_in_the_same_comparisons_go_together_and_come_alone() -> None:
    assert _options("deposit", flags=frozenset({"review", "fraud", "else"}))["flags"] == [(frozenset({"else"}),)]
    assert _options("trade.copy", flags=frozenset())["flags"] == [(frozenset({"copier"}), frozenset({"trader"}))]


def test_nothing_is_added_or_taken_away_where_that_could_only_harm() -> None:
    assert "flags" not in _options("deposit", flags=frozenset())
    assert "flags" not in _options("view", flags=frozenset({"viewer"}))
    assert _options("withdraw", flags=frozenset({"review"}))["flags"] == [(frozenset(),)]


def test_a_set_in_doubt_may_be_found_empty() -> None:
    unread = Unknown(WhyUnknown.STORE_UNAVAILABLE)
    assert _options("deposit", holds=unread)["holds"] == [(frozenset(),)]


def test_an_age_is_tried_on_the_side_that_is_asked_for() -> None:
    options = _options("withdraw", auth_age=400, credential="session", assurance=2)
    assert options["auth_age"] == [(0, 299, 300)]


def test_no_weaker_proof_is_tried_than_the_one_that_was_given() -> None:
    given = _options("withdraw", auth_age=100, credential="session", assurance=2)
    assert not {"auth_age", "assurance", "credential"} & set(given)
    key = _options("withdraw", auth_age=None, credential="api_key", assurance=1)
    assert key["credential"] == [("session",)]
    assert key["assurance"] == [(2, 3)]
    assert key["auth_age"] == [(0, 299, 300), (301,)]


@pytest.mark.parametrize(
    ("rule", "operation", "at", "has_a_say"),
    [
        ("open", "deposit", 1_795_219_200_000_000, True),
        ("views", "deposit", 1_795_219_200_000_000, False),
        ("views", "view", 1_795_219_200_000_000, True),
        ("marked", "view", 1_795_219_200_000_000, False),
        ("marked", "deposit", 1_795_219_200_000_000, True),
        ("fresh", "deposit", 1_795_219_200_000_000, False),
        ("fresh", "withdraw", 1_795_219_200_000_000, True),
        ("gone", "view", 1_795_219_200_000_000, False),
        ("gone", "view", 1_500_000_000_000_000, True),
    ],
)
def test_a_rule_has_a_say_where_it_may_open_or_close_the_operation(
    rule: str, operation: str, at: int, has_a_say: bool
) -> None:
    (one,) = (one for one in BUNDLE.rules if one.id == rule)
    assert decides(one, Facts(at, Operation(operation))) is has_a_say


def test_an_age_that_is_listed_is_tried_and_so_are_its_neighbours() -> None:
    policy = """
policy: p
title: P
owner: tests
rules:
  - {id: g, grant: full, when: "auth_age in [5, 60]"}
"""
    bundle = load({"p.yaml": policy}, sources_configured=None)
    some = Facts(1_795_219_200_000_000, Operation.VIEW, auth_age=7)
    options = alternatives(some, bundle, NAMES).by_fact["auth_age"]
    assert [option.values for option in options] == [(5,)]
