"""One span for each request: what it was, what was decided, and what became of it. Off, nothing of this is there."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from gateway.core.addresses import Networks
from gateway.core.preference import lines_of
from gateway.core.trace_context import TRACEPARENT, TraceParent, trace_parent
from gateway.enforce.answered import Answered, watched
from gateway.enforce.asgi import App, Receive, Scope, Send
from gateway.ports import Clock
from gateway.service.told import Teller, Told

_TRACESTATE: Final = b"tracestate"
_RANDOM: Final = 1 << 64
"""The last half of a trace id is what is compared with the ratio, as tracers elsewhere do."""

Attributes = dict[str, str | int | tuple[str, ...]]


class Span(NamedTuple):
    """What happened to one request, from its arrival to the end of its answer."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    start: int
    """Microseconds since the epoch."""
    end: int
    attributes: Attributes
    failed: bool


class Traced:
    """An app whose requests have spans, and which sees, as whoever is behind it does, the trace that they belong to."""

    def __init__(
        self,
        app: App,
        *,
        put: Callable[[Span], None],
        teller: Teller,
        clock: Clock,
        sample: float,
        believed: Networks,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Build.

        Args:
            app: decides and answers.
            put: takes what is done; it never waits.
            teller: says what a span may hold.
            clock: tells when a request began and ended.
            sample: how many of the traces that begin here are kept.
            believed: whose word counts that a trace is kept. Anybody else could have every request of theirs kept.
            random: bytes that nobody can guess.
        """
        self._app = app
        self._put = put
        self._teller = teller
        self._now = clock.now
        self._bound = round(sample * _RANDOM)
        self.believed = believed
        """Whose word counts."""
        self._random = random

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        parent = trace_parent(lines_of(headers, TRACEPARENT))
        trace_id = self._random(16).hex() if parent is None else parent.trace_id
        peer = scope["client"][0] if scope.get("client") else None
        kept = self._is_kept(trace_id, parent, peer)
        span_id = self._random(8).hex() if kept or parent is None else parent.parent_id
        # A state that came without a trace, or with one that is not valid, belongs to nothing.
        gone = {TRACEPARENT} if parent is not None else {TRACEPARENT, _TRACESTATE}
        headers = [line for line in headers if line[0] not in gone]
        headers.append((TRACEPARENT, f"00-{trace_id}-{span_id}-{'01' if kept else '00'}".encode("ascii")))
        inner = {**scope, "headers": headers}
        if not kept:
            await self._app(inner, receive, send)
            return
        ids = (int(trace_id, 16), int(span_id, 16), None if parent is None else int(parent.parent_id, 16))
        await watched(self._app, inner, receive, send, partial(self._done, inner, ids, self._now()))

    def _is_kept(self, trace_id: str, parent: TraceParent | None, peer: str | None) -> bool:
        if parent is not None and peer is not None and peer in self.believed:
            return parent.sampled
        return int(trace_id[16:], 16) < self._bound

    def _done(self, scope: Scope, ids: tuple[int, int, int | None], start: int, answered: Answered) -> None:
        attributes = _of_connection(scope)
        told = None if answered.passage is None else self._teller.tell(answered.passage)
        if told is not None:
            attributes |= _of_decision(told)
        status, fault = answered.status, answered.fault
        failed = fault is not None or (status is not None and status >= 500)
        if status is not None:
            attributes["http.response.status_code"] = status
        if failed:
            attributes["error.type"] = str(status) if fault is None else type(fault).__qualname__
        # In forward auth the question's own method says nothing: it is the proxy's.
        method = "WEBSOCKET" if scope["type"] == "websocket" else attributes.get("http.request.method", "HTTP")
        name = str(method) if told is None else f"{method} {told.operation}"
        self._put(Span(name, *ids, start, self._now(), attributes, failed))


def _of_connection(scope: Scope) -> Attributes:
    found: Attributes = {"url.scheme": str(scope.get("scheme", "http"))}
    version: Any = scope.get("http_version")
    return {**found, "network.protocol.version": version} if isinstance(version, str) else found


def _of_decision(told: Told) -> Attributes:
    """Return attributes of the semantic conventions where they have one, and of `gateway.` where not."""
    found = {
        "http.request.method": told.method,
        "url.path": told.path,
        "client.address": told.address,
        "geo.country.iso_code": told.country,
        "user_agent.original": told.user_agent,
        "user.id": told.account,
        "gateway.decision.id": told.decision_id,
        "gateway.operation": told.operation,
        "gateway.outcome": told.outcome,
        "gateway.reason": told.reason,
        "gateway.access": told.access,
        "gateway.rules": told.rules or None,
    }
    return {name: value for name, value in found.items() if value is not None}
