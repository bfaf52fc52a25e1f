"""The decision service behind a proxy: asked about each request that the proxy has, it answers 200, or a refusal.

One endpoint for each proxy, `/authz/NAME`. A question like an earlier one is answered at once, as the head of it has
arrived, without a task: `quick`. Every other one takes the way of all ASGI apps, and gets the same answer.
"""

from typing import Any, Final, TypeGuard
from urllib.parse import quote

import structlog

from gateway.core.addresses import Networks
from gateway.core.customer import LANGUAGES
from gateway.core.preference import lines_of, preferred
from gateway.core.problem import problem, refusal_headers
from gateway.core.reply import Reply
from gateway.core.request import AccessRequest, Headers
from gateway.core.trace_context import TRACEPARENT
from gateway.enforce.answered import Answered
from gateway.enforce.asgi import Receive, Scope, Send
from gateway.enforce.carried_reply import REPLY_HEADER, packed, unpacked
from gateway.enforce.http_answer import written
from gateway.enforce.question import DIALECTS, Dialect, Lines, NotAsked, Questions
from gateway.enforce.request_log import Saying
from gateway.ports import Clock
from gateway.service.memo import Memo
from gateway.service.pipeline import Line, Passage

log: Any = structlog.get_logger("gateway")

PREFIX: Final = b"/authz/"
REFUSAL: Final = PREFIX + b"refusal"
"""Where a proxy that cannot pass a refusal on fetches it: it hands over what the answer told it."""
_PREFIX_BYTES: Final = len(PREFIX)
_HEAD: Final = b"HEAD"
_CONNECT: Final = b"CONNECT"
_ALLOWED: Final = 200
_ASKERS: Final = 256
_TOLD: Final = 16_384
_STRANGERS_TOLD: Final = 64
"""So many peers that may not ask are logged, each once: nobody fills the log with them."""
_ANSWER_HEADERS: Final = {"http": "http.response", "websocket": "websocket.http.response"}


class Askers:
    """Who may ask. Whoever asks speaks for another, so only those may who were named."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._known: Memo[str, str] = Memo(_ASKERS)
        self._strangers: set[str | None] = set()

    def take(self, networks: Networks) -> None:
        """Let these ask from now on, and nobody else."""
        self._networks = networks
        self._known.clear()
        self._strangers.clear()

    def known(self, peer: str) -> bool:
        """Return whether this address may ask, and has done so before."""
        return peer in self._known

    def may_ask(self, peer: str | None) -> TypeGuard[str]:
        """Return whether this address may. One that may not is logged, once."""
        if peer is not None and peer in self._networks:
            self._known.keep(peer, peer)
            return True
        if peer not in self._strangers and len(self._strangers) < _STRANGERS_TOLD:
            self._strangers.add(peer)
            log.warning("forward_auth:asked_by_a_stranger", peer=peer)
        return False


class ForwardAuth:
    """Answers the questions of proxies. Pure ASGI, for requests and, because Caddy asks so, for handshakes."""

    def __init__(
        self,
        line: Line,
        clock: Clock,
        *,
        askers: Askers,
        proxies: frozenset[str],
        support_url: str | None = None,
        saying: Saying | None = None,
    ) -> None:
        """Build.

        Args:
            line: decides.
            clock: tells when questions arrive.
            askers: who may ask.
            proxies: the names, out of `DIALECTS`, whose endpoints there are.
            support_url: where a refused customer is sent.
            saying: hears of what is answered at once; of all else hears whatever is around the app.
        """
        self._saying = saying
        self._says_allowed = saying is not None and saying.allowed
        self._line = line
        self._now = clock.now
        self._askers = askers
        self._asked = {name.encode("ascii"): Questions(DIALECTS[name]) for name in proxies}
        self._support_url = support_url
        self._told: Memo[tuple[tuple[bytes, bytes], ...], bytes] = Memo(_TOLD)
        """Header lines as they are sent."""

    def quick(self, peer: str | None, method: bytes, url: bytes, headers: Lines) -> tuple[int, bytes] | None:
        """Return status and rest of the answer to a question like an earlier one, recorded; None for any other."""
        if peer is None or not self._askers.known(peer) or not url.startswith(PREFIX) or b"#" in url:
            return None
        path, _, query = url.partition(b"?")
        endpoint, slash, rest = path[_PREFIX_BYTES:].partition(b"/")
        questions = self._asked.get(endpoint)
        if questions is None or method == _CONNECT:
            return None
        request = self._bare(questions, peer, method.decode("ascii"), slash + rest, query, headers)
        passage = None if request is None else self._line.recall(request)
        if request is None or passage is None:
            return None
        if passage.reply.status == _ALLOWED:
            if self._saying is not None and self._says_allowed:
                self._saying.decided(request.at, passage)
            told = passage.settled.told
            lines = self._told.get(told) or self._told.keep(told, written(told))
            return _ALLOWED, b"%bgateway-decision: %b\r\ncontent-length: 0\r\n\r\n" % (lines, passage.decision_id)
        status, refused, body = self._refused(questions.dialect, passage, request.headers)
        if self._saying is not None:
            self._saying(request.at, Answered(passage, status))
        length = b"content-length: %d\r\n\r\n" % len(body)
        return status, written(refused) + length + (b"" if method == _HEAD else body)

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
            await _answer(scope, send, *self._refused(dialect, passage, request.headers))

    def _read(self, scope: Scope, path: bytes, peer: str) -> tuple[Dialect, AccessRequest]:
        """Return how was asked, and the request that it is about. Raise NotAsked."""
        endpoint, slash, rest = path[_PREFIX_BYTES:].partition(b"/")
        questions = self._asked.get(endpoint) if path.startswith(PREFIX) else None
        if questions is None:
            names = ", ".join(sorted((PREFIX + one).decode("ascii") for one in self._asked))
            raise NotAsked(f"there is no such endpoint; `[forward_auth] proxies` opens {names}")
        websocket = scope["type"] == "websocket"
        method = "GET" if websocket else scope["method"]
        headers = [*scope["headers"]]
        query = scope.get("query_string", b"")
        plan = questions.plan(headers)
        request = questions.request(plan, self._now(), peer, method, slash + rest, query, headers, websocket)
        return questions.dialect, request

    def _bare(  # noqa: PLR0917 - on the path of every question, where keywords cost
        self, questions: Questions, peer: str, method: str, rest: bytes, query: bytes, headers: Lines
    ) -> AccessRequest | None:
        """Return the request that a question is about whose headers say no more; None for any other."""
        try:
            plan = questions.plan(headers)
            if not plan.bare:
                return None
            return questions.request(plan, self._now(), peer, method, rest, query, headers, False)
        except NotAsked:
            return None

    def _refused(self, dialect: Dialect, passage: Passage, asked: Headers) -> tuple[int, Lines, bytes]:
        """Return status, headers and body of the answer to a proxy that shall refuse."""
        reply, decision_id = passage.reply, passage.decision_id
        headers, body = rendered(reply, decision_id.decode("ascii"), asked, self._support_url)
        headers.append(passage.settled.level)
        status = reply.status
        if dialect.passes is not None:
            headers += [(b"gateway-status", b"%d" % status), (REPLY_HEADER, packed(reply, decision_id))]
            if status not in dialect.passes:
                status = 403
        return status, headers, body

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


def _first(headers: Headers, name: bytes) -> bytes:
    return next((value for one, value in headers if one == name), b"")


async def _answer(scope: Scope, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    kind = _ANSWER_HEADERS[scope["type"]]
    length = (b"content-length", b"%d" % len(body))
    if scope.get("method") == "HEAD":
        body = b""
    await send({"type": f"{kind}.start", "status": status, "headers": [*headers, length]})
    await send({"type": f"{kind}.body", "body": body})
