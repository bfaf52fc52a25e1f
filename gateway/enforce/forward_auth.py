"""The decision service behind a proxy: asked about each request that the proxy has, it answers 200, or a refusal.

One endpoint for each proxy, `/authz/NAME`. Each reads only the headers that its own snippet in `deploy/` sets: a proxy
copies what its client sent, so that whoever guessed the proxy by its headers would let the client choose.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeGuard
from urllib.parse import quote

import structlog

from gateway.core.addresses import Networks
from gateway.core.customer import LANGUAGES
from gateway.core.preference import lines_of, preferred
from gateway.core.problem import problem, refusal_headers
from gateway.core.reply import Reply
from gateway.core.request import AccessRequest, Headers
from gateway.core.trace_context import TRACEPARENT
from gateway.enforce.asgi import Receive, Scope, Send
from gateway.enforce.carried_reply import REPLY_HEADER, packed, unpacked
from gateway.ports import Clock
from gateway.service.pipeline import Line, Passage

log: Any = structlog.get_logger("gateway")

PREFIX: Final = b"/authz/"
REFUSAL: Final = PREFIX + b"refusal"
"""Where a proxy that cannot pass a refusal on fetches it: it hands over what the answer told it."""
_ALLOWED: Final = 200
_STRANGERS_TOLD: Final = 64
"""So many peers that may not ask are logged, each once: nobody fills the log with them."""
_ANSWER_HEADERS: Final = {"http": "http.response", "websocket": "websocket.http.response"}
OF_THE_QUESTION: Final = frozenset({
    b"connection", b"content-length", b"expect", b"keep-alive", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
})  # fmt: skip
"""What speaks of the connection between the proxy and us: the proxy has read the request's own."""


class Dialect(NamedTuple):
    """How one proxy asks, and what it makes of the answer."""

    method: bytes | None = None
    """The header with the method that the client sent; None where the question is sent by that method."""
    target: bytes | None = None
    """The header with path and query as the client sent them; None where they follow the endpoint's own path."""
    host: bytes | None = None
    """The header with the host that the client sent; None where it stands in `Host`."""
    passes: frozenset[int] | None = None
    """The statuses that it hands on; None where it hands on every one. Another is answered as 403."""


_FORWARDED: Final = Dialect(b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-host")

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        "nginx": Dialect(b"x-original-method", b"x-original-uri", passes=frozenset({401, 403})),
        "caddy": _FORWARDED,
        "traefik": _FORWARDED,
        "haproxy": Dialect(b"x-original-method", b"x-original-uri"),
        "envoy": Dialect(),
    }
)
"""By the name that stands in the endpoint."""


class NotAsked(Exception):
    """A question that no snippet of ours asks. Answered 500: whoever set it up must mend it, and nothing is allowed."""


class Askers:
    """Who may ask. Whoever asks speaks for another, so only those may who were named."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._strangers: set[str | None] = set()

    def may_ask(self, peer: str | None) -> TypeGuard[str]:
        """Return whether this address may. One that may not is logged, once."""
        if peer is not None and peer in self._networks:
            return True
        if peer not in self._strangers and len(self._strangers) < _STRANGERS_TOLD:
            self._strangers.add(peer)
            log.warning("forward_auth:asked_by_a_stranger", peer=peer)
        return False


class ForwardAuth:
    """Answers the questions of proxies. Pure ASGI, for requests and, because Caddy asks so, for handshakes."""

    def __init__(
        self, line: Line, clock: Clock, *, askers: Askers, proxies: frozenset[str], support_url: str | None = None
    ) -> None:
        """Build. `askers` may ask; `proxies` are the names, out of `DIALECTS`, whose endpoints there are."""
        self._line = line
        self._now = clock.now
        self._askers = askers
        self._dialects = {PREFIX + name.encode("ascii"): DIALECTS[name] for name in proxies}
        self._support_url = support_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one question."""
        if scope["type"] not in _ANSWER_HEADERS:
            msg = f"the decision service is asked by requests, not by {scope['type']!r}"
            raise RuntimeError(msg)
        if scope["type"] == "websocket":
            await receive()
        peer = scope["client"][0] if scope.get("client") else None
        if not self._askers.may_ask(peer):
            await _answer(scope, send, 403, [])
            return
        path = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
        if path == REFUSAL:
            await self._refusal(scope, send)
            return
        try:
            dialect, request = self._read(scope, path, peer)
        except NotAsked as fault:
            where = path[:64].decode("ascii", "replace")
            log.error("forward_auth:not_asked_as_configured", path=where, why=str(fault))  # noqa: TRY400 - no trace needed
            await _answer(scope, send, 500, [])
            return
        passage = self._line.recall(request) or await self._line.decide(request)
        if "state" in scope:
            scope["state"]["gateway"] = passage
        if passage.reply.status == _ALLOWED:
            told = [*passage.settled.told, (b"gateway-decision", passage.decision_id)]
            await _answer(scope, send, _ALLOWED, told)
        else:
            await self._refuse(scope, send, dialect, passage, request.headers)

    def _read(self, scope: Scope, path: bytes, peer: str) -> tuple[Dialect, AccessRequest]:
        """Return how was asked, and the request that it is about. Raise NotAsked."""
        query = scope.get("query_string", b"")
        endpoint, slash, rest = path[len(PREFIX) :].partition(b"/")
        dialect = self._dialects.get(PREFIX + endpoint) if path.startswith(PREFIX) else None
        if dialect is None:
            names = ", ".join(sorted(one.decode("ascii") for one in self._dialects))
            raise NotAsked(f"there is no such endpoint; `[forward_auth] proxies` opens {names}")
        method = "GET" if scope["type"] == "websocket" else scope["method"]
        told: dict[bytes, list[bytes]] = {name: [] for name in dialect if isinstance(name, bytes)}
        kept, upgrade, own_host = [], b"", dialect.host is None
        for line in scope["headers"]:
            name = line[0]
            if name in told:
                told[name].append(line[1])
            elif name not in OF_THE_QUESTION:
                if own_host or name != b"host":
                    kept.append(line)
            elif name == b"upgrade":
                upgrade = upgrade or line[1].lower()
        if dialect.method is not None:
            method = _said(told, dialect.method).decode("latin-1")
        if dialect.target is not None:
            if slash:
                raise NotAsked("something follows the endpoint's path")
            target, _, query = _said(told, dialect.target).partition(b"?")
        else:
            target = slash + rest
        if dialect.host is not None:
            kept.insert(0, (b"host", _said(told, dialect.host)))
        websocket = scope["type"] == "websocket" or b"websocket" in upgrade
        return dialect, AccessRequest(self._now(), peer, method, target, kept, query, websocket)

    async def _refuse(self, scope: Scope, send: Send, dialect: Dialect, passage: Passage, asked: Headers) -> None:
        reply, decision_id = passage.reply, passage.decision_id
        headers, body = rendered(reply, decision_id.decode("ascii"), asked, self._support_url)
        headers.append(passage.settled.level)
        status = reply.status
        if dialect.passes is not None:
            headers += [(b"gateway-status", b"%d" % status), (REPLY_HEADER, packed(reply, decision_id))]
            if status not in dialect.passes:
                status = 403
        await _answer(scope, send, status, headers, body)

    async def _refusal(self, scope: Scope, send: Send) -> None:
        """Answer with the refusal that the answer to an earlier question told the proxy of."""
        told = unpacked(_first(scope["headers"], REPLY_HEADER))
        if told is None:
            log.error("forward_auth:no_refusal", why=f"{REPLY_HEADER.decode()} is not what an answer of ours told")
            await _answer(scope, send, 500, [])
            return
        headers, body = rendered(*told, scope["headers"], self._support_url)
        level = (b"gateway-access", told[0].access.encode("ascii"))
        await _answer(scope, send, told[0].status, [*headers, level], body)


def rendered(
    reply: Reply, decision_id: str, asked: Headers, support_url: str | None
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return headers and body of a refusal, in the form and language that the client reads."""
    language = preferred(lines_of(asked, b"accept-language"), LANGUAGES)
    accept = lines_of(asked, b"accept")
    trace = lines_of(asked, TRACEPARENT)
    body, content_type = problem(
        reply, decision_id, accept=accept, language=language, support_url=support_url, traceparent=trace
    )
    headers = [line for line in refusal_headers(reply, language=language) if line[0] != b"connection"]
    return [*headers, (b"content-type", content_type), (b"gateway-decision", decision_id.encode("ascii"))], body


def _said(told: Mapping[bytes, list[bytes]], name: bytes) -> bytes:
    """Return the value of a header that the snippet sets, exactly once. Raise NotAsked."""
    values = told[name]
    if len(values) != 1 or not values[0]:
        raise NotAsked(f"`{name.decode()}` came {len(values)} times: the snippet in `deploy/` sets it once")
    return values[0]


def _first(headers: Headers, name: bytes) -> bytes:
    return next((value for one, value in headers if one == name), b"")


async def _answer(scope: Scope, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    kind = _ANSWER_HEADERS[scope["type"]]
    length = (b"content-length", b"%d" % len(body))
    if scope.get("method") == "HEAD":
        body = b""
    await send({"type": f"{kind}.start", "status": status, "headers": [*headers, length]})
    await send({"type": f"{kind}.body", "body": body})
