"""The decision service, asked as each proxy asks, and as none should."""

import httpx2
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from gateway.core.addresses import Networks
from gateway.enforce.forward_auth import Askers, ForwardAuth
from gateway.enforce.question import DIALECTS
from gateway.enforce.request_log import Saying
from gateway.service.told import Teller

PROXY = "10.0.0.1"
ALICE = {"authorization": "Bearer alice-token", "host": "exchange.example", "x-forwarded-for": "8.8.8.8"}
IN_AMERICA = ALICE | {"x-forwarded-for": "9.9.9.9"}


@pytest.fixture
def service(world):
    asked_by = Networks([f"{PROXY}/32"])
    return ForwardAuth(world.line, world.clock, askers=Askers(asked_by), proxies=frozenset(DIALECTS))


@pytest.fixture
def ask(service):
    async def send(name, method, target, headers, *, peer=PROXY):
        told, path, by = dict(headers), f"/authz/{name}", "GET"
        if name in {"nginx", "haproxy"}:
            told |= {"x-original-method": method, "x-original-uri": target}
        elif name in {"caddy", "traefik"}:
            told |= {"x-forwarded-method": method, "x-forwarded-uri": target, "x-forwarded-host": told["host"]}
            told["host"] = "gateway.internal"
        else:
            path, by = path + target, method
        transport = httpx2.ASGITransport(service, client=(peer, 4711))
        async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.request(by, path, headers={k: v for k, v in told.items() if v is not None})

    return send


@pytest.mark.parametrize("name", DIALECTS)
async def test_what_is_allowed_is_answered_200_with_what_the_upstream_learns(ask, name, world):
    answer = await ask(name, "POST", "/api/v1/deposits?n=1", ALICE)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["gateway-account"] == "alice"
    assert answer.headers["gateway-country"] == "DE"
    assert answer.headers["gateway-access"] == "full"
    assert len(answer.headers["gateway-decision"]) == 36
    assert world.journal.records[-1][-1] == b"POST\0/api/v1/deposits\0exchange.example\0" + AGENT


AGENT = b"python-httpx2/" + httpx2.__version__.encode()


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_refusal_is_answered_as_it_is_or_carried_to_where_it_can_be(ask, name):
    answer = await ask(name, "POST", "/api/v1/deposits", IN_AMERICA)
    assert answer.status_code == 403
    assert answer.json()["reason"] == "jurisdiction-blocked"
    assert ("gateway-refusal" in answer.headers) is (name == "nginx")


@pytest.mark.parametrize(("name", "status"), [("nginx", 403), ("caddy", 400)])
async def test_a_status_that_the_proxy_does_not_hand_on_is_403(ask, name, status):
    answer = await ask(name, "POST", "/api/v1//deposits", ALICE)
    assert answer.status_code == status
    if name == "nginx":
        assert answer.headers["gateway-status"] == "400"


async def test_what_was_carried_is_rendered_with_its_own_status_in_the_clients_language(ask, service):
    refused = await ask("nginx", "POST", "/api/v1//deposits", ALICE)
    carried = refused.headers["gateway-refusal"]
    transport = httpx2.ASGITransport(service, client=(PROXY, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        read = {"gateway-refusal": carried, "accept": "text/html", "accept-language": "de"}
        page = await client.get("/authz/refusal", headers=read)
        nothing = await client.get("/authz/refusal")
        forged = await client.get("/authz/refusal", headers={"gateway-refusal": "e30="})
    assert page.status_code == 400
    assert page.headers["content-language"] == "de"
    assert refused.headers["gateway-decision"] in page.text
    assert page.headers["gateway-access"] == "none"
    assert (nothing.status_code, forged.status_code) == (500, 500)


async def test_a_stranger_is_told_nothing(ask, world):
    answer = await ask("nginx", "GET", "/api/v1/balances", ALICE, peer="10.0.0.2")
    assert (answer.status_code, answer.content, world.journal.records) == (403, b"", [])


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("nginx", {"x-original-method": None}),
        ("nginx", {"x-original-uri": ""}),
        ("traefik", {"x-original-method": "GET", "x-original-uri": "/"}),
        ("apache", {}),
    ],
)
async def test_a_question_that_no_snippet_asks_is_never_answered_200(service, world, name, headers):
    transport = httpx2.ASGITransport(service, client=(PROXY, 1))
    told = ALICE | {"x-original-method": "GET", "x-original-uri": "/api/v1/balances"} | headers
    if name == "traefik":
        told = ALICE | headers
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get(f"/authz/{name}", headers={k: v for k, v in told.items() if v is not None})
    assert answer.status_code == 500
    assert world.journal.records == []


async def test_what_follows_the_endpoint_is_no_target_of_nginx(service):
    transport = httpx2.ASGITransport(service, client=(PROXY, 1))
    told = ALICE | {"x-original-method": "GET", "x-original-uri": "/api/v1/balances"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/authz/nginx/api/v1/balances", headers=told)
    assert answer.status_code == 500


async def test_a_header_of_the_snippet_that_comes_twice_is_not_believed(service):
    transport = httpx2.ASGITransport(service, client=(PROXY, 1))
    told = [*ALICE.items(), ("x-original-method", "GET"), ("x-original-uri", "/a"), ("x-original-uri", "/b")]
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/authz/nginx", headers=told)
    assert answer.status_code == 500


async def test_a_question_like_an_earlier_one_is_answered_at_once_and_recorded_as_fully(ask, service, world):
    asked = ALICE | {"x-original-method": "GET", "x-original-uri": "/api/v1/balances"}
    question = (PROXY, b"GET", b"/authz/nginx", [(name.encode(), value.encode()) for name, value in asked.items()])
    assert service.quick(*question) is None
    answer = await ask("nginx", "GET", "/api/v1/balances", ALICE | {"user-agent": ""})
    assert answer.status_code == 200
    answers = [service.quick(*question) for _ in range(3)]
    assert [status for status, _ in answers] == [200] * 3
    ids = {rest.partition(b"gateway-decision: ")[2][:36] for _, rest in answers}
    assert len(ids) == 3
    assert world.journal.records[-1][-1] == b"GET\0/api/v1/balances\0exchange.example\0"
    assert len(world.journal.records) == 4
    assert service.quick("10.0.0.2", *question[1:]) is None


@pytest.mark.parametrize(("allowed", "said"), [(False, [403, 403]), (True, [200, 200, 403, 403])])
async def test_the_log_hears_of_what_is_answered_at_once(world, ask, allowed, said):
    lines = []
    saying = Saying(put=lines.append, teller=Teller("clear"), clock=world.clock, allowed=allowed)
    service = ForwardAuth(
        world.line, world.clock, askers=Askers(Networks([f"{PROXY}/32"])), proxies=frozenset(DIALECTS), saying=saying
    )
    assert service._askers.may_ask(PROXY)
    for asked in (ALICE, IN_AMERICA):
        await ask("nginx", "GET", "/api/v1/balances", asked | {"user-agent": ""})
        told = asked | {"x-original-method": "GET", "x-original-uri": "/api/v1/balances"}
        for _ in range(2):
            assert service.quick(
                PROXY, b"GET", b"/authz/nginx", [(name.encode(), value.encode()) for name, value in told.items()]
            )
    assert [line().status for line in lines] == said


def test_a_handshake_that_a_proxy_asks_by_is_answered_by_status(service, world):
    told = {**ALICE, "x-forwarded-method": "GET", "x-forwarded-host": "exchange.example"}
    client = TestClient(service, client=(PROXY, 4711))
    for target, status in (("/api/v1/balances", 200), ("/api/v1//balances", 400)):
        asking = client.websocket_connect("/authz/caddy", headers=told | {"x-forwarded-uri": target})
        with pytest.raises(WebSocketDenialResponse) as denied, asking:
            pass
        assert denied.value.status_code == status
    assert len(world.journal.records) == 2


async def test_what_is_no_request_is_not_known(service):
    with pytest.raises(RuntimeError, match="asked by requests"):
        await service({"type": "lifespan"}, None, None)
