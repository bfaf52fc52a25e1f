"""Shipping: what the journal holds is taken into the archive, while it is written, and again until it is there."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

import structlog

from gateway.core.errors import GatewayError
from gateway.core.pseudonyms import Pseudonyms
from gateway.ports import Archive, Clock, Erasing, Keep, Stretch
from gateway.service.digested import digested

log: Any = structlog.get_logger("gateway")

SECOND: Final = 1_000_000
NOTED_EVERY_US: Final = SECOND
WARNED_EVERY_US: Final = 60 * SECOND
KEPT_EVERY_US: Final = 60 * SECOND
FORGOTTEN_EVERY_US: Final = 3600 * SECOND
ERASED_EVERY_US: Final = 86_400 * SECOND
WORKERS_EVERY_US: Final = 86_400 * SECOND
LAST_PASS_S: Final = 5.0
"""How long the pass after the end may take."""
TAKE_WITHIN_S: Final = 60.0
"""An archive that has not taken a stretch by then is away. It may have it nevertheless: taking it again is no harm."""


class Source(Protocol):
    """The journal that is shipped."""

    damaged: int

    def stretches(self, taken: Mapping[str, tuple[int, int]]) -> Iterator[Stretch]:
        """Yield what was not taken yet, bounded, oldest segments first."""

    def behind(self, taken: Mapping[str, tuple[int, int]]) -> tuple[int, int | None]:
        """Return how many bytes were not taken, and when the oldest decision among them was made."""


class Keeping(Protocol):
    """What removes segments that are shipped."""

    def remove(self, taken: Mapping[str, tuple[int, int]], now: int) -> list[Any]:
        """Remove what need not stay; return what was removed. Raise OSError."""

    def journal_bytes(self) -> int:
        """Return how much room the journal takes."""


class Terms(NamedTuple):
    """How shipping goes about it."""

    keep_us: Mapping[Keep, int] = MappingProxyType({})
    """How long the archive keeps the decisions of each class; for ever where a class is not in it."""
    keep_personal_us: int | None = None
    """After how long personal data is replaced by digests; None: not later, but before it is taken."""
    pseudonyms: Pseudonyms | None = None
    """What makes the digests; None where personal data stays as it is."""
    warn_behind_us: int = 60 * SECOND
    share: float = 1.0
    """The part of its time that shipping may work; less than all of it where it works beside requests."""
    again_s: float = 0.25
    """How long it waits once it has caught up."""
    back_off_s: tuple[float, float] = (0.5, 30.0)
    """The first and the longest wait for an archive that is away."""

    @property
    def erases_later(self) -> bool:
        """Whether personal data is taken as it is, and erased when it is so old."""
        return self.keep_personal_us is not None and self.pseudonyms is not None


_USUAL: Final = Terms()


class Progress(NamedTuple):
    """How far shipping is."""

    at: int
    """When this was so, microseconds since the epoch."""
    shipped: int
    """Decisions that were new to the archive since the start."""
    behind_bytes: int
    oldest: int | None
    """When the oldest decision that waits was made; None where none waits."""
    journal_bytes: int
    faults: int
    """How often the archive was away since the start."""
    damaged: int
    """How many places of the journal could not be read since the start."""
    removed: int
    """Segments that were removed since the start."""


class Shipping:
    """The loop. One runs on a journal at a time: whoever starts it sees to that."""

    def __init__(
        self,
        *,
        source: Source,
        keeping: Keeping,
        archive: Archive,
        clock: Clock,
        note: Callable[[Progress], None],
        terms: Terms = _USUAL,
        workers: Callable[[], Collection[str]] | None = None,
        carry: Callable[[Stretch], Awaitable[object]] | None = None,
    ) -> None:
        """`workers` returns those whose journal is there; without it the archive remembers every one there ever was."""
        self._source = source
        self._keeping = keeping
        self._archive = archive
        self._clock = clock
        self._note = note
        self._terms = terms
        self._workers = workers
        self._carry = carry
        self._taken: dict[str, tuple[int, int]] = {}
        self._opened = False
        self._sure = False
        """Whether `_taken` is what the archive says."""
        self._begun_at = clock.now()
        self._known = False
        self._shipped = self._faults = self._failing = self._removed = 0
        self._done_at: dict[str, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until `stop` is set, and then once more, within `LAST_PASS_S`. A fault never ends it."""
        while not stop.is_set():
            if await self._try(self._pass):
                await self._try(self._keep)
            pause_s = self._back_off_s() if self._failing else self._terms.again_s
            self._look_around()
            await _wait(stop, pause_s, self._look_around)
        try:
            async with asyncio.timeout(LAST_PASS_S):
                await self._try(self._pass)
        except TimeoutError:
            log.warning("gateway:shipping_cut_short", after_s=LAST_PASS_S)
        self._look_around(now=True)

    async def _pass(self) -> None:
        """Take all that is there, each stretch when the one before is taken."""
        if not self._opened:
            await self._archive.start()
            self._opened = True
        if not self._sure:
            self._taken = dict(await self._archive.taken())
            self._sure = self._known = True
        clock = asyncio.get_running_loop().time
        began = clock()
        for stretch in self._source.stretches(self._taken):
            if self._carry is not None:
                # Before anything of it becomes a digest: it is carried out on accounts.
                async with asyncio.timeout(TAKE_WITHIN_S):
                    await self._carry(stretch)
            pseudonyms = None if self._terms.erases_later else self._terms.pseudonyms
            taking = stretch if pseudonyms is None else digested(stretch, pseudonyms)
            async with asyncio.timeout(TAKE_WITHIN_S):
                self._shipped += await self._archive.take(taking)
            self._taken[stretch.worker] = (stretch.segment, stretch.end)
            self._look_around()
            await asyncio.sleep((clock() - began) * (1 / self._terms.share - 1))
            began = clock()

    async def _keep(self) -> None:
        """Remove what need not be kept: of the journal every minute, of the archive every hour or every day."""
        now, terms = self._clock.now(), self._terms
        if self._is_due("keep", KEPT_EVERY_US):
            self._removed += len(self._keeping.remove(self._taken, now))
        if terms.keep_us and self._is_due("forget", FORGOTTEN_EVERY_US):
            forgotten = await self._archive.forget({one: now - kept for one, kept in terms.keep_us.items()})
            if forgotten:
                log.info("archive:forgot", decisions=forgotten)
        if terms.erases_later and self._is_due("erase", ERASED_EVERY_US):
            await self._erase(now)
        if self._workers is not None and self._is_due("workers", WORKERS_EVERY_US):
            await self._archive.forget_workers(self._workers())

    async def _erase(self, now: int) -> None:
        keep_us, pseudonyms = self._terms.keep_personal_us, self._terms.pseudonyms
        if keep_us is not None and pseudonyms is not None:
            erased = await self._archive.erase(Erasing(before=now - keep_us), pseudonyms)
            if erased:
                log.info("archive:erased", decisions=erased)

    async def _try(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Return whether a step was done. After a fault the next one begins with what the archive says."""
        try:
            await step()
        except (GatewayError, OSError) as fault:
            self._failed(str(fault) or "the archive did not answer in time")
        except Exception as fault:
            # A fault that nobody thought of must not end shipping: the journal would fill the disk.
            log.exception("gateway:shipping_fault")
            self._failed(repr(fault))
        else:
            if self._failing:
                log.info("gateway:shipping_resumed", failed=self._failing)
            self._failing = 0
            return True
        return False

    def _failed(self, why: str) -> None:
        self._sure = False
        self._faults += 1
        self._failing += 1
        log.warning("gateway:shipping_failed", why=why, times=self._failing)

    def _back_off_s(self) -> float:
        """Return how long to wait for an archive that is away: longer each time, and never for all at once."""
        first, longest = self._terms.back_off_s
        most: float = min(longest, first * 2 ** min(self._failing - 1, 16))
        return most * random.uniform(0.5, 1)  # noqa: S311 - it spreads load and keeps no secret

    def _look_around(self, *, now: bool = False) -> None:
        """Say how far shipping is, every second."""
        if not self._is_due("note", NOTED_EVERY_US) and not now:
            return
        at = self._clock.now()
        try:
            # An archive that never answered has not said what it has: it is behind since this began.
            behind, oldest = self._source.behind(self._taken) if self._known else (0, self._begun_at)
            room = self._keeping.journal_bytes()
            self._note(
                Progress(at, self._shipped, behind, oldest, room, self._faults, self._source.damaged, self._removed)
            )
        except OSError as fault:
            log.warning("gateway:shipping_unnoted", why=str(fault))
            return
        lag_us = 0 if oldest is None else at - oldest
        if lag_us > self._terms.warn_behind_us:
            if self._is_due("warn", WARNED_EVERY_US):
                log.warning("gateway:shipping_behind", seconds=lag_us // SECOND, bytes=behind, journal_bytes=room)
        elif self._done_at.pop("warn", None) is not None:
            log.info("gateway:shipping_caught_up", seconds=lag_us // SECOND)

    def _is_due(self, what: str, every_us: int) -> bool:
        """Return whether this was not done for so long, and count it as done."""
        now = self._clock.now()
        if what in self._done_at and 0 <= now - self._done_at[what] < every_us:
            return False
        self._done_at[what] = now
        return True


async def _wait(stop: asyncio.Event, seconds: float, meanwhile: Callable[[], None]) -> None:
    """Return after so long, or once `stop` is set; `meanwhile` is called at least every second."""
    while seconds > 0 and not stop.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, 1.0)):
                await stop.wait()
        seconds -= 1.0
        meanwhile()
