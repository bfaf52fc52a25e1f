"""A store of the test's own, in a file or in a database of PostgreSQL, for the tests of what is kept in it."""

import asyncio
import re
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from gateway.adapters.migration import migrate
from gateway.adapters.postgres_address import PostgresAddress
from gateway.adapters.postgres_backend import PostgresBackend
from gateway.adapters.postgres_migration import migrate as migrate_postgres
from gateway.adapters.sql import AccountStore
from gateway.core.obligations import Errand, Errands, OpenTicket, cause_of
from gateway.core.permissions import Person, person
from gateway.core.terms import Operation
from gateway.core.verdict import RuleRef
from tests.postgres_server import lasting_database, say

AT = 1_763_700_000_000_000
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
BY = {"who": "ann", "why": "as the ticket says"}
RULE = RuleRef("unfamiliar-login", "odd-withdrawal")
BOB: Person = person("Bob", ["support"])
CLARA: Person = person("Clara", ["approver"])
BOTH: Person = person("Dan", ["support", "approver"])


KINDS = ("sqlite", "postgresql")
"""What a store may lie in: the parameters of a fixture `store` whose tests run on each."""
ON_A_FILE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""For a test of what only a file can suffer."""


class SetClock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = AT

    def now(self) -> int:
        return self.at


@cache
def empty_file() -> bytes:
    """A migrated file without rows: migrating takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.db"
        migrate(path)
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


@cache
def _postgres_database() -> str:
    """Return the URL of a migrated database of this process, made for whoever asks first."""
    url = lasting_database()
    asyncio.run(migrate_postgres(PostgresAddress.of(url)))
    return url


async def empty_database() -> str:
    """Return the URL of a migrated database without rows: the same one for each test of a process."""
    url = await asyncio.to_thread(_postgres_database)
    await say(url, _EMPTIED)
    return url


# As nobody else may: the triggers that guard rows do not run in a session that calls itself a replica.
_EMPTIED = """
    SET session_replication_role = replica; SET search_path = gateway;
    DO $$ DECLARE one record; BEGIN
        FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'gateway' AND tablename <> 'alembic_version' LOOP
            EXECUTE format('DELETE FROM %I', one.tablename);
        END LOOP;
        PERFORM setval(oid::regclass, 1, false) FROM pg_class
            WHERE relkind = 'S' AND relnamespace = 'gateway'::regnamespace;
        INSERT INTO generations VALUES ('accounts', 0), ('commits', 0);
    END $$
"""


async def url_of(kind: str, folder: Path) -> str:
    """Return the URL of a new store of a kind (`sqlite`, `postgresql`), migrated and empty."""
    if kind == "postgresql":
        return await empty_database()
    (folder / "gateway.db").write_bytes(empty_file())
    return f"sqlite:///{folder}/gateway.db"


@asynccontextmanager
async def opened(folder: Path, clock: SetClock, kind: str = "sqlite") -> AsyncIterator[AccountStore]:
    """Give a started store with alice in it. Its deadlines are such that a busy machine keeps them."""
    url = await url_of(kind, folder)
    store = AccountStore(url, clock=clock, read_within_s=10, write_within_s=20, look_every_s=0.02)
    await store.start()
    await store.put("alice", verification="full", documents=["PT"], **BY)
    yield store
    await store.close()


def file_of(store: AccountStore) -> Path:
    """Return the file that an embedded store lies in."""
    return Path(store.name)


def url_to(store: AccountStore) -> str:
    """Return the URL of a store that `opened` gave, for another process."""
    on_a_server = isinstance(store._backend, PostgresBackend)
    return _postgres_database() if on_a_server else f"sqlite:///{store.name}"


def rows(store: AccountStore, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Return what another connection reads. Values stand for question marks, whatever the database."""
    if not isinstance(store._backend, PostgresBackend):
        with closing(sqlite3.connect(store.name)) as database:
            return database.execute(query, values).fetchall()
    numbers = count(1)
    query = re.sub(r"\?", lambda _: f"${next(numbers)}", query)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _fetched(_postgres_database(), query, values)).result()


async def _fetched(url: str, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url, server_settings={"search_path": "gateway"})
    try:
        return [tuple(row) for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


def copied(store: AccountStore, to: Path) -> Path:
    """Return a copy of the store's file, as it is on the disk."""
    return Path(shutil.copy(store.name, to))


def hold(about: str = "network=PT.3243.1f,device=2a", length: int | None = 72 * HOUR, **more: Any) -> OpenTicket:
    """Return what a rule asks for that holds alice's withdrawals."""
    cause = cause_of("alice", RULE, "hold", "withdraw", about)
    return OpenTicket(
        "alice", cause, RULE, "unfamiliar_login", frozenset({Operation.WITHDRAW}), (), length, about=about, **more
    )


def errands(*todo: Errand, at: int = AT, decision: str = "0197-d") -> Errands:
    """Return what a decision asks for."""
    return Errands(decision, at, todo, ())
