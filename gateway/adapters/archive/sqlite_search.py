"""Searching the embedded archive: newest first, by walking decisions where many fit, by their rulings where few do."""

import heapq
import sqlite3
from itertools import groupby, islice
from typing import Final

from gateway.adapters.archive.sqlite_candidates import Candidates
from gateway.adapters.archive.sqlite_conditions import Bounds, bounds_of
from gateway.adapters.archive.sqlite_schema import EPOCH_BITS, epoch_of, first_id
from gateway.core.search import Search

_WALKED: Final = (2000, 6000)
"""Decisions that are looked at before any index is asked: what is frequent is found among them. The second time only
where the first found a good part of the page."""
_GATHERED: Final = 256
"""Rulings of one epoch beyond which its decisions are walked."""


def newest_ids(database: sqlite3.Connection, search: Search, wanted: int, before: bytes | None) -> list[bytes]:
    """Return the newest `wanted` ids that a search finds and that are less than `before`, the newest first."""
    bounds = bounds_of(database, search, before)
    candidates = Candidates(database, search)
    if bounds.first >= bounds.end or candidates.none():
        return []
    if search.trace is not None:
        return _of_trace(database, search.trace, candidates, bounds, wanted)
    if candidates.few:
        return _by_rulings(database, candidates, bounds, wanted)
    found: list[bytes] = []
    for most in _WALKED:
        reached = _reached(database, bounds, most)
        within = bounds._replace(first=reached or bounds.first)
        found += _walk(database, candidates, within, wanted - len(found))
        if reached is None or len(found) == wanted:
            return found
        bounds = bounds._replace(end=reached)
        if len(found) < wanted // 4:
            break
    return found + _by_rulings(database, candidates, bounds, wanted - len(found))


def _reached(database: sqlite3.Connection, bounds: Bounds, most: int) -> bytes | None:
    """Return the id that so many decisions reach back to; None where there are not so many."""
    query = "SELECT id FROM decisions WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ?"
    row = database.execute(query, (bounds.first, bounds.end, most - 1)).fetchone()
    return None if row is None else row[0]


def _walk(database: sqlite3.Connection, candidates: Candidates, bounds: Bounds, wanted: int) -> list[bytes]:
    """Return what fits, by looking at one decision after the other."""
    ruling = candidates.asked.ruling
    join = "CROSS JOIN rulings r ON r.id = d.ruling" if ruling.sql else ""
    query = (
        f"SELECT d.id FROM decisions d {join} WHERE d.id >= ? AND d.id < ?"  # noqa: S608 - our own conditions
        f"{bounds.at.sql}{ruling.sql} ORDER BY d.id DESC LIMIT ?"
    )
    rows = database.execute(query, (bounds.first, bounds.end, *bounds.at.values, *ruling.values, wanted))
    return [number for (number,) in rows]


def _of_trace(
    database: sqlite3.Connection, trace: str, candidates: Candidates, bounds: Bounds, wanted: int
) -> list[bytes]:
    """Return what fits of the decisions of one trace: few, unless somebody sends one trace with everything."""
    ruling = candidates.asked.ruling
    join = "CROSS JOIN rulings r ON r.id = d.ruling" if ruling.sql else ""
    query = (
        f"SELECT d.id FROM decisions d INDEXED BY decisions_by_trace {join} "  # noqa: S608 - our own conditions
        f"WHERE d.trace = ? AND d.id >= ? AND d.id < ?{bounds.at.sql}{ruling.sql} ORDER BY d.id DESC LIMIT ?"
    )
    values = (bytes.fromhex(trace), bounds.first, bounds.end, *bounds.at.values, *ruling.values, wanted)
    return [number for (number,) in database.execute(query, values)]


def _by_rulings(database: sqlite3.Connection, candidates: Candidates, bounds: Bounds, wanted: int) -> list[bytes]:
    """Return what fits, epoch by epoch: a ruling belongs to one, and so do its decisions."""
    found: list[bytes] = []
    newest: int | None = epoch_of(bounds.end)
    while newest is not None and len(found) < wanted:
        stream = candidates.back_from(newest)
        if stream is None:
            return found + _walk(database, candidates, bounds, wanted - len(found))
        newest = None
        for epoch, group in groupby(stream, key=lambda one: one[0]):
            within = _cut(bounds, epoch)
            if within.first >= within.end:
                if epoch < epoch_of(bounds.first):
                    break
                continue
            rulings = [ruling for _, ruling in islice(group, _GATHERED + 1)]
            if len(rulings) > _GATHERED:
                # So many that walking finds them sooner. What is left of them is not asked for: begin again behind.
                found += _walk(database, candidates, within, wanted - len(found))
                newest = epoch - 1
                break
            found += _gather(database, rulings, within, wanted - len(found))
            if len(found) >= wanted:
                break
    return found


def _cut(bounds: Bounds, epoch: int) -> Bounds:
    """Return the part of the bounds that lies in the epoch."""
    first, end = first_id(epoch << EPOCH_BITS), first_id(epoch + 1 << EPOCH_BITS)
    return bounds._replace(first=max(first, bounds.first), end=min(end, bounds.end))


def _gather(database: sqlite3.Connection, rulings: list[int], bounds: Bounds, wanted: int) -> list[bytes]:
    """Return the newest ids of all decisions of these rulings."""
    query = (
        "SELECT d.id FROM decisions d INDEXED BY decisions_by_ruling "  # noqa: S608 - our own conditions
        f"WHERE d.ruling = ? AND d.id >= ? AND d.id < ?{bounds.at.sql} ORDER BY d.id DESC LIMIT ?"
    )
    values = (bounds.first, bounds.end, *bounds.at.values, wanted)
    return heapq.nlargest(
        wanted, (number for ruling in rulings for (number,) in database.execute(query, (ruling, *values)))
    )
