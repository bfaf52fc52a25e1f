"""Reading the embedded archive: decisions whole, pages of them, and what was counted."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from gateway.adapters.archive.documents import Kind, archived_document, day_of
from gateway.adapters.archive.sqlite_packing import LONGEST, unpack
from gateway.adapters.archive.sqlite_search import newest_ids
from gateway.core.decision import Document
from gateway.core.search import Page, Search, cursor_of
from gateway.ports import Count, RecordedDecision, RuleCount, Step

# `Count(...)` is a Python function that calls this; a year has hundreds of thousands.
_new = tuple.__new__
_FARTHEST: Final = (1 << 62) - 1
_DAY: Final = 86_400_000_000
_WHOLE: Final = """
SELECT d.id, d.at, d.took_us, d.auth_age, coalesce(a.text, d.asked), s.text, hex(d.trace), hex(d.parent), d.ruling
FROM decisions d
LEFT JOIN texts a ON typeof(d.asked) = 'integer' AND a.id = d.asked
LEFT JOIN texts s ON s.id = d.sender
WHERE d.id = ?
"""
_BY_RULE: Final = """
SELECT c.hour, r.rule, r.bundle, c.decisions FROM rule_counts c JOIN rules r ON r.id = c.rule
WHERE c.hour >= ? AND c.hour < ? ORDER BY c.hour, c.rule
"""
RULING: Final = """
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


def counts_of(database: sqlite3.Connection, since: int, until: int, step: Step = Step.HOUR) -> Sequence[Count]:
    """Return how many decisions of each kind the hours that begin in `[since, until)` had, oldest first."""
    first, end = (min(max(instant, -_FARTHEST), _FARTHEST) for instant in (since, until))
    query, values = _counted(first, end, step)
    with _one_moment(database):
        kinds = {
            number: Kind(*kind)
            for number, *kind in database.execute("SELECT id, operation, outcome, reason, country, bundle FROM kinds")
        }
        rows = database.execute(query, values).fetchall()
    if step is Step.ALL:
        return [_new(Count, (since, *kinds[kind], decisions)) for kind, decisions in rows]
    return [_new(Count, (start, *kinds[kind], decisions)) for start, kind, decisions in rows]


def rule_counts_of(database: sqlite3.Connection, since: int, until: int) -> Sequence[RuleCount]:
    """Return how many refusals each rule determined in the hours that begin in `[since, until)`, oldest first."""
    first, end = (min(max(instant, -_FARTHEST), _FARTHEST) for instant in (since, until))
    return [RuleCount(*row) for row in database.execute(_BY_RULE, (first, end))]


def _counted(since: int, until: int, step: Step) -> tuple[str, Sequence[int]]:
    """Return the query for what was counted, and its values: whole days from `days`, the rest hour by hour."""
    hours = "SELECT hour AS start, kind, decisions FROM counts WHERE hour >= ? AND hour < ?"
    if step is Step.HOUR:
        return f"{hours} ORDER BY hour, kind", (since, until)
    whole, rest = day_of(since + _DAY - 1), day_of(until)
    # The hours of one day, added up: as many as the day has of them.
    part = "SELECT ? AS start, kind, sum(decisions) AS decisions FROM counts WHERE hour >= ? AND hour < ? GROUP BY kind"
    days = "SELECT day AS start, kind, decisions FROM days WHERE day >= ? AND day < ?"
    found, values = part, [rest, max(since, rest), until]
    if whole <= rest:
        found, values = f"{part} UNION ALL {days} UNION ALL {part}", [whole - _DAY, since, whole, whole, rest, *values]
    if step is Step.DAY:
        return f"SELECT * FROM ({found}) ORDER BY start, kind", values  # noqa: S608 - our own queries
    return f"SELECT kind, sum(decisions) FROM ({found}) GROUP BY kind", values  # noqa: S608 - our own queries


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
        *_, asked, sender, trace, parent, ruling = row
        if ruling not in rulings:
            packed, dictionary = database.execute(RULING, (ruling,)).fetchone()
            rulings[ruling] = unpack(dictionary, packed, LONGEST)
        request = asked if sender is None else asked + b"\0" + sender
        if trace:
            request += f"\0{trace}-{parent}".lower().encode("ascii")
        decision = RecordedDecision(row[0], row[1], row[2], row[3], request, b"")
        documents.append(archived_document(rulings[ruling], decision))
    return documents
