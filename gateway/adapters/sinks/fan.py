"""Feeds one sink from the journal, at its own pace: a sink that is away holds up nobody and takes no memory."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import structlog

from gateway.adapters.archive.documents import archived_document
from gateway.adapters.sinks import Sink, SinkUnavailable
from gateway.adapters.sinks.progress import Place, Progress
from gateway.core.decision import Document
from gateway.core.errors import StoreUnavailable
from gateway.ports import Stretch

log: Any = structlog.get_logger("gateway")

Stretches = Callable[[Mapping[str, Place]], Iterable[Stretch]]
"""Returns what the journal holds after these places; called and read in one thread that belongs to the fan."""

Behind = Callable[[Mapping[str, Place]], tuple[int, int | None]]
"""Returns how many bytes the journal holds after these places, and when the oldest decision among them was made."""

_Result = TypeVar("_Result")

_FIELDS: Final = frozenset({"client_ip", "operation", "facts", "unknown", "bundle", "editions", "verdict", "reply"})
"""What every ruling has, and sinks rely on."""
_MOST_PAUSE_S: Final = 3600.0
_DOUBLINGS: Final = 16


class Pace(NamedTuple):
    """How much is sent at once, and how long is waited for what."""

    batch: int = 1000
    """Decisions in one batch at most; where the sink has fewer, they wait for `linger_s`."""
    linger_s: float = 1.0
    """How long decisions wait for others to go with."""
    buffer: int = 50_000
    """Decisions that may wait in memory, of all workers; a stretch that was read is kept whole."""
    idle_s: float = 0.5
    """How often the journal is read where it had nothing new."""
    send_s: float = 120.0
    """How long a sink may take over a batch."""
    pause_s: float = 0.5
    """The pause after a failure; each further one doubles it."""
    most_pause_s: float = 60.0
    """The longest pause, unless the sink itself asked for a longer one."""
    close_s: float = 5.0
    """How long the end waits for the last of the journal to be sent."""


PACE: Final = Pace()


class _Waiting:
    """What was read of one worker's journal and not sent yet."""

    def __init__(self, since: float) -> None:
        self.stretches: list[Stretch] = []
        self.since = since
        """When the first of it was read, by the loop's clock."""

    def __len__(self) -> int:
        return sum(len(stretch.decisions) for stretch in self.stretches)


class Fan:
    """Reads the journal on from where the sink has it, and sends each worker's decisions in their order.

    A batch is sent until the sink has taken it; only then does the progress move on, and only then is more of that
    worker sent. What is sent again after a crash begins where the batch began that was not known to have arrived.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        stretches: Stretches,
        progress: Progress,
        *,
        chance: Callable[[], float],
        pace: Pace = PACE,
        share: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """Build, without touching anything.

        Args:
            name: names the sink in events.
            sink: belongs to the fan from its start: it is closed with it.
            stretches: reads the journal, such as `Follower.stretches`; each fan needs one of its own.
            progress: a file that no other sink has.
            chance: returns a number in [0, 1), another each time: gateways that failed together do not return together.
            pace: sizes and times.
            share: returns what part of its time the fan's thread may work now, so that others have the rest.
        """
        self.name = name
        self.sent = 0
        """Decisions that the sink has taken since the start, repeats included."""
        self.batches = 0
        self.failures = 0
        """Attempts that the sink did not take."""
        self.unreadable = 0
        """Decisions that could not be written as documents; they are logged, and left out."""
        self.trouble: str | None = None
        """Why the last attempt failed; None where it did not."""
        self._sink = sink
        self._stretches = stretches
        self._progress = progress
        self._chance = chance
        self._pace = pace
        self._share = share
        self._sent_to: dict[str, Place] = {}
        self._read_to: dict[str, Place] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @property
    def buffered(self) -> int:
        """How many decisions wait in memory."""
        return sum(map(len, self._waiting.values()))

    @property
    def oldest_at(self) -> int | None:
        """When the oldest decision in memory was made, microseconds since the epoch; None where none waits."""
        firsts = (stretch.decisions[0].at for one in self._waiting.values() for stretch in one.stretches)
        return min(firsts, default=None)

    @property
    def sent_to(self) -> Mapping[str, Place]:
        """How far the sink has each worker's journal. Segments before that are not needed for it any more."""
        return dict(self._sent_to)

    async def behind(self, behind: Behind) -> tuple[int, int | None]:
        """Return what `behind` says of what the sink has not taken; it is asked in the fan's thread."""
        places = dict(self._sent_to)
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: behind(places))

    async def start(self) -> None:
        """Begin to feed. Raise SinkUnavailable where another process does, or the progress cannot be read."""
        if self._task is None:
            self._sent_to = await asyncio.to_thread(self._progress.take)
            self._read_to = dict(self._sent_to)
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sink-{self.name}")
            self._task = asyncio.get_running_loop().create_task(self._feed(), name=f"sink {self.name}")

    async def close(self) -> None:
        """Send what the journal has by now, once and within a bounded time, and let go.

        What was not taken comes again after a start.
        """
        task, self._task = self._task, None
        if task is None:
            return
        self._closing.set()
        await asyncio.wait((task,), timeout=self._pace.close_s)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if self._thread is not None:
            self._thread.shutdown(wait=False)
        self._progress.release()
        await self._sink.close()

    async def _feed(self) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                more = await self._round()
            except Exception as fault:  # noqa: BLE001 - whatever it is, feeding goes on when it has passed
                failures += 1
                await self._failed(fault, failures)
                continue
            failures = 0
            if not more:
                await self._pause(self._pace.idle_s)
        if not failures:
            await self._read_on()
        for worker in list(self._waiting):
            await self._send(worker)

    async def _round(self) -> bool:
        """Read on, send what is due; return whether there was anything to read."""
        more = await self._read_on()
        now = asyncio.get_running_loop().time()
        full = self.buffered >= self._pace.buffer
        for worker, waiting in list(self._waiting.items()):
            if full or len(waiting) >= self._pace.batch or now - waiting.since >= self._pace.linger_s:
                await self._send(worker)
        self._recovered()
        return more

    async def _read_on(self) -> bool:
        """Read as much as there is room for; return whether there was anything."""
        read = await self._in_thread(lambda: self._read(self._pace.buffer - self.buffered))
        for stretch in read:
            self._read_to[stretch.worker] = (stretch.segment, stretch.end)
            waiting = self._waiting.setdefault(stretch.worker, _Waiting(asyncio.get_running_loop().time()))
            if stretch.decisions:
                waiting.stretches.append(stretch)
        return bool(read)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        """Return what `work` does in the fan's thread; rest afterwards, where that may not work all the time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        done = await loop.run_in_executor(self._thread, work)
        if (share := self._share()) < 1 and not self._closing.is_set():
            await self._pause((loop.time() - began) * (1 / share - 1))
        return done

    def _read(self, room: int) -> list[Stretch]:
        """Return what the journal has, until it is as many decisions as there is room for."""
        read = []
        for stretch in self._stretches(dict(self._read_to)):
            read.append(stretch)
            room -= len(stretch.decisions)
            if room <= 0:
                break
        return read

    async def _send(self, worker: str) -> None:
        """Send all that waits of a worker, and note how far that is. Return early only where the end has come."""
        # In the fan's thread: thousands of documents take longer to make than a request may wait.
        batches = self._batches(self._waiting[worker].stretches)
        while (batch := await self._in_thread(lambda: next(batches, None))) is not None:
            if not await self._delivered(batch):
                return
        del self._waiting[worker]
        places = {**self._sent_to, worker: self._read_to[worker]}
        failures = 0
        while not self._closing.is_set() or not failures:
            try:
                await asyncio.to_thread(self._progress.save, places)
            except SinkUnavailable as fault:
                failures += 1
                await self._failed(fault, failures)
            else:
                self._sent_to = places
                return

    def _batches(self, stretches: list[Stretch]) -> Iterator[list[Document]]:
        """Yield what waits in batches that are cut at the same places whenever it is sent again."""
        batch: list[Document] = []
        for stretch in stretches:
            for decision in stretch.decisions:
                try:
                    batch.append(_whole(archived_document(stretch.rulings[decision.ruling], decision)))
                except (StoreUnavailable, KeyError) as fault:
                    self.unreadable += 1
                    log.warning("sink:unreadable", sink=self.name, id=str(UUID(bytes=decision.id)), why=str(fault))
                if len(batch) == self._pace.batch:
                    yield batch
                    batch = []
        if batch:
            yield batch

    async def _delivered(self, batch: list[Document]) -> bool:
        """Return whether the sink took the batch: it is asked until it does, or the end has come."""
        failures = 0
        while True:
            try:
                async with asyncio.timeout(self._pace.send_s):
                    await self._sink.send(batch)
            except Exception as fault:  # noqa: BLE001 - a sink that breaks is away: the batch waits
                failures += 1
                if self._closing.is_set():
                    return False
                await self._failed(fault, failures)
                continue
            self.sent += len(batch)
            self.batches += 1
            self._recovered()
            return True

    def _recovered(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            log.info("sink:back", sink=self.name)

    async def _failed(self, fault: Exception, failures: int) -> None:
        """Note a failure, and wait: twice as long each time, less up to half of it by chance."""
        self.failures += 1
        first, self.trouble = self.trouble is None, str(fault) or type(fault).__name__
        if first:
            log.warning("sink:away", sink=self.name, why=self.trouble)
        pause = min(self._pace.pause_s * 2 ** min(failures - 1, _DOUBLINGS), self._pace.most_pause_s)
        pause *= 1 - self._chance() / 2
        if isinstance(fault, SinkUnavailable) and fault.retry_after_s is not None:
            pause = max(pause, min(fault.retry_after_s, _MOST_PAUSE_S))
        await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        """Wait; less where the end comes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()


def _whole(document: Document) -> Document:
    """Return the document. Raise KeyError where its ruling was written by something that does not know the format.

    A sink that stumbles over it would be sent it again for ever.
    """
    if missing := _FIELDS - document.keys():
        raise KeyError(f"it has no {', '.join(sorted(missing))}")
    return document
