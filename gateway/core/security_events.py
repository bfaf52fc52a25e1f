"""Security Event Tokens: what the claims of a verified one (RFC 8417) tell of an account, as events of ours. Pure.

The signature, the audience and that the `jti` is new are checked before, by who has the keys and the store.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from gateway.core.account import is_uid
from gateway.core.event_fields import LONGEST_TEXT, Wrong, did_you_mean, quoted, read_at
from gateway.core.events import (
    TOLERANCE,
    AssuranceChanged,
    Change,
    Event,
    EventProblem,
    Method,
    ProvedWith,
    SessionRevoked,
    VerificationChanged,
)

Code = TypeVar("Code", Method, Change)

CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"
FORMATS: Final = ("iss_sub", "opaque", "account", "complex")
"""How a subject may be named (RFC 9493; `complex` by CAEP)."""
MOST_EVENTS: Final = 8
"""Events in one token. RFC 8417 has several only where they are one thing seen from several sides."""
LONGEST_JTI: Final = 256

_CREDENTIALS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        "password": Method.PASSWORD,
        "pin": Method.PASSWORD,
        "x509": Method.PASSKEY,
        "fido2-platform": Method.PASSKEY,
        "fido2-roaming": Method.PASSKEY,
        "fido-u2f": Method.PASSKEY,
        "verifiable-credential": Method.PASSKEY,
        "phone-voice": Method.SMS,
        "phone-sms": Method.SMS,
        "app": Method.TOTP,
    }
)
"""CAEP's `credential_type`, each as the method that it is here."""
_CHANGES: Final[Mapping[str, Change]] = MappingProxyType(
    {"create": Change.ADDED, "update": Change.REPLACED, "revoke": Change.REMOVED, "delete": Change.REMOVED}
)
_LEVELS: Final[Mapping[str, int]] = MappingProxyType(
    {"nist-aal1": 1, "nist-aal2": 2, "nist-aal3": 3, "aal1": 1, "aal2": 2, "aal3": 3, "1": 1, "2": 2, "3": 3}
)
"""CAEP's `current_level` as the fact `assurance` counts. A level of another framework counts as none."""


class Transmitter(NamedTuple):
    """Who sends tokens, and how it names our accounts."""

    issuer: str
    subject_issuers: frozenset[str] = frozenset()
    """The `iss` that a subject `iss_sub` may have besides the transmitter's own."""
    account_hosts: frozenset[str] = frozenset()
    """The hosts of `acct:` addresses whose local part is an account; in small letters."""
    max_age: int = 24 * 3600 * 1_000_000
    """How old a token may be, microseconds: an older one is stale."""


def read_set(claims: Mapping[str, object], transmitter: Transmitter, *, now: int) -> tuple[Event, ...] | EventProblem:
    """Return the events that a verified token tells; none for one that only tests the stream.

    Whatever of it cannot be understood makes a problem of the whole token: half of a warning is none.
    """
    try:
        return tuple(_events(claims, transmitter, _issued(claims, transmitter, now)))
    except Wrong as wrong:
        return EventProblem("invalid_request", None, str(wrong))


def _events(claims: Mapping[str, object], transmitter: Transmitter, issued: int) -> Iterator[Event]:
    told = _object(claims, "events")
    if not 1 <= len(told) <= MOST_EVENTS:
        raise Wrong(f"`events` holds 1 to {MOST_EVENTS} events")
    prefix = _prefix(claims)
    for number, kind in enumerate(sorted(told)):
        if kind == f"{SSF}verification":
            continue
        payload = _object(told, kind)
        subject = _subject(claims, payload, transmitter)
        yield _event(kind, payload, subject, f"{prefix}-{number}", _happened(claims, payload, issued))


class _Subject(NamedTuple):
    account: str
    session: str | None


def _event(kind: str, payload: Mapping[str, object], subject: _Subject, event_id: str, at: int) -> Event:
    account, session = subject
    match kind.removeprefix(CAEP) if kind.startswith(CAEP) else kind:
        case "session-revoked":
            return SessionRevoked(id=event_id, account=account, at=at, session=session, why=_initiator(payload))
        case "credential-change":
            by_us = payload.get("initiating_entity") in {"admin", "policy", "system"}
            return VerificationChanged(
                id=event_id,
                account=account,
                at=at,
                method=_code(payload, "credential_type", _CREDENTIALS),
                change=_code(payload, "change_type", _CHANGES),
                # CAEP does not say what was shown for a change, so that it counts as one by a recovery path.
                proved_with=ProvedWith.SUPPORT if by_us else None,
                session=session,
            )
        case "assurance-level-change":
            level = payload.get("current_level")
            if not isinstance(level, str) or not level:
                raise Wrong("`current_level` of an assurance-level-change must be a text")
            known = _LEVELS.get(level.casefold(), 0)
            return AssuranceChanged(id=event_id, account=account, at=at, level=known, session=session)
        case _ if kind == f"{RISC}account-disabled":
            return SessionRevoked(id=event_id, account=account, at=at, why="account-disabled")
        case _:
            raise Wrong(f"unknown event {quoted(kind)}{did_you_mean(kind, KINDS)}")


KINDS: Final = (
    f"{CAEP}session-revoked",
    f"{CAEP}credential-change",
    f"{CAEP}assurance-level-change",
    f"{RISC}account-disabled",
    f"{SSF}verification",
)
"""The events that are understood."""


def _issued(claims: Mapping[str, object], transmitter: Transmitter, now: int) -> int:
    """Return when the token was issued. Raise Wrong for one of another, or a stale one."""
    if claims.get("iss") != transmitter.issuer:
        raise Wrong(f"`iss` is not {quoted(transmitter.issuer)}")
    issued = _seconds(claims, "iat")
    if issued is None:
        raise Wrong("a token says when it was issued, as `iat`")
    if issued > now + TOLERANCE:
        raise Wrong("`iat` is ahead of this clock")
    if issued < now - transmitter.max_age:
        raise Wrong(f"the token is stale: `iat` is more than {transmitter.max_age // 1_000_000} s ago")
    return issued


def _happened(claims: Mapping[str, object], payload: Mapping[str, object], issued: int) -> int:
    """Return when the event happened: never later than when the token that tells of it was issued, but for clocks."""
    at = _seconds(payload, "event_timestamp")
    if at is None:
        at = _seconds(claims, "toe")
    if at is None:
        return issued
    if at > issued + TOLERANCE:
        raise Wrong("an event is told before it happens: its time is after `iat`")
    return at


def _seconds(fields: Mapping[str, object], name: str) -> int | None:
    value = fields.get(name)
    if isinstance(value, str):
        raise Wrong(f"`{name}` is a number of seconds since 1970")
    try:
        return read_at(value)
    except Wrong as wrong:
        raise Wrong(f"`{name}`: {wrong}") from None


def _prefix(claims: Mapping[str, object]) -> str:
    """Return what the ids of a token's events begin with: the same for each delivery of it."""
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_JTI:
        raise Wrong(f"a token is named by its `jti`, 1 to {LONGEST_JTI} characters")
    named = json.dumps([claims["iss"], jti]).encode("ascii")
    return f"set-{hashlib.sha256(named).hexdigest()[:32]}"


def _subject(claims: Mapping[str, object], payload: Mapping[str, object], transmitter: Transmitter) -> _Subject:
    """Return whom an event is about: the token's `sub_id` (RFC 9493), or in older ones the event's `subject`."""
    subject = claims.get("sub_id", payload.get("subject"))
    if not isinstance(subject, Mapping):
        raise Wrong("a token says whom it is about, as `sub_id`")
    session: str | None = None
    if subject.get("format") == "complex":
        session = _session(_object(subject, "session")) if "session" in subject else None
        subject = _object(subject, "user")
    account = _account(subject, transmitter)
    if not is_uid(account):
        raise Wrong("the subject names no account of ours")
    return _Subject(account, session)


def _account(subject: Mapping[str, object], transmitter: Transmitter) -> str:
    """Return the account that a subject names. Raise Wrong for a format that is not understood."""
    kind = subject.get("format", subject.get("subject_type"))
    match kind:
        case "iss_sub" | "iss-sub":
            if subject.get("iss") not in {transmitter.issuer, *transmitter.subject_issuers}:
                raise Wrong("the subject's `iss` is not one whose accounts are ours")
            return _string(subject, "sub")
        case "opaque":
            return _string(subject, "id")
        case "account":
            local, at, host = _string(subject, "uri").removeprefix("acct:").rpartition("@")
            if not at or host.casefold() not in transmitter.account_hosts:
                raise Wrong("the host of the subject's `uri` is not one whose accounts are ours")
            return local
        case _:
            raise Wrong(f"unknown format of a subject {quoted(kind)}{did_you_mean(kind, FORMATS)}")


def _session(session: Mapping[str, object]) -> str:
    if session.get("format") != "opaque":
        raise Wrong("a session is named in the format `opaque`")
    return _string(session, "id")


def _initiator(payload: Mapping[str, object]) -> str | None:
    entity = payload.get("initiating_entity")
    return entity if entity in {"admin", "user", "policy", "system"} and isinstance(entity, str) else None


def _code(payload: Mapping[str, object], name: str, codes: Mapping[str, Code]) -> Code:
    value = payload.get(name)
    found = codes.get(value) if isinstance(value, str) else None
    if found is None:
        raise Wrong(f"unknown `{name}` {quoted(value)}{did_you_mean(value, codes)}")
    return found


def _object(claims: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = claims.get(name)
    if not isinstance(value, Mapping):
        raise Wrong(f"{quoted(name)} must be an object")
    return value


def _string(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT or not value.isprintable():
        raise Wrong(f"`{name}` of the subject must be a text of 1 to {LONGEST_TEXT} characters")
    return value
