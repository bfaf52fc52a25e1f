"""Noticing that the store's file changed, whoever changed it."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, NamedTuple

import structlog

from gateway.adapters.migration import revision_of
from gateway.adapters.schema import REVISION
from gateway.adapters.sqlite_file import SqliteFile, uri_of
from gateway.core.errors import StoreUnavailable
from gateway.ports import MICROSECONDS, Clock

log: Any = structlog.get_logger("gateway")

RELIED_ON_US: Final = MICROSECONDS
"""How long after the last successful look `generation` may be relied on."""
_AHEAD_US: Final = 60 * MICROSECONDS
"""How much older than the last look a request may be that is still on its way. More is a clock that was set back."""
_BUSY_S: Final = 0.2
_CHANGES: Final = "SELECT number FROM generations WHERE name = 'accounts'"
_WHOSE: Final = "SELECT account FROM changed_accounts WHERE number > ? AND number <= ?"
_ENDED: Final = "SELECT account FROM account_holds WHERE until > ? AND until <= ? LIMIT ?"
_NAMED: Final = 4096
"""Changes between two looks of which each is named; of more, any account may be meant."""
_REMEMBERED: Final = 65_536
_CLOSE_WITHIN_S: Final = 2.0


class _Seen(NamedTuple):
    """What one look at the file found; two that differ mean a change."""

    connection: int
    """Which of the feed's connections saw it."""
    changes: int
    """How often what is remembered of accounts was changed, by anybody, as the store's triggers count it."""
    ends: int | None
    """When the next hold ends by itself."""
    version: int
    """SQLite's data_version: differs whenever another connection committed, in this process or any other."""


class _Look(NamedTuple):
    """What a look found, and whose accounts changed since the one before."""

    seen: _Seen
    whose: frozenset[str]
    """Empty where that cannot be said of all."""


class Heard(NamedTuple):
    """What one look vouches for.

    What was read of an account in one statement together with this number, or a later one, holds for as long as
    `changed_at` of that account is not after this generation.
    """

    number: int
    """How many changes the store had counted."""
    generation: int
    """The feed's before the look: every change that it had counted by then is among those of the store."""
    since: int
    """When the first look on the same connection began: from another, numbers may be those of another past."""


class ChangeFeed:
    """Looks at the file every so often, on a connection of its own. Belongs to the event loop's thread."""

    def __init__(self, file: SqliteFile, clock: Clock, every_s: float) -> None:
        self.generation = 0
        """A number that changes whenever what is remembered of accounts changed, as far as is known."""
        self.commits = 0
        """A number that changes whenever anything in the store did: an event that was taken, a message delivered."""
        self.on_look: Callable[[Heard], object] = _nobody
        """Told what each look vouches for."""
        self.on_own_change: Callable[[], object] = _nobody
        """Told whenever this process committed something."""
        self._file = file
        self._clock = clock
        self._every_s = every_s
        self._changed: dict[str, int] = {}
        """The generation that the latest change of each account made, of those that changed since `_all`."""
        self._all = 0
        """The generation of the latest change that may have been of any account."""
        self._heard_at: int | None = None
        self._looked_at = 0
        self._since = 0
        self._seen: _Seen | None = None
        self._fault: str | None = None
        self._database: sqlite3.Connection | None = None
        self._connections = 0
        self._thread: ThreadPoolExecutor | None = None
        self._watching: asyncio.Task[None] | None = None

    def fresh(self, at: int) -> bool:
        """Return whether the store was heard from recently enough at `at` to rely on `generation`."""
        heard_at = self._heard_at
        return heard_at is not None and -_AHEAD_US <= at - heard_at <= RELIED_ON_US

    def changed_at(self, uid: str | None) -> int:
        """Return the `generation` that the latest change made which may have been of this account."""
        return self._all if uid is None else self._changed.get(uid, self._all)

    def bump(self, uid: str | None = None) -> None:
        """Count a change of accounts that this process made itself, without waiting to see it. None: of any."""
        self._count(() if uid is None else (uid,))
        self.bump_commits()

    def bump_commits(self) -> None:
        """Count a commit of this process that left the accounts as they were."""
        self.commits += 1
        self.on_own_change()

    async def start(self) -> None:
        """Look once, and go on looking. Raise StoreUnavailable where the file cannot be read."""
        if self._watching is None:
            await self.look()
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Stop looking."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        self._heard_at = None
        thread, self._thread = self._thread, None
        if thread is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN_S):
                    await asyncio.get_running_loop().run_in_executor(thread, self._disconnect)
            thread.shutdown(wait=False)

    async def look(self) -> None:
        """Look once. Raise StoreUnavailable where the file cannot be read."""
        # What is seen is at least as new as the moment before the look.
        at = self._clock.now()
        generation = self.generation
        if self._thread is None:
            # One thread, so that the connection is only ever used by one.
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-feed")
        seen, whose = await asyncio.get_running_loop().run_in_executor(self._thread, self._observe, at)
        before, self._seen = self._seen, seen
        if before is None or before.connection != seen.connection:
            self._since = at
        if before != seen:
            self.commits += 1
        if before is None or before[:-1] != seen[:-1]:
            self._count(whose)
        self._heard_at = self._looked_at = at
        self.on_look(Heard(seen.changes, generation, self._since))

    def _count(self, whose: Collection[str]) -> None:
        """Count a change of these accounts; of any where none is named."""
        self.generation += 1
        if not whose or len(self._changed) + len(whose) > _REMEMBERED:
            self._changed.clear()
            self._all = self.generation
        else:
            self._changed.update(dict.fromkeys(whose, self.generation))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except StoreUnavailable as fault:
                if self._fault is None:
                    log.error("store:lost", fault=str(fault))  # noqa: TRY400 - the fault says it all
                self._fault = str(fault)
            else:
                if self._fault is not None:
                    log.warning("store:found", path=str(self._file.path))
                self._fault = None

    def _observe(self, now: int) -> _Look:
        """Return what the file holds now. Runs in the feed's thread."""
        try:
            if self._database is None:
                self._database = self._connect()
                self._connections += 1
            (version,) = self._database.execute("PRAGMA data_version").fetchone()
            counted = self._database.execute(_CHANGES).fetchone()
            (ends,) = self._database.execute("SELECT min(until) FROM account_holds WHERE until > ?", (now,)).fetchone()
            whose = frozenset[str]() if counted is None else self._whose(self._database, counted[0], now)
        except sqlite3.Error as fault:
            self._disconnect()
            raise StoreUnavailable(f"store {self._file.path}: {fault}") from fault
        if counted is None:
            raise StoreUnavailable(f"store {self._file.path}: its count of changes is gone; restore the file")
        # After the look: what was seen, was seen in the file that lies there now.
        self._file.check()
        return _Look(_Seen(self._connections, counted[0], ends, version), whose)

    def _whose(self, database: sqlite3.Connection, counted: int, now: int) -> frozenset[str]:
        """Return whose accounts changed since the last look; nobody where that cannot be said of all."""
        before = self._seen
        if before is None or before.connection != self._connections or not 0 <= counted - before.changes <= _NAMED:
            return frozenset()
        named = database.execute(_WHOSE, (before.changes, counted)).fetchall()
        # A clock that is set back begins again what had ended.
        first, last = sorted((self._looked_at, now))
        ended = database.execute(_ENDED, (first, last, _NAMED + 1)).fetchall()
        if len(named) != counted - before.changes or len(ended) > _NAMED:
            return frozenset()
        return frozenset(uid for (uid,) in (*named, *ended))

    def _connect(self) -> sqlite3.Connection:
        self._file.check()
        database = sqlite3.connect(
            f"{uri_of(self._file.path)}?mode=rw", uri=True, timeout=_BUSY_S, isolation_level=None
        )
        found = revision_of(database)
        if found != REVISION:
            database.close()
            raise StoreUnavailable(
                f"store {self._file.path}: it is at revision {found}, and this gateway needs {REVISION}"
            )
        return database

    def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


def _nobody(*_: object) -> None:
    """Be told, and do nothing."""
