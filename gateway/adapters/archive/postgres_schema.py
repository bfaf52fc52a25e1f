"""The tables of the archive in PostgreSQL, one partition for each day, and how they come to be what this code knows."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from asyncpg.exceptions import LockNotAvailableError  # type: ignore[import-untyped]  # asyncpg brings no types

from gateway.core.errors import StoreUnavailable

DAY_MS: Final = 86_400_000
EPOCH_MS: Final = 900_000
"""Rulings are kept anew for each quarter of an hour of their decisions' ids: so each belongs to one day, and those
that were used last are found first. A quarter divides a day."""
FIRST_DAY: Final = 10_957
LAST_DAY: Final = 47_482
"""2000-01-01 and 2100-01-01. What a clock puts before or after lies in the default partition: no clock, however wrong,
makes more tables than a century has days."""
_END: Final = UUID(int=(1 << 128) - 1)

MIGRATING: Final = 0x6761_7465_0001
TAKING: Final = 0x6761_7465_0002
"""Advisory locks. Takers share the second one; who drops days or rulings has it alone."""
PARTITIONING: Final = 0x6761_7465_0003
FORGETTING: Final = 0x6761_7465_0004
REMOVE_WAIT_MS: Final = 2000

Connection = Any
"""An asyncpg connection, pooled or not; asyncpg's own types do not say so in one word."""

_FIRST: Final = (
    """
    CREATE TABLE kinds (
        number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        operation text NOT NULL, outcome text NOT NULL, reason text, country text, bundle text NOT NULL,
        first_at bigint NOT NULL, last_at bigint NOT NULL,
        UNIQUE NULLS NOT DISTINCT (operation, outcome, reason, country, bundle)
    )
    """,
    """
    CREATE TABLE rulings (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        epoch integer NOT NULL,
        kind integer NOT NULL,
        erased boolean NOT NULL,
        digest bytea NOT NULL,
        address bytea,
        terms text[] NOT NULL,
        document bytea NOT NULL,
        UNIQUE (epoch, digest)
    )
    """,
    "ALTER TABLE rulings ALTER document SET STORAGE EXTERNAL",
    "CREATE INDEX rulings_terms ON rulings USING gin (terms) WITH (gin_pending_list_limit = 512)",
    "CREATE INDEX rulings_kind ON rulings (kind, epoch)",
    "CREATE INDEX rulings_address ON rulings (address) WHERE address IS NOT NULL",
    """
    CREATE TABLE decisions (
        id uuid NOT NULL, at bigint NOT NULL, ruling bigint NOT NULL, auth_age bigint, took_us bigint NOT NULL,
        request bytea NOT NULL,
        PRIMARY KEY (id)
    ) PARTITION BY RANGE (id)
    """,
    "CREATE INDEX decisions_ruling ON decisions (ruling, id)",
    # `cleared`: which classes (`postgres_retention.BITS`) are gone from it whole.
    "CREATE TABLE days (day integer PRIMARY KEY, cleared smallint NOT NULL DEFAULT 0)",
    """
    CREATE TABLE counts (
        hour bigint NOT NULL, kind integer NOT NULL, decisions bigint NOT NULL, PRIMARY KEY (hour, kind)
    )
    """,
    """
    CREATE TABLE counts_of_days (
        day bigint NOT NULL, kind integer NOT NULL, decisions bigint NOT NULL, PRIMARY KEY (day, kind)
    )
    """,
    """
    CREATE TABLE rules (
        number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, rule text NOT NULL, bundle text NOT NULL,
        UNIQUE (rule, bundle)
    )
    """,
    """
    CREATE TABLE rule_counts (
        hour bigint NOT NULL, rule integer NOT NULL, decisions bigint NOT NULL, PRIMARY KEY (hour, rule)
    )
    """,
    """
    CREATE TABLE progress (
        worker text PRIMARY KEY, segment bigint NOT NULL, taken bigint NOT NULL, taken_at bigint NOT NULL
    )
    """,
    # How far `at` may lie from the time that the id tells, in microseconds: [least, most], over all decisions.
    "CREATE TABLE skew (least bigint NOT NULL, most bigint NOT NULL)",
    "INSERT INTO skew VALUES (0, 999)",
)
# Rulings that were taken before they had a matter have none: whoever asks for it reads their documents.
_MATTERS: Final = ("ALTER TABLE rulings ADD COLUMN matter bytea",)
# The request keeps its trace as the journal has it; here it is what decisions are found by.
_TRACES: Final = (
    "ALTER TABLE decisions ADD COLUMN trace bytea",
    "CREATE INDEX decisions_trace ON decisions (trace, id) WHERE trace IS NOT NULL",
)
_STEPS: Final[Sequence[Sequence[str]]] = (_FIRST, _MATTERS, _TRACES)
"""Step n brings a schema from n to n + 1. Never changed once released, only added to."""
REVISION: Final = len(_STEPS)


class Skew(NamedTuple):
    """How far `at` lies from the time of the id, microseconds."""

    least: int
    most: int


async def migrate(connection: Connection, schema: str) -> None:
    """Make or upgrade the tables, in one transaction. Raise StoreUnavailable where a newer gateway made them."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATING)
        # Asked first, so that an operator may make the schema and grant no more than its use.
        if await connection.fetchval("SELECT to_regnamespace($1)", quoted(schema)) is None:
            await connection.execute(f"CREATE SCHEMA {quoted(schema)}")
        await connection.execute("CREATE TABLE IF NOT EXISTS revision (number integer NOT NULL)")
        found = await connection.fetchval("SELECT number FROM revision") or 0
        if found > REVISION:
            raise StoreUnavailable(
                f"archive: the schema `{schema}` has revision {found}, this gateway knows {REVISION}: "
                "a newer gateway made it; use that version, or another database"
            )
        if found == REVISION:
            return
        for step in _STEPS[found:]:
            for statement in step:
                await connection.execute(statement)
        if not found:
            await _add_default(connection)
        await connection.execute("DELETE FROM revision")
        await connection.execute("INSERT INTO revision VALUES ($1)", REVISION)


async def _add_default(connection: Connection) -> None:
    # The check keeps a day that has its own partition, or will, out of here; it also spares each new one a scan.
    await connection.execute(
        f"CREATE TABLE decisions_other PARTITION OF decisions (CHECK (id < '{day_start(FIRST_DAY)}'"
        f" OR id >= '{day_start(LAST_DAY)}')) DEFAULT"
    )


async def add_days(connection: Connection, days: Iterable[int]) -> None:
    """Make the partitions of these days where there are none."""
    for day in sorted(set(days)):
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", PARTITIONING)
            if await connection.fetchval("SELECT true FROM days WHERE day = $1", day):
                continue
            # Attached rather than made in place: that lets others read and write the parent meanwhile.
            await connection.execute(
                f"CREATE TABLE {table_of(day)} (LIKE decisions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
            )
            await connection.execute(
                f"ALTER TABLE decisions ATTACH PARTITION {table_of(day)}"
                f" FOR VALUES FROM ('{day_start(day)}') TO ('{day_start(day + 1)}')"
            )
            await connection.execute("INSERT INTO days VALUES ($1)", day)


async def drop_day(connection: Connection, day: int) -> bool:
    """Drop a day with its decisions; return False where somebody read it for too long, and it is still there.

    To be called in a transaction that holds `TAKING` alone.
    """
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {REMOVE_WAIT_MS}")
            # Not CONCURRENTLY: PostgreSQL refuses that beside a default partition.
            await connection.execute(f"ALTER TABLE decisions DETACH PARTITION {table_of(day)}")
            await connection.execute(f"DROP TABLE {table_of(day)}")
            await connection.execute("DELETE FROM days WHERE day = $1", day)
    except LockNotAvailableError:
        return False
    return True


def table_of(day: int) -> str:
    """Return the name of a day's partition."""
    return f"decisions_{day}"


def day_of(decision_id: bytes) -> int | None:
    """Return the day (since the epoch) whose partition an id belongs to; None where that is the default one."""
    day = int.from_bytes(decision_id[:6], "big") // DAY_MS
    return day if FIRST_DAY <= day < LAST_DAY else None


def day_start(day: int) -> UUID:
    """Return the least id of a day."""
    return id_at(day * DAY_MS)


def epoch_of(decision_id: bytes) -> int:
    """Return the epoch of an id, whose rulings its decision shares."""
    return int.from_bytes(decision_id[:6], "big") // EPOCH_MS


def id_at(millisecond: int) -> UUID:
    """Return the least id of a millisecond since the epoch, or the greatest there is."""
    return _END if millisecond >= 1 << 48 else UUID(int=max(millisecond, 0) << 80)


def millisecond_of(decision_id: UUID) -> int:
    """Return the millisecond that an id tells."""
    return decision_id.int >> 80


def bounded(at: int) -> int:
    """Return an instant, or the one nearest to it that PostgreSQL's numbers can say and count on from."""
    return min(max(at, -(1 << 62)), 1 << 62)


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'
