"""One HTTP/1.1 connection to an upstream: one exchange after another, each read strictly and never further.

An upstream that answers twice, or says how long its answer is in two ways, is cut off: what it sent besides would be
taken for the answer to somebody else's request.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Final, cast

import httptools

from gateway.core.errors import GatewayError
from gateway.enforce.proxy_headers import Lines

MOST_HEAD: Final = 64 * 1024
"""Bytes that the heads of one answer, or its trailers, may take."""
_HIGH: Final = 256 * 1024
"""Bytes of an answer that wait here for the visitor; beyond them nothing is read."""
_BODYLESS: Final = frozenset({204, 304})


class Unanswered(GatewayError):
    """A request that was let through and gets no answer of the upstream, or no whole one."""


class UpstreamBroken(Unanswered):
    """The upstream could not be reached, closed the connection, or sent what is no answer."""


class UpstreamLate(Unanswered):
    """The upstream did not do in time what it had to do next."""


class UpstreamBusy(Unanswered):
    """As many requests as may be are under way, and as many as may be wait for them."""


class ClientLate(Unanswered):
    """The client did not send the next part of its request in time, or did not take the next part of the answer."""


class ClientGone(Unanswered):
    """The client closed the connection, or sent another body than it announced."""


class Connection:
    """One connection. Who takes it calls `begin` and awaits `status`, then `part` until that is empty."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.heard_by: Callable[[], object] | None = None
        """Called in place of waking whoever waits: when something of the answer came, or never will."""
        self._writable: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._until_closed = False
        self._keeps = True
        self.idle_since = 0.0
        self.exchanges = 0
        self._end()

    def _end(self) -> None:
        self._method = ""
        self._status = 0
        self._interim = False
        self.continued = False
        self._headers: Lines = []
        self._parts: list[bytes] = []
        self._waiting = 0
        self._since_body = 0
        self._paused = False
        self._complete = False
        self._fault: Unanswered | None = None
        self._deadline = math.inf
        self._idle_s = math.inf
        self.heard = False

    @property
    def usable(self) -> bool:
        """Whether another exchange may begin on it."""
        return (
            self._transport is not None
            and not self._transport.is_closing()
            and self._keeps
            and (self._complete or not self.exchanges)
        )

    @property
    def headers(self) -> Lines:
        """The headers of the answer, names in lower case."""
        return self._headers

    @property
    def answering(self) -> bool:
        """Whether the head of an answer is here."""
        return self._status != 0

    @property
    def complete(self) -> bool:
        """Whether the whole answer is here, but for what `part` has not given yet."""
        return self._complete

    # Asking

    def begin(self, method: str, request: bytes, *, whole_s: float | None, idle_s: float) -> None:
        """Send a request, or the first of it. `whole_s`: it is whole, and is answered within so many seconds."""
        assert self._transport is not None
        self._end()
        self.exchanges += 1
        self._method = method
        self._idle_s = idle_s
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)
        if whole_s is not None:
            self.sent(whole_s)

    @property
    def fault(self) -> Unanswered | None:
        """Why the exchange ended without a whole answer; None where it did not."""
        return self._fault

    @property
    def status_code(self) -> int:
        """The status of the answer; 0 where its head is not here."""
        return self._status

    def write(self, data: bytes) -> None:
        """Send more of the request."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def sent(self, within_s: float) -> None:
        """Note that the request is whole: the answer begins within `within_s` seconds."""
        if not self._status:
            self._expect(within_s)

    async def drain(self) -> None:
        """Return when the upstream has taken most of what was written. Raise Unanswered."""
        if self._writable is not None:
            try:
                async with asyncio.timeout(self._idle_s):
                    await self._writable
            except TimeoutError:
                self.fail(UpstreamLate("took no more of the request"))
        if self._fault is not None:
            raise self._fault

    async def agreed(self, within_s: float) -> None:
        """Return when the upstream said `100 Continue`, answered, or said nothing for so long. Raise Unanswered."""
        self._expect(math.inf)
        handle = self._loop.call_later(within_s, self._wake)
        try:
            if not self.continued and not self._status and self._fault is None:
                await self._wait()
        finally:
            handle.cancel()
        if self._fault is not None:
            raise self._fault

    async def status(self) -> int:
        """Return the status of the answer, whose head is here then. Raise Unanswered."""
        while not self._status:
            if self._fault is not None:
                raise self._fault
            await self._wait()
        return self._status

    async def part(self) -> bytes:
        """Return what came of the body since, empty at its end. Raise Unanswered where it ends too early."""
        while not self._parts:
            if self._fault is not None:
                raise self._fault
            if self._complete:
                return b""
            self._expect(self._idle_s)
            await self._wait()
        return self.taken()

    def taken(self) -> bytes:
        """Return what came of the body since, and read on."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._waiting = 0
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        return data

    def fail(self, fault: Unanswered) -> None:
        """End the exchange, unless its answer is whole: the upstream learns of it at once."""
        if self._complete or self._fault is not None:
            return
        self._fault = fault
        self.abort()
        self._wake()

    def abort(self) -> None:
        """Close without another word."""
        self._keeps = False
        if self._transport is not None:
            self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What the upstream does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the upstream."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on; wake whoever waits."""
        if self._complete or not self.exchanges:
            # Nobody asked. Whoever is next on this connection must not get it.
            self.abort()
            return
        assert self._parser is not None
        self.heard = True
        self._since_body += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._keeps = False
            self.fail(UpstreamBroken("sent what is no answer"))
        if self._since_body > MOST_HEAD:
            self.fail(UpstreamBroken("sent headers without end"))
        if self._waiting > _HIGH and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        if self._status:
            self._deadline = self._loop.time() + self._idle_s
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        if self._until_closed and exc is None and self._status and self._fault is None:
            self._complete = True
        self.fail(UpstreamBroken("closed the connection"))
        self.abort()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        self._transport = None
        self._wake()

    def eof_received(self) -> None:
        """Note nothing: the loop closes the connection."""

    def pause_writing(self) -> None:
        """Note that the upstream is slow."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Note that it is not any more."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # What the parser finds

    def on_message_begin(self) -> None:
        """Begin one answer; a second one is the end of the connection."""
        if self._complete:
            self._keeps = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. What comes after the head is a trailer, and dropped."""
        if not self._status:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Read the head of an answer, where it is not of an interim one."""
        if self._complete:
            return
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status == 100:
            self.continued = True
        self._interim = status < 200
        if status == 101 or not 100 <= status <= 599:
            raise ValueError("a status that nobody can pass on")
        if self._interim:
            self._headers = []
            return
        coded = [value.lower() for name, value in self._headers if name == b"transfer-encoding"]
        sized = [value for name, value in self._headers if name == b"content-length"]
        if (coded and (coded != [b"chunked"] or sized)) or len(sized) > 1:
            # RFC 9112 §6.1 and §6.3: whoever frames an answer in two ways may mean to send two.
            raise ValueError("an answer framed in two ways")
        if self._since_body > MOST_HEAD and sum(len(name) + len(value) for name, value in self._headers) > MOST_HEAD:
            raise ValueError("headers too large")
        self._since_body = 0
        self._status = status
        self._until_closed = not coded and not sized and status not in _BODYLESS and self._method != "HEAD"
        self._keeps = self._keeps and self._parser.should_keep_alive()
        if self._method == "HEAD":
            # The parser does not know what was asked and would wait for a body: it ends here, and a new one begins.
            self._complete = True
            self._parser = None

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        if self._complete:
            self._keeps = False
            return
        self._since_body = 0
        self._parts.append(body)
        self._waiting += len(body)

    def on_message_complete(self) -> None:
        """End the answer."""
        if self._interim:
            self._interim = False
        else:
            self._complete = True

    # Waiting

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        self._watch()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self.heard_by is not None:
            self.heard_by()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _expect(self, within_s: float) -> None:
        self._deadline = self._loop.time() + within_s
        self._watch()

    def _watch(self) -> None:
        """Have a look at the deadline in time. One timer serves many exchanges: most end long before it."""
        if self._deadline == math.inf or (self._timer is not None and self._timer_at <= self._deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._late)

    def _late(self) -> None:
        self._timer = None
        if self._waiter is None and self.heard_by is None:
            return
        if self._loop.time() >= self._deadline:
            self.fail(UpstreamLate("was silent for too long"))
        else:
            self._watch()
