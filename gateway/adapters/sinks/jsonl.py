"""Decisions as lines of JSON: into a file that is rotated by size, or to standard output."""

import asyncio
import fcntl
import os
import select
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from gateway.adapters.sinks import SinkUnavailable
from gateway.core.decision import Document

_STEP: Final = 4096
"""What a pipe that is ready takes at once without blocking (PIPE_BUF)."""
_BACK: Final = 1 << 16


class LinesFile:
    """Appends to one file. Full, it becomes `<name>.1`, that one `<name>.2`; the oldest beyond `keep` is removed."""

    def __init__(self, path: Path, *, rotate_bytes: int = 256 << 20, keep: int = 10) -> None:
        if rotate_bytes < 1 or keep < 1:
            raise ValueError(f"rotate_bytes {rotate_bytes} and keep {keep} are 1 or more")
        self.name = f"sink {path}"
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        self._fd = -1
        self._one_at_a_time = threading.Lock()

    async def send(self, batch: Sequence[Document]) -> None:
        """Return once the lines are on the disk. Raise SinkUnavailable; then none of them is in the file."""
        await asyncio.to_thread(self._append, batch)

    async def close(self) -> None:
        """Let go of the file."""
        with self._one_at_a_time:
            self._leave()

    def _append(self, batch: Sequence[Document]) -> None:
        lines = _lines(batch)
        # A caller that was cancelled leaves its thread behind.
        with self._one_at_a_time:
            try:
                self._open()
                size = os.fstat(self._fd).st_size
                if size and size + len(lines) > self._rotate_bytes:
                    self._rotate()
                    self._open()
                    size = 0
                self._write(lines, size)
            except OSError as fault:
                self._leave()
                raise SinkUnavailable(f"{self.name}: {fault.strerror or fault}") from None

    def _write(self, lines: bytes, size: int) -> None:
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fdatasync(self._fd)
        except OSError:
            # What was written of the batch comes again with it.
            with suppress(OSError):
                os.ftruncate(self._fd, size)
            raise

    def _open(self) -> None:
        """Open the file, or the one that took its place after somebody renamed it."""
        if self._fd >= 0 and self._is_there():
            return
        self._leave()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._leave()
            raise SinkUnavailable(f"{self.name}: another process writes it; give each a file of its own") from None
        if not self._is_there():
            self._leave()
            raise SinkUnavailable(f"{self.name}: it was renamed at this moment")
        _cut_torn_line(self._fd)
        _sync_folder(self._path.parent)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), self._path.stat())
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        def numbered(number: int) -> Path:
            return self._path.with_name(f"{self._path.name}.{number}")

        for number in range(self._keep - 1, 0, -1):
            with suppress(FileNotFoundError):
                numbered(number).replace(numbered(number + 1))
        self._path.replace(numbered(1))
        self._leave()

    def _leave(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class LinesOut:
    """Writes to a file descriptor that others read, such as standard output, and never waits for them without end."""

    def __init__(self, fd: int = 1, *, within_s: float = 10) -> None:
        self.name = f"sink fd {fd}"
        self._fd = fd
        self._within_s = within_s
        self._owed = b""
        """The rest of a line that was begun: it is ended before anything else is written."""
        self._one_at_a_time = threading.Lock()

    async def send(self, batch: Sequence[Document]) -> None:
        """Return once the system has the lines. Raise SinkUnavailable where nobody reads them in time."""
        await asyncio.to_thread(self._write, batch)

    async def close(self) -> None:
        """Return: the descriptor belongs to somebody else."""

    def _write(self, batch: Sequence[Document]) -> None:
        with self._one_at_a_time:
            deadline = time.monotonic() + self._within_s
            text = self._owed + _lines(batch)
            rest = memoryview(text)
            ready = select.poll()
            ready.register(self._fd, select.POLLOUT)
            try:
                while rest:
                    if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                        raise SinkUnavailable(f"{self.name}: nobody read it for {self._within_s:g} s")
                    rest = rest[os.write(self._fd, rest[:_STEP]) :]
            except OSError as fault:
                raise SinkUnavailable(f"{self.name}: {fault.strerror}") from None
            finally:
                written = len(text) - len(rest)
                if written and text[written - 1 : written] != b"\n":
                    self._owed = text[written : text.index(b"\n", written) + 1]
                elif written:
                    self._owed = b""


def _lines(batch: Sequence[Document]) -> bytes:
    return b"".join(orjson.dumps(document) + b"\n" for document in batch)


def _cut_torn_line(fd: int) -> None:
    """Remove a last line without an end: a crash cut it, and its decision comes again."""
    end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - _BACK)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < os.fstat(fd).st_size:
        os.ftruncate(fd, end)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
