"""The decision service, wired: over HTTP, and over gRPC while the gateway is started."""

import socket

import grpc
import pytest
from envoy.service.auth.v3 import external_auth_pb2 as messages
from starlette.testclient import TestClient

from gateway.app import Gateway
from gateway.app.decision_service import DecisionService
from gateway.config import load
from gateway.core.errors import ConfigError

ASKED = '\n[forward_auth]\nproxies = ["envoy"]\nasked_by = ["127.0.0.1"]\n'


def configured(site, text):
    site.config.write_text(site.config.read_text() + text)
    return Gateway(load(site.config))


def test_nobody_may_ask_where_nobody_is_named(site):
    with pytest.raises(ConfigError, match=r"add `\[forward_auth\]`"):
        DecisionService(configured(site, ""))


def test_grpc_is_answered_while_the_gateway_is_started_and_by_the_same_line(site):
    service = DecisionService(configured(site, ASKED + "grpc_port = 0\n"))
    assert service.grpc_port is None
    with TestClient(service, client=("127.0.0.1", 4711)) as client:
        client.portal.call(site.fill, service.gateway.store)
        headers = site.headers("bob")
        over_http = client.get("/authz/envoy/api/v1/markets", headers=headers)
        asked = messages.CheckRequest()
        http = asked.attributes.request.http
        http.method, http.path, http.host = "GET", "/api/v1/markets", headers.pop("host")
        for name, value in headers.items():
            http.header_map.headers.add(key=name, raw_value=value.encode())
        with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
            over_grpc = _check(channel)(asked, timeout=20)
    assert over_grpc.denied_response.status.code == over_http.status_code == 403
    assert over_http.json()["reason"] in over_grpc.denied_response.body
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel, pytest.raises(grpc.RpcError) as refused:
        _check(channel)(asked, timeout=20)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_taken_grpc_port_stops_the_start_and_says_so(site):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = DecisionService(configured(site, ASKED + f"grpc_port = {port}\n"))
        sent = []

        async def receive():
            return {"type": "lifespan.startup"}

        async def send(message):
            sent.append(message)

        await service({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert f"port {port}: is something else listening there?" in sent[0]["message"]
    assert (service.grpc_port, service.gateway.started) == (None, False)


def test_a_grpc_port_is_for_envoy(site):
    with pytest.raises(ConfigError, match="`grpc_port` is where Envoy asks"):
        configured(site, ASKED.replace("envoy", "nginx") + "grpc_port = 0\n")


def _check(channel):
    return channel.unary_unary(
        "/envoy.service.auth.v3.Authorization/Check",
        request_serializer=messages.CheckRequest.SerializeToString,
        response_deserializer=messages.CheckResponse.FromString,
    )
