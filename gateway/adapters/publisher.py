"""Where the newest seals go besides the journal's folder, so that a folder cut at its end is noticed."""

import os
from pathlib import Path
from typing import Protocol


class Publisher(Protocol):
    """Keeps seals out of reach of whoever can write the journal's folder."""

    def start(self) -> None:
        """Begin, once the journal's folder is there and what was left by dead writers is sealed."""

    def publish(self, line: bytes) -> None:
        """Take the newest line of one worker's seals, without its newline. Raise OSError: it is tried again, later.

        Called from a thread that seals, about once a minute while decisions come and once at the end. It must return
        within a bounded time.
        """

    def close(self) -> None:
        """Publish what is still owed, within a bounded time, and end."""


class FilePublisher:
    """Appends to a file, best on another machine's disk or one that only takes appends."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self) -> None:
        """Do nothing: each line opens the file anew."""

    def publish(self, line: bytes) -> None:
        """Append the line; the disk has it when this returns. Raise OSError."""
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # One write: lines of several workers never mix. A newline first ends what a full disk may have torn.
            if os.write(fd, b"\n" + line + b"\n") != len(line) + 2:
                raise OSError(f"{self._path}: no room for a whole line")
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Do nothing."""
