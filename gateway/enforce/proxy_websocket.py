"""One WebSocket passed on: its messages, its subprotocol and how it was closed. Pings are answered on either side.

No extension crosses: what is compressed on one side would have to be unpacked to be decided about, and packed again.
"""

import asyncio
import contextlib
from collections import deque
from typing import Final, NamedTuple, cast

from typing_extensions import override
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from gateway.enforce.asgi import Receive, Scope, Send
from gateway.enforce.proxy_connection import UpstreamBroken, UpstreamBusy, UpstreamLate
from gateway.enforce.proxy_headers import Lines, answered, handshake
from gateway.enforce.proxy_pool import Pool

_MOST_WAITING: Final = 64 * 1024
"""Bytes of messages that wait here for the visitor; beyond them nothing is read."""
_PING_S: Final = 20.0
"""How often an upstream that says nothing is asked whether it is still there; it has as long to answer."""
_GOODBYE_S: Final = 2.0
_BAD_GATEWAY: Final = 1014
_NOWHERE: Final = WebSocketURI(secure=False, host="upstream", port=80, path="/", query="")
_UNSENDABLE: Final = frozenset({1005, 1006, 1015})
"""What an endpoint notes where nothing was said (RFC 6455 §7.4.1); nobody may send it."""


class Denial(NamedTuple):
    """What an upstream answered instead of taking the WebSocket."""

    status: int
    headers: Lines
    body: bytes


class _Socket(asyncio.Protocol):
    """The gateway's end of the WebSocket to an upstream."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: ClientProtocol) -> None:
        self._loop = loop
        self._protocol = protocol
        self._transport: asyncio.Transport | None = None
        self._messages: deque[tuple[str, str | bytes]] = deque()
        self._fragments: list[bytes] = []
        self._text = False
        self._waiting = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._ping: asyncio.TimerHandle | None = None
        self._heard = True
        self._lost = False
        self.response: Response | None = None
        self.telling = False
        """Whether a message is on its way to the visitor; `told` counts those that arrived."""
        self.told = 0

    async def opened(self, request: bytes, within_s: float) -> Response:
        """Return the upstream's answer to the handshake. Raise UpstreamLate or UpstreamBroken."""
        assert self._transport is not None
        self._transport.write(request)
        try:
            async with asyncio.timeout(within_s):
                while self.response is None and self._protocol.handshake_exc is None and not self._lost:
                    await self._wait()
        except TimeoutError:
            raise UpstreamLate("did not answer the handshake in time") from None
        fault = self._protocol.handshake_exc
        if self.response is None or (fault is not None and not isinstance(fault, InvalidStatus)):
            raise UpstreamBroken("sent what is no answer to a handshake") from fault
        self._ping = self._loop.call_later(_PING_S, self._keep_alive)
        return self.response

    async def message(self) -> tuple[str, str | bytes] | None:
        """Return the next message as `text` or `bytes` and what it holds; None when the WebSocket has ended."""
        while not self._messages:
            if self._lost or self._protocol.state is not OPEN:
                return None
            await self._wait()
        message = self._messages.popleft()
        self._waiting -= len(message[1])
        if self._paused and self._waiting <= _MOST_WAITING and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return message

    async def send(self, text: str | None, data: bytes | None, within_s: float) -> None:
        """Send one message, when the upstream has taken most of those before. Raise UpstreamLate."""
        if self._protocol.state is not OPEN:
            return
        if text is not None:
            self._protocol.send_text(text.encode())
        else:
            self._protocol.send_binary(data or b"")
        self._flush()
        if self._writable is not None:
            try:
                async with asyncio.timeout(within_s):
                    await self._writable
            except TimeoutError:
                raise UpstreamLate("took no more messages") from None

    async def close(self, code: int | None, reason: str) -> None:
        """Close as the client did, and give the upstream a moment to agree."""
        if self._protocol.state is OPEN:
            said = None if code is None or code in _UNSENDABLE else code
            # An abrupt end arrives without a code, as does a close that says nothing.
            self._protocol.send_close(said, reason if said is not None else "")
            self._flush()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    while not self._lost and self._protocol.close_rcvd is None:
                        self._messages.clear()
                        await self._wait()
        self.abort()

    def abort(self) -> None:
        """Close without another word."""
        if self._ping is not None:
            self._ping.cancel()
            self._ping = None
        if self._transport is not None:
            self._transport.abort()

    @property
    def ending(self) -> tuple[int, str]:
        """The code and the reason that the visitor is told when the upstream has ended the WebSocket."""
        said = self._protocol.close_rcvd
        if said is None or self._protocol.parser_exc is not None:
            too_big = isinstance(self._protocol.parser_exc, PayloadTooBig)
            return _BAD_GATEWAY, "a message of the upstream is too large" if too_big else ""
        return (1000, "") if said.code in _UNSENDABLE else (said.code, said.reason)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self.response = event
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._waiting > _MOST_WAITING and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    @override
    def eof_received(self) -> None:
        self._protocol.receive_eof()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._transport = None
        self.resume_writing()
        self.abort()
        self._wake()

    @override
    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    @override
    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
            self._text = frame.opcode is Opcode.TEXT
            self._fragments = [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT:
            self._fragments.append(bytes(frame.data))
        else:
            return
        if not frame.fin:
            return
        whole = self._fragments[0] if len(self._fragments) == 1 else b"".join(self._fragments)
        self._fragments = []
        if self._text:
            try:
                self._messages.append(("text", whole.decode()))
            except UnicodeDecodeError:
                self._protocol.fail(CloseCode.INVALID_DATA)
                return
        else:
            self._messages.append(("bytes", whole))
        self._waiting += len(self._messages[-1][1])

    def _flush(self) -> None:
        if self._transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                # The library's sign that nothing more is sent: both sides have said that they close.
                self._transport.close()

    def _keep_alive(self) -> None:
        if not self._heard:
            self.abort()
            return
        self._heard = self._paused
        if self._protocol.state is OPEN:
            self._protocol.send_ping(b"")
            self._flush()
            self._ping = self._loop.call_later(_PING_S, self._keep_alive)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def pass_on(scope: Scope, receive: Receive, send: Send, pool: Pool) -> Denial | None:
    """Pass a WebSocket on until either side ends it; return what the upstream answered in its place, if it did.

    Raise Unanswered where it did not begin.
    """
    if pool.websockets >= pool.limits.websockets:
        raise UpstreamBusy("has as many WebSockets as it may")
    pool.websockets += 1
    try:
        subprotocols = [Subprotocol(one) for one in scope.get("subprotocols", ())]
        protocol = ClientProtocol(_NOWHERE, subprotocols=subprotocols or None, max_size=pool.limits.message_bytes)
        request = handshake(scope, protocol.key)
        loop = asyncio.get_running_loop()
        socket = await pool.open(lambda: _Socket(loop, protocol))
        try:
            response = await socket.opened(request, pool.limits.response_s)
            headers = answered(_lines(response), websocket=True)
            if protocol.handshake_exc is not None:
                return Denial(response.status_code, headers, bytes(response.body or b""))
            await send({"type": "websocket.accept", "subprotocol": protocol.subprotocol, "headers": headers})
            await _both_ways(socket, receive, send, pool.limits.body_s)
        finally:
            socket.abort()
    finally:
        pool.websockets -= 1
    return None


def _lines(response: Response) -> Lines:
    return [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.headers.raw_items()]


async def _both_ways(socket: _Socket, receive: Receive, send: Send, within_s: float) -> None:
    up = asyncio.ensure_future(_up(socket, receive, within_s))
    down = asyncio.ensure_future(_down(socket, send))
    stuck = -1
    try:
        while not (await asyncio.wait((up, down), timeout=within_s, return_when=asyncio.FIRST_COMPLETED))[0]:
            # Looked at from here: a timer for each message would take a tenth of what it takes in all.
            if socket.telling and socket.told == stuck:
                break
            stuck = socket.told
    finally:
        for side in (up, down):
            side.cancel()
        for fault in await asyncio.gather(up, down, return_exceptions=True):
            if isinstance(fault, Exception) and not isinstance(fault, (UpstreamLate, OSError)):
                raise fault


async def _up(socket: _Socket, receive: Receive, within_s: float) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            await socket.close(message.get("code"), message.get("reason") or "")
            return
        await socket.send(message.get("text"), message.get("bytes"), within_s)


async def _down(socket: _Socket, send: Send) -> None:
    while (message := await socket.message()) is not None:
        kind, data = message
        socket.telling = True
        await send({"type": "websocket.send", kind: data})
        socket.telling = False
        socket.told += 1
    code, reason = socket.ending
    await send({"type": "websocket.close", "code": code, "reason": reason})
