"""How far a sink was fed: a small file of its own, replaced whole, on the disk before it counts."""

import fcntl
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from gateway.adapters.sinks import SinkUnavailable

Place = tuple[int, int]
"""A segment of a worker's journal, and the offset in it."""

_MOST_BYTES: Final = 1 << 20


class Progress:
    """The file `<name>.json` of a folder, and the right to move it on: one process at a time has it."""

    def __init__(self, directory: Path, name: str, workers: Callable[[], Collection[str]] | None = None) -> None:
        """Build, without touching anything.

        Args:
            directory: is made where it is not there.
            name: of the sink.
            workers: returns whose journal is there; of all others nothing is remembered. None: everybody's.
        """
        self.path = directory / f"{name}.json"
        self._workers = workers
        self._lock = -1

    def take(self) -> dict[str, Place]:
        """Return how far each worker's journal was sent. Raise SinkUnavailable where another process feeds the sink."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            places = self._read()
            if self._workers is None:
                return places
            there = self._workers()
            return {worker: place for worker, place in places.items() if worker in there}
        except BlockingIOError:
            self.release()
            raise SinkUnavailable(f"{self.path}: another process feeds this sink") from None
        except OSError as fault:
            self.release()
            raise SinkUnavailable(f"{self.path}: {fault.strerror}") from None
        except SinkUnavailable:
            self.release()
            raise

    def save(self, places: Mapping[str, Place]) -> None:
        """Replace the file: after a loss of power it has the old content or the new. Raise SinkUnavailable."""
        fresh = self.path.with_suffix(".new")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor, opened for its owner alone
                file.write(orjson.dumps(dict(places)))
                file.flush()
                os.fsync(fd)
            fresh.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as fault:
            raise SinkUnavailable(f"{self.path}: {fault.strerror}") from None

    def release(self) -> None:
        """Let another process feed the sink."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            with suppress(OSError):
                os.close(lock)

    def _read(self) -> dict[str, Place]:
        try:
            with self.path.open("rb") as file:
                text = file.read(_MOST_BYTES)
        except FileNotFoundError:
            return {}
        try:
            places = {worker: (segment, offset) for worker, (segment, offset) in orjson.loads(text).items()}
        except (ValueError, TypeError, AttributeError):
            places = None
        if places is None or not all(type(number) is int and number >= 0 for at in places.values() for number in at):
            # Beginning anew would send the whole journal again; that is somebody's decision, not ours.
            raise SinkUnavailable(f"{self.path}: not what was written there; remove it to send the whole journal again")
        return places


def had_by_all(places: Iterable[Mapping[str, Place]]) -> dict[str, Place]:
    """Return how far everybody has each worker's journal: what may be removed where nobody is to have a gap.

    A worker of whom somebody has nothing is left out.
    """
    everybody = list(places)
    workers = set.intersection(*map(set, everybody)) if everybody else set()
    return {worker: min(one[worker] for one in everybody) for worker in sorted(workers)}
