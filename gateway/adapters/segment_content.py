"""What a segment file holds, read by offset, whether the file is plain or compressed.

A compressed file is ordinary gzip (`gzip -dc` makes the plain one of it) in members of one block each, so that a byte
in the middle is read without what comes before it; the header is a block of its own. `docs/journal.md` has the layout.
"""

import os
import struct
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from gateway.adapters.segment import HEADER_BYTES, Header, HeaderFault, unpack_header

BLOCK: Final = 256 * 1024
"""Plain bytes of a member but the first, which has the header; the last one may have fewer."""

_MAGIC: Final = b"\x1f\x8b"
_FIXED: Final = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x10\0GW\x0c\0"
"""The same in each member: deflate, an extra field, no time, no system; the field's length, its name and size."""
_SIZES: Final = struct.Struct("<III")
"""Length of the deflated bytes, length of what they hold, CRC-32 of the deflated bytes."""
_TRAILER: Final = struct.Struct("<II")
_HEAD_BYTES: Final = len(_FIXED) + _SIZES.size
_MOST_DEFLATED: Final = BLOCK + BLOCK // 1000 + 64
_MOST_BLOCKS: Final = 1 << 14
_ENOUGH: Final = 512
"""More than the member of a header takes."""
_CACHED: Final = 9
"""Blocks that are held unpacked: the most that a reader goes back over, 1 MiB and two ends, with room to spare."""


class BlockFault(NamedTuple):
    """A place of a compressed file that is not as it was written."""

    at: int
    """The byte of the file where the member begins."""
    offset: int
    """Where what it holds begins in the segment."""
    length: int
    """How much of the segment cannot be had for it; 0 where all of it can."""
    what: str

    def touches(self, start: int, end: int) -> bool:
        """Return whether it is about some of this part of the segment."""
        return self.offset < end and self.offset + max(self.length, 1) > start

    def text(self) -> str:
        """Return it in words."""
        return f"byte {self.at} of the compressed file: {self.what}"


class Content(Protocol):
    """A segment's bytes. Never mapped: a file that is cut short under a mapping kills its reader."""

    faults: list[BlockFault]
    """What was found wrong with the file so far, beside its content. What could not be unpacked reads as zeros."""

    def read(self, length: int, offset: int) -> bytes:
        """Return up to so many bytes; fewer only at the end. Raise OSError."""

    def size(self) -> int:
        """Return how many bytes there are now."""

    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> Self:
        """Return it."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""


class _File:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.faults: list[BlockFault] = []

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PlainContent(_File):
    """A file as it was written, perhaps still being written."""

    def read(self, length: int, offset: int) -> bytes:
        """Return up to so many bytes."""
        return os.pread(self._fd, length, offset)

    def size(self) -> int:
        """Return how many bytes there are now."""
        return os.fstat(self._fd).st_size


class _Block(NamedTuple):
    at: int
    offset: int
    deflated: int
    plain: int
    check: int


class PackedContent(_File):
    """A compressed file. Holds a few unpacked blocks at a time."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._blocks: list[_Block] = []
        self._unpacked: OrderedDict[int, bytes] = OrderedDict()
        self._faulty: set[int] = set()
        self._size = 0
        self._find_blocks()
        self._offsets = [block.offset for block in self._blocks]

    def size(self) -> int:
        """Return how many bytes the members say they hold."""
        return self._size

    def read(self, length: int, offset: int) -> bytes:
        """Return up to so many bytes."""
        length = min(length, self._size - offset)
        if length <= 0:
            return b""
        number = bisect_right(self._offsets, offset) - 1
        begin = offset - self._blocks[number].offset
        parts = []
        wanted = begin + length
        while wanted > 0:
            part = self._block(number)
            parts.append(part)
            wanted -= len(part)
            number += 1
        return (parts[0] if len(parts) == 1 else b"".join(parts))[begin : begin + length]

    def _find_blocks(self) -> None:
        """Go from member to member by the lengths that each one says."""
        at, end = 0, os.fstat(self._fd).st_size
        while at < end:
            head = os.pread(self._fd, _HEAD_BYTES, at)
            deflated, plain, check = _SIZES.unpack_from(head.ljust(_HEAD_BYTES, b"\0"), len(_FIXED))
            # Only the last block may be shorter: else one altered length would move all that follows.
            first, short = not self._blocks, len(self._blocks) > 1 and self._blocks[-1].plain != BLOCK
            fits = plain == HEADER_BYTES if first else 0 < plain <= BLOCK and not short
            sound = head.startswith(_FIXED) and fits and deflated <= _MOST_DEFLATED
            following = at + _HEAD_BYTES + deflated + _TRAILER.size
            if not sound or following > end or len(self._blocks) == _MOST_BLOCKS:
                what = "the gzip members end here before the file does"
                if not sound and not head.startswith(_MAGIC):
                    what = "no gzip member begins here, where one should or the file should end"
                self.faults.append(BlockFault(at, self._size, 0, what))
                return
            self._blocks.append(_Block(at, self._size, deflated, plain, check))
            self._size += plain
            at = following

    def _block(self, number: int) -> bytes:
        found = self._unpacked.get(number)
        if found is not None:
            self._unpacked.move_to_end(number)
            return found
        block = self._blocks[number]
        raw = os.pread(self._fd, block.deflated + _TRAILER.size, block.at + _HEAD_BYTES)
        plain, what = _unpack(raw, block)
        if what is not None and number not in self._faulty:
            self._faulty.add(number)
            self.faults.append(BlockFault(block.at, block.offset, 0 if plain else block.plain, what))
        self._unpacked[number] = found = plain or bytes(block.plain)
        if len(self._unpacked) > _CACHED:
            self._unpacked.popitem(last=False)
        return found


def _unpack(raw: bytes, block: _Block) -> tuple[bytes, str | None]:
    """Return what a member holds, nothing where that cannot be said; and what is wrong with it."""
    deflated, trailer = raw[: block.deflated], raw[block.deflated :]
    try:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        # One more than there should be, so that a member that holds more is not taken for whole; never a bomb.
        plain = inflate.decompress(deflated, block.plain + 1)
    except zlib.error:
        return b"", "this gzip member cannot be unpacked"
    if not inflate.eof or inflate.unused_data or len(plain) != block.plain:
        return b"", "this gzip member does not hold as much as it says"
    if trailer != _TRAILER.pack(zlib.crc32(plain), len(plain)):
        return b"", "this gzip member does not agree with its checksum"
    if zlib.crc32(deflated) != block.check:
        return plain, "this gzip member was altered, and holds the same all the same"
    return plain, None


def pack_block(plain: bytes, level: int) -> bytes:
    """Return one member that holds the block."""
    pressed = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
    deflated = pressed.compress(plain) + pressed.flush()
    sizes = _SIZES.pack(len(deflated), len(plain), zlib.crc32(deflated))
    return b"".join((_FIXED, sizes, deflated, _TRAILER.pack(zlib.crc32(plain), len(plain))))


def blocks_of(size: int) -> Iterator[tuple[int, int]]:
    """Yield where each block of a segment begins, and its length."""
    yield 0, min(HEADER_BYTES, size)
    for offset in range(HEADER_BYTES, size, BLOCK):
        yield offset, min(BLOCK, size - offset)


def is_packed(path: Path) -> bool:
    """Return whether a segment file is compressed. Raise OSError."""
    with path.open("rb", buffering=0) as file:
        return file.read(len(_MAGIC)) == _MAGIC


def open_content(path: Path) -> PlainContent | PackedContent:
    """Return what a segment file holds, whichever way. Raise OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return PackedContent(fd) if os.pread(fd, len(_MAGIC), 0) == _MAGIC else PlainContent(fd)
    except BaseException:
        os.close(fd)
        raise


def header_in(content: Content) -> Header | None:
    """Return what the segment says of itself; None where it was allocated and not begun. Raise HeaderFault, OSError."""
    raw = content.read(HEADER_BYTES, 0)
    for fault in content.faults:
        if fault.offset < HEADER_BYTES and (fault.length or not raw):
            raise HeaderFault(fault.text())
    return unpack_header(raw)


class Begun(NamedTuple):
    """What the first bytes of a segment file say."""

    header: Header
    sealed: bool
    """Whether the writer closed it: nothing can be missing from its end unnoticed."""
    packed: bool


def read_begun(path: Path) -> Begun | None:
    """Return it after reading no more than those; None where the segment was not begun. Raise HeaderFault, OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        raw = os.pread(fd, _ENOUGH, 0)
        size = os.fstat(fd).st_size
    finally:
        os.close(fd)
    if not raw.startswith(_MAGIC):
        header = unpack_header(raw[:HEADER_BYTES])
        return None if header is None else Begun(header, header.synced == size, False)
    block = _Block(0, 0, *_SIZES.unpack_from(raw.ljust(_HEAD_BYTES, b"\0"), len(_FIXED)))
    plain: bytes = b""
    what: str | None = "no gzip member begins here, where one should"
    if raw.startswith(_FIXED) and block.plain == HEADER_BYTES:
        plain, what = _unpack(raw[_HEAD_BYTES : _HEAD_BYTES + block.deflated + _TRAILER.size], block)
    header = unpack_header(plain) if plain else None
    if header is None:
        raise HeaderFault(BlockFault(0, 0, HEADER_BYTES, what or "it is not begun").text())
    # Only what was sealed is ever compressed.
    return Begun(header, True, True)
