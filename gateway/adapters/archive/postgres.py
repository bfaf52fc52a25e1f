"""The archive of decisions in PostgreSQL."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]  # asyncpg brings no types
from asyncpg.exceptions import (  # type: ignore[import-untyped]  # asyncpg brings no types
    CheckViolationError,
    DeadlockDetectedError,
    InterfaceError,
    InternalClientError,
    PostgresConnectionError,
    PostgresError,
    UniqueViolationError,
)

from gateway.adapters.archive.documents import Kind, id_of
from gateway.adapters.archive.memory import QUIET_US, check_rulings
from gateway.adapters.archive.postgres_alike import PostgresMoment
from gateway.adapters.archive.postgres_counts import counted
from gateway.adapters.archive.postgres_erasing import erase
from gateway.adapters.archive.postgres_export import DayExport
from gateway.adapters.archive.postgres_retention import forget
from gateway.adapters.archive.postgres_rules import rules_counted
from gateway.adapters.archive.postgres_schema import LAST_DAY, Connection, add_days, bounded, migrate, quoted
from gateway.adapters.archive.postgres_search import document_of, row_of, search_page
from gateway.adapters.archive.postgres_taking import DaysMissing, take
from gateway.adapters.clock import SystemClock
from gateway.core.decision import Document
from gateway.core.errors import StoreUnavailable
from gateway.core.keeping import Keep
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import MOST, Page, Search, read_cursor
from gateway.ports import Clock, Count, Erasing, RuleCount, Step, Stretch

READ_WITHIN_S: Final = 5.0
TAKE_WITHIN_S: Final = 60.0
START_WITHIN_S: Final = 60.0
FORGET_WITHIN_S: Final = 6 * 3600.0
MOMENT_WITHIN_S: Final = 3600.0
CONNECT_WITHIN_S: Final = 5.0
_ATTEMPTS: Final = 4
_AGAIN: Final = (DeadlockDetectedError, CheckViolationError)
"""What another process that takes or forgets at the same time may cause, and a second attempt ends."""
_FIND: Final = """
    SELECT d.*, r.document FROM decisions d JOIN rulings r ON r.number = d.ruling WHERE d.id = $1
"""


class PostgresArchive:
    """The `Archive` port on a schema of a PostgreSQL database (15 or newer).

    `url` is what asyncpg takes (`postgresql://user@host/database?sslmode=verify-full`); the password may stand in a
    file of its own. What is forgotten is written to the folder `export` before, where there is one. Every wait is
    bounded, and a connection that broke is made anew by whoever needs it next.
    """

    def __init__(
        self,
        url: str,
        *,
        password_file: Path | None = None,
        schema: str = "archive",
        connections: int = 4,
        read_within_s: float = READ_WITHIN_S,
        take_within_s: float = TAKE_WITHIN_S,
        export: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Build, without connecting. Raise ConfigError where `export` is a folder and pyarrow is not installed."""
        self._url = url
        self._password_file = password_file
        self._schema = schema
        self._connections = connections
        self._read_within_s = read_within_s
        self._take_within_s = take_within_s
        self._pool: asyncpg.Pool[Any] | None = None
        self._export = None if export is None else DayExport(export)
        self._clock = clock or SystemClock()
        self._kinds: dict[Kind, int] = {}
        parts = urlsplit(url)
        # What people see of the URL: never the user's part of it, never its query.
        self._name = f"archive at {parts.netloc.rpartition('@')[2]}{parts.path}"

    async def start(self) -> None:
        """Connect, and bring the tables to the schema that this code knows. Raise StoreUnavailable."""
        async with self._within(START_WITHIN_S, "start"):
            self._pool = await asyncpg.create_pool(
                self._url,
                password=self._password,
                min_size=0,
                max_size=self._connections,
                timeout=CONNECT_WITHIN_S,
                command_timeout=None,
                server_settings={
                    "application_name": "gateway-archive",
                    "search_path": quoted(self._schema),
                    "jit": "off",
                    # Each plan is made for its own days and values: a general one would look at every day.
                    "plan_cache_mode": "force_custom_plan",
                    "work_mem": "16MB",
                    # Everything that is asked has an index; where statistics are old, the planner may not believe it.
                    "enable_seqscan": "off",
                },
            )
        try:
            async with self._connected(START_WITHIN_S, "start") as connection:
                await migrate(connection, self._schema)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of the connections; where they do not end within a bounded time, they are cut."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(CONNECT_WITHIN_S):
                    await pool.close()
            except (TimeoutError, PostgresError, InterfaceError, InternalClientError, OSError):
                pool.terminate()

    async def taken(self) -> Mapping[str, tuple[int, int]]:
        """Return how far each worker's journal was taken: the segment, and the offset in it. Raise StoreUnavailable."""
        async with self._reading("read how far journals were taken") as connection:
            rows = await connection.fetch("SELECT worker, segment, taken FROM progress")
        return {row["worker"]: (row["segment"], row["taken"]) for row in rows}

    async def take(self, stretch: Stretch) -> int:
        """Take a stretch, whole or not at all; return how many decisions were new. Raise StoreUnavailable."""
        check_rulings(stretch)
        async with self._connected(self._take_within_s, "take a stretch") as connection:
            doubtful = False
            for _ in range(_ATTEMPTS - 1):
                try:
                    return await self._take(connection, stretch, doubtful=doubtful)
                except DaysMissing as missing:
                    # The day after as well, so that midnight finds its partition made.
                    ahead = min(max(missing.days) + 1, LAST_DAY - 1)
                    await add_days(connection, [*missing.days, ahead])
                except UniqueViolationError:
                    doubtful = True
                except _AGAIN:
                    continue
            try:
                return await self._take(connection, stretch, doubtful=True)
            except DaysMissing as missing:
                raise StoreUnavailable(
                    f"{self._name}: the days {missing.days} were dropped as they were made"
                ) from None

    async def _take(self, connection: Connection, stretch: Stretch, *, doubtful: bool) -> int:
        kinds = dict(self._kinds)
        async with connection.transaction():
            new = await take(connection, stretch, kinds, self._clock.now(), doubtful=doubtful)
        # Only now: the numbers of a transaction that was given up are nobody's.
        self._kinds = kinds
        return new

    async def find(self, decision_id: str) -> Document | None:
        """Return the decision document, or None. Raise StoreUnavailable within a bounded time."""
        sought = id_of(decision_id)
        if sought is None:
            return None
        async with self._reading("find a decision") as connection:
            row = await connection.fetchrow(_FIND, UUID(bytes=sought))
        return None if row is None else document_of(row_of(row), row["document"])

    async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return the decisions that a search finds, the newest id first, at most `limit` (1 to 1000) of them.

        Raise SearchError for a cursor that is none, StoreUnavailable within a bounded time.
        """
        before = None if cursor is None else UUID(bytes=read_cursor(cursor))
        # Of one instant, so that nothing goes between finding a decision and reading its ruling.
        async with (
            self._reading("search") as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await search_page(connection, search, min(max(limit, 1), MOST), before)

    async def counts(self, since: int, until: int, *, step: Step = Step.HOUR) -> Sequence[Count]:
        """Return how many decisions of each kind the hours that begin in `[since, until)` had, oldest first."""
        async with self._reading("count decisions") as connection:
            return await counted(connection, since, until, step)

    async def rule_counts(self, since: int, until: int) -> Sequence[RuleCount]:
        """Return how many refusals each rule determined in the hours that begin in `[since, until)`, oldest first."""
        async with self._reading("count by rule") as connection:
            return await rules_counted(connection, since, until)

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[PostgresMoment]:
        """Give all of the archive as it is now, for an hour at most. Raise StoreUnavailable."""
        async with (
            self._connected(MOMENT_WITHIN_S, "read it through") as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            rows = await connection.fetch("SELECT worker, segment, taken FROM progress")
            yield PostgresMoment(connection, {row["worker"]: (row["segment"], row["taken"]) for row in rows})

    async def forget(self, before: Mapping[Keep, int]) -> int:
        """Remove decisions of each class that were made before its instant; return how many.

        Counts stay. With an export only what is over for a whole day goes, and is written there before.
        """
        async with self._connected(FORGET_WITHIN_S, "forget decisions") as connection:
            return await forget(connection, {keep: bounded(limit) for keep, limit in before.items()}, self._export)

    async def erase(self, erasing: Erasing, pseudonyms: Pseudonyms) -> int:
        """Replace personal data by digests in the decisions that this is about; return how many it changed."""
        async with self._connected(FORGET_WITHIN_S, "erase") as connection:
            return await erase(connection, erasing, pseudonyms)

    async def forget_workers(self, keep: Collection[str]) -> None:
        """Forget how far workers were taken whom for 30 days nobody named, and from whom nothing was taken."""
        now = self._clock.now()
        async with self._reading("forget workers") as connection, connection.transaction():
            named = "UPDATE progress SET taken_at = $2 WHERE worker = ANY($1::text[])"
            await connection.execute(named, list(keep), now)
            await connection.execute("DELETE FROM progress WHERE taken_at < $1", now - QUIET_US)

    @property
    def _password(self) -> Any:  # noqa: ANN401 - what asyncpg takes
        """What asyncpg asks at each connection, so that a password that was changed is read again."""
        file = self._password_file
        return None if file is None else lambda: file.read_text("utf-8").rstrip("\r\n")

    @asynccontextmanager
    async def _within(self, seconds: float, what: str) -> AsyncIterator[None]:
        """Bound the wait, and say StoreUnavailable for whatever goes wrong."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise StoreUnavailable(f"{self._name}: could not {what} within {seconds:g} s") from None
        except (PostgresError, InterfaceError, InternalClientError, OSError, ssl.SSLError, ValueError) as fault:
            raise StoreUnavailable(f"{self._name}: could not {what}: {fault}") from fault

    @asynccontextmanager
    async def _connected(self, seconds: float, what: str) -> AsyncIterator[Connection]:
        pool = self._pool
        if pool is None:
            raise StoreUnavailable(f"{self._name}: could not {what}: it is not started")
        async with self._within(seconds, what), pool.acquire(timeout=min(seconds, 2 * CONNECT_WITHIN_S)) as connection:
            # The server's own bound as well: what nobody waits for any more must not go on there.
            await connection.execute(f"SET statement_timeout = {int(seconds * 1000)}")
            try:
                yield connection
            except (PostgresConnectionError, InterfaceError, InternalClientError, OSError, asyncio.CancelledError):
                # One that broke while it copied would be handed out again, in the middle of what it did.
                connection.terminate()
                raise

    def _reading(self, what: str) -> Any:  # noqa: ANN401 - an async context of a connection
        return self._connected(self._read_within_s, what)
