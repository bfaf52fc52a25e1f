"""Finding decisions in PostgreSQL: by walking from the newest where many fit, through their rulings where few do."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from gateway.adapters.archive.documents import archived_document
from gateway.adapters.archive.postgres_conditions import Condition, condition_of
from gateway.adapters.archive.postgres_ruling import unpacked_document
from gateway.adapters.archive.postgres_schema import (
    DAY_MS,
    EPOCH_MS,
    FIRST_DAY,
    LAST_DAY,
    Connection,
    Skew,
    bounded,
    day_start,
    id_at,
    millisecond_of,
)
from gateway.core.decision import Document
from gateway.core.errors import StoreUnavailable
from gateway.core.search import Page, Search, cursor_of
from gateway.ports import RecordedDecision

_GLANCE: Final = 1500
"""Decisions that are walked before their rulings are asked: where one in thirty fits, this is a page."""
_WINDOW: Final = 4000
_LONGEST_WINDOW: Final = 64_000
"""Rulings that are walked, from the newest epoch on: the first time, and at most at once."""
_RULINGS: Final = 2000
"""Rulings whose decisions are looked up one ruling at a time."""
_AT_ONCE: Final = 64
"""Rulings beyond which it is looked whether the page is full."""
_LEAST: Final = UUID(int=0)
_MOST: Final = UUID(int=(1 << 128) - 1)

_COLUMNS: Final = "id, at, took_us, auth_age, request, ruling"


class Range(NamedTuple):
    """Ids from `low` to before `high`, and the instants (microseconds) that `at` must lie between as well."""

    low: UUID
    high: UUID
    since: int | None
    until: int | None


class Row(NamedTuple):
    """One decision as its table has it."""

    id: UUID
    at: int
    took_us: int
    auth_age: int | None
    request: bytes
    ruling: int


async def search_page(connection: Connection, search: Search, limit: int, before: UUID | None) -> Page:
    """Return one page, in a few statements. To be called in a transaction."""
    # All that is read in an order has an index in that order. Of the day that is going on there are no statistics, or
    # old ones: the planner then thinks that it has hardly any rows, and would sort them all for the newest thousand.
    await connection.execute("SET LOCAL enable_sort = off")
    skew = Skew(*await connection.fetchrow("SELECT least, most FROM skew"))
    sought = _range(search, before, skew)
    condition = await condition_of(connection, search)
    if condition is None or sought.low >= sought.high:
        return Page((), None)
    finder = _Finder(connection, condition, skew, limit + 1)
    rows = await finder.find(sought) if search.trace is None else await finder.of_trace(search.trace, sought)
    documents = await documents_of(connection, rows[:limit])
    return Page(tuple(documents), cursor_of(rows[limit - 1].id.bytes) if len(rows) > limit else None)


async def documents_of(connection: Connection, rows: Sequence[Row]) -> list[Document]:
    """Return the documents of decision rows. Raise StoreUnavailable where a ruling cannot be read."""
    numbers = {row.ruling for row in rows}
    found = await connection.fetch("SELECT number, document FROM rulings WHERE number = ANY($1::bigint[])", numbers)
    rulings = {row["number"]: row["document"] for row in found}
    return [document_of(row, rulings.get(row.ruling, b"")) for row in rows]


def document_of(row: Row, stored: bytes) -> Document:
    """Return the document of one decision with its stored ruling. Raise StoreUnavailable where that cannot be read."""
    recorded = RecordedDecision(row.id.bytes, row.at, row.took_us, row.auth_age, row.request, b"")
    try:
        return archived_document(unpacked_document(stored), recorded)
    except ValueError as fault:
        raise StoreUnavailable(f"decision {row.id}: {fault}") from None


def _range(search: Search, before: UUID | None, skew: Skew) -> Range:
    """Return the ids that may be of decisions made in the time that is asked for."""
    search = search._replace(
        since=None if search.since is None else bounded(search.since),
        until=None if search.until is None else bounded(search.until),
    )
    low = _LEAST if search.since is None else id_at((search.since - skew.most) // 1000)
    high = _MOST if search.until is None else id_at((search.until - 1 - skew.least) // 1000 + 1)
    return Range(low, high if before is None else min(high, before), search.since, search.until)


class _Finder:
    """One search under way: what was found so far, from the newest on."""

    def __init__(self, connection: Connection, condition: Condition, skew: Skew, wanted: int) -> None:
        self._connection = connection
        self._condition = condition
        self._skew = skew
        self._wanted = wanted
        self._found: list[Row] = []

    async def find(self, sought: Range) -> list[Row]:
        """Return the newest decisions that fit, as many as are wanted.

        Walk a few; where that does not fill the page, walk rulings, of which there are fewer and which lie in the
        order of time; where hardly one of those fits, ask the indexes for all that do.
        """
        high = self._pass_over(sought.low, sought.high)
        if not self._condition.parts:
            await self._walk_on(sought._replace(high=high), 4 * self._wanted)
        elif self._condition.narrow:
            if not await self._follow_all(sought._replace(high=high)):
                await self._follow(sought, high, asked=True)
        else:
            high = await self._walk(sought._replace(high=high), _GLANCE)
            await self._follow(sought, high, asked=False)
        return self._found[: self._wanted]

    async def of_trace(self, trace: str, sought: Range) -> list[Row]:
        """Return the newest decisions of one trace that fit: few, unless somebody sends one trace with everything."""
        rows = await self._connection.fetch(
            f"""
            SELECT {_COLUMNS} FROM decisions d
            WHERE trace = $1 AND id >= $2 AND id < $3
                AND ($4::bigint IS NULL OR at >= $4) AND ($5::bigint IS NULL OR at < $5)
                AND EXISTS (SELECT FROM rulings r WHERE r.number = d.ruling AND {self._condition.sql(6)})
            ORDER BY id DESC LIMIT $6
            """,  # noqa: S608 - names and numbered parameters alone
            *(bytes.fromhex(trace), sought.low, sought.high, sought.since, sought.until, self._wanted),
            *self._condition.values,
        )
        return list(map(row_of, rows))

    async def _follow(self, sought: Range, high: UUID, *, asked: bool) -> None:
        """Find through rulings from `high` down. `asked`: it is known that more of them fit than can be followed."""
        size = _WINDOW
        while high > sought.low and not self._is_full:
            high = self._pass_over(sought.low, high)
            if high <= sought.low:
                return
            before = len(self._found)
            high = await self._follow_window(sought._replace(high=high), size)
            if len(self._found) >= self._wanted or high <= sought.low:
                return
            # Where the next window, four times as long, would not fill the page either, there may be few in all.
            sparse = (len(self._found) - before) * 4 < self._wanted - before
            if (sparse or size > _WINDOW) and not asked:
                if await self._follow_all(sought._replace(high=high)):
                    return
                asked = True
            if sparse and size == _LONGEST_WINDOW:
                await self._follow_the_newest(sought._replace(high=high))
                return
            size = min(size * 4, _LONGEST_WINDOW)

    @property
    def _is_full(self) -> bool:
        return len(self._found) >= self._wanted

    def _pass_over(self, low: UUID, high: UUID) -> UUID:
        """Return `high`, or the id after the last decision before it that may be of a kind that fits."""
        kinds = self._condition.kinds
        if kinds is None:
            return high
        end = millisecond_of(high) * 1000 + 999 + self._skew.most
        latest = max((min(last, end) for first, last in kinds if first <= end), default=None)
        if latest is None:
            return low
        return min(high, id_at((latest - self._skew.least) // 1000 + 1))

    async def _walk(self, sought: Range, length: int) -> UUID:
        """Look at the newest decisions, `length` of them; return the id down to which everything was seen."""
        for low, top in await self._days(sought.low, sought.high):
            wanted = self._wanted - len(self._found)
            rows = await self._connection.fetch(
                f"""
                SELECT {_COLUMNS} FROM (
                    SELECT {_COLUMNS} FROM decisions WHERE id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3
                ) AS newest
                CROSS JOIN LATERAL (
                    SELECT FROM rulings r WHERE r.number = newest.ruling AND {self._condition.sql(6)} OFFSET 0
                ) AS its_ruling
                WHERE ($4::bigint IS NULL OR at >= $4) AND ($5::bigint IS NULL OR at < $5)
                ORDER BY id DESC LIMIT $6
                """,  # noqa: S608 - names and numbered parameters alone
                *(low, top, length, sought.since, sought.until, wanted),
                *self._condition.values,
            )
            self._found += map(row_of, rows)
            if len(rows) == wanted:
                return self._found[-1].id
            walked = await self._connection.fetchrow(
                """
                SELECT count(*) AS number, (array_agg(id ORDER BY id))[1] AS last FROM (
                    SELECT id FROM decisions WHERE id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3
                ) AS newest
                """,
                *(low, top, length),
            )
            if walked["number"] == length:
                return UUID(int=walked["last"].int)
            length -= walked["number"]
        return sought.low

    async def _walk_on(self, sought: Range, length: int) -> None:
        """Walk to the end, or until the page is full, farther each time."""
        high = sought.high
        while high > sought.low and not self._is_full:
            high = await self._walk(sought._replace(high=high), length)
            length = min(length * 4, _LONGEST_WINDOW)

    async def _follow_window(self, sought: Range, size: int) -> UUID:
        """Find in the newest rulings, `size` of them and the rest of their last epoch; return down to which id."""
        first, last = _epochs(sought)
        cut = await self._connection.fetchval(
            "SELECT epoch FROM rulings WHERE epoch BETWEEN $1 AND $2 ORDER BY epoch DESC OFFSET $3 LIMIT 1",
            *(first, last, size),
        )
        low = sought.low if cut is None else max(sought.low, id_at(cut * EPOCH_MS))
        rulings = await self._connection.fetch(
            f"""
            SELECT epoch, number FROM (
                SELECT epoch, number, kind, address, terms FROM rulings WHERE epoch BETWEEN $1 AND $2 OFFSET 0
            ) AS r WHERE {self._condition.sql(3)} ORDER BY epoch DESC LIMIT $3
            """,  # noqa: S608 - names and numbered parameters alone
            *(first if cut is None else cut, last, _RULINGS + 1, *self._condition.values),
        )
        return await self._look_through(sought._replace(low=low), rulings)

    async def _follow_all(self, sought: Range) -> bool:
        """Find in all rulings that fit; return whether there were few enough of them."""
        if sought.low >= sought.high:
            return True
        rulings = await self._connection.fetch(
            f"{self._condition.rulings_sql()} LIMIT {_RULINGS + 1}",
            *(*_bounds(sought), *self._condition.values),
        )
        if len(rulings) > _RULINGS:
            return False
        await self._look_through(sought, sorted(rulings, key=itemgetter("epoch"), reverse=True))
        return True

    async def _follow_the_newest(self, sought: Range) -> None:
        """Find in the rulings that fit, the newest first: to sort them is to read them all.

        (By a sum, since the planner would else walk the index that is in that order, past all that do not fit.)
        """
        while sought.high > sought.low and not self._is_full:
            rulings = await self._connection.fetch(
                f"{self._condition.rulings_sql()} ORDER BY epoch + 0 DESC LIMIT {_RULINGS + 1}",
                *(*_bounds(sought), *self._condition.values),
            )
            sought = sought._replace(high=await self._look_through(sought, rulings))

    async def _look_through(self, sought: Range, rulings: Sequence[Any]) -> UUID:
        """Look up the decisions of rulings, newest epoch first; return the id down to which all was seen.

        Where there is one ruling more than `_RULINGS`, of the last epoch not all are at hand.
        """
        low = sought.low
        if len(rulings) > _RULINGS:
            cut = rulings[-1]["epoch"]
            low = max(low, id_at((cut + 1) * EPOCH_MS))
            if low >= sought.high:
                # More in one epoch than can be followed: walking finds them sooner.
                low = max(sought.low, id_at(cut * EPOCH_MS))
                await self._walk_on(sought._replace(low=low), _GLANCE)
                return low
        of_epochs = groupby(rulings, key=itemgetter("epoch"))
        whole = [(epoch, [one["number"] for one in group]) for epoch, group in of_epochs if epoch >= _epoch(low)]
        for batch in _batches(whole):
            if self._is_full:
                break
            first, last = batch[-1][0], batch[0][0]
            within = (max(low, id_at(first * EPOCH_MS)), min(sought.high, id_at((last + 1) * EPOCH_MS)))
            numbers = [number for _, some in batch for number in some]
            await self._look_up(Range(*within, sought.since, sought.until), numbers)
        return low

    async def _look_up(self, sought: Range, numbers: Sequence[int]) -> None:
        # Ids tell the time to the millisecond, where no clock was off: only then is the index alone enough.
        exact = self._skew == (0, 999) and (sought.since or 0) % 1000 == 0 and (sought.until or 0) % 1000 == 0
        of_time = "" if exact else "AND at >= coalesce($5, at) AND at < coalesce($6, at + 1)"
        rows = await self._connection.fetch(
            f"""
            SELECT {_COLUMNS} FROM decisions
            WHERE id >= $2 AND id < $3 AND id = ANY(ARRAY(
                SELECT one.id FROM unnest($1::bigint[]) AS r (number) CROSS JOIN LATERAL (
                    SELECT id FROM decisions
                    WHERE ruling = r.number AND id >= $2 AND id < $3 {of_time} ORDER BY id DESC LIMIT $4
                ) AS one
                ORDER BY one.id DESC LIMIT $4
            ))
            """,  # noqa: S608 - names and numbered parameters alone
            *(numbers, sought.low, sought.high, self._wanted - len(self._found)),
            *(() if exact else (sought.since, sought.until)),
        )
        # Sorted here: so asked, an older PostgreSQL would rather walk the index that is in this order.
        self._found += sorted(map(row_of, rows), reverse=True)

    async def _days(self, low: UUID, high: UUID) -> list[tuple[UUID, UUID]]:
        """Return the parts of a range of ids that lie in one partition each, the newest first, but for empty days."""
        first, last = millisecond_of(low) // DAY_MS, (high.int - 1 >> 80) // DAY_MS
        days = [
            row["day"]
            for row in await self._connection.fetch(
                "SELECT day FROM days WHERE day BETWEEN $1 AND $2 ORDER BY day DESC", first, last
            )
        ]
        parts = [(day_start(day), day_start(day + 1)) for day in days]
        parts = [(day_start(LAST_DAY), _MOST), *parts, (_LEAST, day_start(FIRST_DAY))]
        return [(max(start, low), min(end, high)) for start, end in parts if start < high and end > low]


def _batches(epochs: Sequence[tuple[int, list[int]]]) -> Iterator[list[tuple[int, list[int]]]]:
    """Yield epochs with their rulings, as many together as are looked up at once. Each batch lies in one day."""
    batch: list[tuple[int, list[int]]] = []
    for epoch, numbers in epochs:
        full = sum(len(some) for _, some in batch) >= _AT_ONCE
        if batch and (full or batch[0][0] * EPOCH_MS // DAY_MS != epoch * EPOCH_MS // DAY_MS):
            yield batch
            batch = []
        batch.append((epoch, numbers))
    if batch:
        yield batch


def _epoch(sought: UUID) -> int:
    return millisecond_of(sought) // EPOCH_MS


def _epochs(sought: Range) -> tuple[int, int]:
    """Return the first and the last epoch that a range of ids has a part of."""
    return _epoch(sought.low), _epoch(UUID(int=sought.high.int - 1))


def _bounds(sought: Range) -> tuple[int | None, int]:
    """Return the same; None where the first is the first there can be."""
    first, last = _epochs(sought)
    return None if sought.low == _LEAST else first, last


def row_of(row: Any) -> Row:  # noqa: ANN401 - asyncpg's record
    """Return a decision's row from a record that has its columns."""
    return Row(row["id"], row["at"], row["took_us"], row["auth_age"], row["request"], row["ruling"])
