from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.adapters.backend import Bounds
from gateway.adapters.schema import LEASES
from gateway.adapters.sqlite_backend import SqliteBackend
from gateway.core.errors import StoreUnavailable

ROW = {"name": "n", "owner": "o", "until": 1}


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[SqliteBackend]:
    backend = SqliteBackend(f"sqlite:///{tmp_path}/gateway.db", Bounds(5, 10))
    yield backend
    await backend.close()


async def test_a_file_is_there_once_it_was_migrated(backend: SqliteBackend) -> None:
    assert not backend.is_there()
    await backend.migrate()
    assert backend.is_there()


async def test_a_transaction_is_whole_or_not_at_all_and_readers_cannot_write(backend: SqliteBackend) -> None:
    await backend.migrate()
    with suppress(ZeroDivisionError):
        async with backend.writing() as connection:
            await connection.execute(sa.insert(LEASES), ROW)
            raise ZeroDivisionError
    async with backend.writing() as connection:
        await connection.execute(sa.insert(LEASES), {**ROW, "name": "kept"})
    async with backend.reading() as connection:
        assert (await connection.execute(sa.select(LEASES.c.name))).scalars().all() == ["kept"]
        with pytest.raises(backend.faults, match="readonly"):
            await connection.execute(sa.insert(LEASES), ROW)


async def test_what_was_written_into_a_file_that_was_replaced_meanwhile_is_not_vouched_for(
    backend: SqliteBackend, tmp_path: Path
) -> None:
    await backend.migrate()

    async def write() -> None:
        async with backend.writing() as connection:
            await connection.execute(sa.insert(LEASES), ROW)
            (tmp_path / "gateway.db").rename(tmp_path / "away.db")
            (tmp_path / "gateway.db").write_bytes(b"")

    with pytest.raises(StoreUnavailable, match="another file was put in its place"):
        await write()
