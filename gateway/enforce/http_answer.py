"""One request that an ASGI app answers, and the bytes of its answer: framed in one way, with no line of its own."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

from gateway.enforce.asgi import App, Message, Scope
from gateway.service.memo import Memo

_log: Final = logging.getLogger("uvicorn.error")

_STATUS_LINES: Final = {
    one.value: b"HTTP/1.1 %d %b\r\n" % (one.value, one.phrase.encode("ascii")) for one in HTTPStatus
}
_NOT_IN_NAMES: Final = bytes({*range(33), 127, *b'()<>@,;:\\[]={}"/?'})
_AS_SENT: Final = bytes(byte if byte == 9 or (byte >= 32 and byte != 127) else 32 for byte in range(256))
"""Changes nothing in what a value may hold."""
_REMEMBERED: Final = 64
_NAMES: Final[Memo[bytes, bytes]] = Memo(512)
"""Names as they are sent, by names as apps say them: of so many bytes at most, and bounded: an app may make them."""
_BODYLESS: Final = frozenset({204, 304})
_FAULT: Final = b"Internal Server Error"


class Outlet:
    """The way to one client: what may be written now, and what every answer says."""

    __slots__ = ("_drained", "_told", "_told_bytes", "lines", "paused", "transport")

    def __init__(self, transport: asyncio.Transport, lines: "Callable[[], list[tuple[bytes, bytes]]]") -> None:
        """Build. `lines` are the headers that every answer has: the list is another one when they change."""
        self.transport = transport
        self.lines = lines
        self.paused = False
        """Whether the client takes what was written more slowly than it is written."""
        self._drained: asyncio.Event | None = None
        self._told: list[tuple[bytes, bytes]] | None = None
        self._told_bytes = b""

    def begin(self, status: int) -> bytes:
        """Return the first lines of an answer."""
        lines = self.lines()
        if lines is not self._told:
            self._told, self._told_bytes = lines, written(lines)
        return (_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status) + self._told_bytes

    def pause(self) -> None:
        """Note that the client is slow."""
        self.paused = True
        self._drained = asyncio.Event()

    def go_on(self) -> None:
        """Note that it is not any more, or is gone."""
        self.paused = False
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    async def drain(self) -> None:
        """Return when the client has taken most of what was written."""
        if self._drained is not None:
            await self._drained.wait()


Start = Callable[[App], object]
Direct = Callable[["Cycle", Start], bool]
"""Takes a request that is whole, to answer it without a task or, when that turns out not to do, have an app answer it,
which it starts. False, and nothing has happened, where it does neither."""
TakeDirectly = Callable[[Scope, "Cycle", Start, list[tuple[bytes, bytes]]], bool]
"""The same, for a request as it is in a scope, and lines that its answer says besides."""


def written(lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return header lines as they are sent. Raise RuntimeError for one that is two, or none."""
    parts = []
    values = []
    for name, value in lines:
        parts.append(_NAMES.get(name) or _named(name))
        parts.append(value)
        parts.append(b"\r\n")
        values.append(value)
    # All at once: asking of each takes several times as long.
    together = b"".join(values)
    if together.translate(_AS_SENT) != together:
        raise RuntimeError("an answer has a header with a control byte in it")
    return b"".join(parts)


def _named(name: bytes) -> bytes:
    """Return a header's name as it is sent, with what follows it. Raise RuntimeError where it is none."""
    if not name or name.translate(None, _NOT_IN_NAMES) != name:
        raise RuntimeError("an answer has a header whose name is none")
    sent = b"%b: " % name.lower()
    return _NAMES.keep(name, sent) if len(name) <= _REMEMBERED else sent


class Cycle:
    """One request and its answer, as ASGI sees them."""

    __slots__ = (
        "_answered",
        "_body",
        "_chunked",
        "_head",
        "_left",
        "_more",
        "_news",
        "_outlet",
        "_resume",
        "_waiter",
        "_waits",
        "complete",
        "disconnected",
        "keep_alive",
        "lost",
        "scope",
        "started",
        "waiting",
    )

    def __init__(
        self,
        scope: dict[str, Any],
        outlet: Outlet,
        *,
        keep_alive: bool,
        waits: bool,
        resume: Callable[[], object],
        answered: Callable[[], object],
    ) -> None:
        """Build.

        Args:
            scope: the request.
            outlet: where its answer goes.
            keep_alive: whether another request may follow on the connection.
            waits: whether the client waits for `100 Continue` before it sends the body.
            resume: read on, where reading was paused.
            answered: called once, when the answer is out.
        """
        self.scope = scope
        self.keep_alive = keep_alive
        self.started = False
        self.complete = False
        """Whether the whole answer is out."""
        self.disconnected = False
        self.waiting = 0
        """Bytes of the body that the app has not taken."""
        self.lost: Callable[[], object] | None = None
        """Called when the client is gone, where no app waits to hear of it."""
        self._outlet = outlet
        self._waits = waits
        self._resume = resume
        self._answered = answered
        self._head: bool = scope["method"] == "HEAD"
        self._body: list[bytes] = []
        self._more = True
        self._news = False
        self._waiter: asyncio.Event | None = None
        self._chunked = False
        self._left = 0

    # What the connection tells

    def part(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body.append(body)
        self.waiting += len(body)
        self._tell()

    def end(self) -> None:
        """Note that the body is whole."""
        self._more = False
        self._tell()

    def lose(self) -> None:
        """Note that the client is gone."""
        if not self.complete:
            self.disconnected = True
        self._tell()
        if self.lost is not None and self.disconnected:
            self.lost()

    def _tell(self) -> None:
        self._news = True
        if self._waiter is not None:
            self._waiter.set()
            self._waiter = None

    # Answering without a task

    @property
    def waits(self) -> bool:
        """Whether the client is to be asked for the body."""
        return self._waits

    @property
    def body(self) -> bytes:
        """What came of the body, and is not taken by this."""
        return b"".join(self._body)

    def answer(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer, whole. What cannot be framed ends the connection."""
        self.started = True
        self._waits = False
        try:
            self._outlet.transport.write(self._begun(status, headers))
            self._send_part(body, False)
        except (RuntimeError, ValueError) as fault:
            _log.error("an answer that cannot be sent\n", exc_info=fault)
            self._outlet.transport.close()

    # What the app does

    async def run(self, app: App) -> None:
        """Have the app answer. What it does not finish ends the connection, and is never taken for whole."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as fault:  # noqa: BLE001 - whatever ends an app, its client is not left without an end
            _log.error("Exception in ASGI application\n", exc_info=fault)
            await self._unanswered()
        else:
            if not self.complete and not self.disconnected:
                what = "completing" if self.started else "starting"
                _log.error("ASGI callable returned without %s response.", what)
                await self._unanswered()

    async def _unanswered(self) -> None:
        if self.started:
            self._outlet.transport.close()
            return
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(_FAULT)),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": _FAULT})

    async def receive(self) -> Message:
        """Return the next of the body, or that the client is gone, or has its answer."""
        if self._waits and not self._outlet.transport.is_closing():
            self._outlet.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._waits = False
        if not self.disconnected and not self.complete:
            self._resume()
            while not self._news:
                waiter = self._waiter
                if waiter is None:
                    waiter = self._waiter = asyncio.Event()
                await waiter.wait()
            self._news = False
        if self.disconnected or self.complete:
            return {"type": "http.disconnect"}
        body = b"".join(self._body)
        self._body.clear()
        self.waiting = 0
        return {"type": "http.request", "body": body, "more_body": self._more}

    async def send(self, message: Message) -> None:
        """Send the head of the answer, or the next of its body. Raise RuntimeError where that cannot be framed."""
        outlet = self._outlet
        if outlet.paused and not self.disconnected:
            await outlet.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.started:
            if kind != "http.response.start":
                raise RuntimeError(f"Expected ASGI message 'http.response.start', but got '{kind}'.")
            self.started = True
            self._waits = False
            outlet.transport.write(self._begun(message["status"], message.get("headers", ())))
        elif self.complete:
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        elif kind != "http.response.body":
            raise RuntimeError(f"Expected ASGI message 'http.response.body', but got '{kind}'.")
        else:
            self._send_part(message.get("body", b""), message.get("more_body", False))

    def _begun(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return the head of the answer."""
        framed = closes = False
        lines = list(headers)
        for name, value in lines:
            name = name.lower()  # noqa: PLW2901 - as it is sent
            if name == b"content-length" and not framed:
                self._left, framed = int(value), True
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self._left, self._chunked, framed = 0, True, True
            elif name == b"connection" and b"close" in [token.strip().lower() for token in value.split(b",")]:
                closes = True
        head = self._outlet.begin(status) + written(lines)
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            head += b"connection: close\r\n"
        if not framed and not self._head and status not in _BODYLESS:
            self._chunked = True
            head += b"transfer-encoding: chunked\r\n"
        return head + b"\r\n"

    def _send_part(self, body: bytes, more: bool) -> None:
        transport = self._outlet.transport
        if self._head:
            self._left = 0
        elif self._chunked:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                data += b"0\r\n\r\n"
            if data:
                transport.write(data)
        else:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("Response content longer than Content-Length")
            if body:
                transport.write(body)
        if more:
            return
        if self._left:
            raise RuntimeError("Response content shorter than Content-Length")
        self.complete = True
        self._tell()
        if not self.keep_alive:
            transport.close()
        self._answered()
