"""All decisions of a stretch of time in the embedded archive, by rulings, as one moment had them."""

import asyncio
import sqlite3
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.adapters.archive.alike import ADDRESS, ASN, AT_ONCE
from gateway.adapters.archive.documents import read_ruling
from gateway.adapters.archive.sqlite_packing import LONGEST, unpack
from gateway.adapters.archive.sqlite_reading import RULING, taken
from gateway.adapters.archive.sqlite_schema import EPOCH_BITS, open_reader
from gateway.core.alike import Alike, Each
from gateway.core.errors import StoreUnavailable

STEP_WITHIN_S: Final = 60.0
"""How long one reading may take. A moment has many."""
_LOOK_EVERY: Final = 2000
_EPOCH_US: Final = 1000 << EPOCH_BITS
_LAST_EPOCH: Final = 1 << 48 - EPOCH_BITS
_FARTHEST: Final = 1 << 62
_ALIKE: Final = f"""
SELECT r.id, r.matter, r.account, iif(length(r.address) = {ADDRESS}, r.address, NULL),
    iif(length(r.asns) = {ASN}, r.asns, NULL), n.number,
    r.epoch * {_EPOCH_US} + :low, (r.epoch + 1) * {_EPOCH_US} - 1000 + :high
"""
# The index alone is read to count them: it has the ruling of every decision, and little else.
_INNER: Final = f"""{_ALIKE} FROM (
    SELECT ruling, count(*) AS number FROM decisions INDEXED BY decisions_by_ruling
    WHERE ruling >= :first AND ruling < :end GROUP BY ruling
) n CROSS JOIN rulings r ON r.id = n.ruling WHERE r.epoch >= :since AND r.epoch < :until
"""  # noqa: S608 - numbers that never change
_EDGE: Final = f"""{_ALIKE} FROM (
    SELECT d.ruling, count(*) AS number FROM rulings e INDEXED BY rulings_by_digest
    CROSS JOIN decisions d INDEXED BY decisions_by_ruling ON d.ruling = e.id
    WHERE e.epoch = :epoch AND d.at >= :since AND d.at < :until GROUP BY d.ruling
) n CROSS JOIN rulings r ON r.id = n.ruling
"""  # noqa: S608 - numbers that never change
_EACH: Final = """
SELECT ruling, id, at, auth_age FROM decisions INDEXED BY decisions_by_ruling
WHERE ruling = ? AND at >= ? AND at < ?
"""

T = TypeVar("T")
# `Alike(...)` is a Python function that calls this; there are millions.
_new = tuple.__new__


class SqliteMoment:
    """The `Moment` port on a connection that is in a transaction of its own, used by one thread."""

    def __init__(self, database: sqlite3.Connection, thread: ThreadPoolExecutor, name: str) -> None:
        self.taken: Mapping[str, tuple[int, int]] = {}
        self._database = database
        self._thread = thread
        self._name = name

    async def begin(self) -> None:
        """Fix the moment. Raise StoreUnavailable."""

        def begun() -> Mapping[str, tuple[int, int]]:
            self._database.execute("BEGIN")
            return taken(self._database)

        self.taken = await self._done(begun)

    async def alike(self, since: int, until: int) -> AsyncIterator[Sequence[Alike]]:
        """Yield the decisions made in `[since, until)`, by rulings. Raise StoreUnavailable."""
        since, until = (min(max(instant, -_FARTHEST), _FARTHEST) for instant in (since, until))
        low, high = await self._done(lambda: self._one("SELECT low, high FROM skew"))
        skew = {"low": low, "high": high}
        # Between these epochs a decision may have been made in time; between those every one was.
        first = min(max((since - high) // _EPOCH_US, 0), _LAST_EPOCH)
        end = min(max((until - 1 - low) // _EPOCH_US + 1, first), _LAST_EPOCH)
        inner = min(max(-((low - since) // _EPOCH_US), first), end)
        outer = max(min((until + 999 - high) // _EPOCH_US, end), inner)
        ask = "SELECT coalesce(min(id), 0), coalesce(max(id), -1) FROM rulings WHERE epoch >= ? AND epoch < ?"
        least, most = await self._done(lambda: self._one(ask, (inner, outer)))
        for start in range(least, most + 1, AT_ONCE):
            some = {"first": start, "end": start + AT_ONCE, "since": inner, "until": outer, **skew}
            yield await self._done(partial(self._alike, _INNER, some))
        ask = "SELECT DISTINCT epoch FROM rulings WHERE epoch >= ? AND epoch < ? AND NOT (epoch >= ? AND epoch < ?)"
        for (epoch,) in await self._done(lambda: self._all(ask, (first, end, inner, outer))):
            edge = {"epoch": epoch, "since": since, "until": until, **skew}
            yield await self._done(partial(self._alike, _EDGE, edge))

    async def documents(self, rulings: Sequence[int]) -> Mapping[int, bytes]:
        """Return the JSON of rulings. Raise StoreUnavailable."""
        return await self._done(lambda: dict(self._documents(rulings)))

    async def each(self, rulings: Sequence[int], since: int, until: int) -> Sequence[Each]:
        """Return the decisions of rulings that were made in `[since, until)`. Raise StoreUnavailable."""
        since, until = (min(max(instant, -_FARTHEST), _FARTHEST) for instant in (since, until))
        found: list[Each] = []
        for start in range(0, len(rulings), AT_ONCE):
            found += await self._done(partial(self._each, rulings[start : start + AT_ONCE], since, until))
        return found

    def _alike(self, query: str, values: Mapping[str, int]) -> list[Alike]:
        found = [_new(Alike, row) for row in self._database.execute(query, values)]
        # Taken before rulings had one.
        without = [place for place, one in enumerate(found) if not one.matter]
        for place in without:
            _, document = next(self._documents([found[place].ruling]))
            found[place] = found[place]._replace(matter=read_ruling(document).matter)
        return found

    def _each(self, rulings: Sequence[int], since: int, until: int) -> list[Each]:
        return [_new(Each, row) for ruling in rulings for row in self._all(_EACH, (ruling, since, until))]

    def _documents(self, rulings: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        for ruling in rulings:
            packed, dictionary = self._one(RULING, (ruling,))
            yield ruling, unpack(dictionary, packed, LONGEST)

    def _one(self, query: str, values: Sequence[int] = ()) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._database.execute(query, values).fetchone()
        return row

    def _all(self, query: str, values: Sequence[int]) -> list[tuple[Any, ...]]:
        return self._database.execute(query, values).fetchall()

    async def _done(self, work: Callable[[], T]) -> T:
        """Return what came of the work, done by the one thread. Raise StoreUnavailable where it takes too long."""
        deadline = time.monotonic() + STEP_WITHIN_S

        def run() -> T:
            self._database.set_progress_handler(lambda: time.monotonic() > deadline, _LOOK_EVERY)
            return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except (sqlite3.Error, zlib.error, RuntimeError) as fault:
            why = f"not within {STEP_WITHIN_S:g} s" if str(fault) == "interrupted" else fault
            raise StoreUnavailable(f"{self._name}: could not read it through: {why}") from fault


@asynccontextmanager
async def moment_of(path: Path) -> AsyncIterator[SqliteMoment]:
    """Give the archive in a file as it is now, for as long as the context lasts. Raise StoreUnavailable.

    What is taken, forgotten or erased meanwhile is not seen; an erasing ends only when the moment is over.
    """
    name = f"archive {path}"
    thread = ThreadPoolExecutor(1, thread_name_prefix="archive-moment")
    database: sqlite3.Connection | None = None
    try:
        database = await asyncio.get_running_loop().run_in_executor(thread, open_reader, path)
        moment = SqliteMoment(database, thread, name)
        await moment.begin()
        yield moment
    except sqlite3.Error as fault:
        raise StoreUnavailable(f"{name}: {fault}") from fault
    finally:
        await asyncio.to_thread(thread.shutdown)
        if database is not None:
            database.close()
