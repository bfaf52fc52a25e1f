"""An embedded store in a folder of its own, for the tests of what is kept in it."""

import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import cache
from pathlib import Path
from typing import Any

from gateway.adapters.migration import migrate
from gateway.adapters.sql import AccountStore
from gateway.core.obligations import Errand, Errands, OpenTicket, cause_of
from gateway.core.permissions import Person, person
from gateway.core.terms import Operation
from gateway.core.verdict import RuleRef

AT = 1_763_700_000_000_000
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
BY = {"who": "ann", "why": "as the ticket says"}
RULE = RuleRef("unfamiliar-login", "odd-withdrawal")
BOB: Person = person("Bob", ["support"])
CLARA: Person = person("Clara", ["approver"])
BOTH: Person = person("Dan", ["support", "approver"])


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


@asynccontextmanager
async def opened(folder: Path, clock: SetClock) -> AsyncIterator[AccountStore]:
    """Give a started store with alice in it. Its deadlines are such that a busy machine keeps them."""
    path = folder / "gateway.db"
    path.write_bytes(empty_file())
    store = AccountStore(f"sqlite:///{path}", clock=clock, read_within_s=10, write_within_s=20, look_every_s=0.02)
    await store.start()
    await store.put("alice", verification="full", documents=["PT"], **BY)
    yield store
    await store.close()


def file_of(store: AccountStore) -> Path:
    """Return the file that an embedded store lies in."""
    return Path(store.name)


def rows(store: AccountStore, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Return what another connection reads."""
    with closing(sqlite3.connect(store.name)) as database:
        return database.execute(query, values).fetchall()


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
