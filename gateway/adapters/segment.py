"""One segment file of the journal: its layout, and writing it through a mapping.

The layout is in `docs/journal.md`, the reasons for it in `docs/decisions/0007-journal-format.md`.
"""

import mmap
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

VERSION: Final = 1
SUFFIX: Final = ".gwj"
HEADER_BYTES: Final = 128
WORD_BYTES: Final = 8
RULING: Final = 1
DECISION: Final = 2

WORD: Final = struct.Struct("<II")
"""What makes a record whole, written after its body: `length | kind << 24`, and the checksum of the body."""
BODY: Final = struct.Struct("<q16sIIq")
"""A decision before its request bytes: at, id, where its ruling lies in the segment, took_us, auth_age."""
NO_AGE: Final = -(1 << 63)

MAX_REQUEST: Final = 8 * 1024
MAX_DOCUMENT: Final = 1 << 20
LENGTHS: Final = {RULING: (1, MAX_DOCUMENT), DECISION: (BODY.size, BODY.size + MAX_REQUEST)}
"""The shortest and longest body of each kind."""
MAX_RECORD: Final = WORD_BYTES + MAX_DOCUMENT + 8

# Every record ends in a byte that is not zero, so that a tail that was allocated and never written can be told from
# a record that ends in zeros, and be given back.
PADS: Final = tuple(b"\xff" * (8 - length) for length in range(8))
"""What follows a body to the next multiple of eight, by its length modulo eight."""

_MAGIC: Final = b"GWJ\n"
_FIXED: Final = struct.Struct("<4sBxHQqII32s32s")
"""Magic, version, header length, number, begun_at, nonce, line of the newest seal, worker, digest of that line."""
_CHECK: Final = struct.Struct("<I")
_CHECK_AT: Final = _FIXED.size
_PROGRESS: Final = struct.Struct("<Qq")
"""How far the disk is known to have the segment, and the latest `at` in it; rewritten at every sync."""
PROGRESS_AT: Final = 112


class Link(NamedTuple):
    """One line of a chain of seals."""

    line: int
    digest: bytes
    """SHA-256 of the line."""


NO_LINK: Final = Link(0, bytes(32))


class Header(NamedTuple):
    """What a segment says of itself."""

    worker: str
    number: int
    begun_at: int
    """When its first decision was made, microseconds since the epoch."""
    nonce: int
    """Goes into every checksum, so that a record cannot be forged inside another's request bytes."""
    synced: int
    """Everything before this offset was on the disk once; what cannot be read there now was damaged since."""
    latest_at: int
    """The latest decision before `synced`."""
    link: Link = NO_LINK
    """The newest seal of the worker when the segment was begun."""


class HeaderFault(ValueError):
    """The first bytes of a file are not those of a segment that can be read."""


class NewerFormat(HeaderFault):
    """A newer gateway wrote the segment."""


def pack_header(header: Header) -> bytes:
    """Return the header as it stands at the start of the file."""
    line, digest = header.link
    fixed = _FIXED.pack(
        *(_MAGIC, VERSION, HEADER_BYTES, header.number, header.begun_at, header.nonce),
        *(line, header.worker.encode(), digest),
    )
    progress = _PROGRESS.pack(header.synced, header.latest_at)
    return (fixed + _CHECK.pack(crc32(fixed))).ljust(PROGRESS_AT, b"\0") + progress


def unpack_header(raw: bytes) -> Header | None:
    """Return what the segment says of itself; None where it was allocated and not begun. Raise HeaderFault."""
    if not raw[:WORD_BYTES].strip(b"\0"):
        return None
    if raw[:4] != _MAGIC:
        raise HeaderFault("it does not begin as a journal segment does")
    if len(raw) < HEADER_BYTES:
        raise HeaderFault("it ends inside its header")
    if raw[4] > VERSION:
        raise NewerFormat(f"it has format {raw[4]}, written by a newer gateway; this one reads up to {VERSION}")
    (check,) = _CHECK.unpack_from(raw, _CHECK_AT)
    if crc32(raw[:_CHECK_AT]) != check:
        raise HeaderFault("its header does not agree with its own checksum")
    _, _, _, number, begun_at, nonce, line, worker, digest = _FIXED.unpack_from(raw)
    synced, latest_at = _PROGRESS.unpack_from(raw, PROGRESS_AT)
    return Header(worker.rstrip(b"\0").decode(), number, begun_at, nonce, synced, latest_at, Link(line, digest))


def frame(kind: int, body: bytes, nonce: int) -> tuple[bytes, bytes]:
    """Return the word and the padded body of one record."""
    mark = len(body) | kind << 24
    padded = body + PADS[len(body) & 7]
    return WORD.pack(mark, crc32(padded, mark ^ nonce)), padded


class Segment:
    """A file of fixed size, mapped for writing. What is copied into the mapping survives the death of the process."""

    __slots__ = ("_fd", "map", "number", "path")

    def __init__(self, directory: Path, worker: str, number: int, size: int) -> None:
        """Allocate a new file. Raise OSError where the disk has no room: later writes find theirs reserved."""
        self.path = path = directory / f"{worker}-{number:08d}{SUFFIX}"
        self.number = number
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(self._fd, 0, size)
            self.map = mmap.mmap(self._fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            os.fsync(self._fd)
            sync_directory(path.parent)
        except BaseException:
            os.close(self._fd)
            with suppress(OSError):
                path.unlink()
            raise

    def begin(self, header: Header) -> None:
        """Write the header, its first word last: a segment is begun whole or not at all."""
        raw = pack_header(header)
        self.map[WORD_BYTES:HEADER_BYTES] = raw[WORD_BYTES:]
        self.map[:WORD_BYTES] = raw[:WORD_BYTES]

    def sync(self) -> None:
        """Return once the disk has all that was written. Lets go of the interpreter lock, as mmap.flush does not."""
        os.fdatasync(self._fd)

    def note(self, synced: int, latest_at: int) -> None:
        """Write down how far the disk is known to have the segment."""
        self.map[PROGRESS_AT:HEADER_BYTES] = _PROGRESS.pack(synced, latest_at)

    def seal(self, end: int, latest_at: int) -> None:
        """Give back the room after `end` and close. The disk has it all before the header says so."""
        self.sync()
        self.note(end, latest_at)
        self.map.close()
        os.ftruncate(self._fd, end)
        os.fsync(self._fd)
        self.abandon()

    def abandon(self) -> None:
        """Close the file as it is. Closing twice is nothing: the system may have given its number to another file."""
        self.map.close()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)

    def discard(self) -> None:
        """Remove the file of a segment that was never begun."""
        self.abandon()
        with suppress(OSError):
            self.path.unlink()


def sync_directory(directory: Path) -> None:
    """Return once the disk has the names in the directory."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def trim(path: Path) -> None:
    """Give back what a dead writer allocated and never wrote. No byte of a record is touched."""
    with path.open("r+b") as file:
        if file.read(2) == b"\x1f\x8b":
            return  # it is compressed, and so has nothing to give back
        end = size = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - (1 << 20))
            file.seek(start)
            written = len(file.read(end - start).rstrip(b"\0"))
            end = start + written
            if written:
                break
        if end == 0:
            path.unlink()
        elif -(-end // 8) * 8 < size:
            file.truncate(-(-end // 8) * 8)


def finish(path: Path, end: int, latest_at: int) -> None:
    """Close a dead writer's segment: cut it at `end`, and let its header say that it is whole up to there."""
    with path.open("r+b") as file:
        file.truncate(end)
        file.seek(PROGRESS_AT)
        file.write(_PROGRESS.pack(end, latest_at))
        file.flush()
        os.fsync(file.fileno())
