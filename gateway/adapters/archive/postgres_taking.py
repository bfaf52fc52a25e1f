"""Taking a stretch into PostgreSQL: decisions by COPY, rulings once, counts and progress, in one transaction."""

import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from asyncpg.exceptions import UniqueViolationError  # type: ignore[import-untyped]  # asyncpg brings no types

from gateway.adapters.archive.documents import Kind, hour_of, read_ruling
from gateway.adapters.archive.postgres_ruling import packed_document, terms_of
from gateway.adapters.archive.postgres_schema import SLOT_MS, TAKING, Connection, Skew, day_of
from gateway.ports import RecordedDecision, Stretch

_COLUMNS: Final = ("id", "at", "ruling", "auth_age", "took_us", "request")
_CHUNK: Final = 1000
_SEPARATOR: Final = "\x1f"
_FARTHEST: Final = 1 << 62

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL: Final = b"\xff\xff"
_ROW: Final = struct.Struct(">hi16siqiqiqiqi").pack
_ROW_WITHOUT_AGE: Final = struct.Struct(">hi16siqiqiiqi").pack

_KNOWN: Final = "SELECT digest, number, kind, first_slot, last_slot FROM rulings WHERE digest = ANY($1::bytea[])"
_ADD_RULINGS: Final = """
    INSERT INTO rulings (digest, kind, first_slot, last_slot, address, terms, document)
    SELECT digest, kind, first_slot, last_slot, address, string_to_array(terms, chr(31)), document
    FROM unnest($1::bytea[], $2::integer[], $3::integer[], $4::integer[], $5::bytea[], $6::text[], $7::bytea[])
        AS new (digest, kind, first_slot, last_slot, address, terms, document)
    ON CONFLICT (digest) DO NOTHING
"""
_WIDEN: Final = """
    UPDATE rulings SET first_slot = least(rulings.first_slot, used.first_slot),
                       last_slot = greatest(rulings.last_slot, used.last_slot)
    FROM unnest($1::bigint[], $2::integer[], $3::integer[]) AS used (number, first_slot, last_slot)
    WHERE rulings.number = used.number
"""
_NEW_KINDS: Final = """
    unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
        AS new (operation, outcome, reason, country, bundle)
"""
_ADD_KINDS: Final = f"""
    INSERT INTO kinds (operation, outcome, reason, country, bundle, first_at, last_at)
    SELECT new.*, 9223372036854775807, -9223372036854775808 FROM {_NEW_KINDS} ON CONFLICT DO NOTHING
"""  # noqa: S608 - no value is part of it
_KINDS: Final = f"""
    SELECT (SELECT number FROM kinds k WHERE k.operation = new.operation AND k.outcome = new.outcome
        AND k.reason IS NOT DISTINCT FROM new.reason AND k.country IS NOT DISTINCT FROM new.country
        AND k.bundle = new.bundle) FROM {_NEW_KINDS}
"""  # noqa: S608 - no value is part of it
_COUNT: Final = """
    INSERT INTO counts (hour, kind, decisions) SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[])
    ON CONFLICT (hour, kind) DO UPDATE SET decisions = counts.decisions + excluded.decisions
"""
_LOCK_KINDS: Final = "SELECT FROM kinds WHERE number = ANY($1::integer[]) ORDER BY number FOR UPDATE"
_LOCK_RULINGS: Final = "SELECT FROM rulings WHERE number = ANY($1::bigint[]) ORDER BY number FOR UPDATE"
"""In one order: an update locks its rows in whichever it likes, and two takers could wait for each other."""
_USE_KINDS: Final = """
    UPDATE kinds SET first_at = least(kinds.first_at, used.first_at), last_at = greatest(kinds.last_at, used.last_at)
    FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS used (number, first_at, last_at)
    WHERE kinds.number = used.number
"""
_MOVE_ON: Final = """
    INSERT INTO progress (worker, segment, taken) VALUES ($1, $2, $3)
    ON CONFLICT (worker) DO UPDATE SET segment = excluded.segment, taken = excluded.taken
    WHERE (progress.segment, progress.taken) < (excluded.segment, excluded.taken)
"""


class DaysMissing(Exception):
    """A stretch has decisions of days that have no partition yet. The archive makes them, and comes again."""

    def __init__(self, days: Sequence[int]) -> None:
        super().__init__(days)
        self.days = days


class _Use(NamedTuple):
    number: int
    kind: int


async def take(connection: Connection, stretch: Stretch, kinds: dict[Kind, int]) -> int:
    """Take a stretch; return how many decisions were new. To be called in a transaction.

    `kinds` remembers what was looked up before: kinds never go. Raise DaysMissing where partitions must be made first.
    """
    # Shared with other takers; who drops days or rulings has it alone, so that what is looked up here stays.
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", TAKING)
    await _demand_days(connection, stretch.decisions)
    # Two processes that take one worker's journal at once: the second waits here until the first is done.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", stretch.worker, TAKING)
    again = await connection.fetchval(
        "SELECT (segment, taken) > ($2::bigint, $3::bigint) FROM progress WHERE worker = $1",
        stretch.worker,
        stretch.segment,
        stretch.start,
    )
    if stretch.decisions:
        uses = await _take_rulings(connection, stretch, kinds)
        new = None if again else await _copy(connection, stretch.decisions, uses)
        if new is None:
            new = await _copy_what_is_new(connection, stretch.decisions, uses)
        await _count(connection, new, uses)
        await _note_skew(connection, new)
    else:
        new = ()
    await connection.execute(_MOVE_ON, stretch.worker, stretch.segment, stretch.end)
    return len(new)


async def _demand_days(connection: Connection, decisions: Sequence[RecordedDecision]) -> None:
    days = {day_of(prefix) for prefix in {decision.id[:6] for decision in decisions}} - {None}
    there = {row["day"] for row in await connection.fetch("SELECT day FROM days WHERE day = ANY($1::integer[])", days)}
    if missing := sorted(day for day in days - there if day is not None):
        raise DaysMissing(missing)


async def _take_rulings(connection: Connection, stretch: Stretch, kinds: dict[Kind, int]) -> Mapping[bytes, _Use]:
    """Return number and kind of every ruling that a decision names, all of them in the table now."""
    slots: dict[bytes, tuple[int, int]] = {}
    for decision in stretch.decisions:
        slot = int.from_bytes(decision.id[:6], "big") // SLOT_MS
        first, last = slots.get(decision.ruling, (slot, slot))
        if slot <= first or slot >= last:
            slots[decision.ruling] = (min(first, slot), max(last, slot))
    # One order in every process, so that two of them never wait for each other.
    digests = sorted(slots)
    rows = await connection.fetch(_KNOWN, digests)
    if len(rows) < len(digests):
        known = {row["digest"] for row in rows}
        await _add_rulings(connection, stretch, [one for one in digests if one not in known], slots, kinds)
        rows += await connection.fetch(_KNOWN, [one for one in digests if one not in known])
    wider = [
        (row["number"], *slots[row["digest"]])
        for row in sorted(rows, key=lambda row: row["number"])
        if slots[row["digest"]][0] < row["first_slot"] or slots[row["digest"]][1] > row["last_slot"]
    ]
    if wider:
        await connection.execute(_LOCK_RULINGS, [number for number, _, _ in wider])
        await connection.execute(_WIDEN, *map(list, zip(*wider, strict=True)))
    return {row["digest"]: _Use(row["number"], row["kind"]) for row in rows}


async def _add_rulings(
    connection: Connection,
    stretch: Stretch,
    digests: Sequence[bytes],
    slots: Mapping[bytes, tuple[int, int]],
    kinds: dict[Kind, int],
) -> None:
    read = {digest: read_ruling(stretch.rulings[digest]) for digest in digests}
    await _learn_kinds(connection, {one.kind for one in read.values()}, kinds)
    await connection.execute(
        _ADD_RULINGS,
        digests,
        [kinds[read[digest].kind] for digest in digests],
        [slots[digest][0] for digest in digests],
        [slots[digest][1] for digest in digests],
        [read[digest].found_by.address for digest in digests],
        [_SEPARATOR.join(terms_of(read[digest].found_by)) for digest in digests],
        [packed_document(stretch.rulings[digest]) for digest in digests],
    )


async def _learn_kinds(connection: Connection, wanted: set[Kind], kinds: dict[Kind, int]) -> None:
    """Complete `kinds`. What this transaction adds is remembered only if it is committed: see `PostgresArchive`."""
    if new := sorted(wanted - kinds.keys(), key=repr):
        # What something else wrote may hold a NUL, which is no text to PostgreSQL.
        columns = [[text and text.replace("\0", "\ufffd") for text in column] for column in zip(*new, strict=True)]
        await connection.execute(_ADD_KINDS, *columns)
        kinds.update(zip(new, (row[0] for row in await connection.fetch(_KINDS, *columns)), strict=True))


async def _copy(
    connection: Connection, decisions: Sequence[RecordedDecision], uses: Mapping[bytes, _Use]
) -> Sequence[RecordedDecision] | None:
    """Copy straight into the partitions; None, and nothing done, where one of the decisions is there already."""
    try:
        async with connection.transaction():
            await connection.copy_to_table(
                "decisions", source=_stream(decisions, uses), columns=_COLUMNS, format="binary"
            )
    except UniqueViolationError:
        return None
    return decisions


async def _copy_what_is_new(
    connection: Connection, decisions: Sequence[RecordedDecision], uses: Mapping[bytes, _Use]
) -> Sequence[RecordedDecision]:
    await connection.execute("CREATE TEMPORARY TABLE taken_again (LIKE decisions) ON COMMIT DROP")
    await connection.copy_to_table("taken_again", source=_stream(decisions, uses), columns=_COLUMNS, format="binary")
    rows = await connection.fetch(
        "INSERT INTO decisions SELECT * FROM taken_again ON CONFLICT (id) DO NOTHING RETURNING id"
    )
    new = {row["id"].bytes for row in rows}
    first = {decision.id: decision for decision in reversed(decisions)}
    return [first[one] for one in new]


async def _stream(decisions: Sequence[RecordedDecision], uses: Mapping[bytes, _Use]) -> AsyncIterator[bytes]:
    """Yield the rows in the binary form of COPY: several times faster than a tuple and an encoder for each value."""
    yield _HEAD
    rows = iter(decisions)
    while chunk := list(islice(rows, _CHUNK)):
        parts: list[bytes] = []
        for decision_id, at, took_us, auth_age, request, ruling in chunk:
            number = uses[ruling].number
            size = len(request)
            if auth_age is None:
                row = _ROW_WITHOUT_AGE(6, 16, decision_id, 8, at, 8, number, -1, 8, took_us, size)
            else:
                row = _ROW(6, 16, decision_id, 8, at, 8, number, 8, auth_age, 8, took_us, size)
            parts += (row, request)
        yield b"".join(parts)
    yield _TAIL


async def _count(connection: Connection, new: Sequence[RecordedDecision], uses: Mapping[bytes, _Use]) -> None:
    counts = Counter((hour_of(decision.at), uses[decision.ruling].kind) for decision in new)
    rows = sorted((hour, kind, number) for (hour, kind), number in counts.items())
    if rows:
        await connection.execute(_COUNT, *map(list, zip(*rows, strict=True)))
        used: dict[int, tuple[int, int]] = {}
        for decision in new:
            kind, at = uses[decision.ruling].kind, decision.at
            first, last = used.get(kind, (at, at))
            if at <= first or at >= last:
                used[kind] = (min(first, at), max(last, at))
        await connection.execute(_LOCK_KINDS, list(used))
        firsts, lasts = map(list, zip(*used.values(), strict=True))
        await connection.execute(_USE_KINDS, list(used), firsts, lasts)


async def _note_skew(connection: Connection, new: Sequence[RecordedDecision]) -> None:
    """Remember how far `at` and the time of the id lie apart: searches by time rely on it, and look no farther."""
    if not new:
        return
    apart = [decision.at - int.from_bytes(decision.id[:6], "big") * 1000 for decision in new]
    least, most = max(min(apart), -_FARTHEST), min(max(apart), _FARTHEST)
    known = Skew(*await connection.fetchrow("SELECT least, most FROM skew"))
    if least < known.least or most > known.most:
        await connection.execute("UPDATE skew SET least = least(least, $1), most = greatest(most, $2)", least, most)
