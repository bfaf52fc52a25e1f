"""What an account's events amount to, as rows: its profile and its changes of verification.

Events are applied in the order of their own time. One that arrives late makes the profile anew from the events, so that
the order of arrival leaves no trace.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
import structlog

from gateway.adapters.dialects import insert_into
from gateway.adapters.schema import EVENTS, PROFILES
from gateway.core.decision import instant_text
from gateway.core.errors import StoreUnavailable
from gateway.core.events import (
    Change,
    LoginSucceeded,
    Method,
    ProvedWith,
    VerificationChanged,
    WithdrawalCompleted,
)
from gateway.core.forgetting import DAY, EXPIRY_DAYS, SECOND
from gateway.core.login import ADDRESS, ASN, COUNTRY, DEVICE, LEVELS, PREFIX, Digests, Feature, Login, Place, login_of
from gateway.core.obligations import parts_of
from gateway.core.profile import Profile
from gateway.core.profile_state import Use, Waiting
from gateway.core.verification_changes import Made

log: Any = structlog.get_logger("gateway")

FAMILIAR: Final = "ticket.familiar"
"""The type of the events that released tickets leave; nobody can send one."""
MOST_AGAIN: Final = 1000
"""Events that a profile is made anew from at most; where there are more, a late one is taken as it comes."""
MOST_CHANGES: Final = 200
LOOKS_BACK: Final = EXPIRY_DAYS * DAY

Told = LoginSucceeded | WithdrawalCompleted | VerificationChanged
"""The events that a profile is made of."""
TOLD: Final = (LoginSucceeded, WithdrawalCompleted, VerificationChanged)
_TYPES: Final = (*(kind.type for kind in TOLD), FAMILIAR)


class Familiar(NamedTuple):
    """What two people made known to an account."""

    id: str
    at: int
    about: str


class Kept(NamedTuple):
    """What is kept of one account. The profile is owned by whoever read it."""

    profile: Profile
    changes: tuple[Made, ...] = ()
    last_at: int = -1
    last_id: str = ""

    def is_late(self, one: "Told | Familiar") -> bool:
        """Return whether an event happened before one that is in it."""
        return (one.at, one.id) < (self.last_at, self.last_id)


Where = Mapping[str, Any] | None
"""What the databases said of an event's address when it was taken: `country`, `asn`, `network`, `place`."""


def login_from(digests: Digests, event: Told, geo: Where) -> Login:
    """Return the login that an event was, or was made as."""
    told = geo or {}
    networks, place = told.get("network"), told.get("place")
    return login_of(
        digests, event.at,
        event_id=event.id, ip=event.ip, agent=event.user_agent, device=event.device, session=event.session,
        country=told.get("country"), asn=told.get("asn"), networks=None if networks is None else frozenset(networks),
        place=None if place is None else Place(*place),
    )  # fmt: skip


def applied(kept: Kept, event: Told | Familiar, digests: Digests | None = None, geo: Where = None) -> Kept:
    """Return what is kept after one event more. The profile of `kept` is changed and given on.

    Without digests no habits are kept, and no change of verification comes from a place that is known.
    """
    profile, changes = kept.profile, kept.changes
    login = None if digests is None or isinstance(event, Familiar) else login_from(digests, event, geo)
    match event:
        case Familiar():
            _familiar(profile, event)
        case LoginSucceeded() if login is not None:
            profile.observe(login)
        case WithdrawalCompleted(proved_with=by, destination=to) if login is not None and digests is not None:
            destination = digests.text(b"destination", to)
            profile.confirm(login, () if by is None else (str(by),), destination)
        case VerificationChanged():
            made = _made(profile, event, login)
            changes = tuple(sorted({*changes, made}, key=_age))[-MOST_CHANGES:]
            profile.change(str(event.method), event.at, recovered=_recovered(made))
        case _:
            pass
    last = max((kept.last_at, kept.last_id), (event.at, event.id))
    return Kept(profile, changes, *last)


def read_kept(connection: sa.Connection, accounts: Iterable[str]) -> dict[str, Kept]:
    """Return what is kept of these accounts, those left out of which nothing is, or nothing that can be read."""
    query = sa.select(PROFILES).where(PROFILES.c.account.in_(list(accounts)))
    found: dict[str, Kept] = {}
    for row in connection.execute(query):
        try:
            found[row.account] = kept_of(row)
        except (ValueError, TypeError) as fault:
            # It is made again from the events, which are the truth: otherwise none of the account were taken any more.
            log.error("profile:damaged", account=row.account, fault=str(fault))  # noqa: TRY400 - the fault says it all
    return found


def kept_of(row: sa.Row[Any]) -> Kept:
    """Return what a row keeps. Raise ValueError where it is damaged."""
    changes = tuple(
        Made(at, Method(method), Change(change), None if by is None else ProvedWith(by), familiar)
        for at, method, change, by, familiar in row.changes
    )
    return Kept(Profile.from_bytes(row.blob), changes, row.last_at, row.last_id)


def write_kept(connection: sa.Connection, kept: Mapping[str, Kept]) -> None:
    """Keep this of these accounts."""
    rows = [
        {
            "account": account,
            "last_at": one.last_at,
            "last_id": one.last_id,
            "changes": [list(made) for made in one.changes],
            "blob": one.profile.to_bytes(),
        }
        for account, one in kept.items()
    ]
    if rows:
        new = insert_into(connection, PROFILES)
        values = {name: new.excluded[name] for name in ("last_at", "last_id", "changes", "blob")}
        connection.execute(new.on_conflict_do_update(index_elements=[PROFILES.c.account], set_=values), rows)


def made_again(connection: sa.Connection, account: str, old: Kept, newest: int, digests: Digests | None) -> Kept | None:
    """Return what the account's events amount to in the order of their own time; None where they are too many.

    Of what is older than the events that are read again, the old profile has the last word.
    """
    newest = max(newest, old.last_at)
    start = newest - LOOKS_BACK
    query = (
        sa.select(EVENTS.c.id, EVENTS.c.at, EVENTS.c.type, EVENTS.c.body, EVENTS.c.geo)
        .where(EVENTS.c.account == account, EVENTS.c.at > start, EVENTS.c.type.in_(_TYPES))
        .order_by(EVENTS.c.at, EVENTS.c.id)
        .limit(MOST_AGAIN + 1)
    )
    rows = connection.execute(query).all()
    if len(rows) > MOST_AGAIN:
        return None
    kept = Kept(Profile(), tuple(made for made in old.changes if made.at <= start))
    _carry_over(kept.profile, old.profile, start)
    for row in rows:
        kept = applied(kept, _event(row.type, row.id, row.at, row.body), digests, row.geo)
    return kept


def make_familiar(connection: sa.Connection, account: str, about: str, at: int, ticket: str) -> None:
    """Make known to the account what a ticket was about, from now on and whenever its profile is made again."""
    familiar = Familiar(f"{FAMILIAR}:{ticket}", at, about)
    body = {"type": FAMILIAR, "id": familiar.id, "account": account, "at": instant_text(at), "about": about}
    row = {
        "id": familiar.id, "account": account, "at": at, "received_at": at, "source": "desk", "type": FAMILIAR,
        "body": body,
    }  # fmt: skip
    connection.execute(sa.insert(EVENTS), row)
    kept = read_kept(connection, (account,)).get(account) or Kept(Profile())
    write_kept(connection, {account: applied(kept, familiar)})


def _familiar(profile: Profile, event: Familiar) -> None:
    parts = parts_of(event.about)
    values: list[Feature] = [None] * len(LEVELS)
    country, _, rest = parts.get("network", "").partition(".")
    asn, _, prefix = rest.partition(".")
    values[COUNTRY] = country or None
    values[ASN] = int(asn) if asn.isdecimal() else None
    values[PREFIX] = _digest(prefix)
    values[DEVICE] = _digest(parts.get("device", ""))
    at_s = event.at // SECOND
    profile.settle(event.at)
    if any(value is not None for value in values):
        # The profile trusts nothing before its time but what an old factor confirmed; two people are more than that.
        profile._learn(Waiting(at_s, 0, tuple(values), learned=True))  # noqa: SLF001 - it has no other way in yet
    destination = _digest(parts.get("destination", ""))
    if destination is not None:
        use = profile.destinations.get(destination)
        # A withdrawal to it in the same second is one to a known destination.
        profile.destinations[destination] = Use(at_s - 1, at_s) if use is None else use


def _digest(text: str) -> int | None:
    try:
        number = int(text, 16) if text else None
    except ValueError:
        return None
    return number if number is not None and 0 < number < 1 << 64 else None


def _made(profile: Profile, event: VerificationChanged, login: Login | None) -> Made:
    profile.settle(event.at)
    familiar: bool | None = None
    if login is not None and login.values[DEVICE] is not None and login.values[ADDRESS] is not None:
        known = [profile.weight(level, login.values[level], event.at) > 0 for level in (DEVICE, ASN, PREFIX)]
        familiar = known[0] and (known[1] or known[2])
    return Made(event.at, event.method, event.change, event.proved_with, familiar)


def _recovered(made: Made) -> bool:
    by_old_factor = made.proved_with not in {None, ProvedWith.RECOVERY, ProvedWith.SUPPORT, ProvedWith.IDENTITY}
    return not (by_old_factor and made.familiar and made.change is not Change.RESET)


def _age(made: Made) -> tuple[object, ...]:
    return made.at, str(made.method), str(made.change), str(made.proved_with), str(made.familiar)


_KINDS: Final = {kind.type: kind for kind in TOLD}
_ENUMS: Final = (("method", Method), ("change", Change), ("proved_with", ProvedWith))


def _event(kind: str, event_id: str, at: int, body: Mapping[str, Any]) -> Told | Familiar:
    """Return an event that was checked when it was taken. Raise StoreUnavailable where its row is damaged."""
    try:
        if kind == FAMILIAR:
            return Familiar(event_id, at, body["about"])
        told = {name: value for name, value in body.items() if name != "type"}
        told |= {name: enum(told[name]) for name, enum in _ENUMS if name in told}
        return _KINDS[kind](**{**told, "at": at})
    except (KeyError, TypeError, ValueError) as fault:
        raise StoreUnavailable(f"event `{event_id}` in the store is damaged: {fault}") from fault


def _carry_over(new: Profile, old: Profile, start: int) -> None:
    """Take from the old profile what happened before the events that are read again."""
    start_s = max(start, 0) // SECOND
    if old.since_s and old.since_s <= start_s:
        new.since_s = old.since_s
    new.destinations.update(
        (digest, Use(use.first_s, min(use.last_s, start_s)))
        for digest, use in old.destinations.items()
        if use.first_s <= start_s
    )
    new.changes.update((method, one) for method, one in old.changes.items() if one.at_s <= start_s)


def sequence(events: Iterable[Told]) -> Sequence[Told]:
    """Return events in the order in which they are applied."""
    return sorted(events, key=lambda one: (one.at, one.id))
