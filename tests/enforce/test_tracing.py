"""Spans: of what is kept, under the right parent, and with nothing in them that should not be there."""

import asyncio

import pytest

from gateway.core.addresses import Networks
from gateway.core.decision import request_line
from gateway.core.preference import lines_of
from gateway.core.trace_context import TRACEPARENT, trace_parent
from gateway.enforce.middleware import Enforcer
from gateway.enforce.tracing import Span, Traced
from gateway.service.told import Teller

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PROXY, STRANGER = "10.0.0.1", "203.0.113.9"


def scope(*more: tuple[bytes, bytes], peer: str = PROXY, path: str = "/api/v1/balances", kind: str = "http"):
    headers = [
        (b"host", b"exchange.example"),
        (b"x-forwarded-for", b"8.8.8.8"),
        (b"authorization", b"Bearer alice-token"),
    ]
    return {
        "type": kind, "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"token=secret",
        "headers": [*headers, *more], "client": (peer, 4711), "scheme": "https", "http_version": "1.1",
    }  # fmt: skip


def parent(flags: str) -> tuple[bytes, bytes]:
    return TRACEPARENT, f"00-{TRACE}-{SPAN}-{flags}".encode()


class Run:
    """What an app behind saw, and the spans of it."""

    def __init__(self, world, sample: float = 1.0) -> None:
        self.spans: list[Span] = []
        self.seen: list[list[tuple[bytes, bytes]]] = []
        self.fault: Exception | None = None
        enforcer = Enforcer(self.app, world.line, world.clock)
        self.traced = Traced(
            enforcer, put=self.spans.append, teller=Teller("masked"), clock=world.clock, sample=sample,
            believed=Networks(["10.0.0.0/8"]), random=lambda length: bytes([7] * length),
        )  # fmt: skip

    async def app(self, scope, _receive, send) -> None:
        self.seen.append(scope["headers"])
        if self.fault is not None:
            raise self.fault
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask(self, scope) -> None:
        async def send(_message) -> None:
            pass

        asyncio.run(self.traced(scope, None, send))

    def passed_on(self):
        return trace_parent(lines_of(self.seen[-1], TRACEPARENT))


@pytest.fixture
def run(world) -> Run:
    return Run(world)


def test_a_request_that_is_let_through_has_a_span_under_its_parent(world, run) -> None:
    run.ask(scope(parent("01")))
    (span,) = run.spans
    assert (span.trace_id, span.parent_id, span.span_id) == (int(TRACE, 16), int(SPAN, 16), int("07" * 8, 16))
    decision = world.journal.records[-1]
    assert span.attributes == {
        "url.scheme": "https",
        "network.protocol.version": "1.1",
        "http.request.method": "GET",
        "url.path": "/api/v1/balances",
        "client.address": "8.8.8.0/24",
        "geo.country.iso_code": "DE",
        "gateway.decision.id": span.attributes["gateway.decision.id"],
        "gateway.operation": "view",
        "gateway.outcome": "allow",
        "gateway.access": "full",
        "http.response.status_code": 204,
    }
    assert decision[5].endswith(f"\0{TRACE}-{'07' * 8}".encode())
    assert not span.failed
    assert not {"secret", "alice"} & set(str(span).replace("-", " ").replace("'", " ").split())


def test_who_is_behind_is_told_our_span_once(run) -> None:
    run.ask(scope(parent("01"), (b"tracestate", b"vendor=1")))
    told = run.passed_on()
    assert (told.trace_id, told.parent_id, told.sampled) == (TRACE, "07" * 8, True)
    assert (b"tracestate", b"vendor=1") in run.seen[-1]


def test_a_trace_begins_here_where_none_is_said_or_it_is_not_valid(run) -> None:
    for more in ((), ((TRACEPARENT, b"00-nonsense"), (b"tracestate", b"a=b")), (parent("01"), parent("01"))):
        run.ask(scope(*more))
        assert run.spans[-1].parent_id is None
        assert run.passed_on().trace_id == "07" * 16
        assert b"tracestate" not in dict(run.seen[-1])


@pytest.mark.parametrize(
    ("peer", "flags", "sample", "kept"),
    [
        (PROXY, "00", 1.0, False),
        (PROXY, "01", 0.0, True),
        (STRANGER, "01", 0.0, False),
        (STRANGER, "00", 1.0, True),
    ],
)
def test_what_is_kept_is_said_by_whom_we_believe_and_by_the_ratio_for_all_others(
    world, peer: str, flags: str, sample: float, kept: bool
) -> None:
    run = Run(world, sample)
    run.ask(scope(parent(flags), peer=peer))
    assert bool(run.spans) is kept
    line = request_line(world.journal.records[-1][5])
    assert (line.trace_id, line.parent_id) == (TRACE, "07" * 8 if kept else SPAN)


def test_of_traces_that_begin_here_the_ratio_is_kept(world) -> None:
    run = Run(world, 0.0)
    run.ask(scope())
    assert run.spans == []
    assert run.passed_on().sampled is False


def test_a_refusal_and_a_fault_are_told(run) -> None:
    run.ask(scope(path="/%2e%2e"))
    assert run.spans[-1].attributes["http.response.status_code"] == 400
    assert "url.path" not in run.spans[-1].attributes
    assert run.spans[-1].name == "HTTP ambiguous"
    run.fault = RuntimeError("secret words")
    with pytest.raises(RuntimeError):
        run.ask(scope())
    span = run.spans[-1]
    assert (span.failed, span.attributes["error.type"]) == (True, "RuntimeError")
    assert "secret" not in str(span)


def test_the_lifespan_passes_through(world) -> None:
    seen = []

    async def app(scope, _receive, _send) -> None:
        seen.append(scope["type"])

    traced = Traced(app, put=seen.append, teller=Teller("masked"), clock=world.clock, sample=1.0, believed=Networks([]))
    asyncio.run(traced({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
