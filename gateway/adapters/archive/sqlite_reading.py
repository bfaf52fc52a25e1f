"""Reading the embedded archive: decisions whole, pages of them, and what was counted."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from gateway.adapters.archive.documents import Kind, archived_document
from gateway.adapters.archive.sqlite_packing import unpack
from gateway.adapters.archive.sqlite_search import newest_ids
from gateway.core.decision import Document
from gateway.core.search import Page, Search, cursor_of
from gateway.ports import Count, RecordedDecision

_LONGEST: Final = 1 << 20
"""Bytes of a ruling: what the journal takes."""
# `Count(...)` is a Python function that calls this; a year has hundreds of thousands.
_new = tuple.__new__
_FARTHEST: Final = (1 << 63) - 1
_WHOLE: Final = """
SELECT d.id, d.at, d.took_us, d.auth_age, coalesce(a.text, d.asked), s.text, d.ruling
FROM decisions d
LEFT JOIN texts a ON typeof(d.asked) = 'integer' AND a.id = d.asked
LEFT JOIN texts s ON s.id = d.sender
WHERE d.id = ?
"""
_RULING: Final = """
SELECT r.document, y.bytes FROM rulings r LEFT JOIN dictionaries y ON y.id = r.dictionary WHERE r.id = ?
"""


def find(database: sqlite3.Connection, decision_id: bytes) -> Document | None:
    """Return the decision document, or None. Raise sqlite3.Error, zlib.error or StoreUnavailable."""
    with _one_moment(database):
        documents = _documents(database, [decision_id])
    return documents[0] if documents else None


def page_of(database: sqlite3.Connection, search: Search, limit: int, before: bytes | None) -> Page:
    """Return one page of what a search finds, as one moment had it."""
    try:
        with _one_moment(database):
            ids = newest_ids(database, search, limit + 1, before)
            documents = tuple(_documents(database, ids[:limit]))
    except (UnicodeEncodeError, OverflowError):
        # What SQLite cannot hold was never recorded.
        return Page((), None)
    return Page(documents, cursor_of(ids[limit - 1]) if len(ids) > limit else None)


def counts_of(database: sqlite3.Connection, since: int, until: int) -> Sequence[Count]:
    """Return what was counted in the hours that begin in `[since, until)`, oldest first."""
    since, until = (min(max(instant, -_FARTHEST), _FARTHEST) for instant in (since, until))
    with _one_moment(database):
        kinds = {
            number: Kind(*kind)
            for number, *kind in database.execute("SELECT id, operation, outcome, reason, country, bundle FROM kinds")
        }
        query = "SELECT hour, kind, decisions FROM counts WHERE hour >= ? AND hour < ? ORDER BY hour, kind"
        rows = database.execute(query, (since, until)).fetchall()
    return [_new(Count, (hour, *kinds[kind], decisions)) for hour, kind, decisions in rows]


def taken(database: sqlite3.Connection) -> Mapping[str, tuple[int, int]]:
    """Return how far each worker's journal was taken."""
    rows = database.execute('SELECT worker, segment, "end" FROM progress')
    return {worker: (segment, end) for worker, segment, end in rows}


@contextmanager
def _one_moment(database: sqlite3.Connection) -> Iterator[None]:
    """Let everything that is read here be as one moment had it, whatever is taken or forgotten meanwhile."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def _documents(database: sqlite3.Connection, ids: Sequence[bytes]) -> list[Document]:
    rulings: dict[int, bytes] = {}
    documents = []
    for decision_id in ids:
        row = database.execute(_WHOLE, (decision_id,)).fetchone()
        if row is None:
            continue
        *_, asked, sender, ruling = row
        if ruling not in rulings:
            packed, dictionary = database.execute(_RULING, (ruling,)).fetchone()
            rulings[ruling] = unpack(dictionary, packed, _LONGEST)
        request = asked if sender is None else asked + b"\0" + sender
        decision = RecordedDecision(row[0], row[1], row[2], row[3], request, b"")
        documents.append(archived_document(rulings[ruling], decision))
    return documents
