"""The decision service over gRPC, asked as Envoy asks, and as it should not."""

import asyncio
import sys

import grpc
import orjson
import pytest
from envoy.service.auth.v3 import external_auth_pb2 as messages
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub

from gateway.core.addresses import Networks
from gateway.core.errors import ConfigError
from gateway.enforce import ext_authz
from gateway.enforce.ext_authz import ExtAuthz, peer_of
from gateway.enforce.forward_auth import Askers

ALICE = (("authorization", "Bearer alice-token"), ("x-forwarded-for", "8.8.8.8"))
IN_AMERICA = (ALICE[0], ("x-forwarded-for", "9.9.9.9"))
PROXY, LONGEST = "10.0.0.1", 4096


def question(method="POST", path="/api/v1/deposits?n=1", headers=ALICE, host="exchange.example", *, raw=True):
    asked = messages.CheckRequest()
    http = asked.attributes.request.http
    http.method, http.path, http.host = method, path, host
    for name, value in ((":method", method), (":path", path), (":authority", host), *headers):
        if raw:
            http.header_map.headers.add(key=name, raw_value=value.encode("latin-1"))
        else:
            http.headers[name] = value
    return asked


@pytest.fixture
def service(world):
    def build(*asked_by):
        askers = Askers(Networks(asked_by or ["127.0.0.1/32"]))
        return ExtAuthz(world.line, world.clock, askers=askers, max_head_bytes=LONGEST)

    return build


@pytest.fixture
async def ask(service, monkeypatch):
    # On the loopback interface everybody is 127.0.0.1; the proxy that this world trusts stands elsewhere.
    monkeypatch.setattr(ext_authz, "peer_of", lambda _: PROXY)
    answering = service(f"{PROXY}/32")
    port = await answering.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = AuthorizationStub(channel)

        async def send(asked):
            return await stub.Check(asked, timeout=10)

        yield send
    await answering.close()


def told(options):
    return {one.header.key: one.header.value for one in options}


async def test_what_is_allowed_is_ok_with_what_the_upstream_and_the_client_learn(ask, world):
    answer = await ask(question())
    assert answer.status.code == 0
    upstream, client = told(answer.ok_response.headers), told(answer.ok_response.response_headers_to_add)
    assert (upstream["gateway-account"], upstream["gateway-country"]) == ("alice", "DE")
    assert set(client) == {"gateway-decision", "gateway-access"}
    assert client["gateway-decision"] == upstream["gateway-decision"]
    assert {one.append_action for one in answer.ok_response.headers} == {2}, "in place of what stands there"
    assert world.journal.records[-1][-1] == b"POST\0/api/v1/deposits\0exchange.example\0"


async def test_what_a_client_sent_under_our_names_is_removed_or_replaced(ask):
    spoofed = (*ALICE, ("gateway-account", "mallory"), ("gateway-refusal", "e30="), ("Gateway-Other", "x"))
    answer = (await ask(question(headers=spoofed))).ok_response
    assert [*answer.headers_to_remove] == ["gateway-other", "gateway-refusal"]
    assert told(answer.headers)["gateway-account"] == "alice"


async def test_a_refusal_is_denied_with_status_headers_and_body(ask):
    answer = await ask(question(headers=IN_AMERICA))
    denied = answer.denied_response
    assert (answer.status.code, denied.status.code) == (grpc.StatusCode.PERMISSION_DENIED.value[0], 403)
    document = orjson.loads(denied.body)
    assert document["reason"] == "jurisdiction-blocked"
    headers = told(denied.headers)
    assert headers["content-type"] == "application/problem+json"
    assert headers["gateway-decision"] == document["decision_id"]
    assert headers["gateway-access"]


async def test_a_page_is_denied_in_the_language_that_the_client_reads(ask):
    reads = (("accept", "text/html"), ("accept-language", "de"))
    denied = (await ask(question(headers=(*IN_AMERICA, *reads)))).denied_response
    assert '<html lang="de">' in denied.body
    assert told(denied.headers)["content-language"] == "de"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (question(path="/api/v1//deposits"), "another spelling"),
        (question(headers=(*ALICE, ALICE[0])), "a credential that came twice"),
        (question(headers=(*ALICE, ("x-http-method-override", "GET"))), "another method"),
        (question(headers=(*ALICE, ("host", "elsewhere.example")), host=""), "no host"),
        (question(headers=(*ALICE, ("x-long", "x" * 40_000))), "too long a head"),
        (question(headers=(*ALICE, ("x-control", "a\x00b"))), "control bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_can_be_read_in_two_ways_is_denied_400(ask, asked, why):
    answer = await ask(asked)
    assert answer.denied_response.status.code == 400, why


async def test_lines_that_were_joined_by_name_are_read_and_never_taken_for_one(ask):
    assert (await ask(question(raw=False))).status.code == 0
    twice = (("authorization", f"{ALICE[0][1]},{ALICE[0][1]}"), ALICE[1])
    assert (await ask(question(headers=twice, raw=False))).denied_response.status.code == 401


async def test_a_credential_that_is_needed_is_told_as_unauthenticated(ask):
    answer = await ask(question(headers=(("x-forwarded-for", "8.8.8.8"),)))
    assert (answer.status.code, answer.denied_response.status.code) == (
        grpc.StatusCode.UNAUTHENTICATED.value[0],
        401,
    )
    assert told(answer.denied_response.headers)["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    "asked",
    [messages.CheckRequest(), question(method=""), question(path="")],
    ids=["nothing", "no method", "no path"],
)
async def test_a_question_that_is_not_asked_as_configured_is_never_ok(ask, world, asked):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(asked)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert world.journal.records == []


async def test_a_question_beyond_every_bound_is_never_ok(ask, world):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(question(headers=(*ALICE, ("x-long", "x" * 200_000))))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert world.journal.records == []


async def test_a_stranger_is_told_nothing(service, world):
    answering = service("10.0.0.1/32")
    port = await answering.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await AuthorizationStub(channel).Check(question(), timeout=10)
    await answering.close()
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert world.journal.records == []


async def test_what_is_not_decided_in_time_is_never_ok(ask, world, monkeypatch):
    monkeypatch.setattr(ext_authz, "_SECONDS", 0.05)

    async def never(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(type(world.line), "decide", never)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(question())
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refused.value.details() == "not decided in time", "the gateway's own word, not the asker's"


async def test_a_fault_is_never_ok(ask, world, monkeypatch, caplog):
    async def breaks(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(type(world.line), "decide", breaks)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(question())
    assert refused.value.code() is grpc.StatusCode.UNKNOWN


async def test_a_port_that_somebody_has_is_said(service):
    one, other = service(), service()
    port = await one.start("127.0.0.1", 0)
    with pytest.raises(ConfigError, match=f"gRPC on 127.0.0.1 port {port}: is something else"):
        await other.start("127.0.0.1", port)
    await one.close()


def test_without_the_extra_it_says_what_to_install(service, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc.aio", None)
    with pytest.raises(ConfigError, match=r"pip install 'geofence-gateway\[grpc\]'"):
        service()


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:50000", "127.0.0.1"),
        ("ipv6:%5B::1%5D:50000", "::1"),
        ("ipv6:[::1]:50000", "::1"),
        ("unix:/run/gateway.sock", None),
        ("", None),
    ],
)
def test_the_address_of_who_asks_is_read(peer, address):
    assert peer_of(peer) == address
