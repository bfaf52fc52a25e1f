"""Taking a stretch into PostgreSQL: decisions by COPY, rulings once, counts and progress, in one transaction."""

import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple
from uuid import UUID

from gateway.adapters.archive.documents import Kind, read_ruling
from gateway.adapters.archive.postgres_rules import Rule, count_rules, rules_of
from gateway.adapters.archive.postgres_ruling import Key, NewRuling, add_rulings
from gateway.adapters.archive.postgres_schema import (
    DAY_MS,
    EPOCH_MS,
    FIRST_DAY,
    LAST_DAY,
    TAKING,
    Connection,
    Skew,
)
from gateway.core.trace_context import untraced
from gateway.ports import RecordedDecision, Stretch

_COLUMNS: Final = ("id", "at", "ruling", "auth_age", "took_us", "request", "trace")
_CHUNK: Final = 1000
_FARTHEST: Final = 1 << 62
_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL: Final = b"\xff\xff"
_ROW: Final = struct.Struct(">hi16siqiqiqiqi").pack
_ROW_WITHOUT_AGE: Final = struct.Struct(">hi16siqiqiiqi").pack
_NO_TRACE: Final = struct.pack(">i", -1)
_TRACE: Final = struct.Struct(">i16s").pack

_AGAIN: Final = "SELECT (segment, taken) > ($2::bigint, $3::bigint) FROM progress WHERE worker = $1"
_THERE: Final = "SELECT id FROM decisions WHERE id BETWEEN $2 AND $3 AND id = ANY($1::uuid[])"
# Each looked up by itself: nothing that the planner believes of the table may make it read all of it.
_KNOWN: Final = """
    SELECT sought.epoch, sought.digest, r.number, r.kind, 'outcome:deny' = ANY(r.terms) AS refused
    FROM unnest($1::integer[], $2::bytea[]) AS sought (epoch, digest)
    CROSS JOIN LATERAL (
        SELECT number, kind, terms FROM rulings WHERE epoch = sought.epoch AND digest = sought.digest LIMIT 1
    ) AS r
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
_COUNT_DAYS: Final = """
    INSERT INTO counts_of_days AS c (day, kind, decisions)
    SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[])
    ON CONFLICT (day, kind) DO UPDATE SET decisions = c.decisions + excluded.decisions
"""
_USED: Final = """
    unnest($1::integer[], $2::bigint[], $3::bigint[]) AS used (number, first_at, last_at)
    WHERE k.number = used.number AND (k.first_at > used.first_at OR k.last_at < used.last_at)
"""
_LOCK_KINDS: Final = f"SELECT FROM kinds k, {_USED} ORDER BY k.number FOR UPDATE OF k"
"""In one order: an update locks its rows in whichever it likes, and two takers could wait for each other."""
_USE_KINDS: Final = f"""
    UPDATE kinds k SET first_at = least(k.first_at, used.first_at), last_at = greatest(k.last_at, used.last_at)
    FROM {_USED}
"""  # noqa: S608 - no value is part of it
_MOVE_ON: Final = """
    INSERT INTO progress (worker, segment, taken, taken_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (worker) DO UPDATE SET
        (segment, taken) = (
            SELECT segment, taken FROM (
                VALUES (progress.segment, progress.taken), (excluded.segment, excluded.taken)
            ) AS reached (segment, taken) ORDER BY segment DESC, taken DESC LIMIT 1
        ),
        taken_at = excluded.taken_at
"""


class DaysMissing(Exception):
    """A stretch has decisions of days that have no partition yet. The archive makes them, and comes again."""

    def __init__(self, days: Sequence[int]) -> None:
        super().__init__(days)
        self.days = days


class _Use(NamedTuple):
    number: int
    kind: int
    refused_by: tuple[Rule, ...] = ()


class _Seen(NamedTuple):
    """Decisions, and what is known of each from its id and its instant alone."""

    decisions: Sequence[RecordedDecision]
    keys: Sequence[Key]
    """The ruling of each, in the epoch of its id."""
    skew: Skew


async def take(connection: Connection, stretch: Stretch, kinds: dict[Kind, int], now: int, *, doubtful: bool) -> int:
    """Take a stretch; return how many decisions were new. To be called in a transaction.

    `kinds` remembers what was looked up before: kinds never go. Where some decision may be there already (`doubtful`,
    or its worker's journal was taken farther) each is looked for. Where one is that was not looked for, the
    transaction fails by UniqueViolationError. Raise DaysMissing where partitions must be made first.
    """
    # Shared with other takers; who drops days or rulings has it alone, so that what is looked up here stays.
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", TAKING)
    # Two processes that take one worker's journal at once: the second waits here until the first is done.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", stretch.worker, TAKING)
    new = stretch.decisions
    if doubtful or await connection.fetchval(_AGAIN, stretch.worker, stretch.segment, stretch.start):
        new = await _not_there(connection, new)
    if new:
        seen = _look_at(new)
        await _demand_days(connection, seen)
        # Of rulings only what is new names: one that was erased must not come back with what is not taken again.
        uses = await _take_rulings(connection, stretch, seen, kinds)
        await connection.copy_to_table("decisions", source=_stream(seen, uses), columns=_COLUMNS, format="binary")
        await _count(connection, seen, uses)
        await _note_skew(connection, seen.skew)
    await connection.execute(_MOVE_ON, stretch.worker, stretch.segment, stretch.end, now)
    return len(new)


async def _not_there(connection: Connection, decisions: Sequence[RecordedDecision]) -> Sequence[RecordedDecision]:
    """Return the decisions that are not in the table, each once."""
    offered: dict[bytes, RecordedDecision] = {}
    for decision in decisions:
        offered.setdefault(decision.id, decision)
    if offered:
        ids = sorted(UUID(bytes=raw) for raw in offered)
        for row in await connection.fetch(_THERE, ids, ids[0], ids[-1]):
            del offered[row["id"].bytes]
    return tuple(offered.values())


def _look_at(decisions: Sequence[RecordedDecision]) -> _Seen:
    # Once over all of them, and little for each: this is what taking costs on this side.
    number = int.from_bytes
    milliseconds = [number(decision[0][:6]) for decision in decisions]
    keys = [(ms // EPOCH_MS, decision[5]) for ms, decision in zip(milliseconds, decisions, strict=True)]
    apart = [decision[1] - ms * 1000 for ms, decision in zip(milliseconds, decisions, strict=True)]
    return _Seen(decisions, keys, Skew(max(min(apart), -_FARTHEST), min(max(apart), _FARTHEST)))


async def _demand_days(connection: Connection, seen: _Seen) -> None:
    epochs = {epoch for epoch, _ in seen.keys}
    days = {day for day in (epoch * EPOCH_MS // DAY_MS for epoch in epochs) if FIRST_DAY <= day < LAST_DAY}
    rows = await connection.fetch("SELECT day, cleared FROM days WHERE day = ANY($1::integer[])", days)
    if missing := sorted(days - {row["day"] for row in rows}):
        raise DaysMissing(missing)
    if late := sorted(row["day"] for row in rows if row["cleared"]):
        await connection.execute("UPDATE days SET cleared = 0 WHERE day = ANY($1::integer[])", late)


async def _take_rulings(
    connection: Connection, stretch: Stretch, seen: _Seen, kinds: dict[Kind, int]
) -> Mapping[Key, _Use]:
    """Return number and kind of every ruling that a decision names, all of them in the table now."""
    # One order in every process, so that two of them never wait for each other.
    keys = sorted(set(seen.keys))
    uses = {}
    for epoch, digest, number, kind, refused in await connection.fetch(_KNOWN, *map(list, zip(*keys, strict=True))):
        uses[epoch, digest] = _Use(number, kind, rules_of(read_ruling(stretch.rulings[digest])) if refused else ())
    absent = [key for key in keys if key not in uses]
    if absent:
        read = {digest: read_ruling(stretch.rulings[digest]) for digest in {digest for _, digest in absent}}
        await _learn_kinds(connection, {one.kind for one in read.values()}, kinds)
        rows = [
            NewRuling(epoch, digest, kinds[one.kind], one.found_by, stretch.rulings[digest], one.erased, one.matter)
            for epoch, digest in absent
            for one in [read[digest]]
        ]
        numbers = await add_rulings(connection, rows)
        by = {digest: rules_of(one) for digest, one in read.items()}
        uses |= {row[:2]: _Use(numbers[row[:2]], row.kind, by[row.digest]) for row in rows}
    return uses


async def _learn_kinds(connection: Connection, wanted: set[Kind], kinds: dict[Kind, int]) -> None:
    """Complete `kinds`. What this transaction adds is remembered only if it is committed: see `PostgresArchive`."""
    if new := sorted(wanted - kinds.keys(), key=repr):
        # What something else wrote may hold a NUL, which is no text to PostgreSQL.
        columns = [[text and text.replace("\0", "\ufffd") for text in column] for column in zip(*new, strict=True)]
        await connection.execute(_ADD_KINDS, *columns)
        kinds.update(zip(new, (row[0] for row in await connection.fetch(_KINDS, *columns)), strict=True))


async def _stream(seen: _Seen, uses: Mapping[Key, _Use]) -> AsyncIterator[bytes]:
    """Yield the rows in the binary form of COPY: several times faster than a tuple and an encoder for each value."""
    yield _HEAD
    rows = zip(seen.decisions, seen.keys, strict=True)
    while chunk := list(islice(rows, _CHUNK)):
        parts: list[bytes] = []
        for (decision_id, at, took_us, auth_age, request, _), key in chunk:
            number = uses[key].number
            size = len(request)
            if auth_age is None:
                row = _ROW_WITHOUT_AGE(7, 16, decision_id, 8, at, 8, number, -1, 8, took_us, size)
            else:
                row = _ROW(7, 16, decision_id, 8, at, 8, number, 8, auth_age, 8, took_us, size)
            trace = untraced(request)[1]
            parts += (row, request, _NO_TRACE if trace is None else _TRACE(16, bytes.fromhex(trace.trace_id)))
        yield b"".join(parts)
    yield _TAIL


async def _count(connection: Connection, seen: _Seen, uses: Mapping[Key, _Use]) -> None:
    hours, days, refused = Counter[tuple[int, int]](), Counter[tuple[int, int]](), Counter[tuple[int, Rule]]()
    used: dict[int, tuple[int, int]] = {}
    for (hour, key), number in Counter(
        zip([decision[1] // _HOUR * _HOUR for decision in seen.decisions], seen.keys, strict=True)
    ).items():
        _, kind, refused_by = uses[key]
        hours[hour, kind] += number
        days[hour // _DAY * _DAY, kind] += number
        first, last = used.get(kind, (hour, hour))
        used[kind] = (min(first, hour), max(last, hour))
        for rule in refused_by:
            refused[hour, rule] += number
    for statement, counts in ((_COUNT, hours), (_COUNT_DAYS, days)):
        rows = sorted((start, kind, number) for (start, kind), number in counts.items())
        await connection.execute(statement, *map(list, zip(*rows, strict=True)))
    await count_rules(connection, refused)
    # To the hour is near enough: searches only pass over the time when there was none.
    times = ([first for first, _ in used.values()], [last + _HOUR - 1 for _, last in used.values()])
    await connection.execute(_LOCK_KINDS, list(used), *times)
    await connection.execute(_USE_KINDS, list(used), *times)


async def _note_skew(connection: Connection, skew: Skew) -> None:
    """Remember how far `at` and the time of the id lie apart: searches by time rely on it, and look no farther."""
    known = Skew(*await connection.fetchrow("SELECT least, most FROM skew"))
    if skew.least < known.least or skew.most > known.most:
        await connection.execute("UPDATE skew SET least = least(least, $1), most = greatest(most, $2)", *skew)
