"""One segment against its seals: every stretch of it, and its end."""

from pathlib import Path
from typing import NamedTuple

from gateway.adapters.proof_report import Finding, Report
from gateway.adapters.seal_lines import ABANDONED, FINAL, Seal
from gateway.adapters.seals import measure
from gateway.adapters.segment import HEADER_BYTES, HeaderFault
from gateway.adapters.segment_content import header_in, open_content
from gateway.adapters.segment_reader import Damage, DecisionEntry, JournalDamaged, SegmentReader

_STEP = 1 << 20


class _Run(NamedTuple):
    """Stretches one after the other that are not as they were sealed."""

    start: int
    end: int
    first: int
    last: int
    abandoned: bool


class SegmentCheck:
    """Compares one segment, stretch by stretch, in the order of the seals. Close it at the end."""

    def __init__(self, worker: str, path: Path, closing: Seal | None, report: Report) -> None:
        """Open. Raise OSError.

        `closing` is the newest seal of the segment, if one can be read.
        """
        self._worker = worker
        self._path = path
        self._report = report
        self._content = open_content(path)
        sealed = closing is not None and closing.kind in FINAL and closing.kind != ABANDONED
        size = self._content.size()
        # Where bytes were taken out or put in, what comes behind is there, and elsewhere.
        self._shift = size - closing.end if closing is not None and sealed else 0
        self._bad: _Run | None = None
        self._blamed: set[int] = set()
        """The places of a compressed file that are in a finding already."""
        self._found = False

    def stretch(self, seal: Seal) -> None:
        """Compare the stretch that a seal is about."""
        if measure(self._content, seal.start, seal.end)[0] == seal.digest:
            self._flush(seal.start)
            return
        moved = seal.start + self._shift
        movable = self._shift and seal.start and moved >= HEADER_BYTES
        if movable and measure(self._content, moved, seal.end + self._shift)[0] == seal.digest:
            self._flush(moved)
            return
        bad = self._bad or _Run(seal.start, seal.end, seal.first, seal.last, seal.kind == ABANDONED)
        self._bad = bad._replace(end=seal.end, last=seal.last)

    def finish(self, last: Seal) -> None:
        """Compare what comes behind the newest seal, and close."""
        self._flush(last.end + self._shift)
        size = self._content.size()
        if last.kind == ABANDONED:
            if not self._zeros(last.end):
                self._say(last.end, "there is something behind what was written when the disk had failed", None)
        elif last.kind in FINAL and not self._found:
            if size > last.end:
                self._say(last.end, f"{size - last.end} bytes were put behind its sealed end", 0)
            elif self._progress() != (last.end, last.latest):
                self._say(112, "its header does not say what was sealed of its length and its latest decision", 0)
        for fault in self._content.faults:
            if fault.at not in self._blamed:
                self._say(fault.offset, fault.text(), 0)
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._content.close()

    def _flush(self, until: int) -> None:
        """Say what is wrong with the stretches before `until`, if anything is."""
        bad, self._bad = self._bad, None
        if bad is None:
            return
        size = self._content.size()
        sealed = bad.last - bad.first + 1
        if size <= bad.start:
            what = f"it ends at offset {size}, before what was sealed{self._why(size, bad.end)}"
            self._say(size, what, sealed, bad.first, bad.last)
            return
        offset, whole, damaged = bad.start, 0, False
        try:
            with SegmentReader(self._path) as segment:
                damages: list[Damage] = []
                for entry in segment.entries(damages.append, bad.start):
                    if entry.offset >= until:
                        break
                    whole += isinstance(entry, DecisionEntry)
                inside = [one.offset for one in damages if bad.start <= one.offset < max(until, bad.end)]
                if inside:
                    offset, damaged = inside[0], True
        except JournalDamaged:
            offset, damaged = 0, True
        missing = sealed - whole
        if bad.abandoned:
            what = "the disk failed while this was written, and has not all of it"
        elif damaged:
            what = "it was altered here after it was sealed"
        else:
            what = f"what begins here, up to offset {until}, is not what was sealed"
        what += self._why(bad.start, max(until, bad.end))
        if missing > 0:
            what += f"; {missing:,} of {sealed:,} decisions are not there"
        self._say(offset, what, max(sealed, 0), bad.first, bad.last)

    def _why(self, start: int, end: int) -> str:
        """Return which places of a compressed file are to blame, if it is one."""
        found = [fault for fault in self._content.faults if fault.touches(start, end)]
        self._blamed.update(fault.at for fault in found)
        return f" ({'; '.join(fault.text() for fault in found[:3])})" if found else ""

    def _progress(self) -> tuple[int, int] | None:
        try:
            header = header_in(self._content)
        except HeaderFault:
            return None
        return None if header is None else (header.synced, header.latest_at)

    def _zeros(self, offset: int) -> bool:
        while chunk := self._content.read(_STEP, offset):
            if chunk.strip(b"\0"):
                return False
            offset += len(chunk)
        return True

    def _say(
        self, offset: int, what: str, hides: int | None, first: int | None = None, last: int | None = None
    ) -> None:
        self._found = True
        self._report(Finding(self._worker, self._path.name, offset, first, last, what, hides))


def decisions_behind(path: Path, offset: int) -> int:
    """Return how many decisions can be read in a segment from `offset` on."""
    try:
        with SegmentReader(path) as segment:
            return sum(isinstance(one, DecisionEntry) for one in segment.entries(lambda _: None, offset))
    except (FileNotFoundError, JournalDamaged):
        return 0
