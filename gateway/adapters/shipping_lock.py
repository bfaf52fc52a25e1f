"""The right to ship one folder's journal: one process at a time has it, and its death gives it back."""

import fcntl
import os
from pathlib import Path
from typing import Final

_NAME: Final = "shipping.flock"


class ShippingLock:
    """A lock on a file that stays, so that whoever opens it locks the same file."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / _NAME
        self._fd = -1

    def take(self) -> bool:
        """Return whether it could be had; it lasts until `release` or the end of the process. Raise OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return True

    def release(self) -> None:
        """Give it back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
