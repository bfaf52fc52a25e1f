"""An ASGI app that passes requests and WebSockets on to one upstream. It decides nothing: the line did."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from gateway.enforce.asgi import Message, Receive, Scope, Send

# RFC 9110 §7.6.1: these speak about one connection and are never passed on.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# What says who the client is, or what was asked, by any name that an upstream may believe, under any spelling that it
# may fold to one (`_` and `.` for `-`). One of them is written anew.
_FOLD = bytes.maketrans(b"_.", b"--")
_CLIENT_ADDRESS = (
    b"x-forwarded", b"x-real-", b"x-client-", b"x-cluster-", b"x-original-", b"x-originating-", b"x-remote-",
    b"x-envoy-", b"x-azure-", b"x-appengine-", b"x-vercel-", b"x-nf-", b"x-rewrite-", b"cf-connecting-", b"cf-pseudo-",
    b"do-connecting-", b"fly-client-", b"fastly-client-", b"true-client-",
)  # fmt: skip
_CLIENT_ADDRESS_NAMES = frozenset({b"forwarded", b"client-ip", b"client_ip", b"client.ip"})
_HANDSHAKE = frozenset({b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"content-length"})
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5.0, sock_connect=5.0, sock_read=60.0)
_BODY_SECONDS = 30.0
"""How long the next part of a request's body may take to arrive."""
_LONGEST_LINE = 32_768
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that may be repeated where a kept connection turns out to be dead. Others get a connection of their own: the
upstream may have carried out what it did not answer."""
_MAX_MESSAGE = 1 << 20
_UNAVAILABLE = b'{"type":"urn:gateway:problem:upstream-unavailable","title":"Temporarily unavailable","status":502}'
_UNREADABLE = b'{"type":"urn:gateway:problem:ambiguous-request","title":"The request is ambiguous","status":400}'


class ReverseProxy:
    """Passes on to `upstream`, which is a scheme and authority without a path."""

    def __init__(self, upstream: str) -> None:
        self._upstream = URL(upstream)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection from the upstream."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def close(self) -> None:
        """Close the connections to the upstream."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    def _client(self, *, fresh: bool) -> aiohttp.ClientSession:
        """Return what speaks to the upstream: `fresh` on a new connection each time, else on kept ones."""
        session = self._sessions.get(fresh)
        if session is None:
            # No limit on their number here: whoever holds one connection shall not make the others wait for it.
            connector = (
                aiohttp.TCPConnector(limit=0, force_close=True)
                if fresh
                else aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
            )
            session = self._sessions[fresh] = aiohttp.ClientSession(
                connector=connector,
                timeout=_TIMEOUT,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
            )
            # aiohttp repeats PUT and DELETE too, on any connection, and has no public switch for it.
            session._retry_connection = not fresh  # noqa: SLF001 - as above
        return session

    def _url(self, scope: Scope, scheme: str) -> URL:
        target = scope["raw_path"].decode("ascii")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        return URL(f"{scheme}://{self._upstream.raw_authority}{target}", encoded=True)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = _onward(scope, scope["headers"])
        except UnicodeDecodeError:
            await _answer(send, 400, _UNREADABLE)
            return
        has_body = "Content-Length" in headers or any(name == b"transfer-encoding" for name, _ in scope["headers"])
        try:
            response = await self._client(fresh=scope["method"] not in _SAFE).request(
                scope["method"],
                self._url(scope, self._upstream.scheme),
                headers=headers,
                data=_body(receive) if has_body else None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            await _answer(send, 502, _UNAVAILABLE)
            return
        # From here on a fault is raised: the server in front then cuts the unfinished answer off.
        async with response:
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status,
                    "headers": [(name.lower(), value) for name, value in _of_the_upstream(response.raw_headers)],
                }
            )
            async for chunk in response.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        scheme = "wss" if self._upstream.scheme == "https" else "ws"
        try:
            headers = _onward(scope, (header for header in scope["headers"] if header[0] not in _HANDSHAKE))
            upstream = await self._client(fresh=True).ws_connect(
                self._url(scope, scheme),
                headers=headers,
                protocols=scope.get("subprotocols", ()),
                max_msg_size=_MAX_MESSAGE,
                autoclose=False,
            )
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError):
            if "websocket.http.response" in scope.get("extensions", {}):
                await _answer(send, 502, _UNAVAILABLE, kind="websocket.http.response")
            else:
                await send({"type": "websocket.close", "code": 1014})
            return
        async with upstream:
            await send({"type": "websocket.accept", "subprotocol": upstream.protocol})
            down = asyncio.ensure_future(_downstream(upstream, send))
            up = asyncio.ensure_future(_upstream(upstream, receive))
            try:
                await asyncio.wait((down, up), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for side in (down, up):
                    side.cancel()
                    with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError, ConnectionError):
                        await side


async def _upstream(upstream: "aiohttp.ClientWebSocketResponse[bool]", receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            await upstream.close(code=_passable(message.get("code")))
            return
        if message.get("text") is not None:
            await upstream.send_str(message["text"])
        else:
            await upstream.send_bytes(message["bytes"])


async def _downstream(upstream: "aiohttp.ClientWebSocketResponse[bool]", send: Send) -> None:
    async for message in upstream:
        if message.type is aiohttp.WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})
        elif message.type is aiohttp.WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})
    await send({"type": "websocket.close", "code": _passable(upstream.close_code)})


def _passable(code: int | None) -> int:
    # 1005, 1006 and 1015 are what an endpoint notes when nothing was said; they may not be sent (RFC 6455 §7.4.1).
    return 1000 if code is None or code in {1005, 1006, 1015} else code


def _onward(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> CIMultiDict[str]:
    """Return the headers that the upstream receives: what is meant for it, and one address that can be believed."""
    listed = list(headers)
    nominated = {
        token.strip().lower() for name, value in listed if name == b"connection" for token in value.split(b",")
    }
    dropped = _HOP_BY_HOP | _CLIENT_ADDRESS_NAMES | nominated
    onward = CIMultiDict(
        # aiohttp writes UTF-8: what is not, would arrive as something else.
        (name.decode("ascii"), value.decode("utf-8"))
        for name, value in listed
        if name not in dropped and not name.translate(_FOLD).startswith(_CLIENT_ADDRESS)
    )
    passage = scope.get("state", {}).get("gateway")
    address = None if passage is None else passage.settled.client_ip.address
    if address is not None:
        onward["X-Forwarded-For"] = address
    return onward


def _of_the_upstream(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """Yield what the visitor may see of the upstream's headers: only the gateway speaks of its own decisions."""
    for name, value in headers:
        lower = name.lower()
        if lower not in _HOP_BY_HOP and not lower.startswith(b"gateway-"):
            yield name, value


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message: Message = await asyncio.wait_for(receive(), _BODY_SECONDS)
        if message["type"] == "http.disconnect":
            msg = "the client went away before it had sent its whole request"
            raise ConnectionError(msg)
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


async def _answer(send: Send, status: int, body: bytes, *, kind: str = "http.response") -> None:
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
