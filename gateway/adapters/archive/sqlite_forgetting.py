"""Removing old decisions from the embedded archive, a little at a time, so that taking goes on meanwhile."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from gateway.adapters.archive.sqlite_conditions import Condition, bounds_of
from gateway.adapters.archive.sqlite_packing import unpack_asns
from gateway.adapters.archive.sqlite_schema import epoch_of, transaction
from gateway.core.keeping import Keep
from gateway.core.search import Search
from gateway.core.terms import MONEY_MOVING, Outcome

_AT_ONCE: Final = 5000
_FARTHEST: Final = 1 << 62
_PAGES: Final = 500
"""Pages that are given back to the disk at once."""
_MONEY: Final = ", ".join(f"'{operation}'" for operation in sorted(MONEY_MOVING))
KEEP_OF: Final = (
    f"CASE WHEN operation IN ({_MONEY}) THEN '{Keep.MONEY}' "
    f"WHEN outcome = '{Outcome.ALLOW}' THEN '{Keep.REST}' ELSE '{Keep.REFUSED}' END"
)
"""`core.keeping.keep_of`, of a row of `kinds`."""


class Limit(NamedTuple):
    """Decisions of some classes, made before an instant."""

    classes: tuple[Keep, ...]
    before: int

    @property
    def shaped(self) -> Condition:
        """On `r`, a ruling; nothing where it is of all classes."""
        if len(self.classes) == len(Keep):
            return Condition()
        shapes = f"SELECT s.id FROM shapes s WHERE 1{self.kinds.sql}"  # noqa: S608 - our own conditions
        return Condition(f" AND r.shape IN ({shapes})", self.kinds.values)

    @property
    def kinds(self) -> Condition:
        """On `s`, a shape."""
        marks = ", ".join("?" * len(self.classes))
        kinds = f"SELECT id FROM kinds WHERE {KEEP_OF} IN ({marks})"  # noqa: S608 - our own words
        return Condition(f" AND s.kind IN ({kinds})", tuple(map(str, self.classes)))


def limits_of(before: Mapping[Keep, int]) -> list[Limit]:
    """Return what is to be removed, classes that end together together."""
    ends: dict[int, list[Keep]] = {}
    for one, instant in before.items():
        ends.setdefault(min(max(instant, -_FARTHEST), _FARTHEST + 1), []).append(one)
    return [Limit(tuple(classes), instant) for instant, classes in ends.items()]


class Forgetting:
    """What one limit removes, from the oldest epoch on. It looks at what goes, however much else stays."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._epoch = -1
        """Where it is: nothing of an older one is left to be removed."""

    def some(self, database: sqlite3.Connection) -> int | None:
        """Return how many of the oldest decisions are gone now; None where there are no more."""
        before = self._limit.before
        with transaction(database):
            bounds = bounds_of(database, Search(until=before), None)
            epoch = self._next(database, self._epoch)
            if epoch is None or epoch > epoch_of(bounds.end):
                return None
            gone: list[tuple[bytes]] = []
            emptied: list[int] = []
            for number in self._rulings(database, epoch):
                query = "SELECT id FROM decisions INDEXED BY decisions_by_ruling WHERE ruling = ? AND at < ? LIMIT ?"
                found = database.execute(query, (number, before, _AT_ONCE - len(gone))).fetchall()
                gone += found
                emptied += [number] if found else []
                if len(gone) == _AT_ONCE:
                    break
            else:
                self._epoch = epoch + 1
            database.executemany("DELETE FROM decisions WHERE id = ?", gone)
            remove_unnamed(database, emptied)
        return len(gone)

    def _next(self, database: sqlite3.Connection, epoch: int) -> int | None:
        """Return the first epoch from this one on that has such rulings."""
        if not self._limit.shaped.sql:
            query = "SELECT min(epoch) FROM rulings WHERE epoch >= ?"
        else:
            # One look into the index for each shape, since what is kept longer may be most of the rulings.
            first = "SELECT (SELECT min(epoch) FROM rulings WHERE shape = s.id AND epoch >= ?) AS epoch"
            query = f"SELECT min(epoch) FROM ({first} FROM shapes s WHERE 1{self._limit.kinds.sql})"  # noqa: S608 - ours
        values = self._limit.kinds.values if self._limit.shaped.sql else ()
        found: int | None = database.execute(query, (epoch, *values)).fetchone()[0]
        return found

    def _rulings(self, database: sqlite3.Connection, epoch: int) -> Iterator[int]:
        shaped = self._limit.shaped
        query = f"SELECT r.id FROM rulings r WHERE r.epoch = ?{shaped.sql} ORDER BY r.id"  # noqa: S608 - our own conditions
        rows = database.execute(query, (epoch, *shaped.values)).fetchall()
        return (number for (number,) in rows)


def forget_texts(database: sqlite3.Connection, before: Mapping[Keep, int]) -> None:
    """Remove the texts that were last used before all that is kept."""
    if len(before) == len(Keep):
        # Each has the end of the last day on which it was used, or a later one.
        oldest = min(max(min(before.values()), -_FARTHEST), _FARTHEST + 1)
        database.execute("DELETE FROM texts WHERE seen <= ?", (oldest,))


def forget_workers(database: sqlite3.Connection, keep: Collection[str], now: int, before: int) -> None:
    """Forget how far workers were taken whom nobody named, and from whom nothing was taken, since `before`."""
    with transaction(database):
        database.executemany("UPDATE progress SET at = ? WHERE worker = ?", [(now, worker) for worker in keep])
        database.execute("DELETE FROM progress WHERE at < ?", (before,))


def give_back(database: sqlite3.Connection) -> bool:
    """Give some free pages back to the disk, and return whether there are more of them than will soon be used again."""
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    (free,) = database.execute("PRAGMA freelist_count").fetchone()
    if free <= max(pages // 10, _PAGES):
        return False
    database.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
    return True


def remove_unnamed(database: sqlite3.Connection, rulings: Collection[int]) -> None:
    """Remove those of the rulings that no decision names any more."""
    for number in rulings:
        if database.execute("SELECT 1 FROM decisions WHERE ruling = ? LIMIT 1", (number,)).fetchone() is None:
            epoch, asns = database.execute("SELECT epoch, asns FROM rulings WHERE id = ?", (number,)).fetchone()
            database.execute("DELETE FROM rulings WHERE id = ?", (number,))
            database.executemany(
                "DELETE FROM ruling_asns WHERE asn = ? AND epoch = ? AND ruling = ?",
                [(asn, epoch, number) for asn in unpack_asns(asns)],
            )
