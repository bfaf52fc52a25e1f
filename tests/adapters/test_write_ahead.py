import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from gateway.adapters.write_ahead import log_ahead


def test_many_turn_it_on_at_once_and_it_stays(tmp_path: Path) -> None:
    def turn_on(path: Path) -> None:
        with closing(sqlite3.connect(path, timeout=0)) as database:
            log_ahead(database, 20)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(turn_on, [tmp_path / "a.db"] * 32)) == [None] * 32
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_who_is_in_the_way_too_long_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, timeout=0)) as one,
    ):
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            log_ahead(one, 0.05)
