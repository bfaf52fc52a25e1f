import pytest

from gateway.policies.bundle import assemble
from gateway.policies.findings import Severity
from gateway.policies.notices import notices
from gateway.policies.times import instant

POLICY = """\
policy: far
title: Far away
owner: security
rules:
  - id: first
    limit: read_only
    when: country in far_away
    reason: hold
    basis: b
    in_force: {from: 2026-01-01, until: 2026-02-01}
    on_match: [{flag: far-away}]
  - id: second
    limit: none
    when: country in far_away
    reason: hold
    basis: b
    in_force: {from: 2026-02-01}
"""
LIST = "list: far-away\nkind: countries\ntitle: t\nsource: s\ndate: 2026-01-01\nentries: [CU]\n"


def found(at, policy=POLICY, listed=LIST):
    bundle = assemble({"far.yaml": policy, "list.yaml": listed}, sources_configured=None)
    return [(str(one.place), one.code, one.severity) for one in notices(bundle.policies, bundle.lists, instant(at))]


def test_what_is_in_order_has_no_notice():
    assert found("2026-01-31") == []


def test_a_rule_whose_dates_have_passed_is_a_note_from_the_instant_on():
    assert found("2026-02-01") == [("far.yaml:5:5", "dates-passed", Severity.NOTE)]


def test_a_policy_whose_dates_have_all_passed_is_one_warning():
    over = POLICY.replace("{from: 2026-02-01}", "{from: 2026-02-01, until: 2026-03-01}")
    assert found("2026-03-01", over) == [("far.yaml:1:1", "policy-passed", Severity.WARNING)]


def test_a_list_that_no_condition_names_is_a_warning():
    unused = POLICY.replace("country in far_away", 'country == "CU"')
    assert found("2026-01-31", unused) == [("list.yaml:1:1", "list-unused", Severity.WARNING)]


@pytest.mark.parametrize(
    ("listed", "at", "severity"),
    [
        (LIST.replace("entries", "stale_after: 10d\nentries"), "2026-01-11", None),
        (LIST.replace("entries", "stale_after: 10d\nentries"), "2026-01-11T00:00:00.000001Z", Severity.WARNING),
        (LIST.replace("2026-01-01", "2025-01-31"), "2026-01-31", None),
        (LIST.replace("2026-01-01", "2025-01-30"), "2026-01-31", Severity.NOTE),
        (LIST.replace("entries", "stale_after: 999d\nentries").replace("2026", "2024"), "2026-01-31", None),
    ],
)
def test_a_list_is_stale_when_it_says_so_and_old_after_a_year(listed, at, severity):
    expected = [] if severity is None else [("list.yaml:1:1", "list-stale", severity)]
    assert found(at, listed=listed) == expected


def test_a_list_of_tomorrow_is_a_warning_but_not_where_tomorrow_has_begun():
    assert found("2025-12-31") == []
    assert found("2025-12-30T23:59:59Z") == [("list.yaml:1:1", "list-date-ahead", Severity.WARNING)]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (
            "'\"imposible_travel\" in signals'",
            "nothing measures a signal `imposible_travel`: did you mean `impossible_",
        ),
        (
            '\'["dormant", "sleepy"] in signals\'',
            "nothing measures a signal `sleepy`: it is one of `unfamiliar_network`",
        ),
        ("'\"far_away\" in flags'", "no rule sets a flag `far_away`: did you mean `far-away`?"),
        ('\'"far-away" in flags and "dormant" in signals\'', None),
        ("'\"staff\" in flags'", None),
    ],
)
def test_a_name_that_nothing_gives_is_a_warning_where_it_is_a_slip(condition, said):
    policy = POLICY.replace("country in far_away", condition, 1)
    bundle = assemble({"far.yaml": policy, "list.yaml": LIST}, sources_configured=None)
    messages = [one.message for one in notices(bundle.policies, bundle.lists, instant("2026-01-31"))]
    assert len(messages) == (said is not None)
    assert said is None or said in messages[0]


def test_a_text_that_nobody_has_written_is_a_warning():
    policy = POLICY.replace("basis: b", "basis: 'FILL IN: the law'", 1)
    assert found("2026-01-31", policy) == [("far.yaml:5:5", "to-fill-in", Severity.WARNING)]


def test_two_tests_of_one_name_are_a_warning():
    test = "  - {name: n, operation: view, expect: {outcome: allow}}\n"
    policy = f"{POLICY}tests:\n{test}{test}"
    assert found("2026-01-31", policy) == [("far.yaml:20:5", "duplicate-test", Severity.WARNING)]
