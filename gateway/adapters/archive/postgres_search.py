"""Finding decisions in PostgreSQL: by walking from the newest where many fit, through their rulings where few do."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from gateway.adapters.archive.documents import archived_document
from gateway.adapters.archive.postgres_ruling import terms_asked, unpacked_document
from gateway.adapters.archive.postgres_schema import (
    DAY_MS,
    FIRST_DAY,
    LAST_DAY,
    SLOT_MS,
    Connection,
    Skew,
    bounded,
    day_start,
    id_at,
    millisecond_of,
)
from gateway.core.decision import Document
from gateway.core.errors import StoreUnavailable
from gateway.core.search import Page, Search, cursor_of, packed_range
from gateway.ports import RecordedDecision

_GLANCE: Final = 1500
"""Decisions that are walked before their rulings are asked: where one in thirty fits, this is a page."""
_LONGEST_WALK: Final = 96_000
_RULINGS: Final = 2000
"""Rulings whose decisions are looked up one ruling at a time."""
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


class _Condition(NamedTuple):
    """What a ruling `r` must satisfy, as SQL whose parameters follow on the first ones of a statement."""

    parts: tuple[str, ...]
    values: tuple[object, ...]
    kinds: Sequence[tuple[int, int]] | None
    """When each kind that fits was decided first and last."""

    narrow: bool
    """Few rulings can fit, and looking at the newest decisions first would be in vain."""

    def sql(self, before: int) -> str:
        numbers = [f"${before + n}" for n in range(1, len(self.values) + 1)]
        return " AND ".join(self.parts).format(*numbers) if self.parts else "true"


async def search_page(connection: Connection, search: Search, limit: int, before: UUID | None) -> Page:
    """Return one page, in a few statements on one connection."""
    skew = Skew(*await connection.fetchrow("SELECT least, most FROM skew"))
    sought = _range(search, before, skew)
    condition = await _condition(connection, search)
    if condition is None or sought.low >= sought.high:
        return Page((), None)
    finder = _Finder(connection, condition, skew, limit + 1)
    rows = await finder.find(sought)
    documents = [document async for document in documents_of(connection, rows[:limit])]
    return Page(tuple(documents), cursor_of(rows[limit - 1].id.bytes) if len(rows) > limit else None)


async def documents_of(connection: Connection, rows: Sequence[Row]) -> AsyncIterator[Document]:
    """Yield the documents of decision rows. Raise StoreUnavailable where a ruling cannot be read."""
    numbers = {row.ruling for row in rows}
    found = await connection.fetch("SELECT number, document FROM rulings WHERE number = ANY($1::bigint[])", numbers)
    rulings = {row["number"]: row["document"] for row in found}
    for row in rows:
        yield document_of(row, rulings.get(row.ruling, b""))


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


async def _condition(connection: Connection, search: Search) -> _Condition | None:
    """Return what rulings must satisfy; None where none can."""
    parts: list[str] = []
    values: list[object] = []
    kinds = None
    if any(one is not None for one in (search.operation, search.outcome, search.reason, search.bundle, search.country)):
        rows = await connection.fetch(
            """
            SELECT number, first_at, last_at FROM kinds
            WHERE ($1::text IS NULL OR operation = $1) AND ($2::text IS NULL OR outcome = $2)
                AND ($3::text IS NULL OR reason = $3) AND ($4::text IS NULL OR starts_with(bundle, $4))
                AND ($5::text IS NULL OR country = $5 OR country IS NULL)
            """,
            *(search.operation, search.outcome, search.reason, search.bundle, search.country),
        )
        if not rows:
            return None
        kinds = [(row["first_at"], row["last_at"]) for row in rows]
        parts.append(f"r.kind = ANY({{{len(values)}}}::integer[])")
        values.append([row["number"] for row in rows])
    if terms := terms_asked(search):
        parts.append(f"r.terms @> {{{len(values)}}}::text[]")
        values.append(terms)
    if search.address is not None:
        parts.append(f"r.address BETWEEN {{{len(values)}}} AND {{{len(values) + 1}}}")
        values += packed_range(search.address)
    narrow = search.account is not None or (
        search.address is not None and search.address.num_addresses <= 1 << (search.address.max_prefixlen // 2)
    )
    return _Condition(tuple(parts), tuple(values), kinds, narrow)


class _Finder:
    """One search under way: what was found so far, from the newest on."""

    def __init__(self, connection: Connection, condition: _Condition, skew: Skew, wanted: int) -> None:
        self._connection = connection
        self._condition = condition
        self._skew = skew
        self._wanted = wanted
        self._found: list[Row] = []

    async def find(self, sought: Range) -> list[Row]:
        """Return the newest decisions that fit, as many as are wanted.

        Walk a little; where that does not fill the page, ask the rulings, which also tell what may be passed over;
        where too many rulings fit to follow each, walk on, farther each time.
        """
        high = sought.high
        length = 0 if self._condition.narrow else _GLANCE
        while high > sought.low and len(self._found) < self._wanted:
            high = self._pass_over(sought.low, high)
            before = len(self._found)
            if length:
                high = await self._walk(sought._replace(high=high), length)
            # Where one walk found a part of the page, the next one, four times as long, finds the rest.
            dense = (len(self._found) - before) * 4 >= self._wanted
            if self._condition.parts and not dense and len(self._found) < self._wanted and high > sought.low:
                high = await self._follow(sought._replace(high=high), walked=length)
            length = min(max(length * 4, _GLANCE), _LONGEST_WALK)
        return self._found[: self._wanted]

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

    async def _follow(self, sought: Range, walked: int) -> UUID:
        """Look up the decisions of the rulings that fit; return down to which all were seen.

        Where there are too many: those that were used last, once walking farther has not found enough either, since
        to sort them is to read them all.
        """
        order = "ORDER BY last_slot DESC" if walked > _GLANCE else ""
        rulings = await self._connection.fetch(
            f"""
            SELECT number, first_slot, last_slot FROM rulings r
            WHERE {self._condition.sql(3)} AND first_slot <= $1 AND last_slot >= $2
            {order} LIMIT $3
            """,  # noqa: S608 - names and numbered parameters alone
            millisecond_of(sought.high) // SLOT_MS,
            millisecond_of(sought.low) // SLOT_MS,
            _RULINGS + 1,
            *self._condition.values,
        )
        low = sought.low
        if len(rulings) > _RULINGS and not order:
            return sought.high
        if len(rulings) > _RULINGS:
            # Of the slot that was cut, and of those before it, not all rulings are at hand.
            cut = rulings[-1]["last_slot"]
            low = max(low, id_at((cut + 1) * SLOT_MS))
            if low >= sought.high:
                return sought.high
            rulings = [one for one in rulings if one["last_slot"] > cut]
        for start, end in await self._days(low, sought.high):
            if len(self._found) >= self._wanted:
                break
            first, last = millisecond_of(start) // SLOT_MS, (millisecond_of(end) - 1) // SLOT_MS
            # The range may end within a slot.
            numbers = [one["number"] for one in rulings if one["first_slot"] <= last + 1 and one["last_slot"] >= first]
            if numbers:
                await self._look_up(Range(start, end, sought.since, sought.until), numbers)
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
            )) ORDER BY id DESC
            """,  # noqa: S608 - names and numbered parameters alone
            *(numbers, sought.low, sought.high, self._wanted - len(self._found)),
            *(() if exact else (sought.since, sought.until)),
        )
        self._found += [row_of(row) for row in rows]

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


def row_of(row: Any) -> Row:  # noqa: ANN401 - asyncpg's record
    """Return a decision's row from a record that has its columns."""
    return Row(row["id"], row["at"], row["took_us"], row["auth_age"], row["request"], row["ruling"])
