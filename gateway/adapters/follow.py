"""The journal of a folder, read on from where the archive has it: full segments, living ones, those of the dead."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from gateway.adapters.archive.documents import archived_document, id_of
from gateway.adapters.live_segment import Bounds, LiveSegment
from gateway.adapters.segment import HeaderFault
from gateway.adapters.segment_content import Begun
from gateway.adapters.segment_files import SegmentFile, Taken, segment_files
from gateway.adapters.segment_reader import Damage, JournalDamaged, SegmentReader
from gateway.core.decision import Document
from gateway.ports import RecordedDecision, Stretch, ruling_digest

log: Any = structlog.get_logger("gateway")

_USUAL: Final = Bounds()
_A_FEW: Final = Bounds(decisions=1, bytes=1 << 20)


class Follower:
    """What one folder's journal holds beyond what was taken. Belongs to one thread at a time."""

    def __init__(self, directory: Path, bounds: Bounds = _USUAL) -> None:
        self.directory = directory
        self.damaged = 0
        """How many places could not be read."""
        self._bounds = bounds
        self._reported: set[tuple[Path, int]] = set()
        self._ended: dict[Path, tuple[int, int]] = {}
        """Finished segments: the offset after which they hold nothing, and what their header said of the disk then."""
        self._sealed: dict[Path, Begun] = {}
        """What sealed segments say of themselves: it changes no more."""
        self._living: dict[Path, LiveSegment] = {}
        """Segments that are written, as they were read last: closed, and remembering rulings."""

    def stretches(self, taken: Taken) -> Iterator[Stretch]:
        """Yield what was not taken: the oldest segments first, whole, and one stretch of each that is being written.

        What cannot be read is logged, counted and left out.
        """
        files = self._ahead(taken)
        living = {file.path for file in files if not file.finished}
        self._living = {path: segment for path, segment in self._living.items() if path in living}
        left: set[str] = set()
        for file in files:
            if file.worker in left:
                continue
            try:
                yield from self._of(file, _offset(file, taken))
            except FileNotFoundError:
                continue
            except OSError as fault:
                # It may be readable later: what its worker wrote afterwards waits, so that nothing is passed over.
                self._report(Damage(file.path, -1, 0, f"it cannot be read: {fault}"))
                left.add(file.worker)

    def behind(self, taken: Taken) -> tuple[int, int | None]:
        """Return how many bytes were not taken, as far as the disk has them, and when the oldest decision was made.

        None where no decision waits.
        """
        waiting = 0
        oldest: int | None = None
        for file in self._ahead(taken):
            offset = _offset(file, taken)
            waiting += max(0, file.header.synced - offset)
            if oldest is None or file.begun_at < oldest:
                with suppress(OSError, HeaderFault), LiveSegment(file.path) as segment:
                    first = segment.read(offset, finished=file.finished, report=self._report, bounds=_A_FEW)
                    oldest = min((one.at for one in first.decisions), default=oldest)
        return waiting, oldest

    def _ahead(self, taken: Taken) -> list[SegmentFile]:
        files = segment_files(self.directory, taken, self._report, self._sealed)
        there = {file.path for file in files}
        self._sealed = {path: begun for path, begun in self._sealed.items() if path in there}
        self._ended = {path: end for path, end in self._ended.items() if path in there}
        return [file for file in files if self._ended.get(file.path) != (_offset(file, taken), file.header.synced)]

    def _of(self, file: SegmentFile, offset: int) -> Iterator[Stretch]:
        """Yield the stretches of one segment; a single one where more may be written to it."""
        try:
            segment = LiveSegment(file.path)
        except HeaderFault as fault:
            self._report(Damage(file.path, 0, 0, str(fault)))
            return
        with segment:
            if file.path in self._living:
                segment.adopt(self._living[file.path])
            start = offset
            more = True
            while more:
                piece = segment.read(offset, finished=file.finished, report=self._report, bounds=self._bounds)
                offset, more = piece.end, piece.more
                if piece.decisions:
                    yield Stretch(file.worker, file.number, start, offset, piece.rulings, piece.decisions)
                    start = offset
                    more = more and file.finished
            if file.finished:
                # What was left out between the last decision and the end will be there again: it is no news then.
                self._ended[file.path] = (start, file.header.synced)
            else:
                self._living[file.path] = segment

    def _report(self, damage: Damage) -> None:
        if (damage.path, damage.offset) not in self._reported:
            self._reported.add((damage.path, damage.offset))
            self.damaged += 1
            log.error("journal:damaged", what=damage.text())


def _offset(file: SegmentFile, taken: Taken) -> int:
    number, offset = taken.get(file.worker, (0, 0))
    return offset if number == file.number else 0


def find_untaken(directory: Path, taken: Taken, decision_id: str) -> Document | None:
    """Return the decision with this id from what was not taken, or None. Raise JournalDamaged where it cannot be read.

    The segments begun last before the id's own time are searched first, the others after them.
    """
    sought = id_of(decision_id)
    if sought is None:
        return None
    at = int.from_bytes(sought[:6], "big") * 1000
    damaged: list[Damage] = []
    files = segment_files(directory, taken, damaged.append)
    for file in sorted(files, key=lambda one: (one.begun_at > at, abs(one.begun_at - at))):
        with suppress(FileNotFoundError), SegmentReader(file.path) as segment:
            entry = segment.search(sought, damaged.append)
            ruling = None if entry is None else segment.ruling(entry.ruling)
            if entry is not None and ruling is not None:
                alone = (entry.decision_id, entry.at, entry.took_us, entry.auth_age, entry.request)
                return archived_document(ruling, RecordedDecision(*alone, ruling_digest(ruling)))
            if entry is not None:
                damaged.append(Damage(file.path, entry.offset, 0, f"the ruling of {decision_id} cannot be read"))
    for one in damaged:
        raise JournalDamaged(one)
    return None
