"""Spans and lines of the log, from a configuration to the collector and to stderr."""

import json

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway import GatewayMiddleware
from gateway.adapters.clock import SystemClock
from gateway.adapters.recorded import read_documents
from gateway.app.watching import Watching
from gateway.config import load
from gateway.core.errors import ConfigError
from tests.adapters.test_spans import collector

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def serve(site, text: str):
    """Return a client of an app behind the gateway; the app tells the trace that it was given."""
    site.config.write_text(site.config.read_text() + text)

    async def everything(request):
        return JSONResponse({"traceparent": request.headers.get("traceparent")})

    app = Starlette(routes=[Route("/{rest:path}", everything, methods=["GET", "POST"])])
    app.add_middleware(GatewayMiddleware, config=site.config)
    return TestClient(app, client=("10.0.0.1", 4711))


def test_a_request_leads_from_its_decision_to_its_span_and_onwards(site) -> None:
    with collector() as (url, got), serve(site, f'\n[tracing]\nendpoint = "{url}"\n') as client:
        gateway = client.app.middleware_stack.app.gateway
        client.portal.call(site.fill, gateway.store)
        asked = {**site.headers("alice"), "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        answer = client.get("/api/v1/balances", headers=asked)
        refused = client.get("/api/v1/%2e%2e/x", headers=site.headers("alice"))
        gateway.watching.close()
    by_id = {
        attribute.value.string_value: span
        for _, message in got
        for span in message.resource_spans[0].scope_spans[0].spans
        for attribute in span.attributes
        if attribute.key == "gateway.decision.id"
    }
    span = by_id[answer.headers["gateway-decision"]]
    assert span.trace_id.hex() == TRACE
    assert answer.json()["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"
    recorded = {one["id"]: one["request"] for one in read_documents(gateway.settings.journal.directory)}
    request = recorded[answer.headers["gateway-decision"]]
    assert (request["trace_id"], request["parent_id"]) == (TRACE, span.span_id.hex())
    other = by_id[refused.headers["gateway-decision"]]
    assert refused.json()["trace_id"] == other.trace_id.hex() != TRACE
    assert b"gateway_spans_sent_total 2.0" in gateway.metrics.exposition()


@pytest.mark.parametrize(("requests", "expected"), [("none", []), ("refused", [400]), ("all", [200, 400])])
def test_the_log_says_as_many_requests_as_it_is_to(site, capsys, requests: str, expected: list[int]) -> None:
    with serve(site, f'\n[log]\nrequests = "{requests}"\n') as client:
        client.portal.call(site.fill, client.app.middleware_stack.app.gateway.store)
        client.get("/api/v1/balances", headers=site.headers("alice"))
        client.get("/api/v1/%2e%2e/x", headers=site.headers("alice"))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"http.response.status_code"' in line]
    assert [line["http.response.status_code"] for line in lines] == expected


def test_where_nothing_is_configured_nothing_stands_in_the_way(site) -> None:
    watching = Watching(load(site.config), SystemClock())
    app = object()
    assert watching.around(app) is app
    assert watching.saying is None
    assert watching.collectors == ()
    watching.start()
    watching.close()


def test_a_key_that_is_too_short_stops_the_start(site, tmp_path) -> None:
    key = tmp_path / "key"
    key.write_text("short" * 10)
    text = f'[log]\nrequests = "all"\npersonal = "digest"\n[archive]\ndigest_key = "{key}"\n'
    site.config.write_text(f"[client_ip]\ntrusted_proxies = []\n{text}")
    settings = load(site.config)
    key.write_text("short")
    with pytest.raises(ConfigError, match="32 bytes"):
        Watching(settings, SystemClock())
