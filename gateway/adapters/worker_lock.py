"""One writer to a worker name, and what is done about dead ones."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.adapters.segment import SUFFIX, trim
from gateway.core.errors import JournalUnavailable

LOCK: Final = ".lock"
_PATIENCE_S: Final = 1.0
"""Longer than another process holds the lock to tidy up after a dead writer of that name."""


class WorkerLock:
    """The right to write segments under one worker name; the system takes it back when the process dies."""

    def __init__(self, directory: Path, worker: str) -> None:
        self.path = directory / f"{worker}{LOCK}"
        self._fd = -1

    def take(self, patience_s: float = _PATIENCE_S) -> None:
        """Take it. Raise JournalUnavailable where a living process has it, OSError where the folder cannot be used."""
        deadline = time.monotonic() + patience_s
        while not self._try():
            if time.monotonic() >= deadline:
                raise JournalUnavailable(
                    f"journal {self.path.parent}: worker name `{self.path.stem}` is taken by {self._holder()}; "
                    "give each process a name of its own"
                )
            time.sleep(0.02)

    def _try(self) -> bool:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        taken = False
        try:
            # Whoever had it may have removed the file between our opening and our locking it.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = os.path.samestat(os.fstat(fd), self.path.stat())
        except (BlockingIOError, FileNotFoundError):
            return False
        finally:
            if not taken:
                os.close(fd)
        if not taken:
            return False
        self._fd = fd
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        return True

    def _holder(self) -> str:
        with suppress(OSError):
            pid = self.path.read_text(encoding="ascii", errors="replace")[:20]
            if pid.isdigit():
                return f"process {pid}"
        return "another process"

    def release(self, *, unfinished: bool = False) -> None:
        """Give it back, and remove the file, unless there is something that the next start should tidy up."""
        if self._fd >= 0:
            with suppress(OSError):
                if not unfinished:
                    self.path.unlink()
            os.close(self._fd)
            self._fd = -1


def reclaim(directory: Path, tidy: Callable[[str], None] | None = None) -> None:
    """Tidy up after each dead writer, whose name is held meanwhile. Their records stay as they are.

    Without `tidy`, the room that they had allocated and not written is given back, and no more.
    """
    for path in directory.glob(f"*{LOCK}"):
        lock = WorkerLock(directory, path.stem)
        # What another user's process left behind is that user's to tidy.
        with suppress(JournalUnavailable, OSError):
            lock.take(patience_s=0)
            finished = False
            try:
                if tidy is not None:
                    tidy(path.stem)
                else:
                    for _, segment in segments_of(directory, path.stem):
                        trim(segment)
                finished = True
            finally:
                lock.release(unfinished=not finished)


def segments_of(directory: Path, worker: str) -> list[tuple[int, Path]]:
    """Return the worker's segment files with their numbers, in order."""
    files = [(path.stem[len(worker) + 1 :], path) for path in directory.glob(f"{worker}-*{SUFFIX}")]
    return sorted((int(number), path) for number, path in files if number.isdigit())
