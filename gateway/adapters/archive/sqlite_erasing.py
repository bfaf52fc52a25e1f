"""Erasing personal data in the embedded archive: decisions get rulings of digests, and then the file is written anew.

SQLite overwrites what it deletes, and leaves copies of what it moved from page to page: some of an account's names were
found in a file of 3,000 rulings. Only writing the file anew takes them away; until then the file says that it is owed.
"""

import sqlite3
from typing import Final

from gateway.adapters.archive.documents import read_ruling
from gateway.adapters.archive.sqlite_conditions import Condition, bounds_of
from gateway.adapters.archive.sqlite_forgetting import remove_unnamed
from gateway.adapters.archive.sqlite_packing import LONGEST, unpack
from gateway.adapters.archive.sqlite_reading import RULING
from gateway.adapters.archive.sqlite_schema import epoch_of, transaction
from gateway.adapters.archive.sqlite_taking import Taker, halves_of
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import Search, packed
from gateway.ports import Erasing, ruling_digest

_AT_ONCE: Final = 2000
"""Decisions that are changed in one transaction."""
_RULINGS: Final = 500
_FARTHEST: Final = 1 << 62
_REQUEST: Final = """
SELECT d.id, d.at, coalesce(a.text, d.asked), s.text
FROM decisions d INDEXED BY decisions_by_ruling
LEFT JOIN texts a ON typeof(d.asked) = 'integer' AND a.id = d.asked
LEFT JOIN texts s ON s.id = d.sender
WHERE d.ruling = ? AND d.at < ? ORDER BY d.id LIMIT ?
"""


class Eraser:
    """One erasing, a transaction after the other."""

    def __init__(self, erasing: Erasing, pseudonyms: Pseudonyms, taker: Taker) -> None:
        self._pseudonyms = pseudonyms
        self._taker = taker
        self._which = _which(erasing)
        before = _FARTHEST + 1 if erasing.before is None else erasing.before
        self._before = min(max(before, -_FARTHEST), _FARTHEST + 1)
        self._after = (-1, 0)
        """The epoch and the number of the last ruling that is done with."""

    def some(self, database: sqlite3.Connection) -> int | None:
        """Return how many decisions were changed now; None where there are no more."""
        with transaction(database):
            last = epoch_of(bounds_of(database, Search(until=self._before), None).end)
            rulings = database.execute(
                f"SELECT r.epoch, r.id FROM rulings r WHERE r.personal AND r.epoch <= ?{self._which.sql} "  # noqa: S608 - our own conditions
                "AND (r.epoch, r.id) > (?, ?) ORDER BY r.epoch, r.id LIMIT ?",
                (last, *self._which.values, *self._after, _RULINGS),
            ).fetchall()
            if not rulings:
                return None
            changed = 0
            for epoch, number in rulings:
                some = self._erase(database, epoch, number, _AT_ONCE - changed)
                changed += some
                if changed == _AT_ONCE:
                    break
                self._after = (epoch, number)
            if changed:
                database.execute("UPDATE scrub SET owed = 1")
        return changed

    def _erase(self, database: sqlite3.Connection, epoch: int, number: int, most: int) -> int:
        """Return how many decisions of the ruling now have one without personal data."""
        rows = database.execute(_REQUEST, (number, self._before, most)).fetchall()
        if not rows:
            return 0
        stored, dictionary = database.execute(RULING, (number,)).fetchone()
        document = self._pseudonyms.of_ruling(unpack(dictionary, stored, LONGEST))
        digest = ruling_digest(document)
        new = self._taker.rulings({(epoch, digest)}, {digest: read_ruling(document)}, {digest: document})
        requests = [
            halves_of(self._pseudonyms.of_request(asked if sender is None else asked + b"\0" + sender))
            for _, _, asked, sender in rows
        ]
        texts = self._taker.texts((halves, row[1]) for halves, row in zip(requests, rows, strict=True))
        database.executemany(
            "UPDATE decisions SET ruling = ?, asked = ?, sender = ?, trace = NULL, parent = NULL WHERE id = ?",
            [
                (new[epoch, digest], texts.get(asked, asked), None if sender is None else texts[sender], row[0])
                for (asked, sender), row in zip(requests, rows, strict=True)
            ],
        )
        remove_unnamed(database, [number])
        return len(rows)


def is_owed(database: sqlite3.Connection) -> bool:
    """Return whether the file holds pieces of what was erased."""
    return bool(database.execute("SELECT owed FROM scrub").fetchone()[0])


def write_anew(database: sqlite3.Connection) -> None:
    """Return when nothing that was erased is in the file, nor in its log. It takes as much room again meanwhile."""
    with transaction(database):
        used = "SELECT asked FROM decisions WHERE typeof(asked) = 'integer' UNION SELECT sender FROM decisions"
        database.execute(f"DELETE FROM texts WHERE id NOT IN (SELECT * FROM ({used}) WHERE asked IS NOT NULL)")  # noqa: S608 - our own query
    database.execute("PRAGMA temp_store=FILE")
    try:
        database.execute("VACUUM")
    finally:
        database.execute("PRAGMA temp_store=MEMORY")
    if database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        raise sqlite3.OperationalError("somebody reads what was there before, and keeps the log from being emptied")
    database.execute("UPDATE scrub SET owed = 0")


def _which(erasing: Erasing) -> Condition:
    if erasing.account is not None:
        return Condition(" AND r.account = ?", (erasing.account,))
    if erasing.address is not None:
        return Condition(" AND r.address = ?", (packed(erasing.address),))
    return Condition()
