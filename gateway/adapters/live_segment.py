"""Reading one segment on from an offset, fast, also while it is written."""

import os
import re
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self
from uuid import UUID
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
    Header,
    unpack_header,
)
from gateway.adapters.segment_reader import Damage, Report
from gateway.ports import RecordedDecision, ruling_digest

_STEP: Final = 1 << 18
_SEARCHED: Final = 1 << 20
_REMEMBERED: Final = 32 << 20
"""Bytes of rulings that are remembered of one segment."""
_LEAST: Final = WORD_BYTES + 8
_NOTHING: Final = bytes(WORD_BYTES)
_WRITTEN: Final = re.compile(rb"[^\0]")
_SHORTEST, _LONGEST = LENGTHS[DECISION]
_MOST_RULING: Final = LENGTHS[RULING][1]

_unpack_word: Final = WORD.unpack_from
_unpack_body: Final = BODY.unpack_from


class Bounds(NamedTuple):
    """How much is read at once."""

    decisions: int = 20_000
    bytes: int = 8 << 20
    """Of records, and of the rulings that they name."""


class Piece:
    """What lies between two offsets of a segment."""

    __slots__ = ("decisions", "digests", "end", "more", "rulings", "weight")

    def __init__(self, offset: int) -> None:
        self.end = offset
        """Where to read on."""
        self.more = True
        """Whether something may follow at once."""
        self.decisions: list[RecordedDecision] = []
        self.rulings: dict[bytes, bytes] = {}
        """Digest to document of each ruling that the decisions name."""
        self.digests: dict[int, bytes] = {}
        self.weight = 0
        """Bytes of records and rulings."""


class LiveSegment:
    """One segment, open. Reads by offset and never maps: a file cut short under a mapping kills its reader."""

    def __init__(self, path: Path) -> None:
        """Open. Raise OSError, or HeaderFault where the header cannot be read."""
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            header = unpack_header(os.pread(self._fd, HEADER_BYTES, 0))
        except BaseException:
            os.close(self._fd)
            raise
        self.begun = header is not None
        """Whether anything was written to it yet; nothing can be read where not."""
        self.header = header or Header("", 0, 0, 0, 0, 0)
        self._known: dict[int, tuple[bytes, bytes]] = {}
        self._remembered = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    @property
    def sealed(self) -> bool:
        """Whether the writer had closed the segment when it was opened here."""
        return self.begun and self.header.synced == os.fstat(self._fd).st_size

    def adopt(self, before: "LiveSegment") -> None:
        """Remember the rulings that `before`, the same segment opened earlier, remembered."""
        self._known, self._remembered = before._known, before._remembered  # noqa: SLF001 - the same class

    def read(self, offset: int, *, finished: bool, report: Report, bounds: Bounds) -> Piece:
        """Return what follows `offset`, within bounds; `finished` says that nobody writes to the segment any more.

        Damage is reported and left out. A torn tail is not damage.
        """
        piece = Piece(max(offset, HEADER_BYTES))
        step = _STEP
        while piece.weight < bounds.bytes and len(piece.decisions) < bounds.decisions:
            chunk = os.pread(self._fd, step, piece.end)
            used = self._records(chunk, piece, report, bounds)
            piece.end += used
            piece.weight += used
            if used:
                step = _STEP
            elif step == _STEP == len(chunk) and chunk[:WORD_BYTES] != _NOTHING:
                step = MAX_RECORD + 8  # for a record that is longer than a step
            else:
                self._gap(piece, finished=finished, report=report)
                break
        return piece

    def _records(self, chunk: bytes, piece: Piece, report: Report, bounds: Bounds) -> int:
        """Add the whole records at the beginning of `chunk` to the piece; return how many bytes they are."""
        base, nonce, size = piece.end, self.header.nonce, len(chunk)
        decisions, digests = piece.decisions, piece.digests
        add, most = decisions.append, bounds.decisions
        start = 0
        while start + _LEAST <= size and len(decisions) < most:
            mark, check = _unpack_word(chunk, start)
            length = mark & 0xFFFFFF
            end = start + 16 + length - (length & 7)
            if end > size:
                break
            padded = chunk[start + 8 : end]
            if crc32(padded, mark ^ nonce) != check:
                break
            kind = mark >> 24
            if kind == DECISION and _SHORTEST <= length <= _LONGEST:
                at, decision_id, ruling, took_us, age = _unpack_body(padded)
                digest = digests.get(ruling) or self._named(ruling, piece)
                if digest is None:
                    what = f"the ruling of decision {UUID(bytes=decision_id)} at offset {ruling} cannot be read"
                    report(Damage(self.path, base + start, 0, what))
                else:
                    request = padded[_SHORTEST:length]
                    add(RecordedDecision(decision_id, at, took_us, None if age == NO_AGE else age, request, digest))
            elif kind == RULING and 0 < length <= _MOST_RULING:
                self._know(base + start, padded[:length])
            else:
                break
            start = end
        return start

    def _named(self, offset: int, piece: Piece) -> bytes | None:
        """Return the digest of the ruling at `offset`, now one of the piece's; None where there is no whole one."""
        known = self._known.get(offset) or self._ruling(offset)
        if known is None:
            return None
        digest, document = known
        piece.digests[offset] = digest
        piece.rulings[digest] = document
        piece.weight += len(document)
        return digest

    def _ruling(self, offset: int) -> tuple[bytes, bytes] | None:
        raw = os.pread(self._fd, 4096, offset)
        if len(raw) >= _LEAST and (_unpack_word(raw)[0] & 0xFFFFFF) + _LEAST > len(raw):
            raw = os.pread(self._fd, MAX_RECORD + 8, offset)
        document = _body(raw, 0, RULING, self.header.nonce)
        return None if document is None else self._know(offset, document)

    def _know(self, offset: int, document: bytes) -> tuple[bytes, bytes]:
        self._remembered += len(document)
        if self._remembered > _REMEMBERED:
            self._known.clear()
            self._remembered = len(document)
        known = self._known[offset] = ruling_digest(document), document
        return known

    def _gap(self, piece: Piece, *, finished: bool, report: Report) -> None:
        """Find out why no whole record begins where the piece ends, and where to read on."""
        offset = piece.end
        written = offset < self.header.synced
        piece.more = False
        if not finished and not written:
            return
        resumed = self._next_whole(offset + 8)
        if resumed is None:
            if finished and written:
                lost = self.header.synced - offset
                report(Damage(self.path, offset, lost, "what was once on the disk is gone or altered, to the end"))
            return
        piece.more = True
        # A living writer may have put both records there since `offset` was read. It writes in order: read it again.
        if not self._is_whole(os.pread(self._fd, MAX_RECORD + 8, offset), 0):
            report(Damage(self.path, offset, resumed - offset, "the record does not agree with its checksum"))
            piece.end = resumed

    def _next_whole(self, start: int) -> int | None:
        """Return the offset of the first whole record at or after `start`."""
        while chunk := os.pread(self._fd, _SEARCHED + MAX_RECORD + 8, start):
            position = 0
            while (written := _WRITTEN.search(chunk, position)) is not None:
                position = written.start() & ~7
                if position >= _SEARCHED:
                    break
                if self._is_whole(chunk, position):
                    return start + position
                position += 8
            start += _SEARCHED
        return None

    def _is_whole(self, chunk: bytes, start: int) -> bool:
        return any(_body(chunk, start, kind, self.header.nonce) is not None for kind in LENGTHS)


def _body(chunk: bytes, start: int, kind: int, nonce: int) -> bytes | None:
    """Return the body of the record of this kind at `start`, None where no whole one begins there."""
    if len(chunk) < start + _LEAST:
        return None
    mark, check = _unpack_word(chunk, start)
    length = mark & 0xFFFFFF
    shortest, longest = LENGTHS[kind]
    end = start + 16 + length - (length & 7)
    if mark >> 24 != kind or not shortest <= length <= longest or end > len(chunk):
        return None
    padded = chunk[start + 8 : end]
    return padded[:length] if crc32(padded, mark ^ nonce) == check else None
