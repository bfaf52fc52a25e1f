"""Tickets as rows: a step of one with all that follows from it. For calls inside a transaction of the store."""

import secrets
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from gateway.adapters.account_book import AuditEntry
from gateway.adapters.account_rows import note_rows, read_account, write_account, write_holds
from gateway.adapters.outbox_rows import tell
from gateway.adapters.profile_rows import make_familiar
from gateway.adapters.revocations import revoke
from gateway.adapters.schema import TICKET_LOG, TICKETS
from gateway.core.account import Refused
from gateway.core.events import SessionRevoked
from gateway.desk.consequences import (
    BecomesFamiliar,
    Consequence,
    HoldEnds,
    HoldStands,
    SessionsRevoked,
    Tell,
    account_step,
)
from gateway.desk.lifecycle import CLOSED
from gateway.desk.record import Ticket, ticket_document, ticket_of
from gateway.desk.ticket import ENTROPY, Done, ticket_id

GATEWAY: Final = "gateway"
"""Who did what nobody did."""


class Doing(NamedTuple):
    """Who makes a step, when and why."""

    who: str
    at: int
    act: str
    why: str


class RefusedInside(Exception):
    """A consequence may not be: the whole step is undone."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.refused = refused


def new_ticket_id() -> str:
    """Return an id that no ticket has."""
    return ticket_id(secrets.token_bytes(ENTROPY))


def read_ticket(connection: sa.Connection, wanted: str) -> Ticket | None:
    """Return the ticket of an id, or None."""
    return _ticket(connection, TICKETS.c.id == wanted)


def open_ticket_of(connection: sa.Connection, cause: str) -> Ticket | None:
    """Return the open ticket of a cause, or None."""
    return _ticket(connection, TICKETS.c.open_cause == cause)


def latest_ticket_of(connection: sa.Connection, cause: str) -> Ticket | None:
    """Return the newest ticket of a cause, open or not; None where there never was one."""
    return _ticket(connection, TICKETS.c.cause == cause)


def open_ticket_of_kind(connection: sa.Connection, account: str, kind: str) -> Ticket | None:
    """Return the account's newest open ticket of a kind, or None."""
    return _ticket(
        connection, sa.and_(TICKETS.c.account == account, TICKETS.c.kind == kind, TICKETS.c.open_cause.is_not(None))
    )


def write_step(connection: sa.Connection, before: Ticket | None, done: Done, doing: Doing) -> Ticket:
    """Return the ticket, stored with everything that the step entails.

    Raise RefusedInside where the account may not become what the step makes it: the caller lets the transaction go.
    """
    after = done.ticket
    if after == before:
        return after
    row = _row(after)
    if before is None:
        connection.execute(sa.insert(TICKETS), row)
    else:
        mine = sa.and_(TICKETS.c.id == after.id, TICKETS.c.version == before.version)
        changed = connection.execute(sa.update(TICKETS).where(mine).values(row))
        assert changed.rowcount == 1, "one transaction writes at a time"
    _log(connection, before, after, doing)
    for consequence in done.consequences:
        _carry_out(connection, consequence, after, doing)
    return after


def _row(ticket: Ticket) -> dict[str, Any]:
    is_open = ticket.state not in CLOSED
    return {
        "id": ticket.id,
        "account": ticket.account,
        "kind": str(ticket.kind),
        "state": str(ticket.state),
        "cause": ticket.cause,
        "open_cause": ticket.cause if is_open else None,
        "until": ticket.ends_at,
        "opened_at": ticket.opened_at,
        "closed_at": ticket.closed_at,
        "version": ticket.version,
        "document": ticket_document(ticket),
    }


def _log(connection: sa.Connection, before: Ticket | None, after: Ticket, doing: Doing) -> None:
    entry = {
        "ticket": after.id,
        "account": after.account,
        "at": doing.at,
        "who": doing.who,
        "act": doing.act,
        "before": None if before is None else str(before.state),
        "after": str(after.state),
        "version": after.version,
        "why": doing.why,
    }
    connection.execute(sa.insert(TICKET_LOG), entry)


def _carry_out(connection: sa.Connection, consequence: Consequence, ticket: Ticket, doing: Doing) -> None:
    account, at = ticket.account, doing.at
    match consequence:
        case HoldStands(operations=operations, until=until):
            if write_holds(connection, account, ticket.id, sorted(map(str, operations)), until):
                held: dict[str, object] = {"operations": sorted(map(str, operations)), "until": until}
                _note(connection, "hold.place", ticket, doing, held)
        case HoldEnds():
            if write_holds(connection, account, ticket.id, (), None):
                _note(connection, "hold.end", ticket, doing, {})
        case BecomesFamiliar(about=about):
            make_familiar(connection, account, about, at, ticket.id)
        case SessionsRevoked():
            revoke(connection, SessionRevoked(id=ticket.id, account=account, at=at))
            _note(connection, "sessions.revoke", ticket, doing, {})
        case Tell(message=message):
            tell(connection, (message,), at)
        case _:
            _change_account(connection, consequence, ticket, doing)


def _change_account(connection: sa.Connection, consequence: Consequence, ticket: Ticket, doing: Doing) -> None:
    step = account_step(consequence)
    before = read_account(connection, ticket.account, doing.at)
    # An account that nobody has told us of has no status to change: what is not known of it grants nothing.
    if step is None or before is None:
        return
    after = step(before)
    if isinstance(after, Refused):
        raise RefusedInside(after)
    if after != before:
        write_account(connection, before, after, _entry("status.set", ticket, doing, {}))


def _note(connection: sa.Connection, action: str, ticket: Ticket, doing: Doing, after: dict[str, object]) -> None:
    note_rows(connection, _entry(action, ticket, doing, after))


def _entry(action: str, ticket: Ticket, doing: Doing, after: dict[str, object]) -> AuditEntry:
    more = {"ticket": ticket.id, "decision": ticket.decision_id}
    told = {name: value for name, value in more.items() if value is not None}
    return AuditEntry(doing.at, doing.who, action, ticket.account, {}, {**after, **told}, doing.why)


def _ticket(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Ticket | None:
    query = sa.select(TICKETS.c.document).where(where).order_by(TICKETS.c.opened_at.desc(), TICKETS.c.id.desc())
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else ticket_of(row.document)
