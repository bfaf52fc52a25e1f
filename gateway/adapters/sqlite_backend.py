"""The embedded store: one SQLite file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.adapters.backend import Bounds
from gateway.adapters.migration import migrate
from gateway.adapters.sqlite_file import SqliteFile, begin_immediate, engine_of, path_of
from gateway.adapters.sqlite_watch import SqliteWatch

_READERS: Final = 4


class SqliteBackend:
    """The `Backend` of a file. That it is still the one that was opened is asked before and after everything."""

    faults: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error, OSError)

    def __init__(self, url: str, bounds: Bounds) -> None:
        self._path = path_of(url)
        self.name = str(self._path)
        self._file = SqliteFile(self._path)
        self._readers = engine_of(self._path, _READERS, bounds.read_s, "PRAGMA query_only=ON")
        # One writer at a time is all that SQLite has; the others wait here rather than poll its lock.
        self._writer = engine_of(self._path, 1, bounds.write_s, "PRAGMA synchronous=FULL")
        sa.event.listen(self._writer.sync_engine, "begin", begin_immediate)

    def watch(self) -> SqliteWatch:
        """Return what notices that others change something."""
        return SqliteWatch(self._file)

    def is_there(self) -> bool:
        """Return whether there is a file."""
        return self._path.exists()

    async def migrate(self) -> None:
        """Bring the file to the schema of this code, making it where there is none. Raise StoreUnavailable."""
        await asyncio.to_thread(migrate, self._path)

    async def connect(self) -> None:
        """Do nothing: a file is opened in no time."""

    async def close(self) -> None:
        """Let go of the file."""
        await self._readers.dispose()
        await self._writer.dispose()
        self._file.forget()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection that can only read."""
        self._file.check()
        async with self._readers.connect() as connection:
            yield connection
        self._file.check()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give one transaction, with SQLite's lock for writing from its beginning on."""
        self._file.check()
        async with self._writer.begin() as connection:
            yield connection
        self._file.check()
