"""The chain of signed lines beside each worker's segments: found, read, and added to."""

import errno
import fcntl
import os
import re
import sys
from array import array
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from gateway.adapters.seal_lines import (
    FINAL,
    MAX_LINE,
    START,
    Removal,
    Seal,
    SealFault,
    digest_of,
    pack,
    read_removal,
    read_seal,
)
from gateway.adapters.segment import DECISION, HEADER_BYTES, PROGRESS_AT, sync_directory
from gateway.adapters.segment import SUFFIX as SEGMENT
from gateway.adapters.segment_content import Content
from gateway.adapters.segment_reader import SegmentReader
from gateway.adapters.signing import Signer
from gateway.core.errors import JournalUnavailable

SUFFIX: Final = ".seals"
REMOVED: Final = "removed.seals"
"""The file of what was removed on purpose: a chain of its own, since no worker may be alive to say it."""

_STEP: Final = 1 << 20
_OWN_NAME: Final = re.compile(rf"(?P<worker>.+)-(?P<number>\d+)(?P<suffix>{re.escape(SEGMENT)}|{re.escape(SUFFIX)})")

Beside = Mapping[str, tuple[int, int, str]]
"""The newest line of other chains by name: its number, its last decision, its digest."""


class Head(NamedTuple):
    """Where a chain ends."""

    line: int = 0
    digest: str = START
    segment: int = 0
    end: int = 0
    last: int = 0
    latest: int = -(1 << 63)
    final: bool = True


def measure(content: Content, start: int, end: int) -> tuple[str, int]:
    """Return the digest of a stretch of a segment and the number of decisions in it; a record begins at `start`.

    The work is reading and SHA-256, both without the interpreter lock, and one short step for each record.
    """
    digest = sha256()
    offset = start
    if start < HEADER_BYTES:
        digest.update(content.read(min(end, PROGRESS_AT), 0))
        offset = HEADER_BYTES
    record, decisions = offset, 0
    while offset < end and (chunk := content.read(min(_STEP, end - offset), offset)):
        digest.update(chunk)
        found, record = _walk(chunk, offset, record)
        decisions += found
        offset += len(chunk)
    return digest.hexdigest(), decisions


def _walk(chunk: bytes, offset: int, record: int) -> tuple[int, int]:
    """Return how many decisions begin in the chunk at `offset`, and where the first record behind it begins."""
    words = array("I", chunk[: len(chunk) & ~3])
    if sys.byteorder == "big":
        words.byteswap()
    at, stop = record - offset >> 2, len(words)
    found = 0
    while at < stop:
        mark = words[at]
        if mark >> 24 == DECISION:
            found += 1
        at += 4 + ((mark & 0xFFFFF8) >> 2)
    return found, offset + (at << 2)


class Chain:
    """The end of one worker's chain, to add to it. Whoever has one holds the worker's lock."""

    def __init__(self, directory: Path, worker: str, signer: Signer) -> None:
        """Find the end. Raise OSError where the folder cannot be read."""
        self.head = read_head(directory, worker)
        self.newest = b""
        """The line that was added last."""
        self._directory = directory
        self._worker = worker
        self._signer = signer
        self._file: LineFile | None = None
        self._number = 0

    def add(
        self,
        kind: str,
        segment: int,
        stretch: tuple[int, int, str, int],
        latest: int,
        at: int,
        *,
        reclaimed: bool = False,
        beside: Beside | None = None,
    ) -> None:
        """Add a line for a stretch (start, end, digest, decisions). The disk then has it. Raise OSError."""
        start, end, digest, decisions = stretch
        head = self.head
        seal = Seal(
            *(self._worker, head.line + 1, kind, segment, start, end, head.last + 1, head.last + decisions, latest),
            *(digest, head.digest, at, self._signer.key_id, reclaimed, beside or {}),
        )
        raw = pack(seal, self._signer)
        if self._file is None or self._number != segment:
            self.close()
            self._file = LineFile(seals_path(self._directory, self._worker, segment))
            self._number = segment
        self._file.add(raw)
        self.newest = raw
        self.head = _head(seal, raw)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class LineFile:
    """A file of lines, opened to be added to. A line that was torn when its writer died is taken away."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(self._fd).st_size
            if size == 0:
                sync_directory(path.parent)
            back = max(0, size - MAX_LINE)
            self._size = back + os.pread(self._fd, size - back, back).rfind(b"\n") + 1
            if self._size < size:
                os.ftruncate(self._fd, self._size)
        except BaseException:
            self.close()
            raise

    def add(self, raw: bytes) -> None:
        """Add a line, whole or not at all. Raise OSError."""
        content = raw + b"\n"
        whole = False
        try:
            whole = os.write(self._fd, content) == len(content)
            os.fsync(self._fd)
        except OSError:
            whole = False
            raise
        finally:
            if not whole:
                os.ftruncate(self._fd, self._size)
        if not whole:
            raise OSError(errno.ENOSPC, "no room for a whole line")
        self._size += len(content)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def seals_path(directory: Path, worker: str, number: int) -> Path:
    """Return where the lines about a segment stand."""
    return directory / f"{worker}-{number:08d}{SUFFIX}"


class Files(NamedTuple):
    """What a folder has of one worker, by number."""

    segments: dict[int, Path]
    seals: dict[int, Path]


def files_of(directory: Path) -> dict[str, Files]:
    """Return the segments and the seals of every worker in the folder."""
    found: dict[str, Files] = {}
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        parts = _OWN_NAME.fullmatch(name)
        if parts is not None:
            files = found.setdefault(parts["worker"], Files({}, {}))
            kind = files.segments if parts["suffix"] == SEGMENT else files.seals
            kind[int(parts["number"])] = directory / name
    return found


def read_lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Yield each line of a file and whether it is whole; none is longer than can be held."""
    with path.open("rb") as file:
        while raw := file.readline(MAX_LINE):
            yield raw.removesuffix(b"\n"), raw.endswith(b"\n")


def last_line(path: Path, *, durable: bool = False) -> bytes | None:
    """Return the last whole line of a file, which the disk then has if it is to be `durable`; None where none is."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * MAX_LINE))
        lines = file.read().split(b"\n")[:-1]
        if durable:
            os.fsync(file.fileno())
    return lines[-1] if lines else None


def read_head(directory: Path, worker: str) -> Head:
    """Return where the chain of a worker ends, past what was removed on purpose."""
    head = Head()
    for one in removals(directory):
        if one.worker == worker and one.segments[1] >= head.segment:
            line, digest, last = (head.line, head.digest, head.last)
            if one.lines[1] > line:
                line, digest, last = one.lines[1], one.seal, one.last
            head = Head(line, digest, one.segments[1], last=last)
    files = files_of(directory).get(worker, Files({}, {}))
    for number in sorted(files.seals, reverse=True):
        if number <= head.segment:
            break
        found = _head_of(files.seals[number])
        if found is not None:
            return found
    return head


def heads(directory: Path, but: str, most: int = 16) -> Beside:
    """Return the newest line of each other chain of the folder, of the `most` that were written last."""
    newest = [(name, files.seals[max(files.seals)]) for name, files in files_of(directory).items() if files.seals]
    found = []
    for name, path in (*newest, (REMOVED, directory / REMOVED)):
        if name != but:
            with suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, name, path))
    beside: dict[str, tuple[int, int, str]] = {}
    for _, name, path in sorted(found, reverse=True)[:most]:
        with suppress(FileNotFoundError, SealFault):
            # Durable first: a loss of power may not take what another chain names.
            raw = last_line(path, durable=True)
            if raw is not None:
                line = read_removal(raw) if name == REMOVED else read_seal(raw)
                beside[name] = (line.line, line.last, digest_of(raw))
    return beside


def removals(directory: Path) -> list[Removal]:
    """Return what was removed on purpose, as it was noted; lines that cannot be read are left out."""
    found = []
    with suppress(FileNotFoundError):
        for raw, _ in read_lines(directory / REMOVED):
            with suppress(SealFault):
                found.append(read_removal(raw))
    return found


def note_removed(
    directory: Path, worker: str, segments: tuple[int, int], *, signer: Signer, at: int, why: str
) -> list[Path]:
    """Write down, signed, that these segments (first, last) are about to be removed; return the files to unlink.

    To be called before anything is unlinked. Raise JournalUnavailable where one of them is not sealed or its seals
    cannot be read, OSError where the note cannot be written.
    """
    files = files_of(directory).get(worker, Files({}, {}))
    chosen = [number for number in sorted({*files.segments, *files.seals}) if segments[0] <= number <= segments[1]]
    lines, span, digest = (1, 0), (1, 0), START
    for number in chosen:
        if number in files.seals:
            opening, _ = _line_of(next(read_lines(files.seals[number]), (b"", True))[0], files.seals[number])
            closing, digest = _line_of(last_line(files.seals[number]) or b"", files.seals[number])
            sealed = closing.kind in FINAL
            lines = (opening.line if lines == (1, 0) else lines[0], closing.line)
            span = (opening.first if span == (1, 0) else span[0], closing.last)
        else:
            with SegmentReader(files.segments[number]) as segment:
                sealed = segment.sealed
        if not sealed:
            name = f"{worker}-{number:08d}"
            raise JournalUnavailable(f"journal {directory}: {name} is not sealed; only what is may be removed")
    path = directory / REMOVED
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = LineFile(path)
        try:
            raw = last_line(path)
            line, previous = (1, START) if raw is None else (_note_of(raw, path).line + 1, digest_of(raw))
            note = Removal(line, worker, segments, lines, *span, digest, why[:200], previous, at, signer.key_id)
            file.add(pack(note, signer))
        finally:
            file.close()
    return [kind[number] for number in chosen for kind in files if number in kind]


def _note_of(raw: bytes, path: Path) -> Removal:
    try:
        return read_removal(raw)
    except SealFault as fault:
        raise JournalUnavailable(f"{path}: {fault}; verify the journal before anything of it is removed") from None


def _line_of(raw: bytes, path: Path) -> tuple[Seal, str]:
    try:
        return read_seal(raw), digest_of(raw)
    except SealFault as fault:
        raise JournalUnavailable(f"{path}: {fault}; verify the journal before anything of it is removed") from None


def _head(seal: Seal, raw: bytes) -> Head:
    final = seal.kind in FINAL
    return Head(seal.line, digest_of(raw), seal.segment, seal.end, seal.last, seal.latest, final)


def _head_of(path: Path) -> Head | None:
    """Return where a file of seals ends. Behind lines that somebody altered, the chain goes on all the same."""
    newest = last_line(path)
    if newest is None:
        return None
    with suppress(SealFault):
        return _head(read_seal(newest), newest)
    head, strangers = Head(), 0
    for raw, whole in read_lines(path):
        with suppress(SealFault):
            head, strangers = _head(read_seal(raw), raw), -1
        strangers += whole
    return head._replace(line=head.line + strangers, digest=digest_of(newest))
