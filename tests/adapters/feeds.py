"""A feed on a store's file, its clock, and what the file is told behind its back."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.adapters.feed import ChangeFeed
from gateway.adapters.sqlite_file import SqliteFile
from gateway.adapters.sqlite_watch import SqliteWatch
from tests.stores import SetClock


class World:
    """A feed on a store file, its clock, and what it was told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = SetClock()
        self.watch = SqliteWatch(SqliteFile(path))
        self.feed = ChangeFeed(self.watch, self.clock, 0.001)

    def commit(
        self, sql: str = "INSERT INTO accounts VALUES (hex(randomblob(8)), 'open', 'none', '', '', '', 1, 1)"
    ) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            database.execute(sql)

    def hold(self, until: int) -> None:
        self.commit("INSERT OR IGNORE INTO accounts VALUES ('alice', 'open', 'none', '', '', '', 1, 1)")
        self.commit(f"INSERT INTO account_holds VALUES ('alice', 'withdraw', 'c{until}', {until})")
