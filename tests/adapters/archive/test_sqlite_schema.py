import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from gateway.adapters.archive.sqlite_schema import VERSION, _check, epoch_of, first_id, make, open_reader, open_writer
from gateway.core.errors import StoreUnavailable


def test_the_file_is_nobody_elses_and_so_are_those_beside_it(path: Path) -> None:
    make(path)
    database = open_writer(path)
    database.execute("INSERT INTO progress VALUES ('w0', 1, 2, 3)")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    database.close()
    assert modes == {"decisions.db": 0o600, "decisions.db-wal": 0o600, "decisions.db-shm": 0o600}


def test_making_it_again_changes_nothing(database: sqlite3.Connection, path: Path) -> None:
    database.execute("INSERT INTO progress VALUES ('w0', 1, 2, 3)")
    make(path)
    assert database.execute("SELECT * FROM progress").fetchall() == [("w0", 1, 2, 3)]
    assert database.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_many_make_it_at_once(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(make, [path] * 16)) == [None] * 16
    reader = open_reader(path)
    assert reader.execute("SELECT * FROM skew").fetchall() == [(0, 999)]
    reader.close()


def test_a_file_that_another_makes_at_this_instant_is_never_taken_for_something_else(path: Path) -> None:
    make(path)
    others: list[sqlite3.Connection] = []

    class Watched(sqlite3.Connection):
        """Lets another process make the file between any two statements."""

        def execute(self, *args: object) -> sqlite3.Cursor:
            found = super().execute(*args)
            if not others:
                others.append(made := sqlite3.connect(fresh, isolation_level=None))
                with suppress(sqlite3.OperationalError):  # the one statement holds what it read
                    made.executescript(f"BEGIN; PRAGMA application_id={mark}; CREATE TABLE t (a); COMMIT;")
            return found

    reader = open_reader(path)
    (mark,) = reader.execute("PRAGMA application_id").fetchone()
    reader.close()
    fresh = path.with_name("fresh.db")
    with closing(sqlite3.connect(fresh, factory=Watched, isolation_level=None)) as database:
        _check(database, fresh)
    for other in others:
        other.close()
    assert others


def test_a_file_of_a_newer_gateway_is_refused(database: sqlite3.Connection, path: Path) -> None:
    database.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(StoreUnavailable, match=f"schema {VERSION + 1}, written by a newer gateway"):
        make(path)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE accounts (uid TEXT)", "PRAGMA user_version=1", "PRAGMA application_id=7"]
)
def test_a_database_of_something_else_is_refused_and_left_as_it_is(path: Path, statement: str) -> None:
    other = sqlite3.connect(path)
    other.execute(statement)
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="something else"):
        make(path)
    assert path.read_bytes() == before


def test_a_reader_changes_nothing(database: sqlite3.Connection, path: Path) -> None:
    reader = open_reader(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM skew")
    reader.close()


def test_epochs_and_first_ids_follow_the_time_of_ids() -> None:
    assert first_id(-5) == first_id(0) == bytes(16)
    assert first_id(1 << 48) > b"\xff" * 16
    assert epoch_of(first_id(7 << 20)) == 7
    assert epoch_of(first_id((8 << 20) - 1)) == 7
    assert first_id(8 << 20) > first_id((8 << 20) - 1)


def test_a_file_of_before_there_were_traces_is_brought_to_have_them(database: sqlite3.Connection, path: Path) -> None:
    columns = "SELECT name FROM pragma_table_info('decisions')"
    now = database.execute(columns).fetchall()
    database.execute("DROP INDEX decisions_by_trace")
    for column in ("parent", "trace"):
        database.execute(f"ALTER TABLE decisions DROP COLUMN {column}")
    database.execute("PRAGMA user_version=2")
    make(path)
    assert database.execute(columns).fetchall() == now
    assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)
    plan = "EXPLAIN QUERY PLAN SELECT id FROM decisions WHERE trace = x'00' ORDER BY id DESC"
    assert "decisions_by_trace" in str(database.execute(plan).fetchall())
