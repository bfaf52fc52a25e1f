import inspect
import json
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from gateway import GatewayMiddleware
from gateway.adapters.recorded import read_documents
from gateway.app.records import Records
from gateway.config import load
from gateway.core.errors import ConfigError

PEER = ("10.0.0.1", 4711)


@pytest.fixture
def reached():
    return []


@pytest.fixture
def client(site, reached):
    async def everything(request):
        reached.append(request.url.path)
        return JSONResponse({"account": request.headers.get("gateway-account")})

    app = Starlette(routes=[Route("/{rest:path}", everything, methods=["GET", "POST"])])
    app.add_middleware(GatewayMiddleware, config=site.config)
    with TestClient(app, client=PEER) as client:
        gateway = app.middleware_stack.app.gateway
        client.portal.call(site.fill, gateway.store)
        client.gateway = gateway
        yield client


def test_servers_know_it_for_an_app_of_one_call(site) -> None:
    app = GatewayMiddleware(Starlette(), config=site.config)
    server = uvicorn.Config(app)
    server.load()
    assert server.interface == "asgi3"
    assert inspect.iscoroutinefunction(app.__call__)


def test_a_call_by_name_is_the_same_call(client, site, reached) -> None:
    named = client.app.middleware_stack.app.__call__
    answers = []

    async def ask() -> None:
        headers = [(name.lower().encode(), value.encode()) for name, value in site.headers().items()]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": "/api/v1/balances",
            "raw_path": b"/api/v1/balances", "query_string": b"", "headers": headers, "client": PEER,
        }  # fmt: skip

        async def send(message) -> None:
            answers.append(message.get("status"))

        await named(scope, None, send)

    client.portal.call(ask)
    assert answers == [200, None]
    assert reached == ["/api/v1/balances"]


@pytest.mark.parametrize(
    ("who", "address", "method", "path", "status", "reason"),
    [
        ("alice", "2.80.10.20", "POST", "/api/v1/withdrawals", 200, None),
        ("alice", "2.80.10.20", "GET", "/api/v1/balances", 200, None),
        ("alice", "2.176.0.1", "POST", "/api/v1/orders", 403, "sanctioned-region"),
        ("alice", "10.1.2.3", "POST", "/api/v1/orders", 403, "location-uncertain"),
        ("bob", "65.24.10.20", "POST", "/api/v1/orders", 403, "jurisdiction-blocked"),
        ("bob", "2.80.10.20", "POST", "/api/v1/withdrawals", 403, "jurisdiction-blocked"),
        ("bob", "65.24.10.20", "GET", "/api/v1/support/messages", 200, None),
        ("carol", "2.80.10.20", "GET", "/api/v1/balances", 200, None),
        ("carol", "2.80.10.20", "POST", "/api/v1/withdrawals", 403, "account-flagged"),
        ("dan", "2.80.10.20", "GET", "/api/v1/support/messages", 403, "account-archived"),
        ("stranger", "2.80.10.20", "POST", "/api/v1/orders", 403, "account-unknown"),
        (None, "2.80.10.20", "POST", "/api/v1/orders", 401, "credential-required"),
        (None, "2.80.10.20", "GET", "/api/v1/market", 200, None),
    ],
)
def test_the_cast_is_answered_as_the_library_says(
    client, site, reached, who, address, method, path, status, reason
) -> None:
    answer = client.request(method, path, headers=site.headers(who, address))
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["account"] == who
        assert reached == [path]
    else:
        assert answer.json()["reason"] == reason
        assert reached == []


def test_charlie_with_her_password_alone_does_not_withdraw(client, site) -> None:
    answer = client.post("/api/v1/withdrawals", headers=site.headers(amr=("pwd",)))
    assert answer.status_code == 401
    assert "insufficient_user_authentication" in answer.headers["www-authenticate"]


def test_a_forged_token_is_challenged_and_opens_nothing(client, site, reached) -> None:
    headers = site.headers()
    head, payload, _ = headers["authorization"].split(".")
    headers["authorization"] = f"{head}.{payload}.{'A' * 86}"
    answer = client.post("/api/v1/orders", headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (401, "credential-invalid")
    assert reached == []


def test_every_answered_request_is_on_record_explains_itself_and_replays(client, site) -> None:
    told = [
        client.get("/api/v1/balances", headers=site.headers()).headers["gateway-decision"],
        client.get("/api/v1/balances", headers=site.headers()).headers["gateway-decision"],
        client.post("/api/v1/orders", headers=site.headers("bob")).headers["gateway-decision"],
        client.get("/%2f", headers=site.headers()).headers["gateway-decision"],
    ]
    records = Records.of(site.config)
    assert {document["id"] for document in read_documents(site.folder / "journal")} == set(told)
    for decision_id in told:
        document = records.find(decision_id)
        assert records.replay(document).kind == "same"
        assert decision_id in records.explain(document).text()
    assert "us-closed" in records.explain(records.find(told[2])).text()
    assert [document["id"] for document in records.since("1h")] == told


def test_no_credential_is_in_the_journal_or_the_store(client, site) -> None:
    headers = site.headers()
    client.post("/api/v1/withdrawals?secret=hunter2", headers=headers)
    token = headers["authorization"].removeprefix("Bearer ")
    for file in site.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert token.encode() not in content
            assert b"hunter2" not in content


def test_a_change_of_status_is_in_force_within_half_a_second(client, site) -> None:
    assert client.post("/api/v1/orders", headers=site.headers()).status_code == 200
    changed = client.portal.call(_restrict, client.gateway.store)
    assert changed.status == "restricted"
    deadline = time.monotonic() + 0.5
    while (status := client.post("/api/v1/orders", headers=site.headers()).status_code) == 200:
        assert time.monotonic() < deadline
    assert status == 403


async def _restrict(store):
    return await store.put("alice", status="restricted", who="tests", why="a change")


def test_a_changed_policy_is_taken_whole_and_a_broken_one_not_at_all(client, site) -> None:
    policy = site.folder / "policies" / "closed.yaml"
    opened = {"headers": site.headers(address="2.176.0.1")}
    before = client.gateway.line.bundle.digest
    assert client.get("/", **opened).status_code == 403
    policy.write_text(site.policy.replace('country == "IR"', 'contry == "IR"'))
    client.portal.call(client.gateway.refresh)
    assert client.gateway.line.bundle.digest == before
    assert client.get("/", **opened).status_code == 403
    policy.write_text(site.policy.replace('"IR"', '"KP"').replace("country: IR", "country: KP"))
    client.portal.call(client.gateway.refresh)
    assert client.gateway.line.bundle.digest != before
    assert client.get("/", **opened).status_code == 200
    assert client.gateway.archive.get(before) is not None


def test_a_mounted_app_starts_the_gateway_with_its_first_request(site) -> None:
    async def hello(request):
        return JSONResponse({"path": request.url.path})

    inner = GatewayMiddleware(Starlette(routes=[Route("/market", hello)]), config=load(site.config))
    outer = Starlette(routes=[Mount("/inner", app=inner)])
    with TestClient(outer, client=PEER) as client:
        assert client.get("/inner/market", headers=site.headers(None)).status_code == 200
        client.portal.call(inner.gateway.close)


def test_lifespan_of_the_app_runs_inside_that_of_the_gateway(site) -> None:
    seen = []

    class Lifespan:
        def __init__(self, app):
            self.gateway = gateway

        async def __aenter__(self):
            seen.append(gateway.started)

        async def __aexit__(self, *exc):
            seen.append(gateway.started)

    app = Starlette(lifespan=Lifespan, middleware=[])
    wrapped = GatewayMiddleware(app, config=site.config)
    gateway = wrapped.gateway
    with TestClient(wrapped, client=PEER):
        pass
    assert seen == [True, True]
    assert not gateway.started


def test_a_gateway_that_cannot_start_fails_the_startup_in_one_line(site) -> None:
    (site.folder / "journal").write_text("not a folder")
    app = Starlette(middleware=[Middleware(GatewayMiddleware, config=site.config)])
    with pytest.raises(Exception, match="journal"), TestClient(app, client=PEER):
        pass


def test_a_middleware_without_configuration_says_what_is_missing() -> None:
    with pytest.raises(TypeError, match=r"gateway\.toml"):
        GatewayMiddleware(Starlette())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('trusted_proxies = ["10.0.0.0/8", "127.0.0.0/8"]', "trusted_proxies"),
        ('jwks = "jwks.json"', "jwks"),
        ('"library:us-exit"', "did you mean `us-exit`"),
    ],
)
def test_a_configuration_that_cannot_work_stops_the_build(site, change, message) -> None:
    replacement = '"library:us-exti"' if "library" in change else ""
    site.config.write_text(site.config.read_text().replace(change, replacement))
    with pytest.raises(Exception, match=message):
        GatewayMiddleware(Starlette(), config=site.config)


def test_settings_at_hand_do_as_well_as_a_file(site) -> None:
    settings = load(site.config)
    assert GatewayMiddleware(Starlette(), config=settings).gateway.settings is settings
    with pytest.raises(ConfigError):
        GatewayMiddleware(Starlette(), config=site.folder / "nowhere.toml")


def test_the_verdict_is_there_for_the_app_to_read(site) -> None:
    async def own(request):
        passage = request.scope["state"]["gateway"]
        return JSONResponse(json.loads(json.dumps({"outcome": passage.settled.verdict.outcome})))

    wrapped = GatewayMiddleware(Starlette(routes=[Route("/", own)]), config=site.config)
    with TestClient(wrapped, client=PEER) as client:
        assert client.get("/", headers=site.headers(None)).json() == {"outcome": "allow"}
