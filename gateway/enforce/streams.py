"""What stays open after it was allowed: WebSockets and long responses, decided again when the answer may have changed.

A stream is decided as its request would be decided now: by the same headers, at this instant. Where that is refused it
ends: a WebSocket is closed with 1008 and the reason, a response is cut off, so that nobody takes what came for the
whole. Where nobody can decide (the store does not answer), it goes on by its last verdict for a stated while.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any, Final

import structlog

from gateway.core.errors import GatewayError
from gateway.core.failing import Grace
from gateway.core.request import AccessRequest
from gateway.enforce.asgi import Message, Receive, Send
from gateway.policies.bundle import Bundle
from gateway.ports import MICROSECONDS, Clock
from gateway.service.gather import Marks
from gateway.service.pipeline import Line, Passage

log: Any = structlog.get_logger("gateway")

LOOK_EVERY_S: Final = 0.05
"""How often is asked whether anything changed: a comparison of numbers for each stream."""
_ALLOWED: Final = 200
_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN_LATER: Final = 1013
"""Ends what was not refused for itself: nobody could say that it is still allowed."""
_OUTAGE: Final = 503
_AWAY_US: Final = MICROSECONDS
"""How often a stream is decided again, at most, while nobody can say whether it goes on."""
_GRACE: Final = Grace()
_AT_ONCE: Final = 32
"""So many streams are decided again before other work has its turn."""


class Stream:
    """One open WebSocket or response."""

    __slots__ = ("bundle", "decided_at", "due", "end", "in_doubt", "name", "passage", "request", "sure_at")

    def __init__(
        self, request: AccessRequest, passage: Passage, bundle: Bundle, end: Callable[[Passage], object]
    ) -> None:
        """Build. `end` is called once, with the refusal."""
        self.name = passage.decision_id
        self.request = request
        self.passage = passage
        self.bundle = bundle
        self.end = end
        self.decided_at = request.at
        self.due = 0
        """When it is decided again, though nothing seems to have changed."""
        self.sure_at = request.at
        """When it was last known for certain to be allowed."""
        self.in_doubt = False
        """Whether the last decision about it could not be made, and `passage` is the one before."""


class Streams:
    """Every open stream of one process. Belongs to one event loop."""

    def __init__(self, line: Line, clock: Clock, *, at_latest_s: float, grace: Grace = _GRACE) -> None:
        """Build.

        Args:
            line: decides.
            clock: tells when a stream is looked at.
            at_latest_s: after how long it is decided again even where nothing seems to have changed.
            grace: how long it goes on while nobody can decide.
        """
        self._line = line
        self._grace = grace
        self.now = clock.now
        self._at_latest_us = int(at_latest_s * MICROSECONDS)
        self._open: dict[bytes, Stream] = {}
        self._task: asyncio.Task[None] | None = None
        self._dues: list[tuple[int, bytes]] = []
        """A heap of when which stream is due. Where one was decided since, it stands there again, and later."""
        self._unseen: list[bytes] = []
        """Streams that no look has seen yet."""
        self._bundle: Bundle | None = None
        self._marks: Marks | None = None
        """Up to which changes all streams are known to be allowed; None where that is not known."""
        self._heard: Marks | None = None
        """Up to which changes the last look had heard."""
        self._sure_at = 0
        """When all streams that are not in doubt were last known for certain to be allowed."""
        self.ended = 0
        """Streams that were ended since the start, because what was allowed no longer is."""

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, request: AccessRequest, passage: Passage, end: Callable[[Passage], object]) -> None:
        """Look after a stream from now on, until it is closed or the task that opens it is done."""
        name = passage.decision_id
        self._open[name] = stream = Stream(request, passage, self._line.bundle, end)
        self._unseen.append(name)
        self._note_due(stream, self._until(stream))
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(lambda _: self.closed(name))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep_looking(), name="streams")

    def closed(self, name: bytes) -> None:
        """Look no longer after the stream that was opened by the decision with this id."""
        self._open.pop(name, None)

    def goes_on(self, request: AccessRequest, passage: Passage, more: bool) -> None:
        """Note a part of a response, and whether more of it is to come. Where it is refused, its task is cancelled."""
        if not more:
            self.closed(passage.decision_id)
        elif passage.decision_id not in self._open:
            task = asyncio.current_task()
            if task is not None:
                self.opened(request, passage, lambda _: task.cancel("what was allowed no longer is"))

    async def close(self) -> None:
        """Stop looking. What is open stays so."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def look(self) -> None:
        """Decide again what may be answered differently by now, and end what is refused.

        While nothing changed for anybody, nothing is asked of a stream before it is due: ten thousand of them cost no
        more than one.
        """
        at = began = self.now()
        line = self._line
        heard = line.gather.marks() if line.gather.reliable(at) else None
        unchanged = heard is not None and heard == self._marks and line.bundle is self._bundle
        due = self._due(at)
        names = [*self._unseen, *due] if unchanged else [*self._open]
        # Known again when this look is done, and not where it fails.
        bundle, known, self._marks, self._unseen = line.bundle, self._marks if unchanged else None, None, []
        whole = True
        for count, name in enumerate(names):
            stream = self._open.get(name)
            if stream is None:
                continue
            if self._goes_on(stream, at):
                if stream.due <= at:
                    self._note_due(stream, at + _AWAY_US)
                continue
            whole = await self._decide(stream, at) and whole
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
            at = self.now()
        # The line looks for changes once a millisecond, so that what it says may be older than what was heard here: it
        # is not when the look before this one had heard the same.
        if whole and heard is not None and heard in {known, self._heard}:
            self._marks, self._bundle, self._sure_at = heard, bundle, began
        self._heard = heard

    def _due(self, at: int) -> list[bytes]:
        """Return the streams that are due, and note them no longer."""
        found = []
        while self._dues and self._dues[0][0] <= at:
            due, name = heappop(self._dues)
            stream = self._open.get(name)
            if stream is not None and stream.due == due:
                found.append(name)
        return found

    def _note_due(self, stream: Stream, due: int) -> None:
        stream.due = due
        heappush(self._dues, (stream.due, stream.name))

    def _goes_on(self, stream: Stream, at: int) -> bool:
        """Return whether there is nothing to decide about a stream yet."""
        since = at - stream.decided_at
        if stream.in_doubt:
            return since < _AWAY_US
        if stream.bundle is not self._line.bundle:
            return False
        settled = stream.passage.settled
        if since < self._at_latest_us and self._line.stands(settled, at):
            stream.sure_at = at
            return True
        # While the store is away no answer stands, and none of these would come out differently.
        return not self._line.gather.reliable(at) and (
            since < _AWAY_US or (at < settled.until and at < self._goes_on_until(stream))
        )

    async def _decide(self, stream: Stream, at: int) -> bool:
        """Return whether a stream could be decided. Where it is refused, it is ended."""
        request = replace(stream.request, at=at)
        bundle = self._line.bundle
        try:
            passage = self._line.recall(request) or await self._line.decide(request, again=True)
        except GatewayError as fault:
            # Looked at again at once: what cannot be decided is not known to be refused either.
            log.error("stream:not_decided", why=str(fault))  # noqa: TRY400 - the fault is the message
            return False
        if stream.name not in self._open:
            return True
        if passage.reply.status == _OUTAGE and at < self._goes_on_until(stream):
            stream.sure_at, stream.decided_at, stream.in_doubt = self._last_sure_at(stream), at, True
            self._note_due(stream, at + _AWAY_US)
        else:
            stream.passage, stream.bundle, stream.decided_at, stream.in_doubt = passage, bundle, at, False
            if passage.reply.status != _ALLOWED:
                self.refused(stream.name, passage)
                stream.end(passage)
                return True
            stream.sure_at = at
            self._note_due(stream, self._until(stream))
        return True

    def _until(self, stream: Stream) -> int:
        """Return until when a stream goes on, where nothing changes."""
        return min(stream.decided_at + self._at_latest_us, stream.passage.settled.until)

    def _last_sure_at(self, stream: Stream) -> int:
        return stream.sure_at if stream.in_doubt else max(stream.sure_at, self._sure_at)

    def refused(self, name: bytes, passage: Passage) -> None:
        """Note that a stream is ended by a refusal, and look no longer after it."""
        self.closed(name)
        self.ended += 1
        log.info("stream:ended", decision=passage.decision_id.decode("ascii"), opened_by=name.decode("ascii"))

    def _goes_on_until(self, stream: Stream) -> int:
        """Return until when a stream goes on by its last verdict, if nobody can decide about it."""
        reading = stream.passage.reading
        assert reading is not None  # what could not be read was never opened
        return self._last_sure_at(stream) + self._grace.us(reading.route.operation, stream.name)

    async def _keep_looking(self) -> None:
        while self._open:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except Exception:
                # A look that fails in a way nobody thought of must not be the last one.
                log.exception("stream:look_failed")


class OpenSocket:
    """A WebSocket between the app and the client, which the gateway may close for both."""

    __slots__ = ("_closing", "_passage", "_receive", "_refused", "_request", "_send", "_streams")

    def __init__(
        self, request: AccessRequest, passage: Passage, streams: Streams, receive: Receive, send: Send
    ) -> None:
        self._request = request
        self._passage = passage
        self._streams = streams
        self._receive = receive
        self._send = send
        self._refused: Passage | None = None
        self._closing: asyncio.Future[None] | None = None

    async def send(self, message: Message) -> None:
        """Hand on what the app says, until the gateway has closed."""
        if self._refused is not None:
            return
        kind = message["type"]
        if kind == "websocket.accept":
            self._streams.opened(self._request, self._passage, self._end)
        elif kind == "websocket.close":
            self._streams.closed(self._passage.decision_id)
        await self._send(message)

    async def receive(self) -> Message:
        """Return what the client says; that it went, where the gateway closed: nothing it says counts any more."""
        message = await self._receive()
        return message if self._refused is None else self._gone(self._refused)

    def _gone(self, refusal: Passage) -> Message:
        return {"type": "websocket.disconnect", "code": _code(refusal), "reason": str(refusal.reply.reason)}

    def _end(self, refusal: Passage) -> None:
        self._refused = refusal
        close = {"type": "websocket.close", "code": _code(refusal), "reason": str(refusal.reply.reason)}
        self._closing = asyncio.ensure_future(self._send(close))


def _code(refusal: Passage) -> int:
    """Return the close code: whether to come back later is what a client must know."""
    return _TRY_AGAIN_LATER if refusal.reply.status == _OUTAGE else _POLICY_VIOLATION
