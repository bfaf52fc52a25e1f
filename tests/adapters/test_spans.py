"""Spans reach a collector as OTLP; one that is away, slow or wrong costs spans, and never a request."""

import gzip
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from gateway.adapters import spans
from gateway.adapters.spans import SpanExport
from gateway.core.errors import ConfigError
from gateway.enforce.tracing import Span

SPAN = Span(
    "GET view", 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, 0x0101010101010101, 1_000_000, 1_250_000,
    {"url.path": "/a", "http.response.status_code": 200, "gateway.rules": ("a/b",)}, False,
)  # fmt: skip


@contextmanager
def collector(status: int = 200) -> Iterator[tuple[str, list[tuple[Any, Any]]]]:
    """Give the address of a collector, and what it was sent: headers and message."""
    got: list[tuple[Any, Any]] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            encoding = self.headers.get("content-encoding")
            body = gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body) if encoding else body
            message = ExportTraceServiceRequest()
            message.ParseFromString(body)
            got.append(({name.lower(): value for name, value in self.headers.items()}, message))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def export(endpoint: str, *put: Span, **more: Any) -> SpanExport:
    """Return what exported these spans, closed."""
    exporting = SpanExport(endpoint, service_name="edge", service_version="1", **more)
    exporting.start()
    for span in put:
        exporting.put(span)
    exporting.close()
    return exporting


def test_a_span_arrives_as_it_was(tmp_path) -> None:
    secret = tmp_path / "headers"
    secret.write_text("# ours\nAuthorization: Bearer of-the-collector\n")
    with collector() as (url, got):
        exporting = export(url, SPAN, SPAN._replace(parent_id=None, failed=True), headers_file=secret)
    assert (exporting.sent, exporting.dropped) == (2, 0)
    headers, message = got[0]
    assert headers["authorization"] == "Bearer of-the-collector"
    (of_service,) = message.resource_spans
    assert ("service.name", "edge") in {(one.key, one.value.string_value) for one in of_service.resource.attributes}
    child, root = of_service.scope_spans[0].spans
    assert child.trace_id.hex() == f"{SPAN.trace_id:032x}"
    assert (child.span_id.hex(), child.parent_span_id.hex()) == (f"{SPAN.span_id:016x}", f"{SPAN.parent_id:016x}")
    assert (child.name, child.kind, child.end_time_unix_nano - child.start_time_unix_nano) == (
        "GET view",
        2,
        250_000_000,
    )
    attributes = {one.key: one.value for one in child.attributes}
    assert attributes["url.path"].string_value == "/a"
    assert attributes["http.response.status_code"].int_value == 200
    assert (child.status.code, root.status.code, root.parent_span_id) == (0, 2, b"")


def test_a_collector_that_refuses_costs_spans_which_are_counted(capsys) -> None:
    with collector(status=400) as (url, got):
        exporting = export(url, SPAN, SPAN)
    assert len(got) == 1
    assert (exporting.sent, exporting.dropped) == (0, 2)
    assert [(one.name, one.samples[0].value) for one in exporting.collect()] == [
        ("gateway_spans_sent", 0),
        ("gateway_spans_dropped", 2),
    ]
    assert "opentelemetry" not in capsys.readouterr().err


def test_a_collector_that_is_away_is_not_waited_for(monkeypatch) -> None:
    monkeypatch.setattr("gateway.adapters.conveyor._CLOSE_S", 0.05)
    monkeypatch.setattr(spans, "_TRY_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        exporting = export(f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces", *[SPAN] * 30, room=10)
    assert exporting.dropped >= 20
    assert exporting.sent == 0


@pytest.mark.parametrize("text", ["no colon", "a b: c", "Authorization:", ": x"])
def test_headers_that_are_none_stop_the_start_and_are_not_told(tmp_path, text: str) -> None:
    secret = tmp_path / "headers"
    secret.write_text(text)
    with pytest.raises(ConfigError, match="line 1: write a name, a colon and a value") as fault:
        SpanExport("http://127.0.0.1:1/v1/traces", service_name="a", service_version="1", headers_file=secret)
    assert "no colon" not in str(fault.value)
    with pytest.raises(ConfigError, match="cannot be read: FileNotFoundError"):
        SpanExport("http://127.0.0.1:1/v1/traces", service_name="a", service_version="1", headers_file=tmp_path / "x")


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name, name=name)

    monkeypatch.setattr(spans, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'geofence-gateway\[otel\]'"):
        SpanExport("http://127.0.0.1:1/v1/traces", service_name="a", service_version="1")
