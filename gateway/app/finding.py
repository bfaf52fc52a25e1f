"""Recorded decisions as people look for them: what the archive has, and the end of the journal that it has not yet."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.follow import Follower, find_untaken
from gateway.adapters.segment_files import Taken
from gateway.app.parts import archive_to_ask
from gateway.app.terms import read_pseudonyms
from gateway.config import Settings
from gateway.core.decision import Document
from gateway.core.search import MOST, Page, Search, merged, read_cursor
from gateway.ports import Archive, Count, Step, Stretch
from gateway.service.digested import FoundByDigest

MOST_RECENT: Final = 50_000
"""Decisions beyond the archive that are held in memory at most. Further behind, and it is said instead."""

_PATIENCE: Final = 5


class Found:
    """The decisions of an archive and of the journal before it, as one. Reads only; `look` before the rest."""

    def __init__(
        self,
        archive: Archive,
        directory: Path,
        most: int = MOST_RECENT,
        seen: Callable[[Archive], Archive] = lambda archive: archive,
    ) -> None:
        """`seen` returns an archive as it is asked, such as `by_digest`."""
        self._seen = seen
        self._archive = seen(archive)
        self._directory = directory
        self._follower = Follower(directory)
        self._most = most
        self._recent = seen(MemoryArchive())
        self._taken: Taken = {}
        self.recent = 0
        """How many decisions the archive had not taken when `look` looked."""
        self.left_out = False
        """Whether there were more of them than could be held: then the latest of them are not found."""

    async def look(self) -> None:
        """Read what the archive has not taken by now. Raise StoreUnavailable."""
        # In this order: what is taken in between is found in both, and counted once, but never in neither.
        taken: Taken = dict(await self._archive.taken())
        self._taken = taken
        recent, self.recent, self.left_out = self._seen(MemoryArchive()), 0, False
        while not self.left_out:
            stretches = await asyncio.to_thread(self._read, taken)
            if not stretches:
                break
            for stretch in stretches:
                self.recent += await recent.take(stretch)
            taken = {**taken, **await recent.taken()}
            self.left_out = self.recent >= self._most
        self._recent = recent

    def _read(self, taken: Taken) -> list[Stretch]:
        found: list[Stretch] = []
        read = 0
        for stretch in self._follower.stretches(taken):
            found.append(stretch)
            read += len(stretch.decisions)
            if read >= self._most:
                break
        return found

    async def find(self, decision_id: str) -> Document | None:
        """Return the decision document, from the archive or else from the journal; None where neither has it."""
        taken = await self._archive.taken()
        document = await self._archive.find(decision_id)
        return document or await asyncio.to_thread(find_untaken, self._directory, taken, decision_id)

    async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return what both have, the newest id first. Raise SearchError, StoreUnavailable."""
        if cursor is not None:
            read_cursor(cursor)
        archived = await self._archive.search(search, limit=limit, cursor=cursor)
        recent = await self._recent.search(search, limit=limit, cursor=cursor) if self.recent else Page((), None)
        # What was taken since `look` is in both: the archive's is told, which may be without personal data.
        return merged((recent, archived), limit)

    async def every(self, search: Search, *, cursor: str | None = None, page: int = MOST) -> AsyncIterator[Page]:
        """Yield every page of a search, the newest first."""
        while True:
            found = await self.search(search, limit=page, cursor=cursor)
            yield found
            cursor = found.cursor
            if cursor is None:
                return

    async def counts(self, since: int, until: int, *, step: Step = Step.HOUR) -> Sequence[Count]:
        """Return how many decisions of each kind the hours that begin in `[since, until)` had, oldest first."""
        archived = await self._archive.counts(since, until, step=step)
        for _ in range(_PATIENCE):
            if dict(await self._archive.taken()) == self._taken:
                break
            # Something was taken since `look`, and would be counted on both sides.
            await self.look()
            archived = await self._archive.counts(since, until, step=step)
        added: Counter[Count] = Counter()
        for count in (*archived, *await self._recent.counts(since, until, step=step)):
            added[count._replace(decisions=0)] += count.decisions
        return [
            count._replace(decisions=number) for count, number in sorted(added.items(), key=lambda one: one[0].start)
        ]


def found_in(archive: Archive, settings: Settings) -> Found:
    """Return the decisions of an archive and of the journal before it, found by digests too. Raise ConfigError."""
    return Found(archive, settings.journal.directory, seen=lambda one: by_digest(one, settings))


def by_digest(archive: Archive, settings: Settings) -> Archive:
    """Return the archive, in which accounts and addresses are found as digests too where there is a key of them."""
    keys = settings.archive
    if keys.digest_key is None:
        return archive
    return FoundByDigest(archive, read_pseudonyms(keys.digest_key), all_erased=keys.personal == "digest")


@asynccontextmanager
async def found_of(settings: Settings) -> AsyncIterator[Found]:
    """Give the decisions of a configuration, looked at once. Raise StoreUnavailable.

    Where there is no archive, or none yet, they are those of the journal, as far as it can be held in memory.
    """
    archive = archive_to_ask(settings) or MemoryArchive()
    await archive.start()
    try:
        found = found_in(archive, settings)
        await found.look()
        yield found
    finally:
        await archive.close()
