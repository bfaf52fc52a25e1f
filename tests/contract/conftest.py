"""Every backend of the archive, empty. A backend is a function of a folder; add yours to `BACKENDS`."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import pytest

from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.ports import Archive, Clock
from tests.postgres_server import server_of_this_process


class Backend(Protocol):
    """Opens an archive for the time of the context. Within one folder it is the same archive, empty at first."""

    def __call__(self, folder: Path, clock: Clock | None = None) -> AbstractAsyncContextManager[Archive]: ...


@asynccontextmanager
async def memory(folder: Path, clock: Clock | None = None) -> AsyncIterator[Archive]:
    yield MemoryArchive(clock)


@asynccontextmanager
async def sqlite(folder: Path, clock: Clock | None = None) -> AsyncIterator[Archive]:
    archive = SqliteArchive(folder / "decisions.db", clock=clock)
    await archive.start()
    try:
        yield archive
    finally:
        await archive.close()


@asynccontextmanager
async def postgresql(folder: Path, clock: Clock | None = None) -> AsyncIterator[Archive]:
    from gateway.adapters.archive.postgres import PostgresArchive

    # A folder is a schema: both are the same archive for as long as they last.
    schema = f"t{blake2b(bytes(folder), digest_size=12).hexdigest()}"
    archive = PostgresArchive(server_of_this_process(), schema=schema, clock=clock)
    await archive.start()
    try:
        yield archive
    finally:
        await archive.close()


BACKENDS: dict[str, Backend] = {"memory": memory, "sqlite": sqlite, "postgresql": postgresql}


@pytest.fixture(params=BACKENDS, scope="module")
def backend(request: pytest.FixtureRequest) -> Backend:
    """Return what opens an archive: for tests that need several, each in a folder of its own."""
    return BACKENDS[request.param]


@pytest.fixture
async def archive(backend: Backend, tmp_path: Path) -> AsyncIterator[Archive]:
    """An archive of each backend, started and empty."""
    async with backend(tmp_path) as opened:
        yield opened
