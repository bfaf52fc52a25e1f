"""What changed in the store's SQLite file, whoever changed it: looked at on a connection of its own."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from gateway.adapters.feed import NAMED, Look, Seen
from gateway.adapters.migration import revision_of
from gateway.adapters.schema import REVISION
from gateway.adapters.sqlite_file import SqliteFile, uri_of
from gateway.core.errors import StoreUnavailable

_BUSY_S: Final = 0.2
_CLOSE_WITHIN_S: Final = 2.0
_CHANGES: Final = "SELECT number FROM generations WHERE name = 'accounts'"
_WHOSE: Final = "SELECT account FROM changed_accounts WHERE number > ? AND number <= ?"
_ENDS: Final = "SELECT min(until) FROM account_holds WHERE until > ?"
_ENDED: Final = "SELECT account FROM account_holds WHERE until > ? AND until <= ? LIMIT ?"


class SqliteWatch:
    """The `Watch` of a file. Nothing tells of a change there: it is seen when somebody looks."""

    def __init__(self, file: SqliteFile) -> None:
        self.name = str(file.path)
        self._file = file
        self._database: sqlite3.Connection | None = None
        self._connections = 0
        self._thread: ThreadPoolExecutor | None = None

    async def observe(self, now: int, before: Seen | None, looked_at: int) -> Look:
        """Return what the file holds now, and whose accounts changed since `before`. Raise StoreUnavailable."""
        if self._thread is None:
            # One thread, so that the connection is only ever used by one.
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-feed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._observe, now, before, looked_at)

    async def wait(self, seconds: float) -> None:
        """Return when it is time to look again."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Let go of the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN_S):
                    await asyncio.get_running_loop().run_in_executor(thread, self._disconnect)
            thread.shutdown(wait=False)

    def _observe(self, now: int, before: Seen | None, looked_at: int) -> Look:
        """Look. Runs in the thread."""
        try:
            if self._database is None:
                self._database = self._connect()
                self._connections += 1
            (version,) = self._database.execute("PRAGMA data_version").fetchone()
            counted = self._database.execute(_CHANGES).fetchone()
            (ends,) = self._database.execute(_ENDS, (now,)).fetchone()
            # SQLite's data_version differs whenever another connection committed, in this process or any other.
            seen = None if counted is None else Seen(self._connections, counted[0], ends, version)
            whose = frozenset[str]() if seen is None else _whose(self._database, seen, before, (looked_at, now))
        except sqlite3.Error as fault:
            self._disconnect()
            raise StoreUnavailable(f"store {self.name}: {fault}") from fault
        if seen is None:
            raise StoreUnavailable(f"store {self.name}: its count of changes is gone; restore the file")
        # After the look: what was seen, was seen in the file that lies there now.
        self._file.check()
        return Look(seen, whose)

    def _connect(self) -> sqlite3.Connection:
        self._file.check()
        database = sqlite3.connect(
            f"{uri_of(self._file.path)}?mode=rw", uri=True, timeout=_BUSY_S, isolation_level=None
        )
        found = revision_of(database)
        if found != REVISION:
            database.close()
            raise StoreUnavailable(f"store {self.name}: it is at revision {found}, and this gateway needs {REVISION}")
        return database

    def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


def _whose(database: sqlite3.Connection, seen: Seen, before: Seen | None, looks: tuple[int, int]) -> frozenset[str]:
    """Return whose accounts changed between two looks; nobody where that cannot be said of all."""
    if before is None or not seen.can_name_since(before):
        return frozenset()
    named = database.execute(_WHOSE, (before.changes, seen.changes)).fetchall()
    # A clock that is set back begins again what had ended.
    ended = database.execute(_ENDED, (*sorted(looks), NAMED + 1)).fetchall()
    if len(named) != seen.changes - before.changes or len(ended) > NAMED:
        return frozenset()
    return frozenset(uid for (uid,) in (*named, *ended))
