"""An SQLite file: how a URL names it, which file it is, and how it is opened."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.core.errors import ConfigError, StoreUnavailable


class SqliteFile:
    """One file, known by its inode from its first use on.

    SQLite goes on answering from a file that was removed or replaced, and opens a new one together with the old one's
    write-ahead log: both answers are nobody's. So a file that is not the one that was opened first is not used at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None

    def check(self) -> None:
        """Raise StoreUnavailable where the path leads to no file, or to another one than at first."""
        try:
            status = self.path.stat()
        except OSError as fault:
            raise StoreUnavailable(f"store {self.path}: {fault.strerror}") from fault
        identity = (status.st_dev, status.st_ino)
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            raise StoreUnavailable(
                f"store {self.path}: another file was put in its place; stop every gateway, remove "
                f"{self.path.name}-wal and {self.path.name}-shm, and start again"
            )

    def forget(self) -> None:
        """Take whatever file is there next: nothing has it open any more."""
        self._identity = None


def path_of(url: str) -> Path:
    """Return the file that a store URL names. Raise ConfigError where it names none."""
    scheme, _, rest = url.partition(":")
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path == ":memory:":
        shown = f"sqlite:{rest}" if scheme == "sqlite" else f"{scheme[:20]}:…"
        raise ConfigError(f"store url `{shown}`: write sqlite:///PATH, such as sqlite:///var/gateway.db")
    return Path(path)


def engine_of(path: Path, connections: int, within_s: float, pragma: str) -> AsyncEngine:
    """Return an engine of so many connections, which never makes a file where there is none."""
    url = sa.URL.create("sqlite+aiosqlite", database=uri_of(path), query={"mode": "rw", "uri": "true"})
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=within_s,
        pool_reset_on_return=None,
        # SQLite gives up waiting for a lock before we give up waiting for SQLite.
        connect_args={"timeout": within_s * 0.8, "isolation_level": None},
    )

    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - SQLAlchemy's adapted connection
        cursor = connection.cursor()
        for each in (pragma, "PRAGMA foreign_keys=ON", "PRAGMA cell_size_check=ON"):
            cursor.execute(each)
        cursor.close()

    sa.event.listen(engine.sync_engine, "connect", prepare)
    return engine


def begin_immediate(connection: sa.Connection) -> None:
    """Begin a transaction that writes."""
    # The lock first, the reading after: what a change is decided on is still so when it is written.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def uri_of(path: Path) -> str:
    """Return the path as SQLite takes it with options behind it: escaped, so that no `?` in it begins them."""
    return path.absolute().as_uri()
