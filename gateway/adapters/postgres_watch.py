"""What changed in the store's database of PostgreSQL, whoever changed it: looked at, and told of by the server."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from gateway.adapters.feed import NAMED, Look, Seen
from gateway.adapters.postgres_address import FAULTS, Connection, PostgresAddress
from gateway.adapters.postgres_migration import SCHEMA, revision_of
from gateway.adapters.schema import REVISION
from gateway.adapters.triggers import NOTICE
from gateway.core.errors import StoreUnavailable

_WITHIN_S: Final = 1.0
_PAUSE_S: Final = 0.005
"""Between two looks, however often the server tells of changes: what is told meanwhile is seen by the second."""
_LOOK: Final = """
    SELECT accounts.number, commits.number, (SELECT min(until) FROM account_holds WHERE until > $1),
        pg_is_in_recovery()
    FROM generations accounts, generations commits WHERE accounts.name = 'accounts' AND commits.name = 'commits'
"""
_WHOSE: Final = "SELECT account FROM changed_accounts WHERE number > $1 AND number <= $2"
_ENDED: Final = "SELECT account FROM account_holds WHERE until > $1 AND until <= $2 LIMIT $3"


class PostgresWatch:
    """The `Watch` of a database. A connection that broke is made anew by the next look."""

    def __init__(self, address: PostgresAddress) -> None:
        self.name = address.name
        self._address = address
        self._connection: Connection | None = None
        self._connections = 0
        self._told = asyncio.Event()

    async def observe(self, now: int, before: Seen | None, looked_at: int) -> Look:
        """Return what the database holds now, and whose accounts changed since `before`. Raise StoreUnavailable."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await self._observe(now, before, (looked_at, now))
        except TimeoutError:
            self._drop()
            raise StoreUnavailable(f"store {self.name}: it did not answer within {_WITHIN_S:g} s") from None
        except FAULTS as fault:
            self._drop()
            raise StoreUnavailable(f"store {self.name}: {fault}") from fault
        except BaseException:
            # One that was given up in the middle of a question would answer it to whoever asks next.
            self._drop()
            raise

    async def wait(self, seconds: float) -> None:
        """Return after so long, or shortly after the server told of a change."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()
                await asyncio.sleep(_PAUSE_S)
        self._told.clear()

    async def close(self) -> None:
        """Let go of the connection."""
        self._drop()

    async def _observe(self, now: int, before: Seen | None, looks: tuple[int, int]) -> Look:
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = await self._connect()
        row = await connection.fetchrow(_LOOK, now)
        if row is None:
            raise StoreUnavailable(f"store {self.name}: its count of changes is gone; restore the database")
        changes, commits, ends, standby = row
        if standby:
            raise StoreUnavailable(f"store {self.name}: it is a standby; name the primary in [store] url")
        seen = Seen(self._connections, changes, ends, commits)
        # Where no account changed nobody asks whose it was.
        same = before is not None and before[:-1] == seen[:-1]
        return Look(seen, frozenset() if same else await _whose(connection, seen, before, looks))

    async def _connect(self) -> Connection:
        connection = await self._address.connect(
            search_path=SCHEMA, application_name="gateway-feed", statement_timeout=str(round(_WITHIN_S * 1000))
        )
        # Kept before anything is asked of it: what fails from here on drops it.
        self._connection = connection
        found = await revision_of(connection)
        if found != REVISION:
            raise StoreUnavailable(f"store {self.name}: it is at revision {found}, and this gateway needs {REVISION}")
        await connection.add_listener(NOTICE, self._tell)
        self._connections += 1
        return connection

    def _tell(self, *_: Any) -> None:  # noqa: ANN401 - what asyncpg tells: connection, process, channel, nothing
        self._told.set()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def _whose(connection: Connection, seen: Seen, before: Seen | None, looks: Sequence[int]) -> frozenset[str]:
    """Return whose accounts changed between two looks; nobody where that cannot be said of all."""
    if before is None or not seen.can_name_since(before):
        return frozenset()
    named = await connection.fetch(_WHOSE, before.changes, seen.changes)
    # A clock that is set back begins again what had ended.
    ended = await connection.fetch(_ENDED, *sorted(looks), NAMED + 1)
    if len(named) != seen.changes - before.changes or len(ended) > NAMED:
        return frozenset()
    return frozenset(uid for (uid,) in (*named, *ended))
