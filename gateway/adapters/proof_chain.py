"""One worker's chain of seals, line by line, and its segments beside it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gateway.adapters.proof_removals import Removals
from gateway.adapters.proof_report import Finding, Report, WorkerProof
from gateway.adapters.proof_segment import SegmentCheck, decisions_behind
from gateway.adapters.seal_lines import FINAL, START, Seal, SealFault, digest_of, is_signed, read_seal
from gateway.adapters.seals import Files, last_line, read_lines
from gateway.adapters.segment import HEADER_BYTES, Header
from gateway.adapters.segment_reader import JournalDamaged, SegmentReader
from gateway.adapters.signing import Keys


class _Before(NamedTuple):
    """The newest line that could be believed."""

    line: int = 0
    digest: str | None = START
    """None where the line between is none to be believed."""
    last: int = 0
    segment: int = 0


class ChainCheck:
    """Checks all that a folder has of one worker."""

    def __init__(
        self,
        worker: str,
        files: Files,
        *,
        keys: Keys,
        removals: Removals,
        report: Report,
        refer: Callable[[str, int, str, int], None],
        since: int | None,
        living: bool,
    ) -> None:
        """Build.

        `refer` is told of each line of another chain that a seal here names: chain, line, digest, its last decision.
        `living` says that the worker's lock is there: it writes, or was killed and nobody tidied up yet.
        """
        self._worker = worker
        self._files = files
        self._keys = keys
        self._removals = removals
        self._report = report
        self._refer = refer
        self._since = since
        self._living = living
        self._before = _Before()
        self._pending: Finding | None = None
        """A line that could not be believed, until it is known what it hides."""
        self._begun: set[int] = set()
        """The segments that hold anything."""
        self._links: dict[int, list[tuple[str, str]]] = {}
        """The lines that segments name in their headers: digest, and the segment's file."""
        self._seals = self._segments = self._reclaimed = self._removed = self._unsealed = 0
        self._first: int | None = None
        self._unsealed_at: str | None = None

    def run(self) -> WorkerProof:
        """Check; return what is proved. Raise OSError where the folder cannot be read."""
        self._begun = {number for number, header in self._headers().items() if header is not None}
        for number in sorted(self._files.seals):
            with suppress(FileNotFoundError):
                self._segment(number)
        self._settle(None)
        self._check_links()
        for number in sorted(self._files.segments.keys() - self._files.seals.keys()):
            self._unproved(number)
        return WorkerProof(
            *(self._worker, self._first or 1, self._before.last, self._segments, self._seals, self._reclaimed),
            *(self._removed, self._unsealed, self._unsealed_at),
        )

    def _headers(self) -> Mapping[int, Header | None]:
        """Return what the segments say of themselves; None where one was allocated and not begun."""
        headers = {}
        for number, path in self._files.segments.items():
            try:
                with SegmentReader(path) as segment:
                    header = headers[number] = segment.header
            except FileNotFoundError:
                continue
            except JournalDamaged as fault:
                if number not in self._files.seals:
                    self._report(Finding(self._worker, path.name, 0, None, None, fault.damage.what, None))
                continue
            if header is not None and (header.worker, header.number) != (self._worker, number):
                whose = f"it is segment {header.number} of worker {header.worker}, under another name"
                self._report(Finding(self._worker, path.name, 0, None, None, whose, 0))
            elif header is not None and header.link.line:
                links = self._links.setdefault(header.link.line, [])
                links.append((header.link.digest.hex(), path.name))
        return headers

    def _segment(self, number: int) -> None:
        """Check the lines about one segment, and the segment."""
        path = self._files.seals[number]
        closing = self._closing(path)
        old = self._since is not None and closing is not None and closing.kind in FINAL and closing.latest < self._since
        check = self._opened(number, closing)
        opening: Seal | None = None
        seal: Seal | None = None
        try:
            for index, (raw, whole) in enumerate(read_lines(path), 1):
                found = self._line(path, index, raw, whole=whole)
                if found is not None:
                    opening, seal = opening or found, found
                    if check is not None and not old:
                        check.stretch(seal)
            if check is not None and seal is not None and not old:
                check.finish(seal)
                check = None
        finally:
            if check is not None:
                check.close()
        segment = self._files.segments.get(number)
        if seal is None or opening is None:
            self._unproved(number)
            return
        self._reclaimed += seal.reclaimed
        if segment is None or not segment.exists():
            self._gone(number, opening.first, seal.last)
            return
        self._segments += 1
        self._first = opening.first if self._first is None else self._first
        if seal.kind not in FINAL:
            self._behind(number, seal.end)

    def _closing(self, path: Path) -> Seal | None:
        """Return the newest line about a segment, where it can be believed."""
        with suppress(SealFault):
            raw = last_line(path)
            if raw is not None and is_signed(raw, (seal := read_seal(raw)).key, self._keys):
                return seal
        return None

    def _opened(self, number: int, closing: Seal | None) -> SegmentCheck | None:
        path = self._files.segments.get(number)
        if path is None:
            return None
        with suppress(FileNotFoundError):
            return SegmentCheck(self._worker, path, closing, self._report)
        return None

    def _line(self, path: Path, index: int, raw: bytes, *, whole: bool) -> Seal | None:
        """Return the seal of a line that can be believed, after comparing it with the lines before it."""
        before = self._before
        seal, what = None, None
        try:
            seal = read_seal(raw)
        except SealFault as fault:
            what = f"the line was altered: {fault}"
        if not whole:
            if self._living and path == self._files.seals[max(self._files.seals)]:
                return None
            what = "the line was cut at its end"
        elif seal is not None and seal.key not in self._keys:
            what = f"the line is signed with key {seal.key}, and no such public key is known"
        elif seal is not None and not is_signed(raw, seal.key, self._keys):
            what = f"the line was altered: its signature is not that of key {seal.key}"
        elif seal is not None and (seal.worker != self._worker or seal.segment != _number(path)):
            what = f"the line is about segment {seal.segment} of worker {seal.worker}"
        if seal is None or what is not None:
            self._settle(None)
            self._pending = Finding(self._worker, path.name, index, None, None, what or "", None)
            self._before = before._replace(line=before.line + 1, digest=None)
            return None
        if seal.line != before.line + 1 or before.digest not in {None, seal.previous}:
            self._gap(path, index, seal)
        self._settle(seal)
        digest = digest_of(raw)
        for wanted, file in self._links.pop(seal.line, ()):
            if wanted != digest:
                self._unlinked(file, seal.line)
        for chain, (line, last, named) in seal.beside.items():
            self._refer(chain, line, named, last)
        self._seals += 1
        self._before = _Before(seal.line, digest, seal.last, seal.segment)
        return seal

    def _settle(self, seal: Seal | None) -> None:
        """Say what the line that could not be believed hides, now that the next one is known, or that there is none."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        if seal is not None:
            first, last = self._before.last + 1, seal.first - 1
            pending = pending._replace(first=first, last=last, hides=max(0, last - first + 1))
        self._report(pending)

    def _gap(self, path: Path, index: int, seal: Seal) -> None:
        before = self._before
        missing = (before.line + 1, seal.line - 1)
        first, last = before.last + 1, seal.first - 1
        if missing[0] <= missing[1]:
            went = self._removals.decisions(self._worker, missing, seal.previous)
            if went is not None:
                self._removed += went
                return
            count = f"lines {missing[0]:,} to {missing[1]:,} of the seals are gone"
            if seal.segment > before.segment + 1:
                count += f", and with them what proved segments {before.segment + 1} to {seal.segment - 1}"
            if self._pending is None:
                self._report(
                    Finding(self._worker, path.name, index, first, last, f"{count} before this line", last - first + 1)
                )
        elif missing[0] == seal.line:
            what = "the line before this one was replaced"
            self._report(Finding(self._worker, path.name, index, first, last, what, max(0, last - first + 1)))
        else:
            what = f"line {seal.line} comes where line {missing[0]} should"
            self._report(Finding(self._worker, path.name, index, None, None, what, None))

    def _gone(self, number: int, first: int, last: int) -> None:
        """Say that a segment is not there, unless it was removed on purpose."""
        if self._removals.removed(self._worker, number):
            self._removed += last - first + 1
            return
        file = f"{self._worker}-{number:08d}.gwj"
        self._report(Finding(self._worker, file, None, first, last, "the segment is gone", last - first + 1))

    def _unproved(self, number: int) -> None:
        """Count what is in a segment of which nothing is sealed."""
        if number in self._begun and not self._removals.removed(self._worker, number):
            self._behind(number, HEADER_BYTES)

    def _behind(self, number: int, offset: int) -> None:
        """Count what is not sealed at the end of a segment; it is a finding where nobody will seal it."""
        path = self._files.segments[number]
        decisions = decisions_behind(path, offset)
        newest = number >= self._before.segment
        if self._living and newest:
            self._unsealed += decisions
            self._unsealed_at = self._unsealed_at or f"{path.name}, offset {offset}"
        else:
            whole = offset == HEADER_BYTES
            what = "it is not sealed" if whole else "what begins here is not sealed"
            what += f": nothing proves its {decisions:,} decisions, nor that there were no more"
            self._report(Finding(self._worker, path.name, None if whole else offset, None, None, what, None))

    def _check_links(self) -> None:
        """Say which segments were begun after a seal that is not there."""
        for line, links in self._links.items():
            if self._removals.decisions(self._worker, (line, line), None) is None:
                for _, file in links:
                    self._unlinked(file, line)

    def _unlinked(self, file: str, line: int) -> None:
        what = f"it was begun after line {line:,} of the seals, and that line is not there"
        self._report(Finding(self._worker, file, 28, None, None, what, None))


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def line_of(files: Files, line: int) -> tuple[str | None, int, int]:
    """Return the digest of a line of a chain (None: it is not there), and the newest line with its last decision."""
    newest = (0, 0)
    for number in sorted(files.seals, reverse=True):
        with suppress(FileNotFoundError):
            for raw, _ in read_lines(files.seals[number]):
                with suppress(SealFault):
                    seal = read_seal(raw)
                    if seal.line == line:
                        return digest_of(raw), seal.line, seal.last
                    if seal.line > line:
                        break
                    newest = max(newest, (seal.line, seal.last))
            if newest[0]:
                break
    return None, *newest
