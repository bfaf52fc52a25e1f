"""Forgetting what is older than it must be kept: whole days dropped, the rest removed in batches, then rulings."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from gateway.adapters.archive.postgres_schema import (
    DAY_MS,
    SLOT_MS,
    TAKING,
    Connection,
    Skew,
    day_start,
    drop_day,
    id_at,
    table_of,
)
from gateway.adapters.archive.postgres_search import document_of, row_of
from gateway.core.decision import Document

Export = Callable[[int, AsyncIterator[Document]], Awaitable[None]]
"""Called with a day (since the epoch) and its decisions, before it is dropped. What it raises keeps the day."""
_BATCH: Final = 10_000
_LAST_SLOT: Final = (1 << 31) - 1
_PREFETCH: Final = 1000
_DELETE: Final = """
    DELETE FROM decisions WHERE id >= $4 AND id < $1 AND id = ANY(ARRAY(
        SELECT id FROM decisions WHERE id >= $4 AND id < $1 AND at < $2 ORDER BY id LIMIT $3
    )) RETURNING id
"""
_UNNAMED: Final = """
    WITH part AS MATERIALIZED (
        SELECT number, last_slot FROM rulings WHERE number > $1 ORDER BY number LIMIT $2
    ), gone AS (
        DELETE FROM rulings USING part
        WHERE rulings.number = part.number AND part.last_slot < $3 AND NOT EXISTS (
            SELECT FROM decisions WHERE ruling = part.number AND id < $4
        )
    )
    SELECT max(number) FROM part
"""


async def forget(connection: Connection, before: int, export: Export | None = None) -> int:
    """Remove decisions made before this instant, and the rulings that nothing else names; return how many decisions.

    Each day and each batch is a transaction of its own: what was removed stays removed where a later one fails.
    """
    skew = Skew(*await connection.fetchrow("SELECT least, most FROM skew"))
    gone = 0
    for row in await connection.fetch("SELECT day FROM days ORDER BY day"):
        if ((row["day"] + 1) * DAY_MS - 1) * 1000 + skew.most >= before:
            break
        gone += await _forget_day(connection, row["day"], export)
    if export is None:
        gone += await _forget_rest(connection, before, skew)
    await _forget_rulings(connection, before, skew)
    return gone


async def _forget_day(connection: Connection, day: int, export: Export | None) -> int:
    """Return how many decisions went with the day; 0 where it stays, because it is in use or was added to."""
    exported = None
    if export is not None:
        rows = _Counted(documents_of_day(connection, day))
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await export(day, rows)
        exported = rows.number
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", TAKING)
        number: int = await connection.fetchval(f"SELECT count(*) FROM {table_of(day)}")  # noqa: S608 - a number
        # What was taken while the day was exported, or what the export left unread, is not thrown away unread.
        if exported not in {None, number}:
            return 0
        return number if await drop_day(connection, day) else 0


class _Counted:
    """The documents of an iterator, and how many there were so far."""

    def __init__(self, documents: AsyncIterator[Document]) -> None:
        self._documents = documents
        self.number = 0

    def __aiter__(self) -> AsyncIterator[Document]:
        return self

    async def __anext__(self) -> Document:
        document = await anext(self._documents)
        self.number += 1
        return document


async def documents_of_day(connection: Connection, day: int) -> AsyncIterator[Document]:
    """Yield the decisions of a day, oldest id first. To be iterated in a transaction."""
    rows = connection.cursor(
        """
        SELECT d.*, r.document FROM decisions d JOIN rulings r ON r.number = d.ruling
        WHERE d.id >= $1 AND d.id < $2 ORDER BY d.id
        """,
        *(day_start(day), day_start(day + 1)),
        prefetch=_PREFETCH,
    )
    async for row in rows:
        yield document_of(row_of(row), row["document"])


async def _forget_rest(connection: Connection, before: int, skew: Skew) -> int:
    # Its own transactions: a batch holds its locks for as long as ten thousand rows take.
    high = id_at((before - 1 - skew.least) // 1000 + 1)
    low = id_at(0)
    gone = 0
    while rows := await connection.fetch(_DELETE, high, before, _BATCH, low):
        gone += len(rows)
        low = max(row["id"] for row in rows)
    return gone


async def _forget_rulings(connection: Connection, before: int, skew: Skew) -> None:
    """Remove the rulings that no decision names.

    Only those that were last used before that instant can be such; the days that are left of the time before it are
    few, and each ruling is looked for in all of them, since a day may have stayed.
    """
    slot = ((before - skew.least) // 1000 + 1) // SLOT_MS + 1
    number = 0
    while number is not None:
        async with connection.transaction():
            # Nobody takes meanwhile: what a taker has looked up must not go before it is named.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", TAKING)
            number = await connection.fetchval(
                _UNNAMED, number, _BATCH, min(max(slot, 0), _LAST_SLOT), id_at(slot * SLOT_MS)
            )
