"""A Redis that is asked while it answers, and left alone while it does not."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, Final

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import ClusterDownError, NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from gateway.adapters.redis.place import Client, Place, client_of, closed

log: Any = structlog.get_logger("gateway")

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
ASKED_EVERY_S: Final = 1.0
"""How often it is asked whether it is still there."""
LASTS_S: Final = 10.0
"""How long it must have answered for the pauses to begin anew: one that comes and goes is asked ever more seldom."""
_TOLD_EVERY_S: Final = 0.2
_BUCKETS_MS: Final = (0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000)


class Away(Exception):
    """It does not answer, or was not asked. Whoever hears this does without."""


class Unanswerable(Exception):
    """It answered that it cannot do this: what lies there is of another kind, or not ours to touch."""


class Latency:
    """How long commands took, in buckets."""

    def __init__(self) -> None:
        self.counts = [0] * (len(_BUCKETS_MS) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one command."""
        self.sum_s += seconds
        self.counts[next((at for at, most in enumerate(_BUCKETS_MS) if seconds * 1000 <= most), -1)] += 1

    def buckets(self) -> list[tuple[str, float]]:
        """Return how many took at most so many seconds, as Prometheus has it."""
        total, found = 0, []
        for most, count in zip((*(f"{ms / 1000:g}" for ms in _BUCKETS_MS), "+Inf"), self.counts, strict=True):
            total += count
            found.append((most, float(total)))
        return found


class Link:
    """Belongs to one event loop. A fault of any command ends the connections; a task of its own makes them again.

    So a Redis that is away costs those who are waiting for it one bounded wait each, and everybody after them nothing.
    """

    def __init__(self, place: Place, *, chance: Callable[[], float]) -> None:
        """Build. `chance` returns a number in `[0, 1)`, so that many gateways do not come back all at once."""
        self.place = place
        self.latency = Latency()
        self.faults = 0
        """How often it was lost, or could not be reached."""
        self._chance = chance
        self._client: Client | None = None
        self._lost = asyncio.Event()
        self._found = asyncio.Event()
        self._room = asyncio.Semaphore(place.connections)
        self._said: str | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether it answered last."""
        return self._client is not None

    async def start(self) -> None:
        """Begin to look for it. Nobody waits until it is found."""
        if self._keeping is None:
            self._keeping = asyncio.get_running_loop().create_task(self._keep(), name="redis-link")

    async def close(self) -> None:
        """Let go of it."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            await end([keeping])

    async def ask(self, *command: Any) -> Any:  # noqa: ANN401 - whatever the command answers
        """Return the answer to a command. Raise Away within a bounded time, Unanswerable where it says no."""
        client = self._client
        if client is None:
            raise Away
        begun = perf_counter()
        try:
            async with asyncio.timeout(self.place.within_s), self._room:
                # Lost while this waited for its turn: then it is not asked a second time.
                answer = await client.execute_command(*command) if self._client is client else None
        except (ReadOnlyError, ClusterDownError) as fault:
            # It became a replica, or the cluster has no one for this key: others may answer by now.
            self._lose(client, fault)
            raise Away from fault
        except (ResponseError, NoPermissionError, OutOfMemoryError) as fault:
            raise Unanswerable(str(fault)) from fault
        except Exception as fault:
            # Whatever else a client of it can raise: nobody who asks may suffer from it.
            self._lose(client, fault)
            raise Away from fault
        if self._client is not client:
            raise Away
        self.latency.observe(perf_counter() - begun)
        return answer

    async def subscription(self, channel: str) -> PubSub:
        """Return what hears a channel, once it is there. Raise Away where it went again."""
        await self._found.wait()
        client = self._client
        if client is None:
            raise Away
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        try:
            async with asyncio.timeout(self.place.connect_within_s):
                await pubsub.subscribe(channel)
        except BaseException as fault:
            await let_go(pubsub)
            if not isinstance(fault, Exception):
                raise
            raise Away from fault
        return pubsub

    def _lose(self, client: Client, fault: BaseException) -> None:
        if self._client is client:
            self._client = None
            self._found.clear()
            self._lost.set()
            self._say(fault)

    def _say(self, fault: BaseException) -> None:
        """Count a fault, and log the first of several."""
        self.faults += 1
        if self._said is None:
            self._said = f"{type(fault).__name__}: {fault}"[:300]
            log.warning("redis:lost", place=self.place.name, why=self._said)

    async def _keep(self) -> None:
        """Connect, stay until it is lost, and begin again; never ends."""
        now = asyncio.get_running_loop().time
        pause = FIRST_PAUSE_S
        while True:
            client: Client | None = None
            found_at = now()
            try:
                client = await asyncio.to_thread(client_of, self.place)
                async with asyncio.timeout(self.place.connect_within_s):
                    await client.execute_command("PING")
                if self._said is not None:
                    log.info("redis:found", place=self.place.name)
                    self._said = None
                self._lost.clear()
                self._client = client
                self._found.set()
                await self._stay()
            except Exception as fault:  # noqa: BLE001 - whatever it is, it is tried again
                self._say(fault)
            finally:
                self._client = None
                self._found.clear()
                if client is not None:
                    await closed(client)
            if now() - found_at > LASTS_S:
                pause = FIRST_PAUSE_S
            await asyncio.sleep(pause * (0.5 + 0.5 * self._chance()))
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _stay(self) -> None:
        """Ask every so often whether it is there, until it is not."""
        while not self._lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(ASKED_EVERY_S):
                    await self._lost.wait()
                    return
            with suppress(Away):
                await self.ask("PING")


async def let_go(pubsub: PubSub) -> None:
    """Close what listens."""
    with suppress(Exception):
        await pubsub.aclose()  # type: ignore[no-untyped-call]  # untyped in the library


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Return once the tasks are over, told as often as it takes: the client's library loses a cancellation at times."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_TOLD_EVERY_S)
