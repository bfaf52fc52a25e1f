"""Noticing that the store changed, whoever changed it."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

import structlog

from gateway.core.errors import StoreUnavailable
from gateway.ports import MICROSECONDS, Clock

log: Any = structlog.get_logger("gateway")

RELIED_ON_US: Final = MICROSECONDS
"""How long after the last successful look `generation` may be relied on."""
NAMED: Final = 4096
"""Changes between two looks of which each is named; of more, any account may be meant."""
_AHEAD_US: Final = 60 * MICROSECONDS
"""How much older than the last look a request may be that is still on its way. More is a clock that was set back."""
_REMEMBERED: Final = 65_536


class Seen(NamedTuple):
    """What one look at the store found; two that differ mean a change."""

    connection: int
    """Which of the feed's connections saw it."""
    changes: int
    """How often what is remembered of accounts was changed, by anybody, as the store's triggers count it."""
    ends: int | None
    """When the next hold ends by itself."""
    version: int
    """A number that differs whenever anything in the store does."""

    def can_name_since(self, before: "Seen") -> bool:
        """Return whether the store can say whose each change since `before` was."""
        return before.connection == self.connection and 0 <= self.changes - before.changes <= NAMED


class Look(NamedTuple):
    """What a look found, and whose accounts changed since the one before."""

    seen: Seen
    whose: frozenset[str]
    """Empty where that cannot be said of all."""


class Heard(NamedTuple):
    """What one look vouches for.

    What was read of an account in one statement together with this number, or a later one, holds for as long as
    `changed_at` of that account is not after this generation.
    """

    number: int
    """How many changes the store had counted."""
    generation: int
    """The feed's before the look: every change that it had counted by then is among those of the store."""
    since: int
    """When the first look on the same connection began: from another, numbers may be those of another past."""


class Watch(Protocol):
    """What looks at one store, on a connection of its own."""

    @property
    def name(self) -> str:
        """What people call the store."""

    async def observe(self, now: int, before: Seen | None, looked_at: int) -> Look:
        """Return what the store holds now, and whose accounts changed since `before`, which was seen at `looked_at`.

        Raise StoreUnavailable within a bounded time.
        """

    async def wait(self, seconds: float) -> None:
        """Return after so long, or as soon as the store says that something changed."""

    async def close(self) -> None:
        """Let go of the store."""


class ChangeFeed:
    """Looks at the store every so often. Belongs to the event loop's thread."""

    def __init__(self, watch: Watch, clock: Clock, every_s: float) -> None:
        self.generation = 0
        """A number that changes whenever what is remembered of accounts changed, as far as is known."""
        self.commits = 0
        """A number that changes whenever anything in the store did: an event that was taken, a message delivered."""
        self.on_look: Callable[[Heard], object] = _nobody
        """Told what each look vouches for."""
        self.on_own_change: Callable[[], object] = _nobody
        """Told whenever this process committed something."""
        self._watch = watch
        self._clock = clock
        self._every_s = every_s
        self._changed: dict[str, int] = {}
        """The generation that the latest change of each account made, of those that changed since `_all`."""
        self._all = 0
        """The generation of the latest change that may have been of any account."""
        self._heard_at: int | None = None
        self._looked_at = 0
        self._since = 0
        self._seen: Seen | None = None
        self._fault: str | None = None
        self._looking = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    def fresh(self, at: int) -> bool:
        """Return whether the store was heard from recently enough at `at` to rely on `generation`."""
        heard_at = self._heard_at
        return heard_at is not None and -_AHEAD_US <= at - heard_at <= RELIED_ON_US

    def changed_at(self, uid: str | None) -> int:
        """Return the `generation` that the latest change made which may have been of this account."""
        return self._all if uid is None else self._changed.get(uid, self._all)

    def bump(self, uid: str | None = None) -> None:
        """Count a change of accounts that this process made itself, without waiting to see it. None: of any."""
        self._count(() if uid is None else (uid,))
        self.bump_commits()

    def bump_commits(self) -> None:
        """Count a commit of this process that left the accounts as they were."""
        self.commits += 1
        self.on_own_change()

    async def start(self) -> None:
        """Look once, and go on looking. Raise StoreUnavailable where the store cannot be read."""
        if self._watching is None:
            await self.look()
            self._watching = asyncio.get_running_loop().create_task(self._keep_looking())

    async def close(self) -> None:
        """Stop looking."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        self._heard_at = None
        await self._watch.close()

    async def look(self) -> None:
        """Look once. Raise StoreUnavailable where the store cannot be read.

        For whoever hears of a change before the store is looked at again; two looks at once follow each other.
        """
        async with self._looking:
            # What is seen is at least as new as the moment before the look.
            at = self._clock.now()
            before, generation = self._seen, self.generation
            seen, whose = await self._watch.observe(at, before, self._looked_at)
            self._seen = seen
            if before is None or before.connection != seen.connection:
                self._since = at
            if before != seen:
                self.commits += 1
            if before is None or before[:-1] != seen[:-1]:
                self._count(whose)
            self._heard_at = self._looked_at = at
            self.on_look(Heard(seen.changes, generation, self._since))

    def _count(self, whose: Collection[str]) -> None:
        """Count a change of these accounts; of any where none is named."""
        self.generation += 1
        if not whose or len(self._changed) + len(whose) > _REMEMBERED:
            self._changed.clear()
            self._all = self.generation
        else:
            self._changed.update(dict.fromkeys(whose, self.generation))

    async def _keep_looking(self) -> None:
        while True:
            await self._watch.wait(self._every_s)
            try:
                await self.look()
            except StoreUnavailable as fault:
                if self._fault is None:
                    log.error("store:lost", fault=str(fault))  # noqa: TRY400 - the fault says it all
                self._fault = str(fault)
            else:
                if self._fault is not None:
                    log.warning("store:found", store=self._watch.name)
                self._fault = None


def _nobody(*_: object) -> None:
    """Be told, and do nothing."""
