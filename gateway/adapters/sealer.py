"""Seals what a worker wrote, beside the path of requests, and what a dead one left."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from gateway.adapters.publisher import Publisher
from gateway.adapters.seal_lines import ABANDONED, CHECKPOINT, FINAL, SEALED
from gateway.adapters.seals import Chain, heads, measure
from gateway.adapters.segment import HEADER_BYTES, Link, finish, trim
from gateway.adapters.segment_content import is_packed, open_content
from gateway.adapters.segment_reader import Damage, DecisionEntry, JournalDamaged, SegmentReader, end_of
from gateway.adapters.signing import Signer
from gateway.adapters.worker_lock import segments_of

log: Any = structlog.get_logger("gateway")

BESIDE_EVERY_US: Final = 60_000_000
"""How often a line names the newest lines of the other chains in the folder, and is published."""


_NOTHING: Final = (sha256().hexdigest(), 0)


class Piece(NamedTuple):
    """How far a segment is on the disk."""

    path: Path
    number: int
    end: int
    latest_at: int
    kind: str = CHECKPOINT


class Sealer:
    """The chain of one worker. Belongs to one thread at a time, and to whoever holds the worker's lock."""

    def __init__(
        self,
        directory: Path,
        worker: str,
        *,
        signer: Signer,
        now: Callable[[], int],
        publisher: Publisher | None = None,
    ) -> None:
        self._directory = directory
        self._worker = worker
        self._now = now
        self._publisher = publisher
        self._chain = Chain(directory, worker, signer)
        self._beside_at = -BESIDE_EVERY_US
        self._published = b""
        self._published_at = -BESIDE_EVERY_US

    @property
    def link(self) -> Link:
        """The newest line."""
        head = self._chain.head
        return Link(head.line, bytes.fromhex(head.digest))

    @property
    def segment(self) -> int:
        """The number of the newest segment that has a line, or was removed on purpose."""
        return self._chain.head.segment

    def seal(self, full: Sequence[Piece], written: Piece | None) -> None:
        """Add a line for each piece that has none yet; the disk has them when this returns. Raise OSError.

        After a fault it can be called again with the same pieces: what has its line gets no second one.
        """
        for piece in (*full, *([] if written is None else [written])):
            self._line(piece)
        self._publish()

    def close(self) -> None:
        """Publish the newest line, and close the file."""
        self._publish(at_once=True)
        self._chain.close()

    def recover(self) -> None:
        """Seal what a dead writer left, and give back the room that it did not need. Raise OSError.

        Only what it did not finish writing is taken away.
        """
        head = self._chain.head
        for number, path in segments_of(self._directory, self._worker):
            if number < head.segment or (number == head.segment and head.final):
                continue
            if is_packed(path):
                # It was sealed when that was done: where its seals are gone, it is evidence.
                continue
            trim(path)
            if path.exists():
                try:
                    self._reclaim(number, path)
                except JournalDamaged as fault:
                    log.error("journal:not_sealed", fault=str(fault))  # noqa: TRY400 - the fault says it all
        self._chain.close()

    def _reclaim(self, number: int, path: Path) -> None:
        head = self._chain.head
        start = head.end if head.segment == number else HEADER_BYTES
        damage: list[Damage] = []
        with SegmentReader(path) as segment:
            if segment.header is None:
                return
            end, latest = start, max(segment.header.latest_at, head.latest if head.segment == number else -(1 << 63))
            for entry in segment.entries(damage.append, min(start, max(segment.header.synced, HEADER_BYTES))):
                end = end_of(entry)
                if isinstance(entry, DecisionEntry):
                    latest = max(latest, entry.at)
        size = path.stat().st_size
        if damage and damage[-1].offset >= end:
            # The disk had it once: that is no torn tail, and it stays as it is.
            end = size & ~7
        if start <= end <= size:
            finish(path, end, latest)
        # Else it ends before what is sealed of it: it is evidence, and stays as it is.
        self._line(Piece(path, number, max(end, start), latest, SEALED), reclaimed=True)

    def _line(self, piece: Piece, *, reclaimed: bool = False) -> None:
        head = self._chain.head
        same = head.segment == piece.number
        if head.segment > piece.number or (same and head.final):
            return
        start = head.end if same else 0
        if piece.kind == CHECKPOINT and piece.end <= start:
            return
        stretch = (start, start, *_NOTHING)
        try:
            with open_content(piece.path) as content:
                stretch = (start, piece.end, *measure(content, start, piece.end))
        except OSError:
            if piece.kind != ABANDONED:
                raise
        at = self._now()
        links = piece.kind in FINAL or not 0 <= at - self._beside_at < BESIDE_EVERY_US
        beside = heads(self._directory, self._worker) if links else {}
        self._chain.add(piece.kind, piece.number, stretch, piece.latest_at, at, reclaimed=reclaimed, beside=beside)
        if links:
            self._beside_at = at

    def _publish(self, *, at_once: bool = False) -> None:
        """Hand the newest line to the publisher every so often. A publisher that fails is tried again, later."""
        line = self._chain.newest
        at = self._now()
        if self._publisher is None or line == self._published:
            return
        if at_once or not 0 <= at - self._published_at < BESIDE_EVERY_US:
            self._published_at = at
            try:
                self._publisher.publish(line)
            except OSError as fault:
                log.error("journal:not_published", worker=self._worker, fault=str(fault))  # noqa: TRY400 - it says it all
            else:
                self._published = line
