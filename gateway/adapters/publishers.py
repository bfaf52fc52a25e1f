"""Several places that seals go to, each at its own pace: one that is away holds up neither others nor the journal."""

import fcntl
import os
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import orjson
import structlog

from gateway.adapters.publisher import FilePublisher, Publisher
from gateway.adapters.publisher_web import TimestampPublisher, WebhookPublisher, place_of
from gateway.adapters.seal_lines import SealFault, read_seal
from gateway.adapters.seals import files_of, last_line
from gateway.adapters.segment_files import is_written

log: Any = structlog.get_logger("gateway")

CLOSE_WITHIN_S: Final = 6.0
"""How long the end waits for what is owed: a little more than one try may take."""
STAMP_EVERY_S: Final = 600.0
"""How often seals are stamped. An authority is somebody else's machine, and a stamp takes 2 to 10 KB."""
MOST_OWED: Final = 64
"""Workers whose newest line may wait; what is beyond is found again at the next start."""
_PAUSES_S: Final = (1.0, 300.0)
_MOST_PROGRESS: Final = 1 << 20


class Place(Protocol):
    """Where seals shall go: one of `file`, `url` with `secret_file`, and `timestamp_url` is given."""

    @property
    def file(self) -> Path | None:
        """A file to append to."""

    @property
    def url(self) -> str | None:
        """An address to post to."""

    @property
    def secret_file(self) -> Path | None:
        """The file with the secret that signs what is posted."""

    @property
    def timestamp_url(self) -> str | None:
        """An authority that stamps them."""


class Target(NamedTuple):
    """One place."""

    name: str
    """What of it may be logged."""
    key: str
    """Names its progress; another place has another."""
    publisher: Publisher
    every_s: float = 0.0
    """How long it is left alone after each line, but for the last."""


def publishers_of(places: Iterable[Place], directory: Path) -> Publisher | None:
    """Return what publishes the seals of a journal's folder to all of the places; None where there are none.

    Raise JournalUnavailable where one cannot work.
    """
    targets = [_target(place, directory) for place in places]
    return ManyPublishers(directory, targets) if targets else None


def _target(place: Place, directory: Path) -> Target:
    if place.file is not None:
        return Target(str(place.file), _key(f"file {place.file}"), FilePublisher(place.file))
    if place.timestamp_url is not None:
        url = place.timestamp_url
        return Target(place_of(url), _key(f"stamp {url}"), TimestampPublisher(url, directory), STAMP_EVERY_S)
    if place.url is None or place.secret_file is None:
        raise ValueError("a place to publish to is a file, an address with a secret, or an authority's address")
    return Target(place_of(place.url), _key(f"url {place.url}"), WebhookPublisher(place.url, place.secret_file))


def _key(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


class ManyPublishers:
    """Publishes to several places, each in a thread of its own.

    What each one had is written down beside the seals, so that what was owed when a process ended, however it ended, is
    published by the next one in the folder. A newer line takes the place of an older one of the same worker that waits:
    it names it. At least once: a line may come twice.
    """

    def __init__(self, directory: Path, targets: Iterable[Target]) -> None:
        self._lanes = [_Lane(directory, target) for target in targets]

    def start(self) -> None:
        """Begin with what nobody published of workers that have ended."""
        for lane in self._lanes:
            lane.start()

    def publish(self, line: bytes) -> None:
        """Take the line and return at once."""
        for lane in self._lanes:
            lane.offer(line)

    def close(self) -> None:
        """Try once more what is owed, all places at once, within a bounded time."""
        for lane in self._lanes:
            lane.end()
        until = time.monotonic() + CLOSE_WITHIN_S
        for lane in self._lanes:
            lane.join(until - time.monotonic())


class _Lane:
    def __init__(self, directory: Path, target: Target) -> None:
        self._directory = directory
        self._target = target
        self._had = Had(directory, target.key)
        self._owed: dict[str, bytes] = {}
        self._changed = threading.Condition()
        self._ending = False
        self._failing = 0
        # A daemon: a disk or an address that never answers shall not keep the process from ending.
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"publish-{target.key[:6]}")

    def start(self) -> None:
        self._thread.start()

    def offer(self, line: bytes, *, newest: bool = True) -> None:
        """Owe the line, unless it is of a worker that something newer is owed of."""
        with suppress(SealFault), self._changed:
            worker = read_seal(line).worker
            if newest or worker not in self._owed:
                self._owed[worker] = line
                while len(self._owed) > MOST_OWED:
                    del self._owed[next(iter(self._owed))]
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def join(self, patience_s: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(max(0.0, patience_s))
        if self._owed:
            log.warning("journal:publishing_owed", where=self._target.name, workers=len(self._owed))

    def _run(self) -> None:
        with self._told():
            for line in self._had.left():
                self.offer(line, newest=False)
        pause_s = 0.0
        while self._wait(pause_s):
            with self._changed:
                lines = list(self._owed.values())
            last = self._ending
            done = not [line for line in lines if not self._publish(line)]
            if last:
                return
            self._failing = 0 if done else self._failing + 1
            pause_s = self._target.every_s if done else self._pause_s()

    def _wait(self, pause_s: float) -> bool:
        """Return once something is owed and the pause is over, or at the end; False where nothing is owed then."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending, pause_s)
            self._changed.wait_for(lambda: self._ending or self._owed)
            return bool(self._owed)

    def _publish(self, line: bytes) -> bool:
        seal = read_seal(line)
        done = False
        with self._told():
            self._target.publisher.publish(line)
            done = True
            self._had.note(seal.worker, seal.line)
        if done:
            with self._changed:
                if self._owed.get(seal.worker) is line:
                    del self._owed[seal.worker]
        return done

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Log what fails: nobody waits for it, and it is tried again."""
        try:
            yield
        except OSError as fault:
            log.warning("journal:not_published", where=self._target.name, fault=str(fault), times=self._failing + 1)
        except Exception:
            # A fault that nobody thought of must not end publishing.
            log.exception("journal:publishing_fault", where=self._target.name)

    def _pause_s(self) -> float:
        first, longest = _PAUSES_S
        most: float = min(longest, first * 2 ** min(self._failing - 1, 16))
        return most * random.uniform(0.5, 1)  # noqa: S311 - it spreads load and keeps no secret


class Had:
    """Which line of each worker a place had last: a small file in the journal's folder that all its processes share."""

    def __init__(self, directory: Path, key: str) -> None:
        self._directory = directory
        self._path = directory / f"published-{key}.json"

    def read(self) -> dict[str, int]:
        """Return the lines' numbers; nothing where there is nothing that can be read. Then all comes again."""
        try:
            with self._path.open("rb") as file:
                found = orjson.loads(file.read(_MOST_PROGRESS))
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {worker: line for worker, line in found.items() if isinstance(line, int)}

    def note(self, worker: str, line: int) -> None:
        """Write down that the place had this line. Workers that the folder has no more are forgotten. Raise OSError."""
        with self._path.with_suffix(".flock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            there = files_of(self._directory)
            had = {name: number for name, number in self.read().items() if name in there}
            had[worker] = max(line, had.get(worker, 0))
            beside = self._path.with_suffix(f".{os.getpid()}")
            beside.write_bytes(orjson.dumps(had))
            beside.replace(self._path)

    def left(self) -> Iterator[bytes]:
        """Yield the newest line of each worker that has ended and whose newest line the place did not have."""
        had = self.read()
        for worker, files in files_of(self._directory).items():
            if files.seals and not is_written(self._directory, worker):
                with suppress(FileNotFoundError, SealFault):
                    line = last_line(files.seals[max(files.seals)])
                    if line is not None and read_seal(line).line > had.get(worker, 0):
                        yield line
