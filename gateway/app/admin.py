"""The admin listener: the API on recorded decisions, wired to the archive, the journal, the tokens and the metrics."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.types import ASGIApp, Lifespan

from gateway.adapters.alarms import AlarmFile
from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.clock import SystemClock
from gateway.adapters.desk_store import DeskStore
from gateway.adapters.follow import find_untaken
from gateway.adapters.metrics import Metrics
from gateway.adapters.progress import ProgressFile
from gateway.adapters.service_tokens import ServiceTokens
from gateway.adapters.sql import AccountStore
from gateway.api.application import create_api
from gateway.api.services import Desk, Recorded, Services, Wanted
from gateway.app.desk import at_work, desk_of
from gateway.app.erasing import erase as erase_in
from gateway.app.finding import Found, by_digest, found_in
from gateway.app.gateway import Gateway
from gateway.app.health import checks_of
from gateway.app.parts import archive_of, archive_to_ask, client_ip_of, geo_of
from gateway.app.records import Records
from gateway.config import Settings
from gateway.core.account import Refused
from gateway.core.client_ip import ClientIPRule
from gateway.core.customer import LANGUAGES
from gateway.core.decision import Document
from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.core.search import Page, Search
from gateway.enforce.ending import Ending
from gateway.enforce.http_server import run
from gateway.ports import Archive, Clock, Count, Erasing, Step
from gateway.service.health import Check

log: Any = structlog.get_logger("gateway")

MAX_HEAD_BYTES: Final = 16 * 1024
_FRESH_S: Final = 1.0
"""How old the last look at the journal may be; a decision is found by its id at once."""
_LEFT: Final = 4
"""How many times as long as a look took nothing is looked at."""


class Admin:
    """The API of one gateway, as an ASGI app that opens its archive when it starts."""

    def __init__(self, gateway: Gateway) -> None:
        """Raise ConfigError where there is no archive to ask."""
        self._gateway = gateway
        archive = archive_of(gateway.settings)
        if archive is None:
            raise ConfigError('[admin] finds decisions in the archive, and `archive.url = "none"` keeps none')
        self._archive = by_digest(archive, gateway.settings)
        self._client_ip = client_ip_of(gateway.settings)
        self._desk = desk_of(gateway.settings, gateway.store, gateway.desk, gateway.geo)
        self.app: ASGIApp = _api(
            gateway.settings,
            gateway.clock,
            self._desk,
            self._archive,
            gateway.metrics.exposition,
            self._lifespan,
            checks=partial(checks_of, gateway),
            client_ip=lambda: self._client_ip,
        )
        gateway.changing.append(self._changing)

    def _changing(self, settings: Settings) -> Callable[[], None]:
        client_ip = client_ip_of(settings)

        def take() -> None:
            self._client_ip = client_ip

        return take

    @asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        # Whoever comes first starts the gateway; whoever serves customers closes it, after this.
        await self._gateway.start()
        await self._archive.start()
        try:
            async with at_work(self._desk):
                yield
        finally:
            await self._archive.close()


class AdminAlone:
    """The same API in a process that serves no customers: nothing is decided, and the Outbox is left to gateways."""

    def __init__(self, settings: Settings) -> None:
        """Raise ConfigError where these settings cannot work."""
        clock = SystemClock()
        self._check_every_s = settings.geodb.check_every_s
        self._store = AccountStore(settings.store.url, clock=clock)
        self._tickets = DeskStore(self._store)
        # Where nothing is measured, nobody asks where an event came from.
        self._geo = None if settings.risk is None else geo_of(settings)
        self._desk = desk_of(settings, self._store, self._tickets, self._geo)
        self._recorded = Lookout(settings)
        client_ip = client_ip_of(settings)
        # What no process of its own answered, none left unrecorded.
        metrics = Metrics(progress=ProgressFile(settings.journal.directory).read, unrecorded=lambda: 0, clock=clock)
        self.app: ASGIApp = _api(
            settings, clock, self._desk, self._recorded, metrics.exposition, self._lifespan, client_ip=lambda: client_ip
        )

    @asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        # Whoever only reads makes no file: it would belong to somebody whom the gateway may not be.
        if self._store.is_there():
            await self._store.migrate()
        else:
            log.warning("admin:no_store", store=self._store.name, what="no token is believed until there is one")
        refreshing = asyncio.get_running_loop().create_task(self._keep_up())
        try:
            async with at_work(self._desk):
                yield
        finally:
            refreshing.cancel()
            await asyncio.wait((refreshing,))
            await self._recorded.close()
            await self._tickets.close()
            await self._store.close()

    async def _keep_up(self) -> None:
        """Take changed editions, so that events are placed as the gateways place them."""
        while self._geo is not None:
            await asyncio.sleep(self._check_every_s)
            try:
                for outcome in await asyncio.to_thread(self._geo.refresh):
                    say = log.info if outcome.taken else log.error
                    say("edition:taken" if outcome.taken else "edition:refused", what=outcome.message)
            except Exception:
                # A refresh that fails in a way nobody thought of must not be the last one.
                log.exception("admin:refresh_failed")


class Lookout:
    """The archive and the journal before it, looked at anew for whoever asks, but not all the time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._archive: Archive = MemoryArchive()
        self._opened = False
        self._found: Found | None = None
        self._again_at = 0.0
        # Two: whoever asks for one decision does not wait for a look at all of the journal.
        self._opening, self._looking = asyncio.Lock(), asyncio.Lock()

    async def taken(self) -> Mapping[str, tuple[int, int]]:
        """Return how far each worker's journal was taken. Raise StoreUnavailable."""
        return await (await self._open()).taken()

    async def find(self, decision_id: str) -> Document | None:
        """Return the decision as the archive has it, or None. Raise StoreUnavailable."""
        return await (await self._open()).find(decision_id)

    async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return what archive and journal have, the newest id first. Raise SearchError, StoreUnavailable."""
        return await (await self._look()).search(search, limit=limit, cursor=cursor)

    async def counts(self, since: int, until: int, *, step: Step = Step.HOUR) -> Sequence[Count]:
        """Return the counts of both. Raise StoreUnavailable."""
        found = await self._look()
        async with self._looking:  # it may look again by itself
            return await found.counts(since, until, step=step)

    async def close(self) -> None:
        """Let go of the archive."""
        await self._archive.close()

    async def _open(self) -> Archive:
        """Return the archive; an empty one where there is none, or none yet."""
        async with self._opening:
            archive = None if self._opened else archive_to_ask(self._settings)
            if archive is not None:
                try:
                    await archive.start()
                except BaseException:
                    await archive.close()
                    raise
                self._archive, self._opened, self._found = archive, True, None
            return self._archive

    async def _look(self) -> Found:
        async with self._looking:
            archive = await self._open()
            now = asyncio.get_running_loop().time
            found = self._found
            if found is None or now() >= self._again_at:
                begun = now()
                found = found or found_in(archive, self._settings)
                await found.look()
                # Where nobody ships there is much to read each time: most of the time is left to the answers.
                self._again_at = now() + max(_FRESH_S, _LEFT * (now() - begun))
                # An archive that was opened meanwhile is looked at the next time.
                self._found = found if archive is self._archive else None
            return found


def _api(  # noqa: PLR0917 - its two callers stand above
    settings: Settings,
    clock: Clock,
    desk: Desk,
    archive: Recorded,
    metrics: Callable[[], bytes],
    lifespan: Lifespan[Starlette],
    *,
    checks: Callable[[], Sequence[Check]] = tuple,
    client_ip: Callable[[], ClientIPRule],
) -> ASGIApp:
    records = Records(settings)

    async def find(decision_id: str) -> Document | None:
        try:
            # Before the archive is asked: what is taken in between is then found in it.
            taken = await archive.taken()
            document = await archive.find(decision_id)
        except StoreUnavailable as fault:
            log.warning("admin:archive_unavailable", why=str(fault))
            taken, document = {}, None
        if document is not None:
            return document
        return await asyncio.to_thread(find_untaken, settings.journal.directory, taken, decision_id)

    def explain(document: Document, wanted: Wanted) -> Document:
        comparison = records.compare(document) if wanted.now and document["verdict"] is not None else None
        explanation = records.explain(document, wanted.role, wanted.leave, wanted.language, comparison)
        return {**explanation.to_json(), "language": wanted.language}

    async def erase(erasing: Erasing, who: str, why: str) -> Document | Refused:
        done = await erase_in(settings, desk.accounts, erasing, who=who, why=why)
        return done if isinstance(done, Refused) else done.to_json()

    return create_api(
        Services(
            clock=clock,
            tokens=ServiceTokens(desk.accounts),
            archive=archive,
            find=find,
            explain=explain,
            languages=LANGUAGES,
            metrics=metrics,
            address_of=lambda peer, headers: _address_of(client_ip(), peer, headers),
            alarms=AlarmFile(settings.journal.directory),
            erase=erase,
            desk=desk,
            checks=checks,
        ),
        lifespan,
    )


def _address_of(rule: ClientIPRule, peer: str | None, headers: Mapping[str, Sequence[bytes]]) -> str | None:
    """Return the address that failures count against: whom a trusted proxy speaks for, or else the peer."""
    name = rule.header_name
    lines = [] if name is None else headers.get(name.decode("ascii"), ())
    return rule.resolve(peer, lines).address or peer


async def serve_alone(settings: Settings, port: int | None, *, ready: Callable[[str], object]) -> None:
    """Serve the API alone until a signal ends it. `port` in place of the configured one.

    `ready` is told its URL once it listens. Raise ConfigError where no port is configured, or it cannot listen.
    """
    port = settings.admin.port if port is None else port
    if port is None:
        raise ConfigError("the admin API has nowhere to listen: add `[admin]` with `port = 8081`, or say `--port 8081`")
    app = AdminAlone(settings).app
    await run(app, host=settings.admin.host, port=port, max_head_bytes=MAX_HEAD_BYTES, ready=ready)


async def admin_beside(
    serving: Coroutine[Any, Any, None],
    gateway: Gateway,
    *,
    ready: Callable[[str], object],
    ending: Ending | None = None,
) -> None:
    """Serve customers and, where `[admin]` has a port, the API beside; both end when either does.

    `ready` is told the API's URL once it listens. Raise GatewayError where either cannot.
    """
    settings = gateway.settings.admin
    if settings.port is None:
        await serving
        return
    try:
        admin = Admin(gateway)
    except BaseException:
        serving.close()
        raise
    listening = run(
        admin.app,
        host=settings.host,
        port=settings.port,
        max_head_bytes=MAX_HEAD_BYTES,
        ready=ready,
        ending=ending,
        beside=ending is not None,
    )
    try:
        async with asyncio.TaskGroup() as group:
            # In this order: a signal reaches the server that began last, and `ending` hands it to the one before. The
            # API then answers until that one has drained, and the gateway closes when nobody asks it anything any more.
            main = group.create_task(serving)
            beside = group.create_task(listening)
            main.add_done_callback(lambda _: beside.cancel())
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
