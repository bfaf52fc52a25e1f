"""One HTTP request passed on to an upstream, and its answer passed back: both streamed, neither kept."""

import asyncio
import math
from typing import Final, cast

from gateway.enforce.asgi import Receive, Send
from gateway.enforce.proxy_connection import ClientGone, ClientLate, Connection, Unanswered, UpstreamBroken
from gateway.enforce.proxy_direct import may_repeat, told
from gateway.enforce.proxy_headers import Asked
from gateway.enforce.proxy_pool import Pool

_WATCH_S: Final = 0.05
"""How long an upstream has before we look whether its client is still there: most have answered by then."""
_LOOK_S: Final = 1.0
_AGREED_S: Final = 1.0
"""How long an upstream has to say `100 Continue`; many never do, and take the body all the same."""
_LINGER_S: Final = 2.0
"""How long the rest of a body is read and dropped whose answer is sent: closing at once would take the answer away."""


class Exchange:
    """One request. `started` says whether the client has seen the beginning of an answer."""

    def __init__(self, asked: Asked, receive: Receive, send: Send, pool: Pool) -> None:
        self._asked = asked
        self._receive = receive
        self._send = send
        self._pool = pool
        self._limits = pool.limits
        self._left = asked.length
        self._uploaded = asked.length == 0
        self._connection: Connection | None = None
        self._client: asyncio.Future[None] | None = None
        """What reads from the client: the body, and then whether it is still there."""
        self._gone = False
        self._late = False
        self._telling_since = math.inf
        self._loop = asyncio.get_running_loop()
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self.started = False

    async def pass_on(self, begun: Connection | None = None, *, anew: bool = False) -> None:
        """Answer the client. Raise Unanswered where the answer did not begin, or breaks off.

        Args:
            begun: where the request was sent whole, and its answer has begun.
            anew: whether the request was sent before, and takes a new connection this time.
        """
        first = b""
        self._connection = begun
        self._uploaded = self._uploaded or begun is not None
        if not self._uploaded and not self._asked.expects:
            # Before a connection is taken: whoever sends slowly holds none.
            first = await self._part()
        # One timer for most, and no task: an answer mostly comes at once.
        self._timer = self._loop.call_later(_WATCH_S, self._watch)
        try:
            connection = begun or await self._ask(first, anew=anew)
            await self._answer(connection, connection.status_code)
        except asyncio.CancelledError:
            if not self._late:
                raise
            self._task.uncancel()
            raise ClientLate("did not take the answer") from None
        finally:
            self._timer.cancel()
            if self._client is not None:
                self._client.cancel()
            self._give_back()

    async def _ask(self, first: bytes, *, anew: bool) -> Connection:
        """Return a connection on which the answer has begun."""
        if not anew:
            connection = await self._take(self._limits.idle_for(repeatable=self._asked.repeatable))
            try:
                await self._begin(connection, first)
            except UpstreamBroken:
                if not may_repeat(self._asked, connection):
                    raise
                self._give_back()
            else:
                return connection
        connection = await self._take(-1.0)
        await self._begin(connection, first)
        return connection

    async def _take(self, idle_s: float) -> Connection:
        self._connection = self._pool.kept(idle_s=idle_s) or await self._pool.take(idle_s=idle_s)
        if self._gone:
            raise ClientGone("closed the connection")
        return self._connection

    async def _begin(self, connection: Connection, first: bytes) -> None:
        """Return when the answer has begun."""
        asked, limits = self._asked, self._limits
        whole_s = limits.response_s if self._uploaded else None
        connection.begin(asked.method, asked.head + self._framed(first), whole_s=whole_s, idle_s=limits.idle_s)
        if asked.expects:
            await connection.agreed(_AGREED_S)
        if not self._uploaded and not connection.answering:
            self._client = asyncio.ensure_future(self._upload(connection))
        await connection.status()

    async def _answer(self, connection: Connection, status: int) -> None:
        headers = told(connection)
        early = not self._uploaded
        if early:
            # Nobody knows whether the client will send the rest: what follows on its connection may be that.
            headers.append((b"connection", b"close"))
        self.started = True
        await self._tell({"type": "http.response.start", "status": status, "headers": headers})
        if connection.complete and not early:
            # Most answers arrive in one piece, and are told in one.
            await self._tell({"type": "http.response.body", "body": await connection.part()})
            return
        while data := await connection.part():
            await self._tell({"type": "http.response.body", "body": data, "more_body": True})
        if not self._uploaded:
            await self._linger()
        await self._tell({"type": "http.response.body", "body": b""})

    async def _tell(self, message: dict[str, object]) -> None:
        # Bounded by `_watch`: `asyncio.timeout` takes a tenth of what a small request takes in all.
        self._telling_since = self._loop.time()
        await self._send(message)
        self._telling_since = math.inf

    async def _upload(self, connection: Connection) -> None:
        """Send the body as it comes, then look whether the client is still there."""
        try:
            while not self._uploaded:
                connection.write(self._framed(await self._part()))
                await connection.drain()
            connection.sent(self._limits.response_s)
        except Unanswered as fault:
            connection.fail(fault)
            return
        await self._until_gone()

    async def _part(self) -> bytes:
        """Return the next part of the body. Raise ClientLate or ClientGone."""
        try:
            async with asyncio.timeout(self._limits.body_s):
                message = await self._receive()
        except TimeoutError:
            raise ClientLate("did not send the rest of its request") from None
        if message["type"] != "http.request":
            raise ClientGone("closed the connection before it had sent its whole request")
        body: bytes = message.get("body", b"")
        self._uploaded = not message.get("more_body", False)
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._uploaded and self._left):
                raise ClientGone("sent another body than it announced")
        return body

    def _framed(self, body: bytes) -> bytes:
        if self._asked.length is not None:
            return body
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return chunk + b"0\r\n\r\n" if self._uploaded else chunk

    def _watch(self) -> None:
        """Look from now on whether the client is still there, and give up where it does not take the answer."""
        if self._client is None and (self._uploaded or self.started):
            self._client = asyncio.ensure_future(self._until_gone())
        now, within_s = self._loop.time(), self._limits.body_s
        if now >= self._telling_since + within_s:
            self._late = True
            self._task.cancel()
        else:
            # Whoever is still being asked for a body is looked at again before long.
            again_s = within_s if self._client is not None else min(within_s, _LOOK_S)
            self._timer = self._loop.call_at(min(self._telling_since, now) + again_s, self._watch)

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._connection is not None:
            self._connection.fail(ClientGone("closed the connection"))

    async def _linger(self) -> None:
        """Read and drop what the client still sends, for a while."""
        if self._client is None:
            return
        self._client.cancel()
        try:
            async with asyncio.timeout(_LINGER_S):
                while not self._uploaded:
                    await self._part()
        except (TimeoutError, Unanswered):
            return

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if not self._uploaded:
                connection.abort()
            self._pool.give_back(connection)
