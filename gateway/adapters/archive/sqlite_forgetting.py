"""Removing old decisions from the embedded archive, a little at a time, so that taking goes on meanwhile."""

import sqlite3
from typing import Final

from gateway.adapters.archive.sqlite_conditions import bounds_of
from gateway.adapters.archive.sqlite_packing import unpack_asns
from gateway.core.search import Search

_AT_ONCE: Final = 5000
_FARTHEST: Final = 1 << 62
_PAGES: Final = 500
"""Pages that are given back to the disk at once."""


def forget_some(database: sqlite3.Connection, before: int) -> int:
    """Return how many of the oldest decisions made before this instant are gone now; 0 where there are no more."""
    before = min(max(before, -_FARTHEST), _FARTHEST + 1)
    database.execute("BEGIN IMMEDIATE")
    try:
        bounds = bounds_of(database, Search(until=before), None)
        rows = database.execute(
            "SELECT id, ruling FROM decisions WHERE id < ? AND at < ? ORDER BY id LIMIT ?",
            (bounds.end, before, _AT_ONCE),
        ).fetchall()
        database.executemany("DELETE FROM decisions WHERE id = ?", [(number,) for number, _ in rows])
        _remove_unnamed(database, sorted({ruling for _, ruling in rows}))
        if not rows:
            # Each has the end of the last day on which it was used, or a later one.
            database.execute("DELETE FROM texts WHERE seen <= ?", (before,))
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return len(rows)


def give_back(database: sqlite3.Connection) -> bool:
    """Give some free pages back to the disk, and return whether there are more of them than will soon be used again."""
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    (free,) = database.execute("PRAGMA freelist_count").fetchone()
    if free <= max(pages // 10, _PAGES):
        return False
    database.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
    return True


def _remove_unnamed(database: sqlite3.Connection, rulings: list[int]) -> None:
    for number in rulings:
        if database.execute("SELECT 1 FROM decisions WHERE ruling = ? LIMIT 1", (number,)).fetchone() is None:
            epoch, asns = database.execute("SELECT epoch, asns FROM rulings WHERE id = ?", (number,)).fetchone()
            database.execute("DELETE FROM rulings WHERE id = ?", (number,))
            database.executemany(
                "DELETE FROM ruling_asns WHERE asn = ? AND epoch = ? AND ruling = ?",
                [(asn, epoch, number) for asn in unpack_asns(asns)],
            )
