"""One connection of the server in front of the line: HTTP/1.1 by httptools, made strict, with ASGI behind it.

httptools is fast and refuses what smuggles requests (`Transfer-Encoding` beside `Content-Length`, bare line feeds,
folded lines), but it bounds neither the size of a request's head nor the time it takes to arrive, it takes an
absolute-form target apart before anybody has compared its authority with `Host`, and it reports trailers as headers,
as many as come. This closes the four gaps.
"""

import asyncio
import logging
from collections import deque
from functools import partial
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from gateway.enforce.asgi import App, Quick
from gateway.enforce.ending import Ending
from gateway.enforce.handshake import asks_for_websocket
from gateway.enforce.http_answer import Cycle, Direct, Outlet
from gateway.enforce.http_scope import scope_of

_log: Final = logging.getLogger("uvicorn.error")

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_MOST_WAITING: Final = 64 * 1024
"""Bytes of a request's body that wait for the app; beyond them nothing is read."""


class StrictHttpProtocol:
    """One connection whose request heads are bounded in size and in time, and whose targets stay as sent.

    uvicorn's server starts it, tells it to shut down, and is told of its tasks. No class of uvicorn's: what it would
    bring is done here in fewer steps, and compiled it is an object of C.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        max_head_bytes: int,
        head_s: float,
        quick: Quick | None = None,
        direct: Direct | None = None,
        ending: Ending | None = None,
    ) -> None:
        """Build. `head_s`: how long the head of a request may take to arrive.

        `quick` is asked before the app, and then `direct`. Once `ending` has begun each answer is the last one of its
        connection.
        """
        self._ending = ending or Ending()
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._loop = asyncio.get_running_loop()
        self._max_head_bytes = max_head_bytes
        self._head_s = head_s
        self._quick = quick
        self._direct = direct
        self._kept_s = float(config.timeout_keep_alive)
        self._at_most = config.limit_concurrency
        self._parser = _parser_for(self)
        self._transport: Any = None
        self._outlet: Any = None
        self._peer: str | None = None
        self._common: dict[str, Any] = {}
        self._reading_paused = False
        self._pipeline: deque[Cycle] = deque()
        self._cycle: Cycle | None = None
        """The newest request that the app answers."""
        self._fresh: Cycle | None = None
        """The same, where it waits for the end of what is being read: it may be whole then."""
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_open = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._trailer_open = False
        """Whether what comes next is no data of a chunk: a trailer, the end, or the first byte of the chunk."""
        self._trailer_bytes = 0
        """Of the trailers that came whole; `_unended_bytes` of the one that has not ended yet."""
        self._unended_bytes = 0
        self._idle_since = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    # What the transport tells

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin."""
        state = self._state
        state.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own classes
        self._transport = transport
        self._outlet = Outlet(transport, lambda: state.default_headers)
        client = get_remote_addr(transport)
        self._peer = None if client is None else client[0]
        self._common = {
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": get_local_addr(transport),
            "client": client,
            "scheme": "https" if is_ssl(transport) else "http",
            "root_path": self._config.root_path,
        }
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and tell whoever waits for more."""
        self._stop_timers()
        self._state.connections.discard(self)
        for cycle in (*self._pipeline, self._cycle):
            if cycle is not None:
                cycle.lose()
        self._outlet.go_on()
        if exc is None:
            self._transport.close()
        self._parser = None

    def eof_received(self) -> None:
        """Note nothing: a client that says no more may still read."""

    def pause_writing(self) -> None:
        """Note that the client is slow."""
        self._outlet.pause()

    def resume_writing(self) -> None:
        """Note that it is not any more."""
        self._outlet.go_on()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        # Bytes of the read in which a head begins may belong to the body before it, so counting starts with the next
        # read. A head is then held to one read (at most 256 KiB) and `max_head_bytes` more.
        counted = self._head_open
        trailers = self._trailer_bytes if self._trailer_open else None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fresh = None
            _log.warning("Invalid HTTP request received.")
            self._refuse_unread("Invalid HTTP request received.")
            return
        except httptools.HttpParserUpgrade:
            if self._upgrades():
                self._hand_over()
            return
        if self._fresh is not None:
            fresh, self._fresh = self._fresh, None
            self._start(fresh)
        if self._trailer_open:
            # As with heads: httptools keeps a trailer until it is whole, however long that is.
            self._unended_bytes = self._unended_bytes + len(data) if self._trailer_bytes == trailers else 0
            if self._trailer_bytes + self._unended_bytes > self._max_head_bytes:
                self._refuse("The trailers of the request are too large.")
                return
        if not self._head_open or self._transport.is_closing():
            return
        if counted:
            self._head_bytes += len(data)
            if self._head_bytes > self._max_head_bytes:
                self._refuse("The head of the request is too large.")
                return
        if self._head_timer is None:
            self._await_head()

    def shutdown(self) -> None:
        """Close once what is being answered is."""
        if self._cycle is None or self._cycle.complete:
            self._transport.close()
        else:
            self._cycle.keep_alive = False

    # What the parser finds

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._head_open = True
        self._head_bytes = 0
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        """Keep the target, or the next of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header.

        What comes after the head is a trailer: among the headers it would get round whoever stands in front of us and
        cleans those (RFC 9110 §6.5.1: never merged).
        """
        if self._head_open:
            self._headers.append((name.lower(), value))
        else:
            self._trailer_bytes += len(name) + len(value) + 4
            if self._trailer_bytes > self._max_head_bytes:
                raise ValueError("the trailers are too large")

    def on_chunk_header(self) -> None:
        """Note that the size of a chunk was read. Data follows, or, after the size of nothing, trailers."""
        self._trailer_open = True
        self._trailer_bytes = self._unended_bytes = 0

    def on_headers_complete(self) -> None:
        """Answer at once, or have the app answer. Raise ValueError for what is refused: the parser stops there."""
        self._head_open = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self._quick is not None and (self._cycle is None or self._cycle.complete) and self._answers_at_once():
            return
        parser = self._parser
        if parser.should_upgrade():
            if any(name in _FRAMING for name, _ in self._headers):
                # A handshake has no body (RFC 6455 §4.1); the WebSocket parser would wait for ever. Raised in a
                # callback of the HTTP parser, this is answered 400 and closed.
                raise ValueError("an upgrade with a body")
            if self._upgrades():
                if self._cycle is not None and not self._cycle.complete:
                    raise ValueError("a handshake behind a request that has no answer yet")
                return
        self._have_answered()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._trailer_open = False
        cycle = self._cycle
        if cycle is None or cycle.complete:
            return
        cycle.part(body)
        if cycle.waiting > _MOST_WAITING:
            self._pause_reading()

    def on_message_complete(self) -> None:
        """End the body."""
        self._trailer_open = False
        if self._cycle is not None and not self._cycle.complete and not self._upgrading:
            self._cycle.end()
            if self._fresh is not None:
                fresh, self._fresh = self._fresh, None
                self._begin(fresh)

    # Answering

    @property
    def _upgrading(self) -> bool:
        return bool(self._parser.should_upgrade()) and self._upgrades()

    def _upgrades(self) -> bool:
        """Return whether a WebSocket is asked for, and there is what speaks it: else the app answers."""
        return self._config.ws_protocol_class is not None and asks_for_websocket(self._headers)

    def _answers_at_once(self) -> bool:
        """Return whether the request is answered. Nothing is said unless it is."""
        assert self._quick is not None
        parser, outlet = self._parser, self._outlet
        if self._ending.begun:
            return False
        if outlet.paused or not parser.should_keep_alive() or parser.should_upgrade() or outlet.transport.is_closing():
            return False
        answer = self._quick(self._peer, parser.get_method(), self._url, self._headers)
        if answer is None:
            return False
        status, rest = answer
        outlet.transport.write(outlet.begin(status) + rest)
        self._state.total_requests += 1
        self._rest()
        return True

    def _have_answered(self) -> None:
        parser = self._parser
        version: str = parser.get_http_version()
        method = parser.get_method().decode("ascii")
        scope = scope_of(self._common, method, version, self._url, self._headers)
        scope["state"] = self._app_state.copy()
        before = self._cycle
        cycle = self._cycle = Cycle(
            scope,
            self._outlet,
            keep_alive=version != "1.0" and parser.should_keep_alive() and not self._ending.begun,
            waits=any(name == b"expect" and value.lower() == b"100-continue" for name, value in self._headers),
            resume=self._resume_reading,
            answered=self._answered,
        )
        if before is None or before.complete:
            if self._direct is None or cycle.waits:
                self._start(cycle)
            else:
                self._fresh = cycle
        else:
            self._pause_reading()
            self._pipeline.append(cycle)

    def _begin(self, cycle: Cycle) -> None:
        """Have a request that is whole answered, without a task where that will do."""
        assert self._direct is not None
        if self._outlet.paused or not self._direct(cycle, partial(self._start, cycle)):
            self._start(cycle)

    def _start(self, cycle: Cycle, by: App | None = None) -> None:
        tasks = self._state.tasks
        app: Any = by or self._config.loaded_app
        if self._at_most is not None and max(len(tasks), len(self._state.connections)) >= self._at_most:
            app = service_unavailable
        task = self._loop.create_task(cycle.run(app))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _answered(self) -> None:
        self._state.total_requests += 1
        if self._transport.is_closing():
            return
        self._resume_reading()
        if self._pipeline:
            self._start(self._pipeline.popleft())
        else:
            self._rest()

    def _hand_over(self) -> None:
        """Give the connection to the WebSocket protocol, with the head of the handshake."""
        self._stop_timers()
        self._state.connections.discard(self)
        lines = [b"%b %b HTTP/1.1\r\n" % (self._parser.get_method(), self._url)]
        lines += [b"%b: %b\r\n" % line for line in self._headers]
        protocol: Any = self._config.ws_protocol_class
        websocket = protocol(config=self._config, server_state=self._state, app_state=self._app_state)
        websocket.connection_made(self._transport)
        websocket.data_received(b"".join([*lines, b"\r\n"]))
        self._transport.set_protocol(websocket)

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    # Time

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(self._head_s, self._refuse, "The request did not arrive in time.")

    def _rest(self) -> None:
        """Wait for the next request, for a while. One timer serves many: most come long before it."""
        self._idle_since = self._loop.time()
        if self._idle_timer is None:
            self._idle_timer = self._loop.call_later(self._kept_s, self._rested)

    def _rested(self) -> None:
        self._idle_timer = None
        if self._head_open or (self._cycle is not None and not self._cycle.complete):
            return
        left = self._idle_since + self._kept_s - self._loop.time()
        if left > 0:
            self._idle_timer = self._loop.call_later(left, self._rested)
        else:
            self._transport.close()

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._idle_timer = None

    def _refuse(self, message: str) -> None:
        self._stop_timers()
        if self._transport.is_closing():
            return
        if self._head_bytes or self._headers:
            self._refuse_unread(message)
        else:
            self._transport.close()

    def _refuse_unread(self, message: str) -> None:
        """Answer 400 and close; close alone where that would stand in the middle of another answer."""
        if self._cycle is None or self._cycle.complete or not self._cycle.started:
            text = message.encode("ascii")
            self._transport.write(
                self._outlet.begin(400) + b"content-type: text/plain; charset=utf-8\r\ncontent-length: "
                b"%d\r\nconnection: close\r\n\r\n%b" % (len(text), text)
            )
        self._transport.close()


def _parser_for(protocol: StrictHttpProtocol) -> Any:  # noqa: ANN401 - None once the connection is lost
    parser = httptools.HttpRequestParser(protocol)
    # What follows a request that ends the connection is dropped, and no reason to refuse that one.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
