"""Watching an app answer: how each request and each handshake ended, told once, whatever became of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from gateway.enforce.asgi import App, Message, Receive, Scope, Send
from gateway.service.pipeline import Passage

_SWITCHED, _CLOSED = 101, 403
"""What servers answer to a handshake that was accepted, or closed before that."""


class Answered(NamedTuple):
    """How a request ended."""

    passage: Passage | None
    """None where it failed before it was decided."""
    status: int | None
    """None where no answer had begun."""
    fault: BaseException | None = None


async def watched(app: App, scope: Scope, receive: Receive, send: Send, tell: Callable[[Answered], None]) -> None:
    """Answer one connection, and tell how that ended: of a request at its end, of a handshake when it is answered."""
    state: dict[str, Any] = scope.setdefault("state", {})
    websocket = scope["type"] == "websocket"
    status: int | None = None
    told = False

    async def watching(message: Message) -> None:
        nonlocal status, told
        if status is None:
            status = _status_of(message)
            if websocket and status is not None:
                told = True
                tell(Answered(state.get("gateway"), status))
        await send(message)

    fault: BaseException | None = None
    try:
        await app(scope, receive, watching)
    except BaseException as caught:
        fault = caught
        raise
    finally:
        if not told:
            tell(Answered(state.get("gateway"), status, fault))


def _status_of(message: Message) -> int | None:
    match message["type"]:
        case "http.response.start" | "websocket.http.response.start":
            return int(message["status"])
        case "websocket.accept":
            return _SWITCHED
        case "websocket.close":
            return _CLOSED
        case _:
            return None
