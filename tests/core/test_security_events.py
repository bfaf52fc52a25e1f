"""Claims of verified Security Event Tokens: each CAEP kind becomes one event of ours, and half a warning is none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event_fields import LONGEST_ID
from gateway.core.events import (
    TOLERANCE,
    AssuranceChanged,
    Change,
    EventProblem,
    Method,
    ProvedWith,
    SessionRevoked,
    VerificationChanged,
    event_document,
    read_event,
)
from gateway.core.security_events import CAEP, FORMATS, KINDS, MOST_EVENTS, RISC, SSF, Transmitter, read_set

NOW = 1_795_284_000_000_000
SECONDS = NOW // 1_000_000
IDP = Transmitter(
    "https://idp.example", frozenset({"https://login.example"}), frozenset({"exchange.example"}), 3600 * 1_000_000
)
ALICE = {"format": "iss_sub", "iss": "https://idp.example", "sub": "alice"}


def token(kind: str, payload: dict[str, Any] | None = None, **claims: Any) -> dict[str, Any]:
    return {
        "iss": "https://idp.example", "jti": "j-1", "iat": SECONDS, "aud": "gateway", "sub_id": ALICE,
        "events": {kind: payload or {}}, **claims,
    }  # fmt: skip


def problem(claims: dict[str, Any]) -> str:
    found = read_set(claims, IDP, now=NOW)
    assert isinstance(found, EventProblem)
    assert found.code == "invalid_request"
    return found.message


def only(claims: dict[str, Any]) -> Any:
    found = read_set(claims, IDP, now=NOW)
    assert isinstance(found, tuple)
    (event,) = found
    return event


def test_a_changed_credential_is_a_change_of_verification_proved_by_nobody_knows_what() -> None:
    event = only(token(f"{CAEP}credential-change", {"credential_type": "fido2-roaming", "change_type": "create"}))
    assert isinstance(event, VerificationChanged)
    assert (event.account, event.at, event.method, event.change, event.proved_with) == (
        "alice", NOW, Method.PASSKEY, Change.ADDED, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("credential", "method"),
    [
        ("password", Method.PASSWORD),
        ("pin", Method.PASSWORD),
        ("phone-sms", Method.SMS),
        ("phone-voice", Method.SMS),
        ("app", Method.TOTP),
        ("x509", Method.PASSKEY),
    ],
)
@pytest.mark.parametrize(
    ("told", "change"),
    [
        ("create", Change.ADDED), ("update", Change.REPLACED), ("revoke", Change.REMOVED), ("delete", Change.REMOVED),
    ],
)  # fmt: skip
def test_each_credential_and_change_of_caep_has_its_place(
    credential: str, method: Method, told: str, change: Change
) -> None:
    event = only(token(f"{CAEP}credential-change", {"credential_type": credential, "change_type": told}))
    assert (event.method, event.change) == (method, change)


def test_a_change_by_the_administrator_was_proved_by_support() -> None:
    payload = {"credential_type": "app", "change_type": "revoke", "initiating_entity": "admin"}
    assert only(token(f"{CAEP}credential-change", payload)).proved_with is ProvedWith.SUPPORT


def test_a_revoked_session_is_that_one_or_all_of_them() -> None:
    revoked = f"{CAEP}session-revoked"
    assert only(token(revoked)) == SessionRevoked(
        id=only(token(revoked)).id, account="alice", at=NOW, session=None, why=None
    )
    both = {"format": "complex", "user": ALICE, "session": {"format": "opaque", "id": "s-9"}}
    event = only(token(revoked, {"initiating_entity": "policy"}, sub_id=both))
    assert (event.account, event.session, event.why) == ("alice", "s-9", "policy")


@pytest.mark.parametrize(("told", "level"), [("nist-aal1", 1), ("nist-aal2", 2), ("nist-aal3", 3), ("gold", 0)])
def test_a_changed_level_of_assurance_bounds_what_sessions_count_for(told: str, level: int) -> None:
    event = only(token(f"{CAEP}assurance-level-change", {"current_level": told, "change_direction": "decrease"}))
    assert isinstance(event, AssuranceChanged)
    assert event.level == level


def test_a_disabled_account_loses_its_sessions() -> None:
    event = only(token(f"{RISC}account-disabled", {"reason": "hijacking"}))
    assert (event.type, event.session, event.why) == ("session.revoked", None, "account-disabled")


def test_a_test_of_the_stream_tells_nothing() -> None:
    assert read_set(token(f"{SSF}verification", {"state": "x"}), IDP, now=NOW) == ()


@pytest.mark.parametrize(
    "subject",
    [
        ALICE,
        {"format": "iss_sub", "iss": "https://login.example", "sub": "alice"},
        {"format": "opaque", "id": "alice"},
        {"format": "account", "uri": "acct:alice@Exchange.example"},
        {"format": "complex", "user": {"format": "opaque", "id": "alice"}, "device": {"format": "opaque", "id": "d"}},
        {"subject_type": "iss-sub", "iss": "https://idp.example", "sub": "alice"},
    ],
)
def test_a_subject_is_named_in_each_format_at_its_old_place_too(subject: dict[str, Any]) -> None:
    assert only(token(f"{CAEP}session-revoked", sub_id=subject)).account == "alice"
    older = token(f"{CAEP}session-revoked", {"subject": subject})
    del older["sub_id"]
    assert only(older).account == "alice"


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        (None, "as `sub_id`"),
        ({"format": "email", "email": "alice@example.com"}, "unknown format of a subject `email`"),
        ({"format": "iss_sub", "iss": "https://evil.example", "sub": "alice"}, "not one whose accounts are ours"),
        ({"format": "iss_sub", "sub": "alice"}, "not one whose accounts are ours"),
        ({"format": "account", "uri": "acct:alice@evil.example"}, "not one whose accounts are ours"),
        ({"format": "account", "uri": "alice"}, "not one whose accounts are ours"),
        ({"format": "opaque", "id": "two words"}, "no account of ours"),
        ({"format": "opaque", "id": 7}, "must be a text"),
        ({"format": "complex"}, "`user` must be an object"),
        ({"format": "complex", "user": ALICE, "session": "s"}, "`session` must be an object"),
        (
            {"format": "complex", "user": ALICE, "session": {"format": "iss_sub", "id": "s"}},
            "a session is named in the format `opaque`",
        ),
    ],
)
def test_a_subject_that_is_not_ours_is_a_problem(subject: object, why: str) -> None:
    assert why in problem(token(f"{CAEP}session-revoked", sub_id=subject))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example"}, "`iss` is not"),
        ({"iat": None}, "says when it was issued"),
        ({"iat": "now"}, "a number of seconds"),
        ({"iat": SECONDS - 3601}, "stale"),
        ({"iat": SECONDS + 301}, "ahead of this clock"),
        ({"iat": 1e300}, "`iat`"),
        ({"jti": None}, "`jti`"),
        ({"jti": "x" * 257}, "`jti`"),
        ({"events": {}}, "1 to 8 events"),
        ({"events": []}, "must be an object"),
        ({"events": {f"{CAEP}session-revoked": None}}, "must be an object"),
        ({"events": {f"urn:x:{n}": {} for n in range(MOST_EVENTS + 1)}}, "1 to 8 events"),
        ({"events": {f"{CAEP}sesion-revoked": {}}}, f"did you mean `{CAEP}session-revoked`?"),
        ({"events": {f"{CAEP}session-revoked": {}, "urn:x": {}}}, "unknown event `urn:x`"),
        ({"toe": SECONDS + 301}, "told before it happens"),
        (
            {"events": {f"{CAEP}credential-change": {"credential_type": "passwd", "change_type": "create"}}},
            "did you mean `password`?",
        ),
        ({"events": {f"{CAEP}credential-change": {"credential_type": "app"}}}, "unknown `change_type`"),
        ({"events": {f"{CAEP}assurance-level-change": {}}}, "`current_level`"),
        ({"events": {f"{CAEP}session-revoked": {"event_timestamp": SECONDS + 1000}}}, "told before it happens"),
    ],
)  # fmt: skip
def test_a_token_that_is_stale_foreign_or_not_understood_tells_nothing(claims: dict[str, Any], why: str) -> None:
    assert why in problem(token(f"{CAEP}session-revoked", **claims))


def test_a_clock_may_be_a_little_ahead_and_a_token_as_old_as_is_configured() -> None:
    assert only(token(f"{CAEP}session-revoked", iat=SECONDS + TOLERANCE // 1_000_000))
    assert only(token(f"{CAEP}session-revoked", iat=SECONDS - 3600))


@pytest.mark.parametrize(
    ("payload", "claims", "at"),
    [
        ({"event_timestamp": SECONDS - 50}, {"toe": SECONDS - 20}, NOW - 50_000_000),
        ({}, {"toe": SECONDS - 20}, NOW - 20_000_000),
        ({}, {}, NOW),
    ],
)
def test_an_event_happened_when_it_says_and_else_when_its_token_was_issued(
    payload: dict[str, Any], claims: dict[str, Any], at: int
) -> None:
    assert only(token(f"{CAEP}session-revoked", payload, **claims)).at == at


def test_a_token_delivered_again_has_the_same_ids_and_another_token_others() -> None:
    kinds = {f"{CAEP}session-revoked": {}, f"{RISC}account-disabled": {}}
    first, again = (read_set(token("", events=kinds), IDP, now=NOW + later) for later in (0, 1_000_000))
    assert first == again
    assert isinstance(first, tuple)
    ids = [event.id for event in first]
    other = only(token(f"{CAEP}session-revoked", jti="j-2"))
    assert len({*ids, other.id}) == 3
    assert all(len(each) <= LONGEST_ID for each in ids)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith(SSF)])
def test_what_a_token_tells_can_be_stored_like_any_event(kind: str) -> None:
    payload = {"credential_type": "app", "change_type": "create", "current_level": "nist-aal1"}
    event = only(token(kind, payload))
    assert read_event(event_document(event)) == event


def test_every_format_that_is_offered_is_understood() -> None:
    for kind in FORMATS:
        assert "unknown format" not in problem(token(f"{CAEP}session-revoked", sub_id={"format": kind}))


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["format", "id", "user", "sub", "iss", "uri"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["iss", "iat", "jti", "toe", "sub_id", "events"]), _ANY), st.booleans(), _ANY)
def test_any_claims_are_read_or_answered_with_a_problem(claims: dict[str, Any], whole: bool, payload: Any) -> None:
    base = token(f"{CAEP}credential-change") if whole else {}
    found = read_set({**base, **claims, "events": {f"{CAEP}credential-change": payload}}, IDP, now=NOW)
    assert isinstance(found, EventProblem)
    assert found.message.isprintable()
