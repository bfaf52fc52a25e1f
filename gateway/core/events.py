"""Events: what the exchange tells of an account, read from JSON. What does not fit is a problem with its field."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum, unique
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple, TypeAlias

from gateway.core.decision import instant_text
from gateway.core.event_fields import (
    LONGEST_ID,
    Reader,
    Wrong,
    did_you_mean,
    one_of,
    quoted,
    read_account,
    read_amount,
    read_at,
    read_countries,
    read_country,
    read_id,
    read_ip,
    read_level,
    read_share,
    read_text,
)
from gateway.core.terms import Verification

LARGEST_BODY: Final = 16 * 1024
"""Bytes of JSON that an event is at most, since each of its fields is bounded."""
TOLERANCE: Final = 5 * 60 * 1_000_000
"""How far ahead of our clock an event may be, since clocks differ. How far behind is not bounded."""


@unique
class Method(StrEnum):
    """What proves or protects, and may be changed."""

    PASSWORD = "password"  # noqa: S105 - the name of a method, not a secret
    TOTP = "totp"
    SMS = "sms"
    PASSKEY = "passkey"
    EMAIL = "email"
    PHONE = "phone"
    WITHDRAWAL_PASSWORD = "withdrawal_password"  # noqa: S105 - the name of a method, not a secret
    ADDRESS_ALLOWLIST = "address_allowlist"
    WITHDRAWAL_LIMIT = "withdrawal_limit"
    API_KEY = "api_key"
    """One that may withdraw."""


@unique
class Change(StrEnum):
    """What happened to a method."""

    ADDED = "added"
    REMOVED = "removed"
    REPLACED = "replaced"
    RESET = "reset"


@unique
class ProvedWith(StrEnum):
    """What whoever made a change showed for it."""

    PASSWORD = "password"  # noqa: S105 - the name of a method, not a secret
    TOTP = "totp"
    SMS = "sms"
    PASSKEY = "passkey"
    EMAIL = "email"
    PHONE = "phone"
    WITHDRAWAL_PASSWORD = "withdrawal_password"  # noqa: S105 - the name of a method, not a secret
    IDENTITY = "identity"
    """Liveness and a document, examined."""
    RECOVERY = "recovery"
    """A recovery code, security questions, or another way for who has lost everything else."""
    SUPPORT = "support"
    """Somebody at the exchange did it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What every event says. Instants are microseconds since the epoch."""

    type: ClassVar[str]
    id: str
    account: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _From(_Told):
    """An event that somebody's device caused. None is "not told", which is never a reason for trust."""

    ip: str | None = None
    """In its one spelling."""
    user_agent: str | None = None
    device: str | None = None
    session: str | None = None
    session_kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSucceeded(_From):
    """Somebody signed in."""

    type: ClassVar[str] = "login.succeeded"
    proved_with: ProvedWith | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFailed(_From):
    """Somebody tried to."""

    type: ClassVar[str] = "login.failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationChanged(_From):
    """What proves or protects was changed."""

    type: ClassVar[str] = "verification.changed"
    method: Method
    change: Change
    proved_with: ProvedWith | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUpdated(_Told):
    """What the exchange now has of the customer. None leaves a field as it is. A status is no field of an event."""

    type: ClassVar[str] = "account.updated"
    verification: Verification | None = None
    documents: frozenset[str] | None = None
    residence: str | None = None
    nationality: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalCompleted(_From):
    """A withdrawal went out."""

    type: ClassVar[str] = "withdrawal.completed"
    destination: str | None = None
    balance_share: float | None = None
    """Of the balance before it, 0 to 1."""
    amount_usd: float | None = None
    proved_with: ProvedWith | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRevoked(_Told):
    """A session was ended; without one, every session of the account."""

    type: ClassVar[str] = "session.revoked"
    session: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssuranceChanged(_Told):
    """Sessions that began before this count for at most `level`, as the fact `assurance` counts."""

    type: ClassVar[str] = "assurance.changed"
    level: int
    session: str | None = None
    """None: every session of the account."""


Event: TypeAlias = (
    LoginSucceeded
    | LoginFailed
    | VerificationChanged
    | AccountUpdated
    | WithdrawalCompleted
    | SessionRevoked
    | AssuranceChanged
)

_TYPES: Final[tuple[type[Event], ...]] = (
    LoginSucceeded,
    LoginFailed,
    VerificationChanged,
    AccountUpdated,
    WithdrawalCompleted,
    SessionRevoked,
    AssuranceChanged,
)
TYPES: Final[Mapping[str, type[Event]]] = MappingProxyType({kind.type: kind for kind in _TYPES})
"""Every event by its `type`."""


class EventProblem(NamedTuple):
    """An event that is not taken. The others of its batch are."""

    code: str
    field: str | None
    message: str
    id: str | None = None
    """The event's, as far as it could be read."""


_READERS: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "id": read_id,
        "account": read_account,
        "at": read_at,
        "ip": read_ip,
        "user_agent": read_text,
        "device": read_text,
        "session": read_text,
        "session_kind": read_text,
        "proved_with": one_of(ProvedWith),
        "method": one_of(Method),
        "change": one_of(Change),
        "verification": one_of(Verification),
        "documents": read_countries,
        "residence": read_country,
        "nationality": read_country,
        "destination": read_text,
        "balance_share": read_share,
        "amount_usd": read_amount,
        "why": read_text,
        "level": read_level,
    }
)
_NEEDED: Final = frozenset({"id", "account", "at", "method", "change", "level"})


def read_event(document: object, *, now: int | None = None) -> Event | EventProblem:
    """Return the event that a JSON object tells, or what is wrong with it.

    `now` bounds how far ahead its instant may be; None where it was taken before.
    """
    if not isinstance(document, Mapping):
        return EventProblem("not-an-object", None, "an event is a JSON object")
    told = document.get("id")
    event_id = told if isinstance(told, str) and 0 < len(told) <= LONGEST_ID and told.isprintable() else None
    told = document.get("type")
    kind = TYPES.get(told) if isinstance(told, str) else None
    if kind is None:
        return EventProblem("unknown-type", "type", f"unknown type {quoted(told)}{did_you_mean(told, TYPES)}", event_id)
    event = _event(kind, document, event_id)
    if isinstance(event, EventProblem) or now is None or event.at <= now + TOLERANCE:
        return event
    text = f"`at` is {(event.at - now) // 1_000_000} s ahead of this clock; {TOLERANCE // 1_000_000} s are tolerated"
    return EventProblem("in-the-future", "at", text, event_id)


def _event(kind: type[Event], document: Mapping[object, object], event_id: str | None) -> Event | EventProblem:
    names = [one.name for one in fields(kind)]
    for name in document:
        if name != "type" and name not in names:
            return EventProblem("unknown-field", str(name)[:64], _unknown(name, kind, names), event_id)
    values: dict[str, object] = {}
    for name in names:
        try:
            values[name] = _READERS[name](document.get(name))
        except Wrong as wrong:
            return EventProblem("invalid-field", name, f"`{name}`: {wrong}", event_id)
        if values[name] is None and name in _NEEDED:
            return EventProblem("missing-field", name, f"`{kind.type}` needs `{name}`", event_id)
    return kind(**values)  # type: ignore[arg-type]  # _READERS gives each field its type


def event_document(event: Event) -> dict[str, object]:
    """Return the event as the JSON object that `read_event` reads as the same event."""
    document: dict[str, object] = {"type": event.type}
    for one in fields(event):
        value = getattr(event, one.name)
        if value is not None:
            document[one.name] = sorted(value) if isinstance(value, frozenset) else value
    document["at"] = instant_text(event.at)
    return document


def _unknown(name: object, kind: type[Event], known: list[str]) -> str:
    if name == "geo" or name in {"country", "asn", "subdivision", "network", "lat", "lon", "radius_km"}:
        return f"{quoted(name)} is not an event's to say: it tells its `ip`, and the gateway looks up where that is"
    if name == "status":
        return "`status` is not an event's to set: policies and people change it, by the table of transitions"
    return f"unknown field {quoted(name)} in `{kind.type}`{did_you_mean(name, known)}"
