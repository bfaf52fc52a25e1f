"""Everything that one process needs to decide, built from settings, started once and kept up to date."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import structlog

from gateway.adapters.clock import SystemClock
from gateway.adapters.decision_metrics import DecisionMetrics
from gateway.adapters.desk_metrics import Delivered, DeskCounts, DeskMetrics, Observed
from gateway.adapters.desk_store import DeskStore
from gateway.adapters.exception_metrics import ExceptionMetrics
from gateway.adapters.failing_metrics import FailingMetrics
from gateway.adapters.metrics import Metrics
from gateway.adapters.policy_metrics import PolicyMetrics
from gateway.adapters.progress import ProgressFile
from gateway.adapters.revocations import RevocationStore
from gateway.adapters.shadow_file import ShadowFile, ShadowMetrics
from gateway.adapters.sql import AccountStore
from gateway.app.expiring import Expiring
from gateway.app.failing import breaker_of, load_of, remembered_of
from gateway.app.measuring import (
    cookie_of,
    hold_line_of,
    logins_of,
    profiles_of,
    risk_of,
    withdrawals_of,
    withdrawn_today_of,
)
from gateway.app.parts import (
    bundle_of,
    bundles_of,
    geo_of,
    guarded_by,
    journal_of,
    keys_of,
    reader_of,
    shipper_of,
    tokens_of,
)
from gateway.app.policies import Policies
from gateway.app.sharing import sharing_of
from gateway.app.telling import Telling
from gateway.app.watching import Watching
from gateway.config import Settings, load
from gateway.core.errors import GatewayError
from gateway.ports import Clock
from gateway.service.errands import AtOnce
from gateway.service.gather import Gather
from gateway.service.guarded import GuardedAccounts, GuardedDesk, GuardedProfiles, GuardedRevocations
from gateway.service.pipeline import Line

log: Any = structlog.get_logger("gateway")


class Gateway:
    """The line with its real parts behind it. Build it (everything that can fail, fails), start it, close it."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        """Build. Raise ConfigError, EditionError or PolicyError where the settings cannot work."""
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.geo = geo_of(settings)
        self.store = AccountStore(settings.store.url)
        self._keys = keys_of(settings, self.clock)
        self.breaker = breaker_of(settings, self.clock)
        """Stands before the store, wherever a request waits for it."""
        accounts = GuardedAccounts(self.store, self.breaker)
        self.sharing = sharing_of(settings.store.redis, self.store, self.breaker.ask)
        self.tokens = tokens_of(settings, self._keys, accounts.key_owner)
        self.desk = DeskStore(self.store)
        self._profiles = profiles_of(settings, self.store)
        self._hold_line = hold_line_of(settings, self.store)
        self.device_cookie = cookie_of(settings)
        """Set on what is let through to whoever has none; None where devices are known otherwise."""
        self.logins = logins_of(settings, self.store, self.geo)
        self.journal = journal_of(settings, self.clock.now())
        self._telling = Telling(settings, self.store, self.journal.worker)
        self.archive = bundles_of(settings)
        # Apart: a store that cannot be written can be read, and nobody shall be refused for what is put off.
        desk_breaker = breaker_of(settings, self.clock, "desk")
        self._at_once = AtOnce(GuardedDesk(self.desk, desk_breaker))
        self.load = load_of(settings)
        profiles = None if self._profiles is None else GuardedProfiles(self._profiles, self.breaker)
        self.line = Line(
            reader=reader_of(settings),
            gather=Gather(
                geo=self.geo,
                tokens=self.tokens,
                accounts=accounts,
                revocations=GuardedRevocations(RevocationStore(self.store), self.breaker),
                risk=risk_of(settings, profiles, self._hold_line),
                withdrawn_today=withdrawn_today_of(settings, self.store, self.breaker),
                remembered_s=remembered_of(settings),
                snapshots=None if self.sharing is None else self.sharing.snapshots,
            ),
            bundle=bundle_of(settings),
            journal=self.journal,
            clock=self.clock,
            at_once=self._at_once,
            withdrawals=withdrawals_of(settings),
            load=self.load,
        )
        self._shipper = shipper_of(settings)
        self.metrics = Metrics(
            progress=ProgressFile(settings.journal.directory).read,
            unrecorded=lambda: self.line.unrecorded,
            clock=self.clock,
        )
        # Asked when policies are published, perhaps by a command: what cannot be is said at the start.
        guarded_by(settings)
        self.policies = Policies(settings, self.line, self.archive, self.store, self.journal.worker)
        self.metrics.registry.register(DecisionMetrics(self.line.tallies.items, self.geo.ages, self.clock))
        self.watching = Watching(settings, self.clock)
        for collector in self.watching.collectors:
            self.metrics.registry.register(collector)
        self.metrics.registry.register(ShadowMetrics(ShadowFile(settings.journal.directory).read))
        self.metrics.registry.register(PolicyMetrics(self.policies.running.status))
        self.metrics.registry.register(DeskMetrics(self._desk_counts))
        self.metrics.registry.register(ExceptionMetrics(lambda: self.line.bundle.exceptions, self.clock))
        self.metrics.registry.register(FailingMetrics(self.load, [self.breaker, desk_breaker, self.line.disk]))
        if self.sharing is not None:
            self.metrics.registry.register(self.sharing.metrics)
        self._expiring = Expiring()
        self.started = False
        """Whether `start` is done and `close` is not."""
        self.changing: list[Callable[[Settings], Callable[[], object]]] = [self.watching.changing]
        """Each makes of changed settings what it needs, or raises ConfigError, and returns what takes that into use."""
        self.ending = False
        """Whether the process is about to end, and nobody should be sent here any more."""
        self._refreshing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    @classmethod
    def configured(cls, config: "Settings | Path | str") -> Self:
        """Return the gateway of a configuration file, or of settings at hand."""
        return cls(config if isinstance(config, Settings) else load(Path(config)))

    async def start(self) -> None:
        """Open store, keys and journal, once, however often it is called. Raise GatewayError where one cannot be."""
        async with self._lock:
            if self.started:
                return
            for warning in self.geo.warnings(self.clock.now()):
                log.warning("geodb:aged", warning=warning)
            try:
                await self.store.start()
                if self.sharing is not None:
                    await self.sharing.start()
                if self._keys is not None:
                    await self._keys.start()
                if self._profiles is not None:
                    await self._profiles.start()
                if self._hold_line is not None:
                    await self._hold_line.start()
                if self.logins is not None:
                    await self.logins.start()
                await self.policies.start()
                await self.journal.start()
            except BaseException:
                await self._let_go()
                raise
            # After the journal: its lock is what makes the worker's name this process's alone.
            await self._telling.start()
            if self._shipper is not None:
                await self._shipper.start()
            self.watching.start()
            self._refreshing = asyncio.get_running_loop().create_task(self._keep_up())
            self._watching = asyncio.get_running_loop().create_task(self.load.watch())
            self.started = True
            log.info(
                "gateway:started",
                bundle=self.line.bundle.digest[:12],
                policies=[policy.name for policy in self.line.bundle.policies],
                editions=self.geo.editions,
            )

    def end_soon(self) -> None:
        """Say that the process is about to end."""
        self.ending = True
        log.info("gateway:ending")

    async def close(self) -> None:
        """Put the journal on the disk and let go of everything."""
        async with self._lock:
            if self._refreshing is None:
                return
            ended = [task for task in (self._refreshing, self._watching) if task is not None]
            for task in ended:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)
            self._refreshing = self._watching = None
            self.started = False
            try:
                await self.journal.close()
            finally:
                # After the journal, so that its last pass takes everything.
                if self._shipper is not None:
                    await self._shipper.close()
                await self._let_go()
            await asyncio.to_thread(self.watching.close)
            log.info("gateway:stopped", unrecorded=self.line.unrecorded)

    async def _let_go(self) -> None:
        await self.policies.close()
        await self._telling.close()
        if self._keys is not None:
            await self._keys.close()
        if self.logins is not None:
            await self.logins.close()
        await self.desk.close()
        if self._hold_line is not None:
            await self._hold_line.close()
        if self._profiles is not None:
            await self._profiles.close()
        if self.sharing is not None:
            await self.sharing.close()
        await self.store.close()

    async def look(self) -> None:
        """Look at once at what is looked at now and then: keys, editions, lists and policies."""
        if self._keys is not None:
            await self._keys.look_again()
        try:
            await self.refresh()
        except GatewayError as fault:
            log.warning("gateway:refresh_failed", why=str(fault))

    async def refresh(self) -> None:
        """Take changed editions and policies, each whole or not at all; what cannot be used is said and left alone."""
        for outcome in await asyncio.to_thread(self.geo.refresh):
            say = log.info if outcome.taken else log.error
            say("edition:taken" if outcome.taken else "edition:refused", path=str(outcome.path), what=outcome.message)
        await self.policies.look()
        self._expiring.tell(self.line.bundle.exceptions, self.clock.now())

    def _desk_counts(self) -> DeskCounts:
        delivery, logins = self._telling.delivery, self.logins
        return DeskCounts(
            self._at_once.outcomes,
            self._at_once.put_off,
            self._telling.tidying.files_removed,
            None if delivery is None else Delivered(delivery.delivered, delivery.failed, delivery.parked),
            None if logins is None else Observed(logins.lost, logins.unnamed),
        )

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(self.settings.geodb.check_every_s)
            try:
                await self.refresh()
            except Exception:
                # A refresh that fails in a way nobody thought of must not be the last one.
                log.exception("gateway:refresh_failed")
