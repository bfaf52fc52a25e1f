"""The store in a database of PostgreSQL, which several machines share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.adapters.backend import Bounds
from gateway.adapters.postgres_address import FAULTS, PostgresAddress
from gateway.adapters.postgres_migration import SCHEMA, migrate
from gateway.adapters.postgres_watch import PostgresWatch
from gateway.adapters.schema import GENERATIONS
from gateway.core.errors import StoreUnavailable

_READERS: Final = 4
_CLOSE_WITHIN_S: Final = 2.0
_READ_ONLY: Final = "SET default_transaction_read_only = on"
_DURABLE: Final = """
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
"""A change that was answered is on the disk, whatever the server would do by itself; more than that stays as it is."""
_OURS: Final = sa.update(GENERATIONS).where(GENERATIONS.c.name == "commits").values(number=GENERATIONS.c.number + 1)
"""The first statement of who writes. It locks the row until the commit, so that one writes at a time on all machines,
and numbers the commits in their order: what is read afterwards in the transaction is so until it is committed."""


class PostgresBackend:
    """The `Backend` of a database: some connections that can only read, and one that writes."""

    faults: tuple[type[Exception], ...] = (SQLAlchemyError, *FAULTS)

    def __init__(self, url: str, bounds: Bounds) -> None:
        self._address = PostgresAddress.of(url)
        self.name = self._address.name
        self._readers = _engine(self._address, _READERS, bounds, _READ_ONLY, isolation_level="AUTOCOMMIT")
        # The others wait here rather than at the server.
        self._writer = _engine(self._address, 1, bounds, _DURABLE, isolation_level="READ COMMITTED")

    def watch(self) -> PostgresWatch:
        """Return what notices that others change something."""
        return PostgresWatch(self._address)

    def is_there(self) -> bool:
        """Return that there is a database: whoever asks it will hear otherwise."""
        return True

    async def migrate(self) -> None:
        """Bring the database to the schema of this code. Raise StoreUnavailable."""
        await migrate(self._address)

    async def connect(self) -> None:
        """Connect a reader and the writer: the first request has no time for that."""
        for engine in (self._readers, self._writer):
            async with engine.connect():
                pass

    async def close(self) -> None:
        """Let go of the connections."""
        for engine in (self._readers, self._writer):
            with suppress(TimeoutError, *self.faults):
                async with asyncio.timeout(_CLOSE_WITHIN_S):
                    await engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection that can only read; each statement sees what is committed when it begins."""
        async with self._readers.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give one transaction, with the store's lock for writing from its beginning on."""
        async with self._writer.begin() as connection:
            if not (await connection.execute(_OURS)).rowcount:
                raise StoreUnavailable(f"store {self.name}: its count of changes is gone; restore the database")
            yield connection


def _engine(
    address: PostgresAddress, connections: int, bounds: Bounds, begin: str, *, isolation_level: str
) -> AsyncEngine:
    longest = str(round(bounds.write_s * 1000))
    # The server's own bounds as well: what nobody waits for any more must not go on there, nor hold a lock.
    limits = {"statement_timeout": longest, "idle_in_transaction_session_timeout": longest}

    async def connect() -> Any:  # noqa: ANN401 - an asyncpg connection
        connection = await address.connect(search_path=SCHEMA, **limits)
        try:
            await connection.execute(begin)
        except BaseException:
            connection.terminate()
            raise
        return connection

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=bounds.write_s,
        isolation_level=isolation_level,
    )
    sa.event.listen(engine.sync_engine, "checkout", _refuse_broken)
    # Nobody waits for the farewell to a server that did not answer in time.
    engine.sync_engine.dialect.do_terminate = _terminate  # type: ignore[assignment]  # no event asks how
    return engine


def _refuse_broken(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - SQLAlchemy's adapted one
    """Have the pool connect anew where the server has gone since: asyncpg knows without asking."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _terminate(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's adapted connection
    connection.driver_connection.terminate()
