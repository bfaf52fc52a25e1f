"""The HTTP server in front of the line, where the gateway runs as a process of its own: uvicorn, made strict.

uvicorn with httptools is fast and refuses what smuggles requests (`Transfer-Encoding` beside `Content-Length`, bare
line feeds, folded lines), but it bounds neither the size of a request's head nor the time it takes to arrive, it takes
an absolute-form target apart before anybody has compared its authority with `Host`, and it reads trailers as headers,
as many as come. This closes the four gaps.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.core.errors import ConfigError
from gateway.enforce.asgi import App

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_HEAD_SECONDS = 10.0
"""How long the head of a request may take to arrive."""


class StrictHttpProtocol(HttpToolsProtocol):
    """One connection whose request heads are bounded in size and in time, and whose targets stay as sent."""

    max_head_bytes = 32_768

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever uvicorn passes
        super().__init__(*args, **kwargs)
        self._head_open = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._trailer_open = False
        """Whether what comes next is no data of a chunk: a trailer, the end, or the first byte of the chunk."""
        self._trailer_bytes = 0
        """Of the trailers that came whole; `_unended_bytes` of the one that has not ended yet."""
        self._unended_bytes = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it likewise
        self._await_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        # Bytes of the read in which a head begins may belong to the body before it, so counting starts with the next
        # read. A head is then held to one read (at most 256 KiB) and `max_head_bytes` more.
        counted = self._head_open
        trailers = self._trailer_bytes if self._trailer_open else None
        super().data_received(data)
        if self._trailer_open:
            # As with heads: httptools keeps a trailer until it is whole, however long that is.
            self._unended_bytes = self._unended_bytes + len(data) if self._trailer_bytes == trailers else 0
            if self._trailer_bytes + self._unended_bytes > self.max_head_bytes:
                self._refuse("The trailers of the request are too large.")
                return
        if not self._head_open or self.transport.is_closing():
            return
        if counted:
            self._head_bytes += len(data)
            if self._head_bytes > self.max_head_bytes:
                self._refuse("The head of the request is too large.")
                return
        if self._head_timer is None:
            self._await_head()

    @override
    def on_message_begin(self) -> None:
        self._head_open = True
        self._head_bytes = 0
        super().on_message_begin()

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        # What comes after the head is a trailer. uvicorn puts it among the headers, where whoever stands in front of us
        # and cleans those would be got round (RFC 9110 §6.5.1: never merged).
        if self._head_open:
            super().on_header(name, value)
        else:
            self._trailer_bytes += len(name) + len(value) + 4
            if self._trailer_bytes > self.max_head_bytes:
                raise ValueError("the trailers are too large")

    def on_chunk_header(self) -> None:
        """Note that the size of a chunk was read. Data follows, or, after the size of nothing, trailers."""
        self._trailer_open = True
        self._trailer_bytes = self._unended_bytes = 0

    @override
    def on_body(self, body: bytes) -> None:
        self._trailer_open = False
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._trailer_open = False
        super().on_message_complete()

    @override
    def on_headers_complete(self) -> None:
        self._head_open = False
        if self._head_timer is not None:
            self._stop_timer()
        if self.parser.should_upgrade() and any(name in _FRAMING for name, _ in self.headers):
            # A handshake has no body (RFC 6455 §4.1); the WebSocket parser would wait for ever. Raised in a callback of
            # the HTTP parser, this is answered 400 and closed.
            raise ValueError("an upgrade with a body")
        super().on_headers_complete()
        url = self.url
        if url[:1] != b"/" or url[:2] == b"//" or b"#" in url:
            # The app has not run yet: it shall see the target as it was sent, not what a URL parser made of it.
            self.scope["raw_path"] = url.partition(b"?")[0]

    @override
    def send_400_response(self, msg: str) -> None:
        cycle: Any = self.cycle  # None before the first request, whatever uvicorn says
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            # In the midst of an answer it would be taken for a part of that.
            self.transport.close()
        else:
            super().send_400_response(msg)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(_HEAD_SECONDS, self._refuse, "The request did not arrive in time.")

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, message: str) -> None:
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self._head_bytes or self.headers:
            self.send_400_response(message)
        else:
            self.transport.close()


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

    `ready` is told the URL once the socket listens. Raise ConfigError where it cannot, or the app did not start.
    """
    server = _AnnouncedServer(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=type("Protocol", (StrictHttpProtocol,), {"max_head_bytes": max_head_bytes}),
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
