"""Exports are held against files that were read beside the published schemas: a change of either is seen here."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.exports import CSV_COLUMNS, csv_row, ecs_event, ocsf_event
from gateway.core.masking import SEES, Reader, masked

GOLDEN = Path(__file__).parent / "exports"
FORMS = {"ocsf": ocsf_event, "ecs": ecs_event}

DENIED: dict[str, Any] = {
    "id": "01a1fe24-0781-76f5-8448-bc975e14658b",
    "at": "2026-11-21T09:30:00.123456Z",
    "request": {
        "method": "POST",
        "path": "/api/v1/withdrawals",
        "host": "exchange.example",
        "user_agent": "app/7.1 (Android 16)",
    },
    "client_ip": {
        "address": "65.24.10.20",
        "reason": None,
        "how": "rightmost-untrusted",
        "chain": [{"text": "10.0.0.7", "role": "peer"}, {"text": "65.24.10.20", "role": "client"}],
    },
    "operation": "withdraw",
    "facts": {
        "operation": "withdraw",
        "country": "US",
        "subdivision": "US-OH",
        "continent": "NA",
        "asn": 10796,
        "account": "bob",
        "documents": ["US"],
        "residence": "US",
        "nationality": None,
    },
    "unknown": {"network": {"why": "not-configured"}},
    "bundle": "5d" * 32,
    "editions": ["dbip-country 2026-11-01 5d1e"],
    "verdict": {
        "outcome": "deny",
        "access": "support_only",
        "operations": ["support"],
        "by": [
            {
                "policy": "us-exit",
                "rule": "us-closed",
                "effect": "limit",
                "reason": "jurisdiction-blocked",
                "basis": "NYAG settlement, February 2023",
                "uncertain": False,
            },
            {
                "policy": "holds",
                "rule": "held",
                "effect": "limit",
                "reason": "hold",
                "basis": "Terms of service",
                "uncertain": False,
            },
        ],
        "nothing_granted": False,
        "reason": "jurisdiction-blocked",
        "challenge": None,
        "uncertain": [],
        "obligations": [],
        "outage": False,
    },
    "reply": {"status": 403, "reason": "jurisdiction-blocked"},
    "took_us": 1234,
}
ALLOWED = {
    **DENIED,
    "request": {**DENIED["request"], "method": "GET", "user_agent": ""},
    "client_ip": {"address": "2001:db8::1", "reason": None, "how": "peer", "chain": []},
    "operation": "view",
    "facts": {"operation": "view", "country": "PT", "account": None},
    "verdict": {**DENIED["verdict"], "outcome": "allow", "access": "read_only", "by": [], "reason": None},
    "reply": {"status": 200, "reason": None},
}
CHALLENGED = {
    **DENIED,
    "verdict": {**DENIED["verdict"], "outcome": "challenge", "reason": "step-up-required"},
    "reply": {"status": 401, "reason": "step-up-required"},
}
AMBIGUOUS = {
    **DENIED,
    "request": {"method": "BREW", "path": "/%2e%2e/withdrawals", "host": "", "user_agent": "=cmd()"},
    "client_ip": {"address": None, "reason": "no-peer", "how": "unresolved", "chain": []},
    "operation": None,
    "facts": None,
    "unknown": None,
    "editions": [],
    "verdict": None,
    "ambiguous": {"why": "target-segments", "detail": "a dot segment"},
    "reply": {"status": 400, "reason": "ambiguous-request"},
}
CASES = {
    "denied": DENIED,
    "allowed": ALLOWED,
    "challenged": CHALLENGED,
    "ambiguous": AMBIGUOUS,
    "masked": masked(DENIED, SEES[Reader.SUPPORT]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", FORMS)
def test_an_event_is_the_golden_one(form: str, case: str) -> None:
    golden = json.loads((GOLDEN / f"{case}.{form}.json").read_text())

    assert FORMS[form](CASES[case]) == golden


def leaves(value: Any) -> list[Any]:
    match value:
        case dict():
            return [leaf for one in value.values() for leaf in leaves(one)] or [value]
        case list():
            return [leaf for one in value for leaf in leaves(one)] or [value]
        case _:
            return [value]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", FORMS)
def test_an_event_says_nothing_empty(form: str, case: str) -> None:
    found = leaves(FORMS[form](CASES[case]))

    assert found
    assert [leaf for leaf in found if leaf in (None, "", [], {})] == []


@pytest.mark.parametrize("form", FORMS)
def test_a_masked_decision_gives_no_address_away(form: str) -> None:
    text = json.dumps(FORMS[form](CASES["masked"]))

    assert "65.24.10.20" not in text
    assert "65.24.10.0/24" in text
    assert "Android" not in text


def test_an_exception_that_opened_it_is_named() -> None:
    excepted = {"policy": "p", "rule": "r", "exception": "desk/settle", "owner": "o", "until": "2026-12-01T00:00:00Z"}
    verdict = {**DENIED["verdict"], "excepted": [excepted, {**excepted, "rule": "s"}]}
    assert ocsf_event({**DENIED, "verdict": verdict})["unmapped"]["exceptions"] == ["desk/settle"]
    assert ecs_event({**DENIED, "verdict": verdict})["gateway"]["exceptions"] == ["desk/settle"]


def test_a_row_has_a_cell_for_each_column() -> None:
    row = dict(zip(CSV_COLUMNS, csv_row(DENIED), strict=True))

    assert row == {
        "id": "01a1fe24-0781-76f5-8448-bc975e14658b",
        "at": "2026-11-21T09:30:00.123456Z",
        "method": "POST",
        "host": "exchange.example",
        "path": "/api/v1/withdrawals",
        "operation": "withdraw",
        "account": "bob",
        "address": "65.24.10.20",
        "country": "US",
        "subdivision": "US-OH",
        "asn": "10796",
        "outcome": "deny",
        "access": "support_only",
        "reason": "jurisdiction-blocked",
        "rules": "us-exit/us-closed holds/held",
        "status": "403",
        "bundle": "5d" * 32,
        "took_us": "1234",
        "user_agent": "app/7.1 (Android 16)",
        "trace_id": "",
    }


def test_no_cell_is_a_formula_or_breaks_a_line() -> None:
    for text in ("=1+1", "+1", "-1", "@SUM(A1)"):
        row = csv_row({**DENIED, "request": {**DENIED["request"], "user_agent": text}})
        assert row[CSV_COLUMNS.index("user_agent")] == f"'{text}"
    row = csv_row({**DENIED, "request": {**DENIED["request"], "user_agent": "\t=1\r\n2"}})
    assert row[CSV_COLUMNS.index("user_agent")] == "\ufffd=1\ufffd\ufffd2"


@pytest.mark.parametrize("case", CASES)
def test_a_type_is_its_class_and_its_activity(case: str) -> None:
    event = ocsf_event(CASES[case])

    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["category_uid"] == event["class_uid"] // 1000


def test_a_trace_stands_where_each_form_has_a_place_for_it() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    told = {**DENIED, "request": {**DENIED["request"], "trace_id": trace, "parent_id": "00f067aa0ba902b7"}}
    assert ecs_event(told)["trace"] == {"id": trace}
    assert ocsf_event(told)["metadata"]["correlation_uid"] == trace
    assert dict(zip(CSV_COLUMNS, csv_row(told), strict=True))["trace_id"] == trace
    assert dict(zip(CSV_COLUMNS, csv_row(DENIED), strict=True))["trace_id"] == ""
