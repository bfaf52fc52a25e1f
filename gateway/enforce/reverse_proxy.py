"""An ASGI app that passes requests and WebSockets on to upstreams. It decides nothing: the line did."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import structlog
from starlette.routing import compile_path

from gateway.enforce.asgi import Receive, Scope, Send
from gateway.enforce.http_answer import Cycle, Start
from gateway.enforce.proxy_connection import (
    ClientGone,
    ClientLate,
    Connection,
    Unanswered,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamLate,
)
from gateway.enforce.proxy_direct import DirectExchange
from gateway.enforce.proxy_exchange import Exchange
from gateway.enforce.proxy_headers import Asked, Lines, Unreadable, asked
from gateway.enforce.proxy_pool import Pool, Upstream
from gateway.enforce.proxy_websocket import pass_on

log: Any = structlog.get_logger("gateway")


class _Problem(NamedTuple):
    status: int
    name: str
    title: str


_UNREADABLE: Final = _Problem(400, "ambiguous-request", "The request is ambiguous")
_PROBLEMS: Final = {
    ClientLate: _Problem(408, "request-late", "The request did not arrive in time"),
    UpstreamBroken: _Problem(502, "upstream-unavailable", "Temporarily unavailable"),
    UpstreamBusy: _Problem(503, "upstream-busy", "Temporarily overloaded"),
    UpstreamLate: _Problem(504, "upstream-late", "Temporarily unavailable"),
}


class ReverseProxy:
    """Passes on to the upstream of the first route whose path fits, else to `upstream`: scheme, host and port."""

    def __init__(self, upstream: str | Upstream, routes: Sequence[tuple[str, Upstream]] = ()) -> None:
        """Raise ConfigError where the TLS of an upstream cannot work. Paths are Starlette's, and canonical."""
        self._rest = Pool(Upstream(upstream) if isinstance(upstream, str) else upstream)
        self._routes: list[tuple[re.Pattern[str], Pool]] = [(compile_path(path)[0], Pool(one)) for path, one in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection from its upstream."""
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
        """Close the connections to the upstreams that nobody uses."""
        for pool in (self._rest, *(pool for _, pool in self._routes)):
            pool.close()

    def _pool(self, path: str) -> Pool:
        return next((pool for pattern, pool in self._routes if pattern.match(path)), self._rest)

    def direct(self, cycle: Cycle, start: Start) -> bool:
        """Answer a request that is whole without a task; False, where that will not do."""
        return self.take_directly(cycle.scope, cycle, start, [])

    def take_directly(self, scope: Scope, cycle: Cycle, start: Start, lines: Lines) -> bool:
        """Do the same with a request as it is in `scope`, and `lines` in its answer."""
        try:
            request = asked(scope)
        except Unreadable:
            return False
        if request.expects:
            return False
        return DirectExchange(request, cycle, lines, self._pool(scope["path"]), scope, start, self).begin()

    def go_on(self, exchange: DirectExchange, connection: Connection) -> None:
        """Pass on the rest of an answer."""
        exchange.start(
            lambda _, receive, send: self._pass_on(exchange.scope, receive, send, exchange.asked, connection)
        )

    def ask_anew(self, exchange: DirectExchange) -> None:
        """Send the request once more."""
        exchange.start(
            lambda _, receive, send: self._pass_on(exchange.scope, receive, send, exchange.asked, None, anew=True)
        )

    def fail(self, exchange: DirectExchange, fault: Unanswered) -> None:
        """Answer that there is no answer."""
        _tell(exchange.scope, exchange.pool, fault)
        exchange.start(lambda _, __, send: _answer(exchange.scope, send, _PROBLEMS[type(fault)]))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = asked(scope)
        except Unreadable:
            await _answer(scope, send, _UNREADABLE)
            return
        await self._pass_on(scope, receive, send, request)

    async def _pass_on(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        request: Asked,
        begun: Connection | None = None,
        *,
        anew: bool = False,
    ) -> None:
        pool = self._pool(scope["path"])
        exchange = Exchange(request, receive, send, pool)
        try:
            await exchange.pass_on(begun, anew=anew)
        except ClientGone:
            return
        except Unanswered as fault:
            _tell(scope, pool, fault)
            # What has begun is cut off: the server in front closes the connection of whoever leaves an answer open.
            if not exchange.started:
                await _answer(scope, send, _PROBLEMS[type(fault)])

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        pool = self._pool(scope["path"])
        try:
            denial = await pass_on(scope, receive, send, pool)
        except Unreadable:
            await _deny(scope, send, _UNREADABLE)
        except Unanswered as fault:
            _tell(scope, pool, fault)
            await _deny(scope, send, _PROBLEMS[type(fault)])
        else:
            if denial is not None and "websocket.http.response" in scope.get("extensions", {}):
                headers = [*denial.headers, (b"content-length", b"%d" % len(denial.body))]
                prefix = "websocket.http.response"
                await send({"type": f"{prefix}.start", "status": denial.status, "headers": headers})
                await send({"type": f"{prefix}.body", "body": denial.body})
            elif denial is not None:
                await send({"type": "websocket.close", "code": 1008})


def _decision_id(scope: Scope) -> str | None:
    passage = scope.get("state", {}).get("gateway")
    return None if passage is None else passage.decision_id.decode("ascii")


def _tell(scope: Scope, pool: Pool, fault: Unanswered) -> None:
    if not isinstance(fault, ClientLate):
        log.warning("upstream:failed", upstream=pool.url, why=str(fault), decision_id=_decision_id(scope))


async def _deny(scope: Scope, send: Send, problem: _Problem) -> None:
    if "websocket.http.response" in scope.get("extensions", {}):
        await _answer(scope, send, problem, kind="websocket.http.response")
    else:
        await send({"type": "websocket.close", "code": 1014})


async def _answer(scope: Scope, send: Send, problem: _Problem, *, kind: str = "http.response") -> None:
    document = {
        "type": f"urn:gateway:problem:{problem.name}",
        "title": problem.title,
        "status": problem.status,
        "decision_id": _decision_id(scope),
    }
    body = json.dumps({key: value for key, value in document.items() if value is not None}).encode("ascii")
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if problem.status == 503:
        headers.append((b"retry-after", b"1"))
    if problem.status in {400, 408}:
        # What follows on this connection may be the rest of the request.
        headers.append((b"connection", b"close"))
    await send({"type": f"{kind}.start", "status": problem.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": b"" if scope.get("method") == "HEAD" else body})
