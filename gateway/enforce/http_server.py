"""The HTTP server in front of the line, where the gateway runs by itself: uvicorn's, with a protocol of our own."""

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from typing_extensions import override
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode

from gateway.core.errors import ConfigError
from gateway.enforce.asgi import App, Quick
from gateway.enforce.ending import Ending
from gateway.enforce.http_answer import Direct
from gateway.enforce.http_protocol import StrictHttpProtocol

_HEAD_SECONDS = 10.0
"""How long the head of a request may take to arrive."""
_RESTART = "the gateway restarts; connect again"
_BESIDE_S = 15.0
"""How long a server beside the main one may take to end: longer than what it answers may take."""
_CLOSING_S = 1.0
"""How long a WebSocket's client may take to answer that it closes."""


class StrictWebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket. A handshake that the app answered with a refusal counts as answered."""

    @override
    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # Else uvicorn logs an error for each refusal, and whoever is refused can fill the log with them.
            self.handshake_complete = True

    @override
    def shutdown(self) -> None:
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.SERVICE_RESTART})
        self.conn.send_close(CloseCode.SERVICE_RESTART, _RESTART)
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        # What the client sent meanwhile would make an end at once a reset, and that could overtake the reason.
        asyncio.get_running_loop().call_later(_CLOSING_S, self.transport.close)


class _AnnouncedServer(uvicorn.Server):
    """A server that says where it listens, once it does, and ends as `Ending` says."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], object], ending: Ending, *, beside: bool) -> None:
        super().__init__(config)
        self._ready = ready
        self._ending = ending
        self._beside = beside
        self._done = asyncio.Event()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
            if self._beside:
                self._ending.before_closing(self._end)
            else:
                self._ending.ends = lambda sig: self.handle_exit(sig, None)

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._beside and self._ending.ends is not None:
            # It goes on answering whether the process is ready, and ends when the other one says so.
            self._ending.ends(sig)
            return
        if self.should_exit or sig == signal.SIGINT:
            self._ending.hurry()
        super().handle_exit(sig, frame)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self._beside:
            await self._ending.drain([one for server in self.servers for one in server.sockets])
        await super().shutdown(sockets)
        self._done.set()

    async def _end(self) -> None:
        self.should_exit = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_BESIDE_S):
                await self._done.wait()


async def run(
    app: App,
    *,
    host: str,
    port: int,
    max_head_bytes: int,
    ready: Callable[[str], object],
    ending: Ending | None = None,
    beside: bool = False,
) -> None:
    """Serve `app` until a signal ends it. Nothing but the gateway itself believes a header about who the client is.

    Where the app has a `quick`, that is asked first. `ready` is told the URL once the socket listens. `ending` is how
    the process ends; a server `beside` another one answers until that one has drained. Raise ConfigError where it
    cannot listen, or the app did not start.
    """
    ending = ending or Ending()
    quick: Quick | None = getattr(app, "quick", None)
    direct: Direct | None = getattr(app, "direct", None)

    def protocol(
        config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], **_: object
    ) -> StrictHttpProtocol:
        return StrictHttpProtocol(
            config,
            server_state,
            app_state,
            max_head_bytes=max_head_bytes,
            head_s=_HEAD_SECONDS,
            quick=quick,
            direct=direct,
            ending=ending,
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
        ending,
        beside=beside,
    )
    try:
        await server.serve()
    except asyncio.CancelledError:
        ending.hurry()
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
