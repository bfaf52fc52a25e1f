"""An app that says of each request, or of each that it refused, what became of it."""

from collections.abc import Awaitable, Callable
from functools import partial

from gateway.adapters.request_log import Line
from gateway.enforce.answered import Answered, watched
from gateway.enforce.asgi import App, Receive, Scope, Send
from gateway.ports import Clock
from gateway.service.pipeline import Passage
from gateway.service.told import Teller

_ALLOWED = 200
_FAILED = 500


class Saying:
    """Hands each request that is to be said to `put`, as something that makes the line: what that costs is not here."""

    def __init__(
        self, *, put: Callable[[Callable[[], Line]], None], teller: Teller, clock: Clock, allowed: bool
    ) -> None:
        """Build. `allowed`: also those that are let through are said."""
        self._put = put
        self._teller = teller
        self.now = clock.now
        self.allowed = allowed
        """Whether those that are let through are said, too."""

    def __call__(self, at: int, answered: Answered) -> None:
        """Say how a request that arrived then was answered."""
        passage = answered.passage
        failed = answered.fault is not None or answered.status is None or answered.status >= _FAILED
        if not failed and (passage is None or (passage.reply.status == _ALLOWED and not self.allowed)):
            return
        took = max(self.now() - at, 0)
        tell = self._teller.tell
        status = 500 if answered.fault is not None and answered.status is None else answered.status
        self._put(lambda: Line(at, took, None if passage is None else tell(passage), status))

    def decided(self, at: int, passage: Passage) -> None:
        """Say a decision that was answered elsewhere than in HTTP."""
        self(at, Answered(passage, passage.reply.status))


class Logged:
    """An app, and what is said of its requests."""

    def __init__(self, app: App, saying: Saying) -> None:
        self._app = app
        self._saying = saying

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what answers one connection, to be awaited."""
        if scope["type"] not in {"http", "websocket"}:
            return self._app(scope, receive, send)
        return watched(self._app, scope, receive, send, partial(self._saying, self._saying.now()))
