"""The gateway in front of an ASGI app: every request and every WebSocket handshake passes the line, or ends here."""

from collections.abc import Sequence
from urllib.parse import quote

from gateway.core.problem import problem, refusal_headers
from gateway.core.request import AccessRequest
from gateway.enforce.asgi import App, Message, Receive, Scope, Send
from gateway.ports import Clock
from gateway.service.pipeline import Line, Passage

_ALLOWED = 200


class Enforcer:
    """Lets through what the line allows and answers the rest itself. Pure ASGI: no task, no buffer of its own."""

    def __init__(self, app: App, line: Line, clock: Clock, *, support_url: str | None = None) -> None:
        self._app = app
        self._line = line
        self._now = clock.now
        self._support_url = support_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        kind = scope["type"]
        websocket = kind == "websocket"
        if not websocket and kind != "http":
            # A kind of connection that nobody decides about must not slip past as "not HTTP".
            msg = f"the gateway does not know connections of type {kind!r}, and lets none through that it does not know"
            raise RuntimeError(msg)
        client = scope.get("client")
        passage = await self._line.decide(
            AccessRequest(
                self._now(),
                client[0] if client else None,
                "GET" if websocket else scope["method"],
                scope.get("raw_path") or quote(scope["path"]).encode("ascii"),
                scope["headers"],
                scope.get("query_string", b""),
                websocket,
            )
        )
        decision = (b"gateway-decision", passage.decision_id)
        marks = (decision, passage.settled.level)
        if passage.reply.status != _ALLOWED:
            await self._refuse(passage, marks, scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] in _OPENING:
                message["headers"] = [*message.get("headers", ()), *marks]
            await send(message)

        await self._app(_inner(scope, passage, decision), receive, send_marked)

    async def _refuse(
        self, passage: Passage, marks: Sequence[tuple[bytes, bytes]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        reply = passage.reply
        accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        body, content_type = problem(
            reply, passage.decision_id.decode("ascii"), accept=accept, support_url=self._support_url
        )
        headers = [
            *refusal_headers(reply),
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            *marks,
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


_OPENING = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


def _inner(scope: Scope, passage: Passage, decision: tuple[bytes, bytes]) -> Scope:
    """Return the scope that the app sees: the request as it was read, and what was decided about it."""
    reading = passage.reading
    assert reading is not None
    headers = scope["headers"]
    if reading.plan.strip:
        strip = reading.plan.strip
        headers = [header for index, header in enumerate(headers) if index not in strip]
    raw_path = reading.route.raw_path
    inner = {
        **scope,
        "headers": [*headers, *passage.settled.told, decision],
        "state": {**scope.get("state", {}), "gateway": passage},
    }
    if scope.get("raw_path") != raw_path:
        # The app routes on what was classified, not on another spelling of it.
        inner["path"] = raw_path.decode("ascii")
        inner["raw_path"] = raw_path
    return inner
