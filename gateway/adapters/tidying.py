"""Keeping the store in order: tickets end when their time is over, and what nobody asks for any more is removed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
import structlog

from gateway.adapters.desk_store import DeskStore
from gateway.adapters.event_book import EventBook
from gateway.adapters.evidence_places import Place
from gateway.adapters.once import OnceStore
from gateway.adapters.outbox_store import OutboxStore
from gateway.adapters.revocations import RevocationStore
from gateway.adapters.schema import SIGHTINGS
from gateway.adapters.sql import AccountStore
from gateway.core.errors import StoreUnavailable
from gateway.core.evidence import KEPT
from gateway.ports import MICROSECONDS

log: Any = structlog.get_logger("gateway")

SWEEP_EVERY_S: Final = 10.0
"""How late a ticket is closed at most. Its hold ends at its own instant."""
FORGET_EVERY_S: Final = 600.0
TOLD_FOR_US: Final = 30 * 86_400 * MICROSECONDS
"""How long a delivered message can be looked up."""
_UNNAMED_FOR_US: Final = 86_400 * MICROSECONDS
"""How long a file of evidence may be without a ticket. An upload takes a minute at most."""
_SEEN_FOR_US: Final = KEPT * 86_400 * MICROSECONDS


class Tidying:
    """Tidies one store, in any number of processes at once: each piece of work is done by who comes first."""

    def __init__(self, store: AccountStore, events: EventBook | None = None, files: Place | None = None) -> None:
        """Build; without `events` none are removed, nor evidence without the place where its `files` are."""
        self._store = store
        self._desk = DeskStore(store)
        outbox, once, over = OutboxStore(store), OnceStore(store), RevocationStore(store)
        self._forgetting: list[Callable[[], Awaitable[int]]] = [
            lambda: outbox.forget(store.clock.now() - TOLD_FOR_US),
            once.forget,
            over.forget,
            self._forget_sightings,
        ]
        if events is not None:
            self._forgetting.append(events.forget)
        if files is not None:
            self._forgetting.append(partial(self._remove_unnamed, files))
        self.files_removed = 0
        """Files of evidence since the start that no ticket came to name."""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Tidy every so often, in the background."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def sweep(self) -> int:
        """End tickets whose time is over; return how many. Raise StoreUnavailable."""
        return await self._desk.expire()

    async def forget(self) -> int:
        """Remove what nobody asks for any more, some of it at a time; return how much. Raise StoreUnavailable."""
        return sum([await each() for each in self._forgetting])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + FORGET_EVERY_S
        while True:
            try:
                await self.sweep()
                if loop.time() >= due:
                    due = loop.time() + FORGET_EVERY_S
                    await self.forget()
            except StoreUnavailable as fault:
                log.warning("store:not_tidied", fault=str(fault))
            except Exception:
                log.exception("store:not_tidied")
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _forget_sightings(self) -> int:
        old = SIGHTINGS.c.seen_at < self._store.clock.now() - _SEEN_FOR_US
        async with self._store.writing("forget what was seen") as connection:
            return (await connection.execute(sa.delete(SIGHTINGS).where(old))).rowcount

    async def _remove_unnamed(self, files: Place) -> int:
        """Remove files of evidence that a fault left without a ticket; return how many.

        Only what this store itself began to write: others may keep theirs in the same place.
        """
        keys = await self._desk.unnamed_files(self._store.clock.now() - _UNNAMED_FOR_US)
        for key in keys:
            await files.remove(key)
            await self._desk.forget_file(key)
            self.files_removed += 1
            log.info("evidence:removed", key=key, why="no ticket names it, and it is older than a day")
        return len(keys)
