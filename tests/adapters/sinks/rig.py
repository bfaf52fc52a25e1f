"""Decisions to send, and a service on this machine that takes them, or does not."""

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from gateway.adapters.archive.documents import archived_document
from gateway.core.decision import Document
from gateway.ports import RecordedDecision, Stretch, ruling_digest

AT = 1_763_700_000_000_000
HOUR = 3_600_000_000
RULE = {"policy": "us-exit", "rule": "us-closed", "reason": "jurisdiction-blocked", "basis": "a settlement"}
RULING = orjson.dumps(
    {
        "client_ip": {"address": "81.20.30.40", "reason": None, "how": "peer", "chain": []},
        "operation": "withdraw",
        "facts": {"account": "alice", "asn": 64500, "country": "US"},
        "unknown": {},
        "bundle": "ab" * 32,
        "editions": ["shipped-country 2025-11-01 aabbcc"],
        "verdict": {"outcome": "deny", "by": [RULE], "reason": "jurisdiction-blocked"},
        "reply": {"status": 403, "reason": "jurisdiction-blocked"},
    }
)
AMBIGUOUS = orjson.dumps(
    {
        "client_ip": {"address": None, "reason": "chain-unreadable", "how": "none", "chain": []},
        "operation": None,
        "facts": None,
        "unknown": None,
        "bundle": "ab" * 32,
        "editions": [],
        "verdict": None,
        "ambiguous": {"why": "encoded-slash", "detail": "%2f"},
        "reply": {"status": 400, "reason": "request-ambiguous"},
    }
)


def decision(n: int, worker: int = 0, ruling: bytes = RULING, at: int | None = None) -> RecordedDecision:
    """The n-th decision of a worker. Its id tells both."""
    number = ((AT // 1000 + n) << 80) | (7 << 76) | (2 << 62) | (worker << 32) | n
    when = AT + n * 1000 if at is None else at
    request = b"POST\0/api/v1/withdraw\0api.example\0curl/8"
    return RecordedDecision(number.to_bytes(16, "big"), when, 250, 30, request, ruling_digest(ruling))


def document(n: int, ruling: bytes = RULING, at: int | None = None) -> Document:
    return archived_document(ruling, decision(n, ruling=ruling, at=at))


def number_of(decision_id: str) -> tuple[int, int]:
    """The worker and the number that an id tells."""
    tail = int(decision_id.replace("-", "")[-16:], 16)
    return tail >> 32 & 0xFFFF, tail & 0xFFFFFFFF


def journal(
    count: int, *, workers: int = 1, stretch: int = 7
) -> Callable[[Mapping[str, tuple[int, int]]], Iterator[Stretch]]:
    """A journal of `count` decisions of each worker, a decision being one byte of its only segment."""

    def after(places: Mapping[str, tuple[int, int]]) -> Iterator[Stretch]:
        for worker in range(workers):
            start = places.get(f"w{worker}", (1, 0))[1]
            while start < count:
                end = min(start + stretch, count)
                decisions = [decision(n, worker) for n in range(start, end)]
                yield Stretch(f"w{worker}", 1, start, end, {ruling_digest(RULING): RULING}, decisions)
                start = end

    return after


class Taken(NamedTuple):
    """A request that the service was sent."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    def events(self) -> list[Any]:
        """The JSON array of a gzipped body."""
        found = orjson.loads(gzip.decompress(self.body))
        assert isinstance(found, list)
        return found


Answer = Callable[[web.Request, Taken], Awaitable[web.StreamResponse | None]]
"""None cuts the connection without an answer."""


@asynccontextmanager
async def service(answer: Answer, taken: list[Taken]) -> AsyncIterator[str]:
    """Serve on a port that the system chooses; its URL comes back."""

    async def take(request: web.Request) -> web.StreamResponse:
        one = Taken(dict(request.headers), dict(request.query), await request.read())
        taken.append(one)
        response = await answer(request, one)
        if response is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return response

    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", take)
    # What the client sent comes to us as it was sent.
    runner = web.AppRunner(app, auto_decompress=False, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/logs"
    finally:
        await runner.cleanup()


async def accept(request: web.Request, taken: Taken) -> web.Response:
    return web.Response()


def answers(*statuses: int | None, **headers: str) -> Answer:
    """Answer with these, one after the other (None cuts the connection), and then with 200."""
    left = list(statuses)

    async def answer(request: web.Request, taken: Taken) -> web.Response | None:
        status = left.pop(0) if left else 200
        return None if status is None else web.Response(status=status, headers=headers if status >= 400 else None)

    return answer


def first_seen(ids: Iterable[str]) -> dict[int, list[int]]:
    """The numbers of each worker in the order in which they were seen first."""
    seen: dict[tuple[int, int], None] = dict.fromkeys(number_of(one) for one in ids)
    found: dict[int, list[int]] = {}
    for worker, number in seen:
        found.setdefault(worker, []).append(number)
    return found
