"""The embedded archive: decisions in an SQLite file of its own, written by one thread and read by a few."""

import asyncio
import sqlite3
import time
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

from gateway.adapters.archive.documents import id_of
from gateway.adapters.archive.memory import QUIET_US
from gateway.adapters.archive.sqlite_alike import SqliteMoment, moment_of
from gateway.adapters.archive.sqlite_erasing import Eraser, is_owed, write_anew
from gateway.adapters.archive.sqlite_forgetting import (
    Forgetting,
    forget_texts,
    forget_workers,
    give_back,
    limits_of,
)
from gateway.adapters.archive.sqlite_reading import counts_of, find, page_of, rule_counts_of, taken
from gateway.adapters.archive.sqlite_schema import make, open_reader, open_writer
from gateway.adapters.archive.sqlite_taking import Taker
from gateway.adapters.clock import SystemClock
from gateway.adapters.sqlite_file import SqliteFile
from gateway.core.decision import Document
from gateway.core.errors import StoreUnavailable
from gateway.core.keeping import Keep
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import MOST, Page, Search, read_cursor
from gateway.ports import Clock, Count, Erasing, RuleCount, Step, Stretch

READ_WITHIN_S: Final = 5.0
WRITE_WITHIN_S: Final = 30.0
REBUILD_WITHIN_S: Final = 3600.0
_START_WITHIN_S: Final = 30.0
_READERS: Final = 3
_LOOK_EVERY: Final = 2000
"""Steps of SQLite's machine, a fraction of a millisecond, after which it looks at the clock."""

T = TypeVar("T")


class SqliteArchive:
    """The `Archive` port on one SQLite file. Several processes may have it open: one takes at a time, all read."""

    def __init__(
        self,
        path: Path,
        *,
        read_within_s: float = READ_WITHIN_S,
        write_within_s: float = WRITE_WITHIN_S,
        rebuild_within_s: float = REBUILD_WITHIN_S,
        clock: Clock | None = None,
    ) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._read_within_s = read_within_s
        self._write_within_s = write_within_s
        self._rebuild_within_s = rebuild_within_s
        self._file = SqliteFile(path)
        self._writing: ThreadPoolExecutor | None = None
        self._reading: ThreadPoolExecutor | None = None
        self._writer: sqlite3.Connection | None = None
        self._taker: Taker | None = None
        self._readers: asyncio.LifoQueue[sqlite3.Connection] = asyncio.LifoQueue()
        self._opened: list[sqlite3.Connection] = []

    async def start(self) -> None:
        """Open the file, making it where there is none. Raise StoreUnavailable where it cannot be used."""
        if self._writing is not None:
            return
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="archive-writer")
        self._reading = ThreadPoolExecutor(_READERS, thread_name_prefix="archive-reader")
        try:
            async with self._bounded(_START_WITHIN_S, "open it"):
                await asyncio.get_running_loop().run_in_executor(self._writing, self._open)
        except BaseException:
            await self.close()
            raise
        for reader in self._opened[1:]:
            self._readers.put_nowait(reader)

    async def close(self) -> None:
        """Let go of the file, once what is being done is done or interrupted."""
        writing, reading = self._writing, self._reading
        self._writing = self._reading = self._writer = self._taker = None
        self._readers = asyncio.LifoQueue()
        for pool in (writing, reading):
            if pool is not None:
                await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        for connection in self._opened:
            connection.close()
        self._opened = []
        self._file.forget()

    async def taken(self) -> Mapping[str, tuple[int, int]]:
        """Return how far each worker's journal was taken. Raise StoreUnavailable."""
        return await self._read("say what was taken", taken)

    async def take(self, stretch: Stretch) -> int:
        """Take a stretch, whole or not at all; return how many decisions were new. Raise StoreUnavailable.

        Where it raises after the time is over, it may have been taken all the same; taking it again adds nothing.
        """
        return await self._write("take a stretch", lambda _, taker: taker.take(stretch))

    async def find(self, decision_id: str) -> Document | None:
        """Return the decision document, or None. Raise StoreUnavailable within a bounded time."""
        raw = id_of(decision_id)
        return None if raw is None else await self._read("find a decision", lambda reader: find(reader, raw))

    async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return the decisions that a search finds, the newest id first, at most `limit` of them.

        Raise SearchError for a cursor that is none, StoreUnavailable within a bounded time.
        """
        before = None if cursor is None else read_cursor(cursor)
        limit = min(max(limit, 1), MOST)
        return await self._read("search", lambda reader: page_of(reader, search, limit, before))

    async def counts(self, since: int, until: int, *, step: Step = Step.HOUR) -> Sequence[Count]:
        """Return how many decisions of each kind the hours that begin in `[since, until)` had, oldest first."""
        return await self._read("count", lambda reader: counts_of(reader, since, until, step))

    async def rule_counts(self, since: int, until: int) -> Sequence[RuleCount]:
        """Return how many refusals each rule determined in the hours that begin in `[since, until)`, oldest first."""
        return await self._read("count by rule", lambda reader: rule_counts_of(reader, since, until))

    def moment(self) -> AbstractAsyncContextManager[SqliteMoment]:
        """Give all of the archive as it is now. Raise StoreUnavailable."""
        return moment_of(self.path)

    async def forget(self, before: Mapping[Keep, int]) -> int:
        """Remove decisions of each class that were made before its instant; return how many. Counts stay.

        It goes by small steps, between which stretches are taken. Raise StoreUnavailable; what is gone stays gone.
        """
        gone = 0
        for limit in limits_of(before):
            gone += await self._all("forget", Forgetting(limit).some)
        await self._write("forget texts", lambda writer, _: forget_texts(writer, before))
        while await self._write("give room back", lambda writer, _: give_back(writer)):
            pass
        return gone

    async def erase(self, erasing: Erasing, pseudonyms: Pseudonyms) -> int:
        """Replace personal data by digests in the decisions that this is about; return how many it changed.

        At the end the file is written anew, within `rebuild_within_s`, while nothing can be taken. Raise
        StoreUnavailable; the next erasing does what is left.
        """
        changed = 0
        taker = self._taker
        if taker is not None:
            changed = await self._all("erase", Eraser(erasing, pseudonyms, taker).some)
        if await self._write("see what was erased", lambda writer, _: is_owed(writer)):
            within = self._rebuild_within_s
            await self._write("write the file anew", lambda writer, _: write_anew(writer), within)
        return changed

    async def forget_workers(self, keep: Collection[str]) -> None:
        """Forget how far workers were taken whom for 30 days nobody named, and from whom nothing was taken."""
        now = self._clock.now()
        await self._write("forget workers", lambda writer, _: forget_workers(writer, keep, now, now - QUIET_US))

    def _open(self) -> None:
        make(self.path)
        self._file.check()
        self._opened.append(writer := open_writer(self.path))
        for _ in range(_READERS):
            self._opened.append(open_reader(self.path))
        self._writer, self._taker = writer, Taker(writer, self._clock)

    async def _all(self, what: str, some: Callable[[sqlite3.Connection], int | None]) -> int:
        """Return how many it were in all: a step at a time, until there are no more."""
        number = 0
        while (more := await self._write(what, lambda writer, _: some(writer))) is not None:
            number += more
        return number

    async def _write(
        self, what: str, work: Callable[[sqlite3.Connection, Taker], T], within_s: float | None = None
    ) -> T:
        within_s = self._write_within_s if within_s is None else within_s
        writer, taker = self._writer, self._taker
        if writer is None or taker is None or self._writing is None:
            raise StoreUnavailable(f"archive {self.path}: it is not open")
        async with self._bounded(within_s, what):
            timed = _timed(writer, within_s, lambda: work(writer, taker))
            return await asyncio.get_running_loop().run_in_executor(self._writing, timed)

    async def _read(self, what: str, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._reading is None:
            raise StoreUnavailable(f"archive {self.path}: it is not open")
        readers = self._readers
        async with self._bounded(self._read_within_s, what):
            reader = await readers.get()
            future = asyncio.get_running_loop().run_in_executor(
                self._reading, _timed(reader, self._read_within_s, lambda: work(reader))
            )

            def done(future: asyncio.Future[T]) -> None:
                # Whoever asked may have given up; the connection is free when the thread is done with it.
                readers.put_nowait(reader)
                if not future.cancelled():
                    future.exception()

            future.add_done_callback(done)
            return await asyncio.shield(future)

    @asynccontextmanager
    async def _bounded(self, seconds: float, what: str) -> AsyncIterator[None]:
        """Bound the wait, use no file but the one that was opened, and say StoreUnavailable for whatever goes wrong."""
        try:
            if self._opened:
                self._file.check()
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise StoreUnavailable(f"archive {self.path}: could not {what} within {seconds} s") from None
        except (sqlite3.Error, zlib.error, OSError, RuntimeError) as fault:
            if isinstance(fault, sqlite3.OperationalError) and str(fault) == "interrupted":
                raise StoreUnavailable(f"archive {self.path}: could not {what} within {seconds} s") from None
            raise StoreUnavailable(f"archive {self.path}: could not {what}: {fault}") from fault


def _timed(database: sqlite3.Connection, seconds: float, work: Callable[[], T]) -> Callable[[], T]:
    """Return the work, which ends with sqlite3.OperationalError where it is not done in time."""
    deadline = time.monotonic() + seconds

    def run() -> T:
        database.set_progress_handler(lambda: time.monotonic() > deadline, _LOOK_EVERY)
        try:
            return work()
        finally:
            database.set_progress_handler(None, 0)

    return run
