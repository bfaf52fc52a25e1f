"""The gateway beside a proxy: it passes nothing on, and answers what the proxy asks about each request."""

from gateway.app.gateway import Gateway
from gateway.app.middleware import GatewayMiddleware
from gateway.core.addresses import Networks
from gateway.core.errors import ConfigError
from gateway.enforce.asgi import Receive, Scope, Send
from gateway.enforce.forward_auth import ForwardAuth


class DecisionService(GatewayMiddleware):
    """An ASGI app that answers at `/authz/NAME`. It starts and stops with its lifespan."""

    def __init__(self, gateway: Gateway) -> None:
        """Build. Raise ConfigError where the settings have no `[forward_auth]`."""
        super().__init__(_nothing_behind, gateway=gateway)
        settings = gateway.settings
        if settings.forward_auth is None:
            raise ConfigError('nobody may ask; add `[forward_auth]` with `proxies = ["nginx"]` and `asked_by = [...]`')
        self._answer = ForwardAuth(
            gateway.line,
            gateway.clock,
            asked_by=Networks(settings.forward_auth.asked_by, what="forward_auth.asked_by"),
            proxies=frozenset(settings.forward_auth.proxies),
            support_url=settings.server.support_url,
        )


async def _nothing_behind(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the lifespan, which is all that arrives here."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
