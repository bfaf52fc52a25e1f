"""What the exchange tells: each event is read as what it says, and what it may not say is refused by its name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event_fields import LONGEST_ID, LONGEST_TEXT
from gateway.core.events import (
    LARGEST_BODY,
    TOLERANCE,
    TYPES,
    AccountUpdated,
    AssuranceChanged,
    Change,
    Event,
    EventProblem,
    LoginFailed,
    LoginSucceeded,
    Method,
    ProvedWith,
    SessionRevoked,
    VerificationChanged,
    WithdrawalCompleted,
    event_document,
    read_event,
)
from gateway.core.terms import Verification

AT = 1_795_284_000_000_000
WHO = {"id": "e-1", "account": "alice", "at": "2026-11-21T18:00:00Z"}

LINES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=40)
COUNTRIES = st.sampled_from(["PT", "US", "DE"])
_TOLD: dict[str, Any] = {"id": LINES, "account": st.sampled_from(["alice", "auth0|1"]), "at": st.integers(0, AT)}
_FROM: dict[str, Any] = {
    "ip": st.none() | st.sampled_from(["192.0.2.1", "2001:db8::1"]),
    "user_agent": st.none() | LINES,
    "device": st.none() | LINES,
    "session": st.none() | LINES,
    "session_kind": st.none() | LINES,
}
_PROVED = st.none() | st.sampled_from(ProvedWith)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(LoginSucceeded, **_TOLD, **_FROM, proved_with=_PROVED),
    st.builds(LoginFailed, **_TOLD, **_FROM),
    st.builds(
        VerificationChanged,
        **_TOLD,
        **_FROM,
        method=st.sampled_from(Method),
        change=st.sampled_from(Change),
        proved_with=_PROVED,
    ),
    st.builds(
        AccountUpdated,
        **_TOLD,
        verification=st.none() | st.sampled_from(Verification),
        documents=st.none() | st.frozensets(COUNTRIES),
        residence=st.none() | COUNTRIES,
        nationality=st.none() | COUNTRIES,
    ),
    st.builds(
        WithdrawalCompleted,
        **_TOLD,
        **_FROM,
        destination=st.none() | LINES,
        balance_share=st.none() | st.floats(0, 1),
        amount_usd=st.none() | st.floats(0, 1e9),
        proved_with=_PROVED,
    ),
    st.builds(SessionRevoked, **_TOLD, session=st.none() | LINES, why=st.none() | LINES),
    st.builds(AssuranceChanged, **_TOLD, level=st.integers(0, 3), session=st.none() | LINES),
)


@given(EVENTS)
def test_an_event_written_down_is_read_as_the_same_event(event: Event) -> None:
    assert read_event(json.loads(json.dumps(event_document(event)))) == event


@given(
    st.dictionaries(
        st.sampled_from(["type", "id", "account", "at", "method", "ip", "device", "documents", "geo", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.lists(st.integers())
        | st.sampled_from(list(TYPES)),
    )
)  # fmt: skip
def test_whatever_is_told_is_read_or_answered_with_a_problem(document: dict[str, object]) -> None:
    found = read_event(document, now=AT)
    if isinstance(found, EventProblem):
        assert found.message.isprintable()
        assert len(found.message) < 600


def test_a_login_is_read_with_all_that_it_says() -> None:
    document = {
        **WHO, "type": "login.succeeded", "ip": "192.0.2.1", "user_agent": "Mozilla/5.0", "device": "d", "session": "s",
        "session_kind": "web", "proved_with": "passkey",
    }  # fmt: skip
    assert read_event(document, now=AT) == LoginSucceeded(
        id="e-1", account="alice", at=AT, ip="192.0.2.1", user_agent="Mozilla/5.0", device="d", session="s",
        session_kind="web", proved_with=ProvedWith.PASSKEY,
    )  # fmt: skip


def test_what_was_not_told_is_not_known() -> None:
    found = read_event({**WHO, "type": "withdrawal.completed"}, now=AT)
    assert isinstance(found, WithdrawalCompleted)
    assert (found.ip, found.destination, found.balance_share, found.amount_usd) == (None, None, None, None)


@pytest.mark.parametrize(
    ("document", "code", "field", "why"),
    [
        ({"type": "login.suceeded"}, "unknown-type", "type", "did you mean `login.succeeded`?"),
        ({}, "unknown-type", "type", "it is one of `login.succeeded`"),
        ({"type": "login.failed", "geo": {"country": "PT"}}, "unknown-field", "geo", "looks up where that is"),
        ({"type": "login.failed", "country": "PT"}, "unknown-field", "country", "it tells its `ip`"),
        ({"type": "account.updated", "status": "open"}, "unknown-field", "status", "table of transitions"),
        ({"type": "login.failed", "devise": "x"}, "unknown-field", "devise", "did you mean `device`?"),
        ({"type": "login.failed", "label": "naive_bot"}, "unknown-field", "label", "unknown field `label`"),
        ({"type": "verification.changed"}, "missing-field", "method", "`verification.changed` needs `method`"),
        (
            {"type": "verification.changed", "method": "totpp", "change": "added"},
            "invalid-field", "method", "did you mean `totp`?",
        ),
        ({"type": "login.failed", "id": "x" * 129}, "invalid-field", "id", "at most 128"),
        ({"type": "login.failed", "id": None}, "missing-field", "id", "needs `id`"),
        ({"type": "login.failed", "account": ""}, "invalid-field", "account", "visible ASCII"),
        ({"type": "account.updated", "documents": ["UK"]}, "invalid-field", "documents", "did you mean GB?"),
        ({"type": "assurance.changed", "level": 7}, "invalid-field", "level", "0 to 3"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_was_probably_meant(
    document: dict[str, object], code: str, field: str, why: str
) -> None:
    found = read_event({**WHO, **document}, now=AT)
    assert isinstance(found, EventProblem)
    assert (found.code, found.field) == (code, field)
    assert why in found.message


@pytest.mark.parametrize("document", [None, [], "x", 7])
def test_what_is_no_object_is_no_event(document: object) -> None:
    assert read_event(document) == EventProblem("not-an-object", None, "an event is a JSON object")


def test_a_problem_names_the_event_where_it_can() -> None:
    for told, named in (("e-1", "e-1"), (7, None), ("x" * (LONGEST_ID + 1), None), ("a\nb", None)):
        found = read_event({**WHO, "id": told, "type": "nonsense"})
        assert isinstance(found, EventProblem)
        assert found.id == named


def test_no_event_is_larger_than_is_said() -> None:
    wide = "\N{FULL MOON SYMBOL}" * LONGEST_TEXT
    texts = dict.fromkeys(("user_agent", "device", "session", "session_kind", "destination"), wide)
    found = read_event({**WHO, **texts, "type": "withdrawal.completed", "id": wide[:LONGEST_ID], "account": "a" * 255})
    assert isinstance(found, WithdrawalCompleted)
    assert 10_000 < len(json.dumps(event_document(found), ensure_ascii=False).encode()) < LARGEST_BODY


@pytest.mark.parametrize(("ahead", "taken"), [(0, True), (TOLERANCE, True), (TOLERANCE + 1, False), (10**15, False)])
def test_an_event_is_at_most_a_little_ahead_of_our_clock(ahead: int, taken: bool) -> None:
    found = read_event({**WHO, "type": "login.failed"}, now=AT - ahead)
    assert isinstance(found, LoginFailed) is taken
    if isinstance(found, EventProblem):
        assert (found.code, found.field) == ("in-the-future", "at")


def test_an_event_may_be_as_old_as_it_likes() -> None:
    assert isinstance(read_event({**WHO, "type": "login.failed", "at": 0}, now=AT), LoginFailed)


def test_an_event_that_was_taken_before_is_read_whatever_the_clock_says() -> None:
    assert isinstance(read_event({**WHO, "type": "login.failed", "at": "2999-01-01T00:00:00Z"}), LoginFailed)
