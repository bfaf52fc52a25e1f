"""The end of the journal that is being written: one segment, and the next one allocated ahead."""

import os
import struct
import time
from concurrent.futures import Executor, Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

from gateway.adapters.segment import (
    BODY,
    DECISION,
    HEADER_BYTES,
    MAX_DOCUMENT,
    MAX_REQUEST,
    NO_AGE,
    NO_LINK,
    PADS,
    RULING,
    WORD,
    WORD_BYTES,
    Header,
    Segment,
    frame,
)
from gateway.core.errors import JournalUnavailable
from gateway.ports import Ruling

PATIENCE_S: Final = 0.25
"""How long `append` waits, once a segment, for one that is still being allocated. It holds up every request."""
RETRY_S: Final = 1.0
"""How often a disk that had no room, or failed, is tried again."""

_CUT: Final = "…".encode()
_DECISION_MARK: Final = DECISION << 24 | BODY.size

# Bound once: the path of every request looks them up as often as there are requests.
_pack_body: Final = BODY.pack
_pack_word: Final = WORD.pack
_crc32: Final = crc32
_PADS: Final = PADS


class Stretch(NamedTuple):
    """A segment, how far it is written, and the latest decision in it."""

    segment: Segment
    end: int
    latest_at: int


class Tail:
    """Appends to one segment after the other. Belongs to one thread; `threads` allocate the files."""

    def __init__(self, directory: Path, worker: str, segment_bytes: int, threads: Executor) -> None:
        self.directory = directory
        self.worker = worker
        self.name = f"journal {directory}, worker {worker}"
        self.number = 0
        """The number of the newest segment that was asked for."""
        self.unrecorded = 0
        self.fault: str | None = "it is not started"
        """Why nothing can be appended before `retry_at`; None while all is well."""
        self.retry_at = float("inf")
        self._refused_for_room = False
        self.link = NO_LINK
        """The worker's newest seal: a segment that is begun names it."""
        self.retired: list[Stretch] = []
        """Segments that are full and wait to be sealed."""
        self._segment_bytes = segment_bytes
        self._threads = threads
        self._segment: Segment | None = None
        self._map: Any = None
        self._mark = object()
        self._nonce = 0
        self._offset = 0
        self._limit = 0
        self._latest = 0
        # Positions count the bytes of all segments; this is that of the present one's first.
        self._base = 0
        self._next: Future[Segment] | None = None
        self._waited_for_next = False

    def append(  # noqa: PLR0917 - on the path of every request, where keywords cost
        self, ruling: Ruling, decision_id: bytes, at: int, auth_age: int | None, took_us: int, request: bytes
    ) -> int:
        """Return the position of the record, which now survives the death of this process.

        Raise JournalUnavailable where it could not be written; it is then counted in `unrecorded`.
        """
        if len(request) > MAX_REQUEST:
            request = request[: MAX_REQUEST - len(_CUT)] + _CUT
        if ruling.segment is not self._mark:
            self._introduce(ruling, at, len(request))
        age = NO_AGE if auth_age is None else auth_age
        length = len(request)
        try:
            body = _pack_body(at, decision_id, ruling.number, took_us, age) + request + _PADS[length & 7]
        except struct.error:
            # A clock that was stepped makes such numbers; the decision matters more than they do.
            auth_age = None if auth_age is None else _within(auth_age)
            return self.append(ruling, decision_id, _within(at), auth_age, min(max(took_us, 0), 0xFFFFFFFF), request)
        start = self._offset
        end = start + WORD_BYTES + len(body)
        if end > self._limit:
            self._turn(at)
            return self.append(ruling, decision_id, at, auth_age, took_us, request)
        mark = _DECISION_MARK + length
        # The body first, the word that makes it a record last: a kill in between leaves nothing that looks whole.
        self._map[start + 8 : end] = body
        self._map[start : start + 8] = _pack_word(mark, _crc32(body, mark ^ self._nonce))
        self._offset = end
        self._latest = max(self._latest, at)
        return self._base + end

    @property
    def position(self) -> int:
        """The position of the last record."""
        return self._base + self._offset

    @property
    def written(self) -> Stretch | None:
        """What the present segment holds; None where none is begun."""
        return None if self._segment is None else Stretch(self._segment, self._offset, self._latest)

    def allocate(self) -> Future[Segment]:
        """Ask for the segment after the present one."""
        self.number += 1
        self._waited_for_next = False
        self._next = self._threads.submit(Segment, self.directory, self.worker, self.number, self._segment_bytes)
        return self._next

    def why_not(self) -> str | None:
        """Return why decisions cannot be appended now; None where they can."""
        no_room = self.no_room()
        # While the present segment has room, that the next one has none is nobody's loss yet.
        full = None if no_room is None or not self._refused_for_room else f"no room for the next segment: {no_room}"
        return self.fault or full

    def no_room(self) -> BaseException | None:
        """Return why the next segment could not be allocated; None where it could, or may yet be."""
        return self._next.exception() if self._next is not None and self._next.done() else None

    def stop(self, fault: str, retry_at: float) -> Stretch | None:
        """Append nothing before `retry_at`. Return what the present segment holds: it is the caller's now."""
        self.fault, self.retry_at = fault, retry_at
        return self._leave()

    def discard_next(self, patience_s: float) -> None:
        """Remove the segment that was allocated ahead."""
        if self._next is not None:
            with suppress(OSError):
                self._next.result(patience_s).discard()
            self._next = None

    def _introduce(self, ruling: Ruling, at: int, request_bytes: int) -> None:
        """Write the ruling into the segment that will hold the decision, leaving room for that."""
        document = ruling.document
        beside = 2 * (WORD_BYTES + 8) + BODY.size + request_bytes
        most = min(MAX_DOCUMENT, self._segment_bytes - HEADER_BYTES - beside)
        if not 1 <= len(document) <= most:
            raise self._unavailable(f"a ruling has 1 to {most} bytes here, and this one {len(document)}")
        if self._offset + beside + len(document) > self._limit:
            self._turn(at)
        word, body = frame(RULING, document, self._nonce)
        start = self._offset
        end = start + WORD_BYTES + len(body)
        self._map[start + WORD_BYTES : end] = body
        self._map[start : start + WORD_BYTES] = word
        self._offset = end
        ruling.segment = self._mark
        ruling.number = start

    def _turn(self, at: int) -> None:
        """Go on in the next segment. Raise JournalUnavailable where there is none."""
        if self._next is None or (self.fault is not None and time.monotonic() < self.retry_at):
            raise self._unavailable(f"{self.fault}")
        try:
            segment = self._next.result(0 if self._waited_for_next else PATIENCE_S)
        except TimeoutError:
            self._waited_for_next = True
            raise self._unavailable("the disk takes long to allocate the next segment") from None
        except OSError as fault:
            self._refused_for_room = True
            raise self._unavailable(f"no room for the next segment: {fault}") from None
        full = self._leave()
        if full is not None:
            self.retired.append(full)
        at = _within(at)
        self._nonce = int.from_bytes(os.urandom(4), "big")
        segment.begin(Header(self.worker, segment.number, at, self._nonce, 0, at, self.link))
        self._segment, self._map = segment, segment.map
        self._offset, self._limit, self._latest = HEADER_BYTES, self._segment_bytes, at
        self.fault, self._refused_for_room = None, False
        self.allocate()

    def _leave(self) -> Stretch | None:
        left = self.written
        # A new mark: what rulings know of the segment that is left holds no more.
        self._segment, self._map, self._mark = None, None, object()
        self._base += self._offset
        self._offset = self._limit = 0
        return left

    def _unavailable(self, why: str) -> JournalUnavailable:
        self.unrecorded += 1
        return JournalUnavailable(f"{self.name}: {why}")


def _within(number: int) -> int:
    return min(max(number, NO_AGE + 1), -NO_AGE - 1)
