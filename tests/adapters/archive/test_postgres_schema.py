"""The tables of the archive in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import pytest

from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.postgres_schema import (
    DAY_MS,
    FIRST_DAY,
    LAST_DAY,
    REVISION,
    add_days,
    day_of,
    day_start,
    drop_day,
    id_at,
    millisecond_of,
    quoted,
)
from gateway.core.errors import StoreUnavailable
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]


@pytest.fixture
async def connection(postgres_database: str) -> AsyncIterator[Any]:
    """A connection to a database that an archive was started in."""
    archive = PostgresArchive(postgres_database, schema="here")
    await archive.start()
    await archive.close()
    connection = await asyncpg.connect(postgres_database, server_settings={"search_path": "here"})
    yield connection
    await connection.close()


async def partitions(connection: Any) -> set[str]:
    rows = await connection.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'decisions'::regclass"
    )
    return {row[0] for row in rows}


async def test_several_gateways_that_start_at_once_make_one_schema(postgres_database: str) -> None:
    archives = [PostgresArchive(postgres_database) for _ in range(4)]
    await asyncio.gather(*(archive.start() for archive in archives))
    assert [await archive.taken() for archive in archives] == [{}] * 4
    for archive in archives:
        await archive.close()
    connection = await asyncpg.connect(postgres_database)
    assert await connection.fetch("SELECT number FROM archive.revision") == [(REVISION,)]
    await connection.close()


async def test_a_newer_schema_is_refused_with_what_to_do(postgres_database: str, connection: Any) -> None:
    await connection.execute("UPDATE revision SET number = 99")
    with pytest.raises(
        StoreUnavailable, match=f"has revision 99, this gateway knows {REVISION}: a newer gateway made it"
    ):
        await PostgresArchive(postgres_database, schema="here").start()


async def test_an_archive_has_a_schema_of_its_own_whatever_its_name(postgres_database: str) -> None:
    odd = PostgresArchive(postgres_database, schema='No "usual" name')
    other = PostgresArchive(postgres_database, schema="other")
    for archive in (odd, other, odd):
        await archive.start()
        assert await archive.taken() == {}
        await archive.close()
    assert quoted('No "usual" name') == '"No ""usual"" name"'


async def test_days_are_added_once_however_many_ask(postgres_database: str, connection: Any) -> None:
    others = [await asyncpg.connect(postgres_database, server_settings={"search_path": "here"}) for _ in range(3)]
    await asyncio.gather(*(add_days(one, [20_000, 20_001]) for one in others))
    await add_days(connection, [20_001, 20_002])
    names = {"decisions_other", "decisions_20000", "decisions_20001", "decisions_20002"}
    assert await partitions(connection) == names
    assert [row["day"] for row in await connection.fetch("SELECT day FROM days ORDER BY day")] == [
        20_000,
        20_001,
        20_002,
    ]
    for one in others:
        await one.close()


async def test_the_default_partition_takes_no_day_that_has_or_will_have_its_own(connection: Any) -> None:
    add = "INSERT INTO decisions VALUES ($1, 0, 0, 0, 0, '')"
    for millisecond in (FIRST_DAY * DAY_MS, LAST_DAY * DAY_MS - 1):
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(add, id_at(millisecond))
    for millisecond in (FIRST_DAY * DAY_MS - 1, LAST_DAY * DAY_MS):
        await connection.execute(add, id_at(millisecond))
    await add_days(connection, [FIRST_DAY, LAST_DAY - 1])
    assert await connection.fetchval("SELECT count(*) FROM decisions_other") == 2


async def test_a_day_that_somebody_reads_is_dropped_later(
    postgres_database: str, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.archive.postgres_schema.REMOVE_WAIT_MS", 20)
    await add_days(connection, [20_000])
    reader = await asyncpg.connect(postgres_database, server_settings={"search_path": "here"})
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT * FROM decisions_20000")
    async with connection.transaction():
        assert not await drop_day(connection, 20_000)
    assert "decisions_20000" in await partitions(connection)
    await reading.commit()
    async with connection.transaction():
        assert await drop_day(connection, 20_000)
    assert await partitions(connection) == {"decisions_other"}
    await reader.close()


@pytest.mark.parametrize("day", [FIRST_DAY, 20_413, LAST_DAY - 1])
def test_a_day_begins_with_its_least_id_and_ends_before_the_next(day: int) -> None:
    assert day_of(day_start(day).bytes) == day
    assert day_of(UUID(int=day_start(day + 1).int - 1).bytes) == day


@pytest.mark.parametrize("day", [0, FIRST_DAY - 1, LAST_DAY, (1 << 48) // DAY_MS])
def test_a_day_out_of_all_reason_has_no_partition_of_its_own(day: int) -> None:
    assert day_of((day * DAY_MS).to_bytes(6, "big") + bytes(10)) is None


def test_ids_tell_the_millisecond_and_never_leave_their_bounds() -> None:
    assert millisecond_of(id_at(1_763_700_000_123)) == 1_763_700_000_123
    assert id_at(-1) == UUID(int=0)
    assert id_at(1 << 60) == UUID(int=(1 << 128) - 1)
