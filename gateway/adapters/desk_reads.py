"""What is asked of tickets and timelines: pages, the newest first."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from gateway.adapters.dialects import is_member
from gateway.adapters.schema import AUDIT, EVENTS, EVIDENCE, TICKET_LOG, TICKETS
from gateway.adapters.sql import AccountStore
from gateway.core.account import is_uid
from gateway.core.errors import SearchError
from gateway.desk.record import Ticket, ticket_of

MOST: Final = 500
"""Rows of a page at most."""
_MOST_OPEN: Final = 1000
_AS_IT_CAME: Final[sa.ColumnClause[int]] = sa.literal_column("evidence.rowid")


class TicketFilter(NamedTuple):
    """Which tickets are wanted; None leaves all."""

    account: str | None = None
    kind: str | None = None
    state: str | None = None
    is_open: bool | None = None
    holds: str | None = None
    """An operation that it holds."""


EVERY: Final = TicketFilter()


class TicketPage(NamedTuple):
    """Tickets, and where the next page begins; None where there is none."""

    tickets: tuple[Ticket, ...]
    cursor: str | None


class LogEntry(NamedTuple):
    """One step of a ticket."""

    number: int
    at: int
    who: str
    act: str
    before: str | None
    after: str
    version: int
    why: str


class KeptEvidence(NamedTuple):
    """One piece of evidence, and under which name its file is kept; None where it has none."""

    id: str
    ticket: str
    at: int
    kept_as: str | None
    document: Mapping[str, Any]
    """`desk.evidence.Evidence` as an object."""


class Moment(NamedTuple):
    """One entry of an account's timeline."""

    at: int
    kind: str
    """`change` of the account, `event` that was told, or `step` of a ticket."""
    number: int
    who: str
    what: str
    details: Mapping[str, Any]
    why: str


class TimelinePage(NamedTuple):
    """Moments, the newest first, and where the next page begins; None where there is none."""

    moments: tuple[Moment, ...]
    cursor: str | None


class DeskReads:
    """Reads for people. Every wait is bounded: StoreUnavailable after that."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def ticket(self, ticket_id: str) -> Ticket | None:
        """Return the ticket, or None."""
        query = sa.select(TICKETS.c.document).where(TICKETS.c.id == ticket_id[:64])
        async with self._store.reading("read a ticket") as connection:
            document = (await connection.execute(query)).scalar_one_or_none()
        return None if document is None else ticket_of(document)

    async def open_ticket_for(self, uid: str, operation: str) -> Ticket | None:
        """Return the open ticket that holds an operation of the account; of several the one that lasts longest."""
        if not is_uid(uid):
            return None
        query = sa.select(TICKETS.c.document).where(TICKETS.c.account == uid, TICKETS.c.open_cause.is_not(None))
        async with self._store.reading("look for what holds an operation") as connection:
            found = (await connection.execute(query.limit(_MOST_OPEN))).scalars().all()
        now = self._store.clock.now()
        tickets = [one for one in map(ticket_of, found) if operation in one.operations]
        standing = [one for one in tickets if one.ends_at is None or one.ends_at > now]
        return max(standing, key=lambda one: (one.ends_at is None, one.ends_at or 0, one.id), default=None)

    async def tickets(self, wanted: TicketFilter = EVERY, *, cursor: str | None = None, limit: int = 50) -> TicketPage:
        """Return the tickets that are wanted, the newest first. Raise SearchError for a cursor that is none."""
        columns = TICKETS.c
        query = sa.select(columns.opened_at, columns.id, columns.document)
        for column, value in ((columns.account, wanted.account), (columns.kind, wanted.kind)):
            query = query if value is None else query.where(column == value)
        if wanted.state is not None:
            query = query.where(columns.state == wanted.state)
        if wanted.is_open is not None:
            query = query.where(columns.open_cause.is_not(None) if wanted.is_open else columns.open_cause.is_(None))
        if cursor is not None:
            opened_at, ticket_id = _cursor(cursor, 2)
            query = query.where(sa.tuple_(columns.opened_at, columns.id) < sa.tuple_(_number(opened_at), ticket_id))
        limit = min(max(limit, 1), MOST)
        query = query.order_by(columns.opened_at.desc(), columns.id.desc()).limit(limit + 1)
        async with self._store.reading("list tickets", self._store.write_within_s) as connection:
            if wanted.holds is not None:
                query = query.where(is_member(connection, wanted.holds, columns.document, "operations"))
            rows = (await connection.execute(query)).all()
        more = f"{rows[limit - 1].opened_at}.{rows[limit - 1].id}" if len(rows) > limit else None
        return TicketPage(tuple(ticket_of(row.document) for row in rows[:limit]), more)

    async def log(self, ticket_id: str) -> tuple[LogEntry, ...]:
        """Return the steps of a ticket, the oldest first."""
        columns = [TICKET_LOG.c[name] for name in LogEntry._fields]
        query = sa.select(*columns).where(TICKET_LOG.c.ticket == ticket_id[:64]).order_by(TICKET_LOG.c.number)
        async with self._store.reading("read a ticket's log") as connection:
            return tuple(LogEntry(*row) for row in await connection.execute(query.limit(MOST)))

    async def files(self, after: str = "", limit: int = MOST) -> list[tuple[str, str]]:
        """Return pieces of evidence that have a file, by id, and under which key it is kept."""
        query = sa.select(EVIDENCE.c.id, EVIDENCE.c.kept_as).where(EVIDENCE.c.kept_as.is_not(None))
        page = query.where(EVIDENCE.c.id > after).order_by(EVIDENCE.c.id).limit(limit)
        async with self._store.reading("list files of evidence", self._store.write_within_s) as connection:
            return [(row.id, row.kept_as) for row in await connection.execute(page)]

    async def evidence(self, ticket_id: str) -> tuple[KeptEvidence, ...]:
        """Return the evidence of a ticket, the oldest first."""
        columns = [EVIDENCE.c[name] for name in KeptEvidence._fields]
        query = sa.select(*columns).where(EVIDENCE.c.ticket == ticket_id[:64]).order_by(EVIDENCE.c.at, _AS_IT_CAME)
        async with self._store.reading("read a ticket's evidence") as connection:
            return tuple(KeptEvidence(*row) for row in await connection.execute(query.limit(MOST)))

    async def timeline(self, uid: str, *, cursor: str | None = None, limit: int = 50) -> TimelinePage:
        """Return what happened to an account, the newest first. Raise SearchError for a cursor that is none."""
        if not is_uid(uid):
            return TimelinePage((), None)
        limit = min(max(limit, 1), MOST)
        after = None if cursor is None else _place(cursor)
        found: list[Moment] = []
        async with self._store.reading("read a timeline", self._store.write_within_s) as connection:
            for kind, query in _moments(uid, after, limit + 1).items():
                found += [_moment(kind, row) for row in await connection.execute(query)]
        found.sort(key=lambda one: (one.at, one.kind, one.number), reverse=True)
        last = found[limit - 1] if len(found) > limit else None
        return TimelinePage(tuple(found[:limit]), None if last is None else f"{last.at}.{last.kind}.{last.number}")


_Place = tuple[int, str, int]


def _moments(uid: str, after: _Place | None, limit: int) -> dict[str, sa.Select[Any]]:
    """Return one query for each kind of moment: each finds its own newest, which are then put together."""
    queries = {}
    for kind, table in (("change", AUDIT), ("event", EVENTS), ("step", TICKET_LOG)):
        columns = table.c
        query = sa.select(table).where(columns.account == uid)
        if after is not None:
            at, last, number = after
            query = query.where(
                columns.at <= at
                if kind < last
                else columns.at < at
                if kind > last
                else sa.tuple_(columns.at, columns.number) < sa.tuple_(at, number)
            )
        queries[kind] = query.order_by(columns.at.desc(), columns.number.desc()).limit(limit)
    return queries


def _moment(kind: str, row: sa.Row[Any]) -> Moment:
    if kind == "change":
        details = {"before": row.before, "after": row.after}
        return Moment(row.at, kind, row.number, row.who, row.action, details, row.why)
    if kind == "event":
        told = {name: value for name, value in row.body.items() if name not in {"account", "at", "type"}}
        return Moment(row.at, kind, row.number, row.source, row.type, told, "")
    step = {"ticket": row.ticket, "before": row.before, "after": row.after, "version": row.version}
    return Moment(row.at, kind, row.number, row.who, f"ticket.{row.act}", step, row.why)


def _place(cursor: str) -> _Place:
    at, kind, number = _cursor(cursor, 3)
    if kind not in {"change", "event", "step"}:
        raise SearchError(f"`{ascii(cursor[:80])[1:-1]}` is no cursor of a timeline: use one as it was given")
    return _number(at), kind, _number(number)


def _cursor(text: str, parts: int) -> list[str]:
    found = text.split(".")
    if len(text) > 80 or len(found) != parts:
        raise SearchError(f"`{ascii(text[:80])[1:-1]}` is no cursor: use one as it was given")
    return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise SearchError(f"`{ascii(text[:80])[1:-1]}` is no part of a cursor: use one as it was given")
    return int(text)
