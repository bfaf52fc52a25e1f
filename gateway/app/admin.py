"""The admin listener: the API on recorded decisions, wired to the archive, the journal, the tokens and the metrics."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from starlette.types import ASGIApp

from gateway.adapters.follow import find_untaken
from gateway.adapters.service_tokens import ServiceTokens
from gateway.api.application import create_api
from gateway.api.services import Services, Wanted
from gateway.app.gateway import Gateway
from gateway.app.parts import archive_of, client_ip_of
from gateway.app.records import Records
from gateway.core.customer import LANGUAGES
from gateway.core.decision import Document
from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.enforce.http_server import run
from gateway.ports import Archive

log: Any = structlog.get_logger("gateway")

MAX_HEAD_BYTES: Final = 16 * 1024


class Admin:
    """The API of one gateway, as an ASGI app that opens its archive when it starts."""

    def __init__(self, gateway: Gateway) -> None:
        """Raise ConfigError where there is no archive to ask."""
        self._gateway = gateway
        settings = gateway.settings
        archive = archive_of(settings)
        if archive is None:
            raise ConfigError('[admin] finds decisions in the archive, and `archive.url = "none"` keeps none')
        self._archive: Archive = archive
        self._directory = settings.journal.directory
        self._records = Records(settings)
        self._client_ip = client_ip_of(settings)
        self.app: ASGIApp = create_api(
            Services(
                clock=gateway.clock,
                tokens=ServiceTokens(gateway.store),
                archive=archive,
                find=self._find,
                explain=self._explain,
                languages=LANGUAGES,
                metrics=gateway.metrics.exposition,
                address_of=self._address_of,
            ),
            self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        # Whoever comes first starts the gateway; whoever serves customers closes it, after this.
        await self._gateway.start()
        await self._archive.start()
        try:
            yield
        finally:
            await self._archive.close()

    async def _find(self, decision_id: str) -> Document | None:
        try:
            # Before the archive is asked: what is taken in between is then found in it.
            taken = await self._archive.taken()
            document = await self._archive.find(decision_id)
        except StoreUnavailable as fault:
            log.warning("admin:archive_unavailable", why=str(fault))
            taken, document = {}, None
        if document is not None:
            return document
        return await asyncio.to_thread(find_untaken, self._directory, taken, decision_id)

    def _explain(self, document: Document, wanted: Wanted) -> Document:
        comparison = self._records.compare(document) if wanted.now and document["verdict"] is not None else None
        explanation = self._records.explain(document, wanted.role, wanted.leave, wanted.language, comparison)
        return {**explanation.to_json(), "language": wanted.language}

    def _address_of(self, peer: str | None, headers: Mapping[str, Sequence[bytes]]) -> str | None:
        """Return the address that failures count against: whom a trusted proxy speaks for, or else the peer."""
        name = self._client_ip.header_name
        lines = [] if name is None else headers.get(name.decode("ascii"), ())
        return self._client_ip.resolve(peer, lines).address or peer


async def admin_beside(serving: Coroutine[Any, Any, None], gateway: Gateway, *, ready: Callable[[str], object]) -> None:
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
    listening = run(admin.app, host=settings.host, port=settings.port, max_head_bytes=MAX_HEAD_BYTES, ready=ready)
    try:
        async with asyncio.TaskGroup() as group:
            # In this order: uvicorn hands a signal on from the server that began last to the one before. So the API
            # ends first, and the gateway closes when nobody asks it anything any more.
            main = group.create_task(serving)
            beside = group.create_task(listening)
            main.add_done_callback(lambda _: beside.cancel())
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
