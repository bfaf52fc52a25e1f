"""The floor: pure ASGI middleware that decides nothing and adds the gateway's two response headers."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.apps.market import exchange
from benchmarks.world import World

ADDED = [(b"gateway-decision", b"01970000-0000-7000-8000-000000000000"), (b"gateway-access", b"full")]


class TwoHeaders:
    """Adds two headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through and mark its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *ADDED]
            await send(message)

        await self._app(scope, receive, send_marked)


def create(_world: World) -> ASGIApp:
    """Return the app behind middleware of the least possible cost."""
    return TwoHeaders(exchange())
