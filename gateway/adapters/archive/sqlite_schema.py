"""The file of the embedded archive: its tables, and how it is made and opened. `docs/archive.md` explains them."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.adapters.write_ahead import log_ahead
from gateway.core.errors import StoreUnavailable

VERSION: Final = 3
_OURS: Final = 0x47574441
"""`GWDA`: what SQLite keeps for telling files apart."""
BUSY_S: Final = 5.0
"""How long to wait for another process that writes."""

EPOCH_BITS: Final = 20
"""Rulings are kept anew for each 2^20 milliseconds (17.5 minutes) of their decisions' ids, so that whatever is found by
its rulings comes in the order of time."""
_ID_MS: Final = 1 << 48

_TABLES: Final = """
CREATE TABLE progress (
    worker TEXT PRIMARY KEY, segment INTEGER NOT NULL, "end" INTEGER NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE scrub (owed INTEGER NOT NULL);
INSERT INTO scrub VALUES (0);
CREATE TABLE skew (low INTEGER NOT NULL, high INTEGER NOT NULL);
INSERT INTO skew VALUES (0, 999);
CREATE TABLE decisions (
    id BLOB PRIMARY KEY, ruling INTEGER NOT NULL, at INTEGER NOT NULL, took_us INTEGER NOT NULL, auth_age INTEGER,
    asked NOT NULL, sender, trace BLOB, parent BLOB
) WITHOUT ROWID;
CREATE INDEX decisions_by_ruling ON decisions (ruling, id);
CREATE INDEX decisions_by_trace ON decisions (trace, id) WHERE trace IS NOT NULL;
CREATE TABLE texts (id INTEGER PRIMARY KEY, text BLOB NOT NULL UNIQUE, seen INTEGER NOT NULL);
CREATE TABLE dictionaries (id INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, bytes BLOB NOT NULL);
CREATE TABLE rulings (
    id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, digest BLOB NOT NULL, shape INTEGER NOT NULL, account TEXT,
    address BLOB, ticket TEXT, personal INTEGER NOT NULL, asns BLOB NOT NULL, dictionary INTEGER NOT NULL,
    document BLOB NOT NULL, matter BLOB
);
CREATE UNIQUE INDEX rulings_by_digest ON rulings (epoch, digest);
CREATE INDEX rulings_by_shape ON rulings (shape, epoch);
CREATE INDEX rulings_by_account ON rulings (account, epoch, shape) WHERE account IS NOT NULL;
CREATE INDEX rulings_by_address ON rulings (address, epoch, shape) WHERE address IS NOT NULL;
CREATE INDEX rulings_by_ticket ON rulings (ticket, epoch, shape) WHERE ticket IS NOT NULL;
CREATE INDEX rulings_personal ON rulings (epoch) WHERE personal;
CREATE TABLE ruling_asns (
    asn INTEGER NOT NULL, epoch INTEGER NOT NULL, ruling INTEGER NOT NULL, shape INTEGER NOT NULL,
    PRIMARY KEY (asn, epoch, ruling)
) WITHOUT ROWID;
CREATE TABLE kinds (
    id INTEGER PRIMARY KEY, operation TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT, country TEXT,
    bundle TEXT NOT NULL
);
CREATE UNIQUE INDEX kinds_by_name ON kinds (operation, outcome, bundle, reason, country);
CREATE TABLE shapes (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL);
CREATE TABLE shape_countries (
    country TEXT NOT NULL, shape INTEGER NOT NULL, PRIMARY KEY (country, shape)
) WITHOUT ROWID;
CREATE TABLE shape_rules (rule TEXT NOT NULL, shape INTEGER NOT NULL, PRIMARY KEY (rule, shape)) WITHOUT ROWID;
CREATE TABLE counts (
    hour INTEGER NOT NULL, kind INTEGER NOT NULL, decisions INTEGER NOT NULL, PRIMARY KEY (hour, kind)
) WITHOUT ROWID;
CREATE TABLE days (
    day INTEGER NOT NULL, kind INTEGER NOT NULL, decisions INTEGER NOT NULL, PRIMARY KEY (day, kind)
) WITHOUT ROWID;
CREATE TABLE rules (id INTEGER PRIMARY KEY, rule TEXT NOT NULL, bundle TEXT NOT NULL, UNIQUE (rule, bundle));
CREATE TABLE rule_counts (
    hour INTEGER NOT NULL, rule INTEGER NOT NULL, decisions INTEGER NOT NULL, PRIMARY KEY (hour, rule)
) WITHOUT ROWID;
"""
_STEPS: Final = {
    1: ("ALTER TABLE rulings ADD COLUMN matter BLOB",),
    2: (
        "ALTER TABLE decisions ADD COLUMN trace BLOB",
        "ALTER TABLE decisions ADD COLUMN parent BLOB",
        "CREATE INDEX decisions_by_trace ON decisions (trace, id) WHERE trace IS NOT NULL",
    ),
}
"""What brings a file from a version to the next. Never changed once released, only added to.

Rulings that were taken before they had a matter have none: whoever asks for it reads their documents.
"""


def make(path: Path) -> None:
    """Return when the file is there with the tables of this code. Raise StoreUnavailable where it is not ours."""
    _make_private(path)
    database = _connect(path)
    try:
        _check(database, path)
        if _version(database) == VERSION:
            return
        # Both must be said before the first table is made, and stay with the file.
        database.execute("PRAGMA auto_vacuum=INCREMENTAL")
        log_ahead(database, BUSY_S)
        database.execute("BEGIN IMMEDIATE")
        _check(database, path)
        found = _version(database)
        if found == 0:
            for statement in _TABLES.split(";\n"):
                database.execute(statement)
            database.execute(f"PRAGMA application_id={_OURS}")
        else:
            for version in range(found, VERSION):
                for statement in _STEPS[version]:
                    database.execute(statement)
        database.execute(f"PRAGMA user_version={VERSION}")
        database.execute("COMMIT")
    finally:
        database.close()


def open_writer(path: Path) -> sqlite3.Connection:
    """Return a connection whose transactions are on the disk when they are committed."""
    database = _connect(path)
    # What is removed is overwritten, so that none of it is left in the file.
    for pragma in (
        "synchronous=FULL",
        "cache_size=-32768",
        "journal_size_limit=67108864",
        "temp_store=MEMORY",
        "secure_delete=ON",
    ):
        database.execute(f"PRAGMA {pragma}")
    return database


def open_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot change anything."""
    database = _connect(path)
    for pragma in ("query_only=ON", "cache_size=-16384", "temp_store=MEMORY"):
        database.execute(f"PRAGMA {pragma}")
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Let everything that is written here be there whole, or not at all."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def epoch_of(decision_id: bytes) -> int:
    """Return the epoch of a decision, whose rulings it shares."""
    return int.from_bytes(decision_id[:6], "big") >> EPOCH_BITS


def first_id(millisecond: int) -> bytes:
    """Return what no id of this millisecond, or of a later one, is less than."""
    if millisecond >= _ID_MS:
        return b"\xff" * 17
    return max(millisecond, 0).to_bytes(6, "big") + bytes(10)


def _connect(path: Path) -> sqlite3.Connection:
    # `mode=rw`: a file that was removed is a fault, never a new one.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    database = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA cell_size_check=ON")
    return database


def _make_private(path: Path) -> None:
    """Make the file and its folder, which nobody else may read; SQLite gives its side files the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _check(database: sqlite3.Connection, path: Path) -> None:
    """Raise StoreUnavailable where the file is not an archive that this code knows."""
    # One statement, so that all of it is of one instant: another process may be making the file.
    mark, version, tables = database.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if mark != _OURS and (mark or tables or version):
        raise StoreUnavailable(f"archive {path}: it is a database of something else; name a file of its own")
    if version > VERSION:
        raise StoreUnavailable(
            f"archive {path}: it has schema {version}, written by a newer gateway; this one knows up to {VERSION}. "
            "Run that gateway, or name another file"
        )
