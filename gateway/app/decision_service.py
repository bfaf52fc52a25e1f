"""The gateway beside a proxy: it passes nothing on, and answers what the proxy asks about each request."""

from collections.abc import Callable
from typing import Any

import structlog

from gateway.app.gateway import Gateway
from gateway.app.middleware import GatewayMiddleware
from gateway.config import Settings
from gateway.core.addresses import Networks
from gateway.core.errors import ConfigError
from gateway.enforce.asgi import Receive, Scope, Send
from gateway.enforce.ext_authz import ExtAuthz
from gateway.enforce.forward_auth import Askers, ForwardAuth

log: Any = structlog.get_logger("gateway")


class DecisionService(GatewayMiddleware):
    """An ASGI app that answers at `/authz/NAME`, and over gRPC where that has a port.

    It starts and stops with its lifespan.
    """

    def __init__(self, gateway: Gateway, *, host: str | None = None) -> None:
        """Build. `host` is where gRPC listens in place of `[server] host`.

        Raise ConfigError where the settings have no `[forward_auth]`, or name a gRPC port without the extra.
        """
        super().__init__(self._grpc_beside, gateway=gateway)
        settings = gateway.settings
        if settings.forward_auth is None:
            raise ConfigError('nobody may ask; add `[forward_auth]` with `proxies = ["nginx"]` and `asked_by = [...]`')
        asked = settings.forward_auth
        askers = Askers(Networks(asked.asked_by, what="forward_auth.asked_by"))
        answering = ForwardAuth(
            gateway.line,
            gateway.clock,
            askers=askers,
            proxies=frozenset(asked.proxies),
            support_url=settings.server.support_url,
            saying=gateway.watching.saying,
        )
        self._answer = gateway.watching.around(answering)
        # A span is of a request as an app sees it.
        self._quick = None if gateway.watching.has_spans else answering.quick
        self._askers = askers
        gateway.changing.append(self._changing)
        self._host = host or settings.server.host
        self._port = asked.grpc_port
        self._grpc = None
        if asked.grpc_port is not None:
            self._grpc = ExtAuthz(
                gateway.line,
                gateway.clock,
                askers=askers,
                max_head_bytes=settings.server.max_header_bytes,
                support_url=settings.server.support_url,
                saying=gateway.watching.saying,
            )
        self.grpc_port: int | None = None
        """Where gRPC listens, once it does."""

    def _changing(self, settings: Settings) -> Callable[[], None]:
        """Return what takes changed settings into use. Raise ConfigError where they cannot be."""
        assert settings.forward_auth is not None
        networks = Networks(settings.forward_auth.asked_by, what="forward_auth.asked_by")
        return lambda: self._askers.take(networks)

    def quick(
        self, peer: str | None, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]]
    ) -> tuple[int, bytes] | None:
        """Return the answer to a question like an earlier one; None for any other, and before the start."""
        if self._quick is None or not self.gateway.started:
            return None
        return self._quick(peer, method, url, headers)

    async def _grpc_beside(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the lifespan, which is all that arrives here: gRPC listens while the gateway is started."""
        await receive()
        if self._grpc is not None and self._port is not None:
            try:
                self.grpc_port = await self._grpc.start(self._host, self._port)
            except ConfigError as fault:
                await send({"type": "lifespan.startup.failed", "message": f"gateway: {fault}"})
                return
            log.info("forward_auth:grpc_listening", host=self._host, port=self.grpc_port)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._grpc is not None:
            await self._grpc.close()
        await send({"type": "lifespan.shutdown.complete"})
