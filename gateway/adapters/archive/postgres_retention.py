"""Forgetting what is older than it must be kept: whole days dropped, the rest removed in batches, then rulings."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple
from uuid import UUID

from gateway.adapters.archive.postgres_export import DayExport
from gateway.adapters.archive.postgres_schema import (
    EPOCH_MS,
    FIRST_DAY,
    FORGETTING,
    LAST_DAY,
    TAKING,
    Connection,
    Skew,
    day_start,
    drop_day,
    id_at,
    millisecond_of,
    table_of,
)
from gateway.core.keeping import Keep, keep_of

BITS: Final = {Keep.MONEY: 1, Keep.REFUSED: 2, Keep.REST: 4}
"""How `days.cleared` says that a class is gone from a day. Part of the format."""
_BATCH: Final = 10_000
_DELETE: Final = """
    DELETE FROM decisions WHERE id >= $1 AND id < $2 AND id = ANY(ARRAY(
        SELECT id FROM decisions d CROSS JOIN LATERAL (
            SELECT FROM rulings r WHERE r.number = d.ruling AND r.kind = ANY($4::integer[]) OFFSET 0
        ) AS its_ruling
        WHERE id >= $1 AND id < $2 AND at < $3 ORDER BY id LIMIT $5
    )) RETURNING id
"""
_CLEARED: Final = """
    UPDATE days SET cleared = cleared | $2::smallint
    WHERE day = $1 AND (SELECT count(*) FROM kinds) = $6 AND NOT EXISTS (
        SELECT FROM decisions d CROSS JOIN LATERAL (
            SELECT FROM rulings r WHERE r.number = d.ruling AND r.kind = ANY($5::integer[]) OFFSET 0
        ) AS its_ruling
        WHERE id >= $3 AND id < $4
    )
"""
_NEXT_EPOCH: Final = "SELECT epoch FROM rulings WHERE epoch BETWEEN $1 AND $2 ORDER BY epoch LIMIT 1"
_UNNAMED: Final = """
    DELETE FROM rulings WHERE epoch = $1 AND NOT EXISTS (
        SELECT FROM decisions d WHERE d.ruling = rulings.number AND d.id >= $2 AND d.id < $3
    )
"""


class _AddedMeanwhile(Exception):
    """A day had other decisions than were exported."""


class _Part(NamedTuple):
    """A day, or what lies before the first and after the last of them; which classes of it are gone already."""

    low: UUID
    high: UUID
    day: int | None
    cleared: int = 0


class _Limit(NamedTuple):
    """An instant, and the classes that are forgotten before it."""

    before: int
    keeps: tuple[Keep, ...]
    kinds: Sequence[int]
    known: int
    """How many kinds there were: one that came later may be of these classes as well."""

    @property
    def bits(self) -> int:
        return sum(BITS[keep] for keep in self.keeps)


async def forget(connection: Connection, before: Mapping[Keep, int], export: DayExport | None = None) -> int:
    """Remove decisions of each class made before its instant, and rulings that nothing else names; return how many.

    Each day and each batch is a transaction of its own: what was removed stays removed where a later one fails.
    """
    # One at a time: two would write the same files. Given back with the connection, which the pool cleans.
    await connection.execute("SELECT pg_advisory_lock($1)", FORGETTING)
    skew = Skew(*await connection.fetchrow("SELECT least, most FROM skew"))
    limits = await _limits(connection, before)
    parts = await _parts(connection)
    for before_it, after_it in pairwise(parts):
        if before_it.high < after_it.low:
            # Where a day was dropped and something failed then, its rulings are left.
            await _forget_rulings(connection, before_it.high, after_it.low)
    return sum([await _forget_part(connection, part, limits, skew, export) for part in parts])


async def _forget_part(
    connection: Connection, part: _Part, limits: Sequence[_Limit], skew: Skew, export: DayExport | None
) -> int:
    # By `at`, and that may lie apart from the time of the id. What is due is so for a part of the day at least.
    due = [one for one in limits if millisecond_of(part.low) * 1000 + skew.least < one.before]
    whole = [one for one in due if part.day is not None and _last(part) + skew.most < one.before]
    gone = 0
    over = sum(one.bits for one in whole) == sum(BITS.values())
    if part.day is not None and over:
        gone = await _forget_day(connection, part.day, export)
        await _forget_rulings(connection, part.low, part.high)
    if export is None and not gone:
        # Also what should have gone with its day, where that was in use.
        gone = sum([await _forget_classes(connection, part, limit, None, whole=limit in whole) for limit in due])
    elif export is not None and not over:
        gone = sum([await _forget_classes(connection, part, limit, export, whole=True) for limit in whole])
    return gone


async def _limits(connection: Connection, before: Mapping[Keep, int]) -> list[_Limit]:
    kinds: dict[Keep, list[int]] = {keep: [] for keep in Keep}
    for row in await connection.fetch("SELECT number, operation, outcome FROM kinds"):
        kinds[keep_of(row["operation"], row["outcome"])].append(row["number"])
    alike: dict[int, list[Keep]] = {}
    for keep in Keep:
        if keep in before:
            alike.setdefault(before[keep], []).append(keep)
    return [
        _Limit(
            instant, tuple(keeps), [number for keep in keeps for number in kinds[keep]], sum(map(len, kinds.values()))
        )
        for instant, keeps in sorted(alike.items())
    ]


async def _parts(connection: Connection) -> list[_Part]:
    days = await connection.fetch("SELECT day, cleared FROM days ORDER BY day")
    return [
        _Part(id_at(0), day_start(FIRST_DAY), None),
        *(_Part(day_start(row["day"]), day_start(row["day"] + 1), row["day"], row["cleared"]) for row in days),
        _Part(day_start(LAST_DAY), id_at(1 << 48), None),
    ]


def _last(part: _Part) -> int:
    """Return the last instant, microseconds, that begins a millisecond of a day's ids."""
    return (millisecond_of(part.high) - 1) * 1000


async def _forget_day(connection: Connection, day: int, export: DayExport | None) -> int:
    """Return how many decisions went with the day; 0 where it stays, because it is in use or was added to."""
    exported = None if export is None else await export.write(connection, day)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", TAKING)
        number: int = await connection.fetchval(f"SELECT count(*) FROM {table_of(day)}")  # noqa: S608 - a number
        # What was taken while the day was exported is not thrown away unread.
        if exported not in {None, number} or not await drop_day(connection, day):
            return 0
        if export is not None and number:
            await export.keep()
    return number


async def _forget_classes(
    connection: Connection, part: _Part, limit: _Limit, export: DayExport | None, *, whole: bool
) -> int:
    """Return how many decisions of some classes went from a day; where all of them did, that is noted.

    It is noted last, so that whatever fails before is done again, and their rulings are gone by then.
    """
    if limit.bits & ~part.cleared == 0:
        return 0
    gone = (
        await _forget_rows(connection, part, limit)
        if export is None
        else await _forget_exported(connection, part, limit, export)
    )
    if gone or whole:
        await _forget_rulings(connection, part.low, part.high)
    if whole:
        async with connection.transaction():
            # Nobody takes meanwhile: what comes after this says so to the day.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", TAKING)
            await connection.execute(_CLEARED, part.day, limit.bits, part.low, part.high, limit.kinds, limit.known)
    return gone


async def _forget_rows(connection: Connection, part: _Part, limit: _Limit) -> int:
    gone, low = 0, part.low
    while rows := await connection.fetch(_DELETE, low, part.high, limit.before, limit.kinds, _BATCH):
        gone += len(rows)
        low = max(row["id"] for row in rows)
    return gone


async def _forget_exported(connection: Connection, part: _Part, limit: _Limit, export: DayExport) -> int:
    """Return how many decisions of some classes went from a day that is over for them; 0 where some came meanwhile."""
    if part.day is None:
        return 0
    exported = await export.write(connection, part.day, limit.keeps, limit.kinds)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", TAKING)
            rows = await connection.fetch(_DELETE, part.low, part.high, limit.before, limit.kinds, None)
            _demand_same(len(rows), exported)
            if exported:
                await export.keep()
    except _AddedMeanwhile:
        return 0
    return exported


def _demand_same(removed: int, exported: int) -> None:
    if removed != exported:
        raise _AddedMeanwhile


async def _forget_rulings(connection: Connection, low: UUID, high: UUID) -> None:
    """Remove the rulings of a time that no decision names any more."""
    first: int | None = millisecond_of(low) // EPOCH_MS
    last = (millisecond_of(high) - 1) // EPOCH_MS
    while (first := await connection.fetchval(_NEXT_EPOCH, first, last)) is not None:
        async with connection.transaction():
            # Nobody takes meanwhile: what a taker has looked up must not go before it is named.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", TAKING)
            await connection.execute(_UNNAMED, first, id_at(first * EPOCH_MS), id_at((first + 1) * EPOCH_MS))
        first += 1
