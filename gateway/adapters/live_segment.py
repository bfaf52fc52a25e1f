"""Reading one segment on from an offset, fast, also while it is written."""

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
)
from gateway.adapters.segment_content import header_in, open_content
from gateway.adapters.segment_reader import Damage, Report, gap, lost_end, next_whole, ruling_at, whole_at
from gateway.ports import RecordedDecision, ruling_digest

_STEP: Final = 1 << 18
_REMEMBERED: Final = 32 << 20
"""Bytes of rulings that are remembered of one segment."""
_LEAST: Final = WORD_BYTES + 8
_NOTHING: Final = bytes(WORD_BYTES)
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
        self._content = open_content(path)
        try:
            header = header_in(self._content)
        except BaseException:
            self._content.close()
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
        self._content.close()

    @property
    def sealed(self) -> bool:
        """Whether the writer had closed the segment when it was opened here."""
        return self.begun and self.header.synced == self._content.size()

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
            chunk = self._content.read(step, piece.end)
            used = self._records(chunk, piece, report, bounds)
            piece.end += used
            piece.weight += used
            if used:
                step = _STEP
            elif step == _STEP == len(chunk) and chunk[:WORD_BYTES] != _NOTHING:
                step = MAX_RECORD  # for a record that is longer than a step
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
        known = self._known.get(offset)
        if known is None:
            ruling = ruling_at(self._content, offset, self.header.nonce)
            if ruling is None:
                return None
            known = self._know(offset, ruling)
        digest, document = known
        piece.digests[offset] = digest
        piece.rulings[digest] = document
        piece.weight += len(document)
        return digest

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
        resumed = next_whole(self._content, offset + 8, self.header.nonce)
        if resumed is None:
            if finished and written:
                report(lost_end(self.path, self._content, offset, self.header.synced))
            return
        piece.more = True
        # A living writer may have put both records there since `offset` was read. It writes in order: read it again.
        if whole_at(self._content.read(MAX_RECORD, offset), 0, self.header.nonce) is None:
            report(gap(self.path, self._content, offset, resumed))
            piece.end = resumed
