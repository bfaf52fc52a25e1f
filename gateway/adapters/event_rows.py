"""Events taken inside a transaction: each stored once, with all that follows from it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa

from gateway.adapters.account_book import AuditEntry
from gateway.adapters.account_rows import note_rows, read_account, write_account
from gateway.adapters.outbox_rows import tell
from gateway.adapters.profile_rows import (
    Kept,
    Where,
    applied,
    made_again,
    read_kept,
    sequence,
    write_kept,
)
from gateway.adapters.profile_rows import Told as ProfileEvent
from gateway.adapters.revocations import revoke
from gateway.adapters.schema import EVENTS
from gateway.adapters.ticket_rows import (
    GATEWAY,
    Doing,
    latest_ticket_of,
    new_ticket_id,
    open_ticket_of_kind,
    write_step,
)
from gateway.core.account import (
    Account,
    Refused,
    new_account,
    set_documents,
    set_nationality,
    set_residence,
    set_verification,
)
from gateway.core.events import (
    AccountUpdated,
    AssuranceChanged,
    Event,
    EventProblem,
    LoginFailed,
    SessionRevoked,
    VerificationChanged,
    event_document,
)
from gateway.core.login import Digests
from gateway.core.messages import Told, message
from gateway.core.profile import Profile
from gateway.core.verification_changes import HoldSpec, Made, standing
from gateway.desk.hold import hold_of
from gateway.desk.kinds import TicketKind
from gateway.desk.record import Ticket
from gateway.desk.ticket import Done, cause_of_change, open_for_change, renew
from gateway.ports import Taken, Taking

_FIELDS: Final = ("verification", "documents", "residence", "nationality")
_TAKEN: Final = Taken(Taking.TAKEN)
_REPEATED: Final = Taken(Taking.REPEATED)
_MOST_LATER: Final = 1000


class Batch(NamedTuple):
    """Events of one transaction, and what is the same for all of them."""

    events: Sequence[Event]
    geo: Mapping[str, Where]
    """What the databases say of each event's address, by the event's id."""
    source: str
    now: int
    digests: Digests | None
    """None where nothing is measured: then no habits are kept."""


def take_all(connection: sa.Connection, batch: Batch) -> tuple[Taken, ...]:
    """Return what became of each event."""
    known = _known(connection, [event.id for event in batch.events])
    taken: dict[int, Event] = {}
    results: list[Taken] = []
    for place, event in enumerate(batch.events):
        if event.id in known:
            results.append(_REPEATED)
            continue
        problem = _problem(connection, event, batch, taken.values()) if isinstance(event, AccountUpdated) else None
        results.append(_TAKEN if problem is None else Taken(Taking.PROBLEM, problem))
        if problem is None:
            known.add(event.id)
            taken[place] = event
    if taken:
        _insert(connection, taken.values(), batch)
        _apply(connection, list(taken.values()), batch)
    return tuple(results)


def _known(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    return set(connection.execute(sa.select(EVENTS.c.id).where(EVENTS.c.id.in_(ids))).scalars())


def _problem(
    connection: sa.Connection, event: AccountUpdated, batch: Batch, before: Iterable[Event]
) -> EventProblem | None:
    """Return why an account cannot be updated: nobody has told all of it that rules ask for."""
    whole = event.verification is not None and event.documents is not None
    if whole or read_account(connection, event.account, batch.now) is not None:
        return None
    for one in before:
        if isinstance(one, AccountUpdated) and one.account == event.account:
            return None
    text = (
        f"there is no account `{event.account}`; an `{event.type}` makes it where it tells `verification` and "
        "`documents`, since what is left out would read as having none"
    )
    return EventProblem("unknown-account", "account", text, event.id)


def _insert(connection: sa.Connection, events: Iterable[Event], batch: Batch) -> None:
    rows = [
        {
            "id": event.id,
            "account": event.account,
            "at": event.at,
            "received_at": batch.now,
            "source": batch.source,
            "type": event.type,
            "body": event_document(event),
            "geo": batch.geo.get(event.id),
        }
        for event in events
    ]
    connection.execute(sa.insert(EVENTS), rows)


def _apply(connection: sa.Connection, events: Sequence[Event], batch: Batch) -> None:
    of_profile: dict[str, list[ProfileEvent]] = defaultdict(list)
    for event in sorted(events, key=lambda one: (one.at, one.id)):
        match event:
            case AccountUpdated():
                _update(connection, event, batch)
            case SessionRevoked() | AssuranceChanged():
                _revoke(connection, event, batch)
            case LoginFailed():
                pass  # counted for its network, in memory: it says nothing of the account's habits
            case VerificationChanged():
                of_profile[event.account].append(event)
            case _:
                if batch.digests is not None:
                    of_profile[event.account].append(event)
    if not of_profile:
        return
    kept = read_kept(connection, of_profile)
    was_late = {account for account, told in of_profile.items() if _was_late(kept.get(account), told)}
    after = {
        account: _profile(connection, account, kept.get(account), told, batch) for account, told in of_profile.items()
    }
    write_kept(connection, after)
    for account, told in of_profile.items():
        if account in was_late or any(isinstance(event, VerificationChanged) for event in told):
            _hold(connection, account, after[account].changes, batch)


def _was_late(kept: Kept | None, told: Sequence[ProfileEvent]) -> bool:
    return kept is not None and bool(kept.changes) and kept.is_late(sequence(told)[0])


def _profile(
    connection: sa.Connection, account: str, kept: Kept | None, told: Sequence[ProfileEvent], batch: Batch
) -> Kept:
    """Return what is kept of an account after these events, in whatever order they came."""
    told = sequence(told)
    if kept is None or kept.is_late(told[0]):
        # Of an account without a profile there may be events all the same, from before anything was measured.
        again = made_again(connection, account, kept or Kept(Profile()), told[-1].at, batch.digests)
        if again is not None:
            return again
    kept = kept or Kept(Profile())
    for event in told:
        kept = applied(kept, event, batch.digests, batch.geo.get(event.id))
    return kept


def _hold(connection: sa.Connection, account: str, changes: Sequence[Made], batch: Batch) -> None:
    """Place the hold that changes of verification call for, or start the clock of the one that stands anew."""
    spec = standing(changes).hold
    if spec is None or (spec.until is not None and spec.until <= batch.now):
        return
    ticket = open_ticket_of_kind(connection, account, TicketKind.VERIFICATION_CHANGED)
    why = f"{spec.kind}, proved by {spec.proof}"
    if ticket is not None:
        done = renew(ticket, hold_of(spec), cause_of_change(account, spec), revokes=spec.revokes)
        _step(connection, ticket, done, Doing(GATEWAY, batch.now, "renew", why))
    elif not _was_ticketed(connection, account, spec):
        done = open_for_change(account, spec, new_ticket_id(), batch.now)
        _step(connection, None, done, Doing(GATEWAY, batch.now, "open", why))


def _was_ticketed(connection: sa.Connection, account: str, spec: HoldSpec) -> bool:
    """Return whether this start of the clock had its ticket: then people have closed it, or its time was over."""
    return latest_ticket_of(connection, cause_of_change(account, spec)) is not None


def _step(connection: sa.Connection, before: Ticket | None, done: Done | Refused, doing: Doing) -> None:
    # A step that is refused leaves the ticket as it is: what was proposed or held stands.
    if isinstance(done, Done):
        write_step(connection, before, done, doing)


def _update(connection: sa.Connection, event: AccountUpdated, batch: Batch) -> None:
    """Give the account each field that no later event tells otherwise."""
    before = read_account(connection, event.account, batch.now)
    later = _told_later(connection, event)
    after: Account | Refused = before or new_account(event.account)
    for name in _FIELDS:
        value = getattr(event, name)
        if value is not None and name not in later and isinstance(after, Account):
            after = _SETTERS[name](after, value)
    if isinstance(after, Account) and after != before:
        entry = AuditEntry(batch.now, batch.source, "account.update", event.account, {}, {}, f"event {event.id}")
        write_account(connection, before, after, entry)


_SETTERS: Final = {
    "verification": set_verification,
    "documents": set_documents,
    "residence": set_residence,
    "nationality": set_nationality,
}


def _told_later(connection: sa.Connection, event: AccountUpdated) -> set[str]:
    columns = EVENTS.c
    mine = sa.and_(columns.account == event.account, columns.type == AccountUpdated.type, columns.at >= event.at)
    query = sa.select(columns.id, columns.at, columns.body).where(mine).order_by(columns.at.desc()).limit(_MOST_LATER)
    found: set[str] = set()
    for event_id, at, body in connection.execute(query):
        if (at, event_id) > (event.at, event.id):
            found |= body.keys() & set(_FIELDS)
    return found


def _revoke(connection: sa.Connection, event: SessionRevoked | AssuranceChanged, batch: Batch) -> None:
    if not revoke(connection, event):
        return
    action = "sessions.revoke" if isinstance(event, SessionRevoked) else "sessions.limit"
    after: dict[str, object] = {"session": event.session, "before": event.at}
    if isinstance(event, AssuranceChanged):
        after["level"] = event.level
    entry = AuditEntry(batch.now, batch.source, action, event.account, {}, after, f"event {event.id}")
    note_rows(connection, entry)
    if isinstance(event, SessionRevoked):
        tell(
            connection,
            (message(Told.SESSION_REVOKED, event.account, event=event.id, session=event.session),),
            batch.now,
        )
