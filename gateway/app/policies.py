"""Which policies a process decides by: taken from files or from the store, each bundle whole or not at all."""

import asyncio
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from gateway.adapters.policy_files import LIBRARY, BundleArchive, read_settled
from gateway.adapters.policy_metrics import Status
from gateway.adapters.policy_watch import changes
from gateway.adapters.revision_reads import Run
from gateway.adapters.revisions import FIRST_WHY, RevisionStore
from gateway.adapters.sql import AccountStore
from gateway.adapters.ticket_rows import GATEWAY
from gateway.app.parts import known_bundle, sources_of
from gateway.config import Settings
from gateway.core.errors import GatewayError, PolicyError, StoreUnavailable
from gateway.desk.revision import Revision
from gateway.policies.bundle import Bundle, assemble, digest_of
from gateway.policies.bundle import load as load_bundle
from gateway.service.memo import Memo
from gateway.service.pipeline import Line

log: Any = structlog.get_logger("gateway")

SAID_EVERY_S: Final = 15.0
"""How often a process says what it runs, though nothing changed."""
AGAIN_S: Final = 0.1
_SAID_AFTER: Final = 10
_RECENT: Final = 4
LOOKED_EVERY_S: Final = 0.03
"""How often it is asked whether anything in the store was committed: a number in memory."""


class Running:
    """The bundle that this process decides by, and what it says of it: to the store, to the log, to metrics."""

    def __init__(
        self,
        line: Line,
        archive: BundleArchive,
        revisions: RevisionStore,
        *,
        worker: str,
        now: Callable[[], int],
        pointed: bool,
    ) -> None:
        """`pointed`: it is remembered on this machine what decides, for a start at which the store cannot say."""
        self._now = now
        self._pointed = pointed
        self._line = line
        self._archive = archive
        self._revisions = revisions
        self._worker = worker
        self._machine = platform.node()[:255]
        self.since = now()
        """When it began to decide by it, microseconds since the epoch."""
        self.adoptions = 0
        self.refused: tuple[str, str] | None = None
        """What should decide and cannot: a digest, or nothing where it has none, and why."""
        self._news = asyncio.Event()

    @property
    def digest(self) -> str:
        """Of the bundle that decides."""
        return self._line.bundle.digest

    def status(self) -> Status:
        """Return what runs here, for metrics."""
        return Status(self.digest, self.since, self.adoptions, self.refused is not None)

    async def adopt(self, bundle: Bundle) -> None:
        """Decide by the bundle from the next request on, once it can be replayed. Raise OSError where it cannot."""
        await asyncio.to_thread(self._archive.put, bundle)
        if bundle.digest != self.digest:
            self._line.adopt(bundle)
            self.since, self.adoptions = self._now(), self.adoptions + 1
            log.info("policies:adopted", bundle=bundle.digest[:12])
        self.refused = None
        self._news.set()
        if self._pointed:
            await asyncio.to_thread(self._archive.point, bundle.digest)

    def refuse(self, digest: str, why: str) -> None:
        """Go on as before, and say so."""
        self.refused = (digest, why)
        log.error("policies:refused", running=self.digest[:12], refused=digest[:12], why=why)
        self._news.set()

    async def speak(self) -> None:
        """Tell the store what runs here, when that changes and every so often; never ends."""
        while True:
            self._news.clear()
            digest, why = self.refused or (None, None)
            run = Run(self._worker, self._machine, self.digest, self.since, self._now(), digest, why and why[:2000])
            with suppress(StoreUnavailable):  # whoever watches the store says that it is away
                await self._revisions.acknowledge(run)
            with suppress(TimeoutError):
                async with asyncio.timeout(SAID_EVERY_S):
                    await self._news.wait()

    async def depart(self) -> None:
        """Tell the store that nothing runs here any more."""
        with suppress(StoreUnavailable):
            await self._revisions.depart(self._worker)


class Policies:
    """What keeps a process on the policies that it should decide by."""

    def __init__(
        self, settings: Settings, line: Line, archive: BundleArchive, store: AccountStore, worker: str
    ) -> None:
        """Build; `line` decides by what `parts.bundle_of` returned."""
        self._settings = settings
        self._line = line
        self._store = store
        self._revisions = RevisionStore(store)
        self._from_store = settings.policies.source == "store"
        self.running = Running(
            line, archive, self._revisions, worker=worker, now=store.clock.now, pointed=self._from_store
        )
        self._sources = line.bundle.sources
        self._recent: Memo[str, Bundle] = Memo(_RECENT)
        """What decided lately: whoever returns to it waits for nothing."""
        self._seen_coming: str | None = None
        self._due: int | None = None
        self._missed = 0
        self._lock = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take what is in force, and go on doing so. Raise GatewayError where nothing is known that may decide."""
        if self._from_store:
            await self._begin()
        else:
            await self.running.adopt(self._line.bundle)
        loop = asyncio.get_running_loop()
        watch = self._watch_store() if self._from_store else self._watch_files()
        self._tasks = [loop.create_task(watch), loop.create_task(self.running.speak())]

    async def close(self) -> None:
        """Stop, and take leave."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if tasks:
            await self.running.depart()

    async def look(self) -> None:
        """Take what changed, whole or not at all; what cannot be used is said and left alone."""
        async with self._lock:
            await (self._look_at_store() if self._from_store else self._look_at_files())

    # From files ---------------------------------------------------------------------------------------------------

    async def _look_at_files(self) -> None:
        running = self.running.digest[:12]
        configured = self._settings.policies
        try:
            sources = await asyncio.to_thread(read_settled, configured.paths, self._settings.base)
        except (GatewayError, OSError) as fault:
            log.error("policies:unread", running=running, why=str(fault))  # noqa: TRY400 - the fault is the message
            return
        if sources == self._sources:
            return
        try:
            bundle = await asyncio.to_thread(load_bundle, sources, sources_configured=sources_of(self._settings))
            await self.running.adopt(bundle)
        except PolicyError as fault:
            # The same texts would be refused again: said once, until they change. Any other fault may pass by itself.
            self._sources = sources
            self.running.refuse(digest_of(sources), str(fault))
        except (GatewayError, OSError) as fault:
            log.error("policies:not_kept", running=running, why=str(fault))  # noqa: TRY400 - the fault is the message
        else:
            self._sources = sources

    async def _watch_files(self) -> None:
        paths = [Path(path) for path in self._settings.policies.paths if not path.startswith(LIBRARY)]
        if not paths:
            return
        async for _ in changes(paths):
            await self._looked()

    # From the store -----------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Decide by what is in force in the store; where that cannot be had, by what it said here last."""
        known = known_bundle(self._settings) is not None
        try:
            active = (await self._revisions.standing()).active or await self._first()
            bundle = await self._prepared(active)
        except (GatewayError, OSError) as fault:
            if not known:
                raise
            self.running.refuse("", f"what the store says is in force cannot be taken: {fault}")
        else:
            await self.running.adopt(bundle)

    async def _first(self) -> Revision:
        """Return the active revision, made of the configured policies where the store had none."""
        bundle, now = self._line.bundle, self._store.clock.now()
        first = Revision(0, bundle.digest, None, GATEWAY, FIRST_WHY, False, "", now, now, None)
        active = await self._revisions.begin(first, bundle.sources, {})
        log.info("policies:begun", revision=active.number, bundle=active.digest[:12])
        return active

    async def _prepared(self, revision: Revision) -> Bundle:
        """Return the bundle of a revision. Raise PolicyError where this process cannot decide by it."""
        known = self._line.bundle if revision.digest == self.running.digest else self._recent.get(revision.digest)
        if known is not None:
            return known
        texts = await self._revisions.texts(revision.digest)
        if texts is None or digest_of(texts) != revision.digest:
            raise PolicyError(f"the texts of revision {revision.name} are not in the store as they were proposed")
        # Its tests were run before it was approved; what depends on this process is which facts have a source here.
        bundle = await asyncio.to_thread(assemble, texts, sources_configured=sources_of(self._settings))
        return self._recent.keep(revision.digest, bundle)

    async def _prepare(self, coming: Revision | None) -> None:
        """Have at hand what comes into force next; where it cannot be taken here, say so while there is time."""
        if coming is None or coming.digest == self._seen_coming:
            return
        try:
            await self._prepared(coming)
        except PolicyError as fault:
            log.error("policies:will_be_refused", revision=coming.number, bundle=coming.digest[:12], why=str(fault))  # noqa: TRY400 - the fault is the message
        self._seen_coming = coming.digest

    async def _look_at_store(self) -> None:
        if self._due is not None and self._due <= self._store.clock.now():
            await self._revisions.tick()
        standing = await self._revisions.standing()
        self._due = standing.due
        await self._prepare(standing.coming)
        active = standing.active
        if active is None or (self.running.refused is not None and self.running.refused[0] == active.digest):
            return
        if active.digest == self.running.digest and self.running.refused is None:
            return
        try:
            await self.running.adopt(await self._prepared(active))
        except PolicyError as fault:
            self.running.refuse(active.digest, str(fault))
        except OSError as fault:
            log.error("policies:not_kept", running=self.running.digest[:12], why=str(fault))  # noqa: TRY400 - as above

    async def _watch_store(self) -> None:
        seen = -1
        while True:
            now, commits = self._store.clock.now(), self._store.commits
            if (commits != seen or (self._due is not None and self._due <= now)) and await self._looked():
                seen = commits
            await asyncio.sleep(LOOKED_EVERY_S)

    async def _looked(self) -> bool:
        """Look, and return whether that could be done."""
        try:
            await self.look()
        except StoreUnavailable as fault:
            # A busy machine reads too late now and then: that is tried again at once, and said where it lasts.
            self._missed += 1
            if self._missed == _SAID_AFTER:
                log.warning("policies:store_away", running=self.running.digest[:12], why=str(fault))
            await asyncio.sleep(AGAIN_S)
        except Exception:
            # What fails in a way nobody thought of must not be the last look.
            log.exception("policies:look_failed")
            await asyncio.sleep(SAID_EVERY_S)
        else:
            self._missed = 0
            return True
        return False
