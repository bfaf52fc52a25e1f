"""The gateway in front of an ASGI app: every request and every WebSocket handshake passes the line, or ends here."""

import os
from collections.abc import Awaitable
from typing import Any
from urllib.parse import quote

from gateway.core.customer import LANGUAGES, texts
from gateway.core.device_key import DEVICE_BYTES, Device, DeviceCookie, new_key
from gateway.core.preference import lines_of, preferred
from gateway.core.problem import problem, refusal_headers
from gateway.core.request import AccessRequest, Headers
from gateway.core.said import MessageTable
from gateway.core.terms import Credential, Operation
from gateway.core.trace_context import TRACEPARENT
from gateway.core.withdrawal_request import MOST_BODY
from gateway.enforce.asgi import App, Message, Receive, Scope, Send
from gateway.enforce.http_answer import Cycle, Start, TakeDirectly
from gateway.enforce.listening import ListeningSocket
from gateway.enforce.read_ahead import read_ahead
from gateway.enforce.streams import OpenSocket, Streams
from gateway.ports import Clock
from gateway.service.observing import Logins
from gateway.service.pipeline import Line, Passage

_Lines = tuple[tuple[bytes, bytes], ...]
_ALLOWED = 200
_OPENING = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


class Enforcer:
    """Lets through what the line allows and answers the rest itself. Pure ASGI: no task, no buffer of its own."""

    def __init__(
        self,
        app: App,
        line: Line,
        clock: Clock,
        *,
        support_url: str | None = None,
        cookie: DeviceCookie | None = None,
        logins: Logins | None = None,
        streams: Streams | None = None,
        messages: MessageTable | None = None,
    ) -> None:
        """Build.

        Args:
            app: what is behind.
            line: decides.
            clock: tells when requests arrive.
            support_url: where a refused customer is sent.
            cookie: set on what is let through to whoever signed in without one.
            logins: hears of logins.
            streams: looks after what stays open; without it only the handshake and the head are decided.
            messages: on which paths each message of a stream is decided as well.
        """
        assert messages is None or streams is not None
        self._streams = streams
        self._messages = messages
        self._cookie = cookie
        self._logins = logins
        self._app = app
        self._line = line
        self._now = clock.now
        self._support_url = support_url
        # Read now: no request shall wait for a file, and a file that is not whole shall end the start.
        for language in LANGUAGES:
            texts(language)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        await self.answer(scope, receive, send)

    def answer(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what answers one connection, to be awaited.

        Not a coroutine itself: it hands on the app's own, so that a request that is let through costs one frame less
        at each step of it. The same goes for `send_marked`.
        """
        # Servers give a plain dictionary; compiled, one is asked much faster than any other mapping.
        asked: dict[str, Any] = scope if isinstance(scope, dict) else dict(scope)
        kind = asked["type"]
        websocket = kind == "websocket"
        if not websocket and kind != "http":
            # A kind of connection that nobody decides about must not slip past as "not HTTP".
            msg = f"the gateway does not know connections of type {kind!r}, and lets none through that it does not know"
            raise RuntimeError(msg)
        client = asked.get("client")
        headers = asked["headers"]
        request = AccessRequest(
            self._now(),
            client[0] if client else None,
            "GET" if websocket else asked["method"],
            asked.get("raw_path") or quote(asked["path"], errors="replace").encode("ascii"),
            headers if isinstance(headers, (list, tuple)) else list(headers),
            asked.get("query_string", b""),
            websocket,
        )
        passage = self._line.recall(request)
        if passage is None:
            return self._decide(request, asked, receive, send)
        return self._enforce(passage, request, asked, receive, send)

    def direct(self, take: TakeDirectly, cycle: Cycle, start: Start) -> bool:
        """Have a request like an earlier one answered without a task, by an app that takes it so; False for others."""
        scope = cycle.scope
        client = scope["client"]
        request = AccessRequest(
            self._now(),
            client[0] if client else None,
            scope["method"],
            scope["raw_path"],
            scope["headers"],
            scope["query_string"],
        )
        passage = self._line.recall(request)
        if passage is None:
            return False
        logins = self._logins
        if passage.reply.status != _ALLOWED or (logins is not None and logins.watches(scope["method"], scope["path"])):
            # Recorded by now: it is answered by this passage, and not asked about again.
            start(lambda _, receive, send: self._enforce(passage, request, scope, receive, send))
            return True
        inner, lines = self._let_through(passage, request, scope)

        def start_marked(app: App) -> None:
            start(lambda _, receive, send: app(inner, receive, self._marked(passage, request, lines, send)))

        if not take(inner, cycle, start_marked, [*lines]):
            start_marked(self._app)
        return True

    async def _decide(self, request: AccessRequest, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = None
        if self._line.wants_body(request):
            body, receive = await read_ahead(receive, MOST_BODY)
        passage = await self._line.decide(request, body)
        await self._enforce(passage, request, scope, receive, send)

    def _enforce(
        self, passage: Passage, request: AccessRequest, scope: dict[str, Any], receive: Receive, send: Send
    ) -> Awaitable[None]:
        if passage.reply.status != _ALLOWED:
            return self._refuse(passage, request.headers, scope, receive, send)
        inner, lines = self._let_through(passage, request, scope)
        send_marked = self._marked(passage, request, lines, send)
        streams = self._streams
        if streams is not None and scope["type"] == "websocket":
            socket = self._socket(request, passage, streams, receive, send_marked)
            return self._app(inner, socket.receive, socket.send)

        if self._logins is not None and self._logins.watches(scope.get("method", ""), inner["path"]):
            return self._app(inner, receive, self._observed(self._logins, passage, inner["headers"], send_marked))
        return self._app(inner, receive, send_marked)

    def _let_through(
        self, passage: Passage, request: AccessRequest, scope: dict[str, Any]
    ) -> tuple[dict[str, Any], _Lines]:
        """Return the request as the app sees it, and what its answer says besides."""
        headers = request.headers
        reading = passage.reading
        assert reading is not None
        settled = passage.settled
        decision = (b"gateway-decision", passage.decision_id)
        more: _Lines = (settled.level,)
        told: _Lines = settled.told
        if self._cookie is not None and scope["type"] == "http":
            more, told = self._with_device(self._cookie, passage, more, told)
        if reading.plan.strip:
            headers = [header for index, header in enumerate(headers) if index not in reading.plan.strip]
        inner = scope.copy()
        inner["headers"] = [*headers, *told, decision]
        if "state" in scope:
            # The server gives each request a copy of its own.
            scope["state"]["gateway"] = passage
        else:
            inner["state"] = {"gateway": passage}
        raw_path = reading.route.raw_path
        path = reading.route.path
        if scope["path"] != path or scope.get("raw_path") != raw_path:
            # The app routes on what was classified, not on another spelling of it, nor on what somebody before us made
            # of one of the two.
            inner["path"] = path
            inner["raw_path"] = raw_path
        return inner, (decision, *more)

    def _marked(self, passage: Passage, request: AccessRequest, lines: _Lines, send: Send) -> Send:
        """Return a `send` that adds `lines` to the answer, and looks after one that goes on."""
        streams = self._streams

        def send_marked(message: Message) -> Awaitable[None]:
            answer: dict[str, Any] = message if isinstance(message, dict) else dict(message)
            if answer["type"] in _OPENING:
                answer["headers"] = [*answer.get("headers", ()), *lines]
            elif streams is not None and "more_body" in answer:
                streams.goes_on(request, passage, answer["more_body"])
            return send(answer)

        return send_marked

    def _socket(
        self, request: AccessRequest, passage: Passage, streams: Streams, receive: Receive, send: Send
    ) -> OpenSocket:
        """Return what stands between client and app while the WebSocket is open."""
        assert passage.reading is not None
        rule = None if self._messages is None else self._messages.rule(passage.reading.route.path)
        if rule is None:
            return OpenSocket(request, passage, streams, receive, send)
        return ListeningSocket(
            request, passage, streams, receive, send, line=self._line, rule=rule, support_url=self._support_url
        )

    def _observed(self, logins: Logins, passage: Passage, asked: Headers, send: Send) -> Send:
        """Return a `send` that tells what the app answers to a login, and takes away what was said for us alone."""
        agent = next((value for name, value in asked if name == b"user-agent"), None)
        seen = passage.settled.device
        told = next((value for name, value in asked if name == b"gateway-device"), None)
        device = told.decode("ascii") if told else None if seen is None else seen.key

        def observing(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                answered = list(message.get("headers", ()))
                logins.saw(passage, self._now(), message["status"], answered, agent, device)
                message["headers"] = [line for line in answered if line[0].lower() not in logins.taken_away]
            return send(message)

        return observing

    def _with_device(self, cookie: DeviceCookie, passage: Passage, more: _Lines, told: _Lines) -> tuple[_Lines, _Lines]:
        """Return the lines of the answer and of the request onwards, with a device key where one is to be set.

        Only for whoever signs in or is signed in: what is the same for all may be kept and given to others.
        """
        settled, reading = passage.settled, passage.reading
        facts, seen = settled.facts, settled.device
        assert facts is not None
        assert reading is not None
        signed_in = facts.credential == Credential.SESSION and isinstance(facts.account, str)
        if not signed_in and reading.route.operation is not Operation.LOGIN:
            return more, told
        at = self._now()
        if seen is None:
            key = new_key(os.urandom(DEVICE_BYTES))
            told = (*told, (b"gateway-device", key.encode("ascii")))
        elif seen.since_s is not None and Device(seen.key, seen.since_s).to_be_renewed(at):
            key = seen.key
        else:
            return more, told
        return (*more, (b"set-cookie", cookie.header(key, at))), told

    async def _refuse(self, passage: Passage, asked: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        reply = passage.reply
        if "state" in scope:
            scope["state"]["gateway"] = passage
        # Here and not in the line: what a refusal depends on besides the verdict, an allowed request need not tell.
        language = preferred(lines_of(asked, b"accept-language"), LANGUAGES)
        body, content_type = problem(
            reply,
            passage.decision_id.decode("ascii"),
            accept=lines_of(asked, b"accept"),
            language=language,
            support_url=self._support_url,
            traceparent=lines_of(asked, TRACEPARENT),
        )
        headers = [
            *refusal_headers(reply, language=language),
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            (b"gateway-decision", passage.decision_id),
            passage.settled.level,
        ]
        prefix = "http.response"
        if scope["type"] == "websocket":
            if "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": 1008, "reason": str(reply.reason)})
                return
            await receive()
            prefix = "websocket.http.response"
        elif scope["method"] == "HEAD":
            body = b""
        await send({"type": f"{prefix}.start", "status": reply.status, "headers": headers})
        await send({"type": f"{prefix}.body", "body": body})
