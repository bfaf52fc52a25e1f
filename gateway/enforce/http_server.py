"""The HTTP server in front of the line, where the gateway runs by itself: uvicorn's, with a protocol of our own."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from typing_extensions import override
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from gateway.core.errors import ConfigError
from gateway.enforce.asgi import App, Quick
from gateway.enforce.http_protocol import StrictHttpProtocol

_HEAD_SECONDS = 10.0
"""How long the head of a request may take to arrive."""


class StrictWebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket. A handshake that the app answered with a refusal counts as answered."""

    @override
    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # Else uvicorn logs an error for each refusal, and whoever is refused can fill the log with them.
            self.handshake_complete = True


class _AnnouncedServer(uvicorn.Server):
    """A server that says where it listens, once it does."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], object]) -> None:
        super().__init__(config)
        self._ready = ready

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


async def run(app: App, *, host: str, port: int, max_head_bytes: int, ready: Callable[[str], object]) -> None:
    """Serve `app` until a signal ends it. Nothing but the gateway itself believes a header about who the client is.

    Where the app has a `quick`, that is asked first. `ready` is told the URL once the socket listens. Raise
    ConfigError where it cannot, or the app did not start.
    """
    quick: Quick | None = getattr(app, "quick", None)

    def protocol(
        config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], **_: object
    ) -> StrictHttpProtocol:
        return StrictHttpProtocol(
            config, server_state, app_state, max_head_bytes=max_head_bytes, head_s=_HEAD_SECONDS, quick=quick
        )

    server = _AnnouncedServer(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=protocol,  # type: ignore[arg-type]  # uvicorn calls it, and asks no more of it
            ws=StrictWebSocketProtocol,
            lifespan="on",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_level="error",  # a warning for each malformed request would let strangers fill the log
            timeout_graceful_shutdown=10,
            ws_max_size=1 << 20,
            ws_per_message_deflate=False,  # messages are decided about and passed on as they are; 300 KiB less for each
        ),
        ready,
    )
    try:
        await server.serve()
    except asyncio.CancelledError:
        if server.started:
            await server.shutdown()
        raise
    except SystemExit as exit_:
        # uvicorn would leave the process at once; the caller may have something to close, and something to say.
        if server.lifespan.should_exit:
            msg = "the gateway did not start; the lines above say why"
        else:
            msg = f"cannot listen on {host} port {port}: is something else listening there?"
        raise ConfigError(msg) from exit_
