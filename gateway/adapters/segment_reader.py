"""Reading one segment file, while it is written, after it was sealed, or after its writer was killed."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self
from zlib import crc32

from gateway.adapters.segment import (
    BODY,
    DECISION,
    HEADER_BYTES,
    LENGTHS,
    MAX_RECORD,
    NO_AGE,
    RULING,
    WORD,
    WORD_BYTES,
    HeaderFault,
)
from gateway.adapters.segment_content import Content, header_in, open_content
from gateway.core.errors import GatewayError

_STEP: Final = 1 << 20
_ID_AT: Final = WORD_BYTES + 8
_USUAL_RULING: Final = 4096
_WRITTEN: Final = re.compile(rb"[^\0]")


class Damage(NamedTuple):
    """A stretch of a segment that cannot be read."""

    path: Path
    offset: int
    length: int
    """How many bytes are lost to it; 0 where that cannot be said."""
    what: str

    def text(self) -> str:
        """Return one line for people."""
        extent = f", {self.length} bytes" if self.length else ""
        return f"{self.path}, offset {self.offset}{extent}: {self.what}"


class JournalDamaged(GatewayError):
    """A segment was changed after it was written, or the disk lost a part of it."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(f"{damage.text()}; restore the file from a copy")
        self.damage = damage


Report = Callable[[Damage], None]
"""Told of each damaged stretch; reading goes on behind it when this returns."""


def refuse(damage: Damage) -> None:
    """Raise JournalDamaged: the report of a reader that wants all or nothing."""
    raise JournalDamaged(damage)


class RulingEntry(NamedTuple):
    """What decisions after it share."""

    offset: int
    document: bytes


class DecisionEntry(NamedTuple):
    """One decision as it was appended."""

    offset: int
    at: int
    decision_id: bytes
    ruling: int
    """The offset of its ruling in the same segment."""
    took_us: int
    auth_age: int | None
    request: bytes


Entry = RulingEntry | DecisionEntry


def end_of(entry: Entry) -> int:
    """Return the offset behind an entry's record."""
    length = len(entry.document) if isinstance(entry, RulingEntry) else BODY.size + len(entry.request)
    return entry.offset + WORD_BYTES + length + 8 - (length & 7)


class SegmentReader:
    """One open segment. Reads by offset and never maps: a file cut short under a mapping kills its reader."""

    def __init__(self, path: Path) -> None:
        """Open. Raise OSError, or JournalDamaged where the header cannot be read."""
        self.path = path
        self._content = open_content(path)
        try:
            self.header = header_in(self._content)
        except HeaderFault as fault:
            self.close()
            raise JournalDamaged(Damage(path, 0, 0, str(fault))) from None
        self._nonce = 0 if self.header is None else self.header.nonce

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._content.close()

    @property
    def sealed(self) -> bool:
        """Whether the writer closed the segment: nothing can be missing from its end unnoticed."""
        return self.header is not None and self.header.synced == self._content.size()

    def entries(self, report: Report = refuse, start: int = HEADER_BYTES) -> Iterator[Entry]:
        """Yield what the segment holds from `start` on, in order. A torn tail is left out; any other gap is reported.

        `start` is where a record begins.
        """
        if self.header is None:
            return
        offset = max(start, HEADER_BYTES)
        while True:
            chunk = self._content.read(_STEP + MAX_RECORD, offset)
            start, whole = 0, whole_at(chunk, 0, self._nonce)
            while whole is not None:
                yield _entry(offset + start, *whole)
                start = whole[2]
                whole = whole_at(chunk, start, self._nonce)
            offset += start
            if start == 0:
                resumed = self._after_gap(offset, report)
                if resumed is None:
                    return
                offset = resumed

    def ruling(self, offset: int) -> bytes | None:
        """Return the ruling document at `offset`, or None where there is no whole one."""
        return ruling_at(self._content, offset, self._nonce)

    def search(self, decision_id: bytes, report: Report = refuse) -> DecisionEntry | None:
        """Return the decision with this id, found by its bytes and proved by its checksum; None where there is none."""
        base = 0
        suspect: int | None = None
        while chunk := self._content.read(_STEP + MAX_RECORD, base):
            hit = chunk.find(decision_id, _ID_AT)
            while 0 <= hit < _STEP + _ID_AT:
                start = hit - _ID_AT
                whole = whole_at(chunk, start, self._nonce) if (base + start) % 8 == 0 else None
                if whole is not None and whole[0] == DECISION:
                    return _decision(base + start, whole[1])
                if (base + start) % 8 == 0 and chunk[start] and suspect is None:
                    suspect = base + start
                hit = chunk.find(decision_id, hit + 1)
            base += _STEP
        if suspect is not None:
            report(Damage(self.path, suspect, 0, "the decision is here, and does not agree with its checksum"))
        return None

    def _after_gap(self, offset: int, report: Report) -> int | None:
        """Return where to read on after `offset`, where no whole record begins; None at the end."""
        resumed = next_whole(self._content, offset + 8, self._nonce)
        if resumed is None:
            assert self.header is not None
            if offset < self.header.synced:
                report(lost_end(self.path, self._content, offset, self.header.synced))
            return None
        # A live writer may have put both records there since `offset` was read. It writes in order: read it again.
        if whole_at(self._content.read(MAX_RECORD, offset), 0, self._nonce) is not None:
            return offset
        report(gap(self.path, self._content, offset, resumed))
        return resumed


def gap(path: Path, content: Content, offset: int, until: int) -> Damage:
    """Return the damage that a reader passed over."""
    what = f"the record does not agree with its checksum{_why(content, offset, until)}"
    return Damage(path, offset, until - offset, what)


def lost_end(path: Path, content: Content, offset: int, synced: int) -> Damage:
    """Return the damage of an end that is not there any more."""
    what = f"what was once on the disk is gone or altered, to the end{_why(content, offset, synced)}"
    return Damage(path, offset, synced - offset, what)


def _why(content: Content, offset: int, until: int) -> str:
    """Return which place of a compressed file is to blame, if it is one."""
    for fault in content.faults:
        if fault.touches(offset, until):
            return f" ({fault.text()})"
    return ""


def next_whole(content: Content, start: int, nonce: int) -> int | None:
    """Return the offset of the first whole record at or after `start`."""
    while chunk := content.read(_STEP + MAX_RECORD, start):
        position = 0
        while (written := _WRITTEN.search(chunk, position)) is not None:
            position = written.start() & ~7
            if position >= _STEP:
                break
            if whole_at(chunk, position, nonce) is not None:
                return start + position
            position += 8
        start += _STEP
    return None


def ruling_at(content: Content, offset: int, nonce: int) -> bytes | None:
    """Return the ruling document at `offset`, or None where there is no whole one."""
    raw = content.read(_USUAL_RULING, offset)
    if len(raw) >= WORD_BYTES and (WORD.unpack_from(raw)[0] & 0xFFFFFF) + WORD_BYTES + 8 > len(raw):
        raw = content.read(MAX_RECORD, offset)
    whole = whole_at(raw, 0, nonce)
    return whole[1] if whole is not None and whole[0] == RULING else None


def whole_at(chunk: bytes, start: int, nonce: int) -> tuple[int, bytes, int] | None:
    """Return kind, body and end of the record at `start`, if a whole one begins there."""
    if len(chunk) < start + WORD_BYTES:
        return None
    mark, check = WORD.unpack_from(chunk, start)
    kind, length = mark >> 24, mark & 0xFFFFFF
    shortest, longest = LENGTHS.get(kind, (1, 0))
    if not shortest <= length <= longest:
        return None
    begin = start + WORD_BYTES
    end = begin + length + 8 - (length & 7)
    padded = chunk[begin:end]
    if end > len(chunk) or crc32(padded, mark ^ nonce) != check:
        return None
    return kind, padded[:length], end


def _entry(offset: int, kind: int, body: bytes, _end: int) -> Entry:
    return RulingEntry(offset, body) if kind == RULING else _decision(offset, body)


def _decision(offset: int, body: bytes) -> DecisionEntry:
    at, decision_id, ruling, took_us, auth_age = BODY.unpack_from(body)
    age = None if auth_age == NO_AGE else auth_age
    return DecisionEntry(offset, at, decision_id, ruling, took_us, age, body[BODY.size :])


def read_segment(path: Path, report: Report = refuse) -> Iterator[Entry]:
    """Yield the rulings and decisions of one segment file, in order, without holding more than a stretch of it."""
    with SegmentReader(path) as segment:
        yield from segment.entries(report)
