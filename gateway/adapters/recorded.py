"""Recorded decisions, read back from the journal's files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.adapters.archive.documents import whole_document
from gateway.adapters.segment import SUFFIX, HeaderFault
from gateway.adapters.segment_content import read_begun
from gateway.adapters.segment_reader import (
    Damage,
    DecisionEntry,
    Report,
    RulingEntry,
    SegmentReader,
    refuse,
)
from gateway.core.decision import Document
from gateway.ports import RecordedDecision

_RULINGS_KEPT: Final = 1024


def read_documents(directory: Path, since: int | None = None, report: Report = refuse) -> Iterator[Document]:
    """Yield every decision document of the folder, made at `since` (microseconds) or later.

    Segments come in the order in which they were begun; within one, decisions come as they were appended.
    """
    for _, path in _segments(directory, report):
        try:
            segment = SegmentReader(path)
        except FileNotFoundError:
            continue
        with segment:
            # Only a sealed segment says which is the latest decision in it.
            if since is not None and segment.header and segment.sealed and segment.header.latest_at < since:
                continue
            yield from _documents(segment, since, report)


def find(directory: Path, decision_id: str) -> Document | None:
    """Return the decision document with this id, or None. Raise JournalDamaged where it cannot be read.

    The id tells when it was made, and so which segments to search first; the others follow, so that a clock that was
    set back hides nothing.
    """
    try:
        sought = UUID(decision_id)
    except ValueError:
        return None
    at = (sought.int >> 80) * 1000
    damaged: list[Damage] = []
    for _, path in sorted(_segments(directory, damaged.append), key=lambda one: _distance(one[0], at)):
        try:
            segment = SegmentReader(path)
        except FileNotFoundError:
            continue
        with segment:
            entry = segment.search(sought.bytes, damaged.append)
            if entry is not None:
                return _document(segment, entry, segment.ruling(entry.ruling), refuse)
    for one in damaged:
        refuse(one)
    return None


def _segments(directory: Path, report: Report) -> list[tuple[int, Path]]:
    """Return when each begun segment was begun, and its path, oldest first."""
    begun = []
    for path in directory.glob(f"*{SUFFIX}"):
        try:
            found = read_begun(path)
        except FileNotFoundError:
            continue
        except HeaderFault as fault:
            report(Damage(path, 0, 0, str(fault)))
            continue
        if found is not None:
            begun.append((found.header.begun_at, path))
    return sorted(begun)


def _distance(begun_at: int, at: int) -> tuple[bool, int]:
    """Order segments by how likely they hold a decision made at `at`: the last ones begun before it come first."""
    return begun_at > at, abs(begun_at - at)


def _documents(segment: SegmentReader, since: int | None, report: Report) -> Iterator[Document]:
    rulings: dict[int, bytes | None] = {}
    for entry in segment.entries(report):
        if len(rulings) > _RULINGS_KEPT:
            rulings.clear()
        if isinstance(entry, RulingEntry):
            rulings[entry.offset] = entry.document
        elif since is None or entry.at >= since:
            if entry.ruling not in rulings:
                rulings[entry.ruling] = segment.ruling(entry.ruling)
            document = _document(segment, entry, rulings[entry.ruling], report)
            if document is not None:
                yield document


def _document(segment: SegmentReader, entry: DecisionEntry, ruling: bytes | None, report: Report) -> Document | None:
    """Return the whole decision; None, reported, where its ruling cannot be read."""
    decision_id = str(UUID(bytes=entry.decision_id))
    if ruling is None:
        what = f"the ruling of decision {decision_id} at offset {entry.ruling} cannot be read"
        report(Damage(segment.path, entry.offset, 0, what))
        return None
    try:
        return whole_document(
            ruling, RecordedDecision(entry.decision_id, entry.at, entry.took_us, entry.auth_age, entry.request, b"")
        )
    except (ValueError, OverflowError, TypeError, KeyError, AttributeError) as fault:
        what = f"decision {decision_id} was written by something that does not know the format: {fault!r}"
        report(Damage(segment.path, entry.offset, 0, what))
        return None
