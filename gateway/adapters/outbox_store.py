"""The Outbox: what the exchange is still to be told, who delivers it, and what was given up on."""

from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from gateway.adapters.account_book import entry_of
from gateway.adapters.dialects import insert_into
from gateway.adapters.outbox_rows import Sending
from gateway.adapters.schema import LEASES, OUTBOX
from gateway.adapters.sql import AccountStore, note
from gateway.core.account import Refused
from gateway.core.errors import SearchError
from gateway.ports import OutboxRow

MOST: Final = 500
"""Rows of a page at most."""
LONGEST_ERROR: Final = 500
_COLUMNS: Final = tuple(OUTBOX.c["body" if name == "data" else name] for name in OutboxRow._fields)


class OutboxFilter(NamedTuple):
    """Which messages are wanted; None leaves all."""

    account: str | None = None
    type: str | None = None
    state: str | None = None


class OutboxPage(NamedTuple):
    """Messages, the newest first, and where the next page begins; None where there is none."""

    rows: tuple[OutboxRow, ...]
    cursor: str | None


EVERY: Final = OutboxFilter()


class OutboxStore:
    """The `Outbox` port on the embedded store, and what people ask of it. Every wait is bounded."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def lease(self, name: str, owner: str, until: int) -> bool:
        """Return whether `owner` has the lease until then: nobody else has it, or theirs is over."""
        free = sa.or_(LEASES.c.owner == owner, LEASES.c.until <= self._store.clock.now())
        async with self._store.writing(f"take the lease `{name}`") as connection:
            new = insert_into(connection, LEASES).values(name=name, owner=owner, until=until)
            values = {"owner": new.excluded.owner, "until": new.excluded.until}
            mine = new.on_conflict_do_update(index_elements=[LEASES.c.name], set_=values, where=free)
            return (await connection.execute(mine)).rowcount > 0

    async def release(self, name: str, owner: str) -> None:
        """Give the lease up, where `owner` has it."""
        mine = sa.and_(LEASES.c.name == name, LEASES.c.owner == owner)
        async with self._store.writing(f"give up the lease `{name}`") as connection:
            await connection.execute(sa.delete(LEASES).where(mine))

    async def due(self, at: int, limit: int) -> tuple[OutboxRow, ...]:
        """Return messages to try now: of each account only its first pending one, the oldest first."""
        earlier = OUTBOX.alias("earlier")
        before = sa.exists().where(
            earlier.c.account == OUTBOX.c.account,
            earlier.c.state == Sending.PENDING,
            earlier.c.number < OUTBOX.c.number,
        )
        query = (
            sa.select(*_COLUMNS)
            .where(OUTBOX.c.state == Sending.PENDING, OUTBOX.c.next_try_at <= at, ~before)
            .order_by(OUTBOX.c.next_try_at, OUTBOX.c.number)
            .limit(min(limit, MOST))
        )
        async with self._store.reading("look for messages to deliver", self._store.write_within_s) as connection:
            return tuple(_row(row) for row in await connection.execute(query))

    async def next_due(self) -> int | None:
        """Return when the next try of any message is due; None where none is pending."""
        query = sa.select(sa.func.min(OUTBOX.c.next_try_at)).where(OUTBOX.c.state == Sending.PENDING)
        async with self._store.reading("see when a message is due") as connection:
            found: int | None = (await connection.execute(query)).scalar_one()
            return found

    async def delivered(self, row_id: str, at: int) -> None:
        """Note that the receiver has it."""
        await self._change(row_id, state=Sending.DELIVERED, delivered_at=at, tries=OUTBOX.c.tries + 1, last_error=None)

    async def failed(self, row_id: str, error: str, next_try_at: int) -> None:
        """Note a try that failed, and when the next one is due."""
        await self._change(row_id, next_try_at=next_try_at, tries=OUTBOX.c.tries + 1, last_error=error[:LONGEST_ERROR])

    async def parked(self, row_id: str, error: str) -> None:
        """Give up on it until somebody says otherwise; the account's next one goes on."""
        await self._change(row_id, state=Sending.PARKED, tries=OUTBOX.c.tries + 1, last_error=error[:LONGEST_ERROR])

    async def row(self, row_id: str) -> OutboxRow | None:
        """Return the message of an id, or None."""
        async with self._store.reading("read a message of the Outbox") as connection:
            found = (await connection.execute(sa.select(*_COLUMNS).where(OUTBOX.c.id == row_id[:64]))).one_or_none()
        return None if found is None else _row(found)

    async def rows(self, wanted: OutboxFilter = EVERY, *, cursor: str | None = None, limit: int = 50) -> OutboxPage:
        """Return the messages that are wanted, the newest first. Raise SearchError for a cursor that is none."""
        query = sa.select(*_COLUMNS)
        for column, value in zip((OUTBOX.c.account, OUTBOX.c.type, OUTBOX.c.state), wanted, strict=True):
            query = query if value is None else query.where(column == value)
        if cursor is not None:
            if not (cursor.isascii() and cursor.isdecimal()) or len(cursor) > 18:
                raise SearchError(f"`{ascii(cursor[:80])[1:-1]}` is no cursor of the Outbox: use one as it was given")
            query = query.where(OUTBOX.c.number < int(cursor))
        limit = min(max(limit, 1), MOST)
        query = query.order_by(OUTBOX.c.number.desc()).limit(limit + 1)
        async with self._store.reading("list the Outbox", self._store.write_within_s) as connection:
            rows = [_row(row) for row in await connection.execute(query)]
        return OutboxPage(tuple(rows[:limit]), str(rows[limit - 1].number) if len(rows) > limit else None)

    async def retry(self, row_id: str, *, who: str, why: str) -> OutboxRow | Refused:
        """Return a message that was given up on, to be tried again from now on."""
        clock = self._store.clock
        entry = entry_of(clock, "outbox.retry", "", who, why, message=row_id[:64])
        if isinstance(entry, Refused):
            return entry
        known = await self.row(row_id)
        if known is None:
            return Refused("id", f"there is no message `{ascii(row_id[:64])[1:-1]}` in the Outbox")
        parked = sa.and_(OUTBOX.c.id == known.id, OUTBOX.c.state == Sending.PARKED)
        values = {"state": Sending.PENDING, "tries": 0, "next_try_at": entry.at}
        async with self._store.writing("retry a message") as connection:
            if not (await connection.execute(sa.update(OUTBOX).where(parked).values(values))).rowcount:
                return Refused("state", f"message {known.id} is {known.state}; only a parked one is tried again")
            await note(connection, entry._replace(account=known.account))
        return known._replace(state=str(Sending.PENDING), tries=0, next_try_at=entry.at)

    async def forget(self, before: int) -> int:
        """Remove messages that were delivered before then; return how many."""
        old = sa.and_(OUTBOX.c.state == Sending.DELIVERED, OUTBOX.c.delivered_at < before)
        some = sa.select(OUTBOX.c.number).where(old).limit(10_000)
        async with self._store.writing("forget delivered messages") as connection:
            return (await connection.execute(sa.delete(OUTBOX).where(OUTBOX.c.number.in_(some)))).rowcount

    async def _change(self, row_id: str, **values: Any) -> None:  # noqa: ANN401 - values of columns
        pending = sa.and_(OUTBOX.c.id == row_id, OUTBOX.c.state == Sending.PENDING)
        async with self._store.writing("note a delivery") as connection:
            await connection.execute(sa.update(OUTBOX).where(pending).values(values))


def _row(row: Any) -> OutboxRow:  # noqa: ANN401 - a row of `_COLUMNS`
    return OutboxRow(*row)
