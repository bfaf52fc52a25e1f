"""What the store lies in: a file or a server, reached by its URL."""

from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.adapters.feed import Watch


class Bounds(NamedTuple):
    """How long anybody waits, in seconds."""

    read_s: float
    write_s: float


class Backend(Protocol):
    """One place where stores lie. What is the same for all of them is in `sql.AccountStore`, the waiting as well."""

    @property
    def name(self) -> str:
        """What people call it: never a password."""

    @property
    def faults(self) -> tuple[type[Exception], ...]:
        """What its driver raises where it does not do its part."""

    def watch(self) -> Watch:
        """Return what notices that others change something."""

    def is_there(self) -> bool:
        """Return whether there is anything to read. Asks nobody."""

    async def migrate(self) -> None:
        """Bring it to the schema of this code, making it where there is none. Raise StoreUnavailable."""

    async def connect(self) -> None:
        """Make ready what the first request would otherwise wait for."""

    async def close(self) -> None:
        """Let go of it."""

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give a connection that can only read."""

    def writing(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give one transaction. What is read in it is so until it is committed: nobody else writes meanwhile."""


def backend_of(url: str, bounds: Bounds) -> Backend:
    """Return what a store URL names, untouched. Raise ConfigError where it names nothing."""
    # Each brings its own database driver, and nobody needs both.
    if url.startswith("postgresql:"):
        from gateway.adapters.postgres_backend import PostgresBackend  # noqa: PLC0415 - see above

        return PostgresBackend(url, bounds)
    from gateway.adapters.sqlite_backend import SqliteBackend  # noqa: PLC0415 - see above

    return SqliteBackend(url, bounds)
