"""Sealed segments that were shipped, made smaller in their place."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from gateway.adapters.segment import HeaderFault, sync_directory
from gateway.adapters.segment_content import Content, blocks_of, header_in, is_packed, open_content, pack_block
from gateway.adapters.segment_files import SegmentFile, Taken, segment_files
from gateway.core.errors import JournalUnavailable

log: Any = structlog.get_logger("gateway")

LEVEL: Final = 4
"""Of 1 to 9, by measurement; the figures are in `docs/journal.md`."""
_UNFINISHED: Final = ".packing"


class Packed(NamedTuple):
    """What one pass did."""

    segments: int = 0
    before: int = 0
    """How many bytes the files had."""
    after: int = 0
    left: int = 0
    """How many could be compressed and were not for want of time."""


def compress(path: Path, level: int = LEVEL) -> Path:
    """Compress a sealed segment in its place; return its path. One that is compressed already stays as it is.

    The compressed file takes the name in one step, once the disk has it and what it holds was compared byte for byte:
    whoever reads finds the one or the other, also after a crash. Raise JournalUnavailable where the segment is not
    sealed or what was written cannot be read back, OSError where the folder cannot be used or the segment is gone.
    """
    if is_packed(path):
        return path
    # A name of this process's own: another one that took over shipping may do the same meanwhile.
    beside = path.with_suffix(f".{os.getpid()}{_UNFINISHED}")
    found = path.stat()
    try:
        with open_content(path) as plain:
            try:
                header = header_in(plain)
            except HeaderFault as fault:
                raise JournalUnavailable(f"{path}: {fault}; it is not compressed") from None
            if header is None or header.synced != plain.size():
                raise JournalUnavailable(f"{path}: it is not sealed; only what is may be compressed")
            fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                for offset, length in blocks_of(header.synced):
                    file.write(pack_block(plain.read(length, offset), level))
                file.flush()
                os.fsync(fd)
            with open_content(beside) as packed:
                if not _same(plain, packed, header.synced):
                    raise JournalUnavailable(f"{path}: what was compressed does not read as it was written; it stays")
        if not os.path.samestat(found, path.stat()):
            raise FileNotFoundError(f"{path} was replaced meanwhile")
        beside.replace(path)
        sync_directory(path.parent)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    return path


def compress_shipped(
    directory: Path, had: Taken, budget_s: float, *, stop: Callable[[], bool] = lambda: False
) -> Packed:
    """Compress what was shipped, the oldest first; return what was done. Raise OSError where the folder cannot be read.

    Blocks: at 64 MiB a segment takes a second or two, most of it without the interpreter lock. To be called by whoever
    holds the right to ship, from a thread, and not beside itself.

    Args:
        directory: the journal's folder.
        had: how far each worker's journal was taken.
        budget_s: no segment is begun once so much time is used.
        stop: asked before each segment.
    """
    for unfinished in directory.glob(f"*{_UNFINISHED}"):
        unfinished.unlink(missing_ok=True)
    until = time.monotonic() + budget_s
    done = Packed()
    for file in _shipped_plain(directory, had):
        if time.monotonic() >= until or stop():
            done = done._replace(left=done.left + 1)
            continue
        try:
            before = file.path.stat().st_size
            after = compress(file.path).stat().st_size
        except FileNotFoundError:
            continue
        except JournalUnavailable as fault:
            log.warning("journal:not_compressed", what=str(fault))
            continue
        done = Packed(done.segments + 1, done.before + before, done.after + after, done.left)
    if done.segments:
        log.info("journal:compressed", segments=done.segments, before=done.before, after=done.after, left=done.left)
    return done


def _shipped_plain(directory: Path, had: Taken) -> Iterator[SegmentFile]:
    """Yield the sealed segments that were taken and are not compressed, the oldest first."""
    for file in segment_files(directory, {}, lambda _: None):
        number, _ = had.get(file.worker, (-1, 0))
        if file.finished and file.sealed and not file.packed and file.number <= number:
            yield file


def _same(plain: Content, packed: Content, size: int) -> bool:
    """Return whether both hold the same, and the compressed file is as it should be."""
    same = all(plain.read(length, offset) == packed.read(length, offset) for offset, length in blocks_of(size))
    return same and packed.size() == size and not packed.faults
