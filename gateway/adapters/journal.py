"""The journal: every decision in a mapped file before its reply leaves, and on the disk soon after.

What `append` copied survives the death of this process; what `durable` waited for survives the loss of power.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import structlog

from gateway.adapters.clock import SystemClock
from gateway.adapters.publisher import Publisher
from gateway.adapters.seal_lines import ABANDONED, CHECKPOINT, SEALED
from gateway.adapters.sealer import Piece, Sealer
from gateway.adapters.signing import Signer, signer_of
from gateway.adapters.tail import RETRY_S, Stretch, Tail
from gateway.adapters.worker_lock import WorkerLock, reclaim, segments_of
from gateway.core.errors import JournalUnavailable
from gateway.ports import Clock

log: Any = structlog.get_logger("gateway")

MiB: Final = 1 << 20
LEAST_SEGMENT: Final = 16 * 1024
MOST_SEGMENT: Final = 1 << 30
DURABLE_WITHIN_S: Final = 2.0
"""How long `durable` waits for the disk."""
CLOSE_WITHIN_S: Final = 5.0
"""How long `close` waits for it."""
SEAL_EVERY_S: Final = 1.0
"""How often what was written is sealed: what a forger could still change unseen is no older."""

_WORKER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z")


class FileJournal:
    """The journal of one process, in segments `<worker>-<number>.gwj` of one folder.

    `append` and the coroutines belong to the event loop's thread. Make one after forking, not before.
    """

    def __init__(
        self,
        directory: Path,
        *,
        worker: str,
        segment_bytes: int = 64 * MiB,
        sync_every_ms: float = 20,
        signer: Signer | None = None,
        publisher: Publisher | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Build.

        Args:
            directory: the folder; it is made by `start`.
            worker: 1 to 32 letters, digits, `-` and `_`; no other living process may have it.
            segment_bytes: how long a file is.
            sync_every_ms: how often the disk gets what nobody waits for.
            signer: the key that seals; without it, the folder's own, which `start` makes.
            publisher: where the newest seals go besides.
            clock: tells when a seal was made.

        Raise ValueError for what cannot work.
        """
        if not _WORKER.match(worker):
            raise ValueError(f"worker name `{worker}`: 1 to 32 letters, digits, `-` and `_`, such as `w0`")
        if not LEAST_SEGMENT <= segment_bytes <= MOST_SEGMENT:
            raise ValueError(f"segment_bytes is {segment_bytes}; it is {LEAST_SEGMENT} to {MOST_SEGMENT}")
        if sync_every_ms <= 0:
            raise ValueError(f"sync_every_ms is {sync_every_ms}; it is more than 0")
        self.directory = directory
        self.worker = worker
        self._sync_every_s = sync_every_ms / 1000
        self._threads = ThreadPoolExecutor(3, thread_name_prefix=f"journal-{worker}")
        self._lock = WorkerLock(directory, worker)
        self._tail = Tail(directory, worker, segment_bytes, self._threads)
        self.append = self._tail.append
        """The tail's own method: one call less on the path of every request."""
        self._signer = signer
        self._publisher = publisher
        self._now = (clock or SystemClock()).now
        self._sealer: Sealer | None = None
        self._unsealed: list[Piece] = []
        """Segments that are done and wait for their last line."""
        self._covered: Piece | None = None
        """What the disk has of the present segment."""
        self._sealed: Piece | None = None
        """What had its line last of that."""
        self._sealing: asyncio.Task[None] | None = None
        self._seal_at = 0.0
        self._synced = 0
        self._lost: deque[tuple[int, int]] = deque(maxlen=256)
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self._syncing: asyncio.Task[None] | None = None

    @property
    def unrecorded(self) -> int:
        """How many decisions could not be written since the start."""
        return self._tail.unrecorded

    @property
    def fault(self) -> str | None:
        """Why nothing can be written now; None where it can."""
        return self._tail.why_not()

    async def start(self) -> None:
        """Take the folder and allocate the first segment. Raise JournalUnavailable where that cannot be."""
        if self._syncing is not None:
            raise JournalUnavailable(f"{self._tail.name}: it was started before; make a new one")
        try:
            await asyncio.to_thread(self._prepare)
            await asyncio.wrap_future(self._tail.allocate())
        except OSError as fault:
            self._lock.release()
            raise JournalUnavailable(f"{self._tail.name}: {fault}") from None
        if self._publisher is not None:
            self._publisher.start()
        self._tail.fault = None
        self._syncing = asyncio.get_running_loop().create_task(self._keep_synced())

    async def close(self) -> None:
        """Put everything on the disk and let go of the folder. Raise JournalUnavailable where the disk fails."""
        if self._syncing is None or self._closing:
            return
        self._closing = True
        self._wake.set()
        lost = len(self._lost)
        finished = False
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._syncing
                left = self._tail.stop("it is closed", float("inf"))
                if left is not None:
                    self._tail.retired.append(left)
                await self._sync()
                await asyncio.to_thread(self._tail.discard_next, CLOSE_WITHIN_S)
                await self._seal_the_rest()
            finished = True
        except TimeoutError:
            raise JournalUnavailable(f"{self._tail.name}: the disk did not answer within {CLOSE_WITHIN_S} s") from None
        except OSError as fault:
            raise JournalUnavailable(f"{self._tail.name}: its end could not be sealed: {fault}") from None
        finally:
            self._lock.release(unfinished=not finished)
            self._threads.shutdown(wait=False)
            if self._publisher is not None:
                await asyncio.to_thread(self._publisher.close)
        if len(self._lost) > lost:
            raise JournalUnavailable(f"{self._tail.name}: the disk failed before it had everything")

    async def durable(self, position: int) -> None:
        """Return once everything up to `position` is on the disk. Raise JournalUnavailable after a bounded wait."""
        self._check_kept(position)
        if position <= self._synced:
            return
        if self._syncing is None or self._syncing.done():
            raise JournalUnavailable(
                f"{self._tail.name}: nothing can be made durable before its start and after its end"
            )
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = position
        self._wake.set()
        try:
            async with asyncio.timeout(DURABLE_WITHIN_S):
                await waiter
        except TimeoutError:
            raise JournalUnavailable(f"{self._tail.name}: not on the disk within {DURABLE_WITHIN_S} s") from None
        finally:
            del self._waiting[waiter]
        self._check_kept(position)

    def _check_kept(self, position: int) -> None:
        """Raise JournalUnavailable where the disk failed before it had `position`."""
        if any(after < position <= until for after, until in self._lost):
            raise JournalUnavailable(f"{self._tail.name}: the disk failed before it had the decision")

    def _prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._signer = signer_of(self.directory, self._signer)
        reclaim(self.directory, lambda worker: self._sealer_of(worker).recover())
        self._lock.take()
        self._sealer_of(self.worker).recover()
        self._sealer = self._sealer_of(self.worker)
        own = segments_of(self.directory, self.worker)
        self._tail.number = max(self._sealer.segment, own[-1][0] if own else 0)
        self._tail.link = self._sealer.link

    def _sealer_of(self, worker: str) -> Sealer:
        assert self._signer is not None
        return Sealer(self.directory, worker, signer=self._signer, now=self._now, publisher=self._publisher)

    async def _keep_synced(self) -> None:
        """Sync every so often, at once where somebody waits for it, and see to the next segment."""
        loop = asyncio.get_running_loop()
        allocate_at = 0.0
        while not self._closing:
            timer = loop.call_later(self._sync_every_s, self._wake.set)
            await self._wake.wait()
            timer.cancel()
            self._wake.clear()
            await self._sync()
            self._seal_soon()
            no_room = self._tail.no_room()
            if no_room is not None and time.monotonic() >= allocate_at:
                allocate_at = time.monotonic() + RETRY_S
                log.error("journal:no_room", journal=self._tail.name, fault=str(no_room))
                self._tail.allocate()

    async def _sync(self) -> None:
        """Put on the disk what was appended so far, and tell those who wait for it."""
        position, written = self._tail.position, self._tail.written
        if position == self._synced and not self._tail.retired:
            return
        full, self._tail.retired = self._tail.retired, []
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, _to_disk, full, written)
        except OSError as fault:
            self._fail(fault, full)
            return
        if written is not None:
            written.segment.note(written.end, written.latest_at)
        self._unsealed += [_piece(stretch, SEALED) for stretch in full]
        self._covered = None if written is None else _piece(written, CHECKPOINT)
        self._synced = position
        self._tell()

    def _fail(self, fault: OSError, full: Sequence[Stretch]) -> None:
        """Give up all since the last sync: after one that failed, the system calls pages clean that it lost."""
        left = self._tail.stop(f"the disk failed: {fault}", time.monotonic() + RETRY_S)
        for stretch in (*full, *self._tail.retired, *([] if left is None else [left])):
            stretch.segment.abandon()
            self._unsealed.append(_piece(stretch, ABANDONED))
        self._covered = None
        self._tail.retired = []
        self._lost.append((self._synced, self._tail.position))
        self._synced = self._tail.position
        log.error("journal:failed", journal=self._tail.name, fault=str(fault))
        self._tell()

    def _seal_soon(self) -> None:
        """Have what the disk has sealed, in a thread, where the last time is long enough ago."""
        now = time.monotonic()
        if now < self._seal_at or self._sealing is not None or self._sealer is None:
            return
        if self._unsealed or self._covered not in {None, self._sealed}:
            self._seal_at = now + SEAL_EVERY_S
            self._sealing = asyncio.get_running_loop().create_task(self._seal())

    async def _seal(self) -> None:
        """Seal what the disk has. What could not be is tried again."""
        assert self._sealer is not None
        full, written = list(self._unsealed), self._covered
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._sealer.seal, full, written)
        except OSError as fault:
            log.error("journal:not_sealed", journal=self._tail.name, fault=str(fault))  # noqa: TRY400 - the fault says it all
        else:
            del self._unsealed[: len(full)]
            self._sealed = written
            self._tail.link = self._sealer.link
        finally:
            self._sealing = None

    async def _seal_the_rest(self) -> None:
        """Seal all there is, at the end. Raise OSError."""
        assert self._sealer is not None
        if self._sealing is not None:
            await self._sealing
        threads, loop = self._threads, asyncio.get_running_loop()
        await loop.run_in_executor(threads, self._sealer.seal, self._unsealed, None)
        await loop.run_in_executor(threads, self._sealer.close)

    def _tell(self) -> None:
        for waiter, position in self._waiting.items():
            if position <= self._synced and not waiter.done():
                waiter.set_result(None)


def _to_disk(full: Sequence[Stretch], written: Stretch | None) -> None:
    for stretch in full:
        stretch.segment.seal(stretch.end, stretch.latest_at)
    if written is not None:
        written.segment.sync()


def _piece(stretch: Stretch, kind: str) -> Piece:
    return Piece(stretch.segment.path, stretch.segment.number, stretch.end, stretch.latest_at, kind)
