import asyncio
import json

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from gateway.enforce.http_answer import Cycle, Outlet
from gateway.enforce.middleware import Enforcer

ALICE = {"authorization": "Bearer alice-token", "host": "exchange.example"}
IN_GERMANY = ALICE | {"x-forwarded-for": "8.8.8.8"}
IN_AMERICA = ALICE | {"x-forwarded-for": "9.9.9.9"}
PEER = ("10.0.0.1", 4711)


@pytest.fixture
def reached():
    return []


@pytest.fixture
def exchange(reached):
    async def everything(request):
        reached.append(request)
        return JSONResponse(
            {
                "headers": {name: value for name, value in request.headers.items() if name.startswith("gateway")},
                "path": request.url.path,
                "level": request.scope["state"]["gateway"].settled.verdict.level,
                "body": len(await request.body()),
            }
        )

    async def ticker(websocket):
        reached.append(websocket)
        await websocket.accept(subprotocol="ticks")
        await websocket.send_text(websocket.headers["gateway-account"])
        await websocket.close()

    async def stream(request):
        reached.append(request)

        async def parts():
            for number in range(3):
                yield f"{number}"

        return StreamingResponse(parts(), background=BackgroundTask(reached.append, "background"))

    methods = ["GET", "POST"]
    return Starlette(
        routes=[
            Route("/stream", stream),
            WebSocketRoute("/ticker", ticker),
            Mount("/mounted", routes=[Route("/{rest:path}", everything, methods=methods)]),
            Route("/{rest:path}", everything, methods=methods),
        ]
    )


@pytest.fixture
def client(world, exchange):
    return TestClient(Enforcer(exchange, world.line, world.clock, support_url="https://help.example/"), client=PEER)


def test_an_allowed_request_reaches_the_app_which_is_told_what_was_decided(client) -> None:
    answer = client.get("/api/v1/balances", headers=IN_GERMANY)
    assert answer.status_code == 200
    body = answer.json()
    assert body["headers"] == {
        "gateway-access": "full",
        "gateway-account": "alice",
        "gateway-country": "DE",
        "gateway-decision": answer.headers["gateway-decision"],
    }
    assert body["level"] == answer.headers["gateway-access"] == "full"


def test_a_refused_request_never_reaches_the_app(client, reached) -> None:
    answer = client.post("/api/v1/deposits", headers=IN_AMERICA, content=b"x" * 100_000)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["reason"] == "jurisdiction-blocked"
    assert body["decision_id"] == answer.headers["gateway-decision"]
    assert body["allowed_operations"] == ["support"]
    assert answer.headers["gateway-access"] == "support_only"
    assert reached == []


def test_a_browser_is_answered_with_a_page(client) -> None:
    answer = client.get("/", headers=IN_AMERICA | {"accept": "text/html,*/*;q=0.1"})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["gateway-decision"] in answer.text


@pytest.mark.parametrize(
    ("wanted", "language", "title"),
    [
        ("de-AT, en;q=0.5", "de", "An Ihrem Standort nicht verfügbar"),
        ("nl", "en", "Not available in your location"),
        (";;q=%,-", "en", "Not available in your location"),
        (None, "en", "Not available in your location"),
    ],
)
def test_a_refusal_is_in_the_language_that_the_client_asks_for(client, wanted, language, title) -> None:
    asked = IN_AMERICA | ({} if wanted is None else {"accept-language": wanted})
    for _ in range(2):  # settled, and from memory
        answer = client.get("/", headers=asked)
        assert answer.headers["content-language"] == language
        assert answer.headers["vary"] == "Accept, Accept-Language"
        assert (answer.json()["title"], answer.json()["reason"]) == (title, "jurisdiction-blocked")
    page = client.get("/", headers=asked | {"accept": "text/html"})
    assert f'<html lang="{language}">' in page.text


def test_one_answer_serves_every_language(client, world) -> None:
    titles = {client.get("/", headers=IN_AMERICA | {"accept-language": one}).json()["title"] for one in ("es", "fr")}
    assert len(titles) == 2
    assert len(world.line._settled) == 1, "what was decided does not depend on the language"


def test_what_is_let_through_says_nothing_of_languages(client) -> None:
    answer = client.get("/", headers=IN_GERMANY | {"accept-language": "fr"})
    assert answer.status_code == 200
    assert not {"content-language", "vary"} & set(answer.headers)


def test_an_ambiguous_request_is_told_so_in_its_language(client) -> None:
    answer = client.get("/a/../b", headers=IN_GERMANY | {"accept-language": "fr", "x-rewrite-url": "/"})
    assert (answer.status_code, answer.headers["content-language"]) == (400, "fr")
    assert answer.json()["title"] == "La demande est ambiguë"


def test_head_is_refused_without_a_body(client) -> None:
    answer = client.head("/", headers=IN_AMERICA)
    assert (answer.status_code, answer.content) == (403, b"")


def test_gateway_headers_from_outside_are_removed(client) -> None:
    forged = IN_GERMANY | {"gateway-account": "root", "gateway-country": "XX", "gateway-decision": "forged"}
    headers = client.get("/", headers=forged).json()["headers"]
    assert headers["gateway-account"] == "alice"
    assert headers["gateway-country"] == "DE"
    assert headers["gateway-decision"] != "forged"


def test_an_unauthenticated_request_carries_no_account_onward(client) -> None:
    headers = {"host": "exchange.example", "x-forwarded-for": "8.8.8.8", "gateway-account": "root"}
    assert "gateway-account" not in client.get("/", headers=headers).json()["headers"]


@pytest.mark.parametrize("target", ["/api/v1/with%64rawals", "/api/v1/withdrawals"])
def test_the_app_sees_the_path_that_was_classified(world, exchange, target) -> None:
    async def ask():
        transport = httpx2.ASGITransport(Enforcer(exchange, world.line, world.clock), client=PEER)
        async with httpx2.AsyncClient(transport=transport, base_url="http://exchange.example") as client:
            return await client.post(target, headers=IN_GERMANY)

    answer = asyncio.run(ask())
    assert answer.json()["path"] == "/api/v1/withdrawals"
    assert b"\0/api/v1/withdrawals\0" in world.journal.records[-1][5]


def test_an_ambiguous_request_is_answered_400_and_closed(client, reached) -> None:
    answer = client.get("/%2fadmin", headers=IN_GERMANY)
    assert answer.status_code == 400
    assert answer.headers["connection"] == "close"
    assert answer.json()["reason"] == "ambiguous-request"
    assert reached == []


def test_streams_and_background_tasks_work_as_without_the_gateway(client, reached) -> None:
    answer = client.get("/stream", headers=IN_GERMANY)
    assert answer.text == "012"
    assert "gateway-decision" in answer.headers
    assert reached[-1] == "background"


def test_bodies_arrive_whole(client) -> None:
    assert client.post("/x", headers=IN_GERMANY, content=b"y" * 300_000).json()["body"] == 300_000


def test_an_exception_of_the_app_is_the_apps_own(world) -> None:
    async def broken(scope, receive, send):
        raise LookupError("the app's own")

    with pytest.raises(LookupError, match="the app's own"):
        TestClient(Enforcer(broken, world.line, world.clock), client=PEER).get("/", headers=IN_GERMANY)


def test_a_websocket_passes_the_line_at_its_handshake(client) -> None:
    with client.websocket_connect("/ticker", headers=IN_GERMANY, subprotocols=["ticks"]) as socket:
        assert socket.receive_text() == "alice"
        assert socket.accepted_subprotocol == "ticks"
        assert b"gateway-decision" in dict(socket.extra_headers or ())


def test_a_refused_websocket_is_answered_with_the_problem(client, reached) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/ticker", headers=IN_AMERICA),
    ):
        pass
    assert refused.value.status_code == 403
    assert json.loads(refused.value.content)["reason"] == "jurisdiction-blocked"
    assert reached == []


def test_a_refused_websocket_is_closed_where_the_server_cannot_answer_it(world, exchange, reached) -> None:
    class Plain:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app({**scope, "extensions": {}}, receive, send)

    client = TestClient(Plain(Enforcer(exchange, world.line, world.clock)), client=PEER)
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("/ticker", headers=IN_AMERICA),
    ):
        pass
    assert refused.value.code == 1008
    assert reached == []


def test_a_kind_of_connection_that_nobody_decides_about_is_let_through_to_nobody(world, reached) -> None:
    async def app(scope, receive, send):
        reached.append(scope)

    with pytest.raises(RuntimeError, match="'webtransport'"):
        asyncio.run(Enforcer(app, world.line, world.clock)({"type": "webtransport"}, None, None))
    assert reached == []


def test_a_server_that_gives_no_raw_path_is_read_by_its_path(world, reached) -> None:
    async def app(scope, receive, send):
        reached.append(scope)
        await PlainTextResponse("fine")(scope, receive, send)

    async def ask(path):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in IN_GERMANY.items()],
            "client": PEER,
        }
        await Enforcer(app, world.line, world.clock)(scope, None, send)
        return sent[0]["status"]

    assert asyncio.run(ask("/market")) == 200
    assert asyncio.run(ask("/market/../withdrawals")) == 400
    assert len(reached) == 1


def test_a_path_that_somebody_before_us_rewrote_is_not_what_the_app_routes_on(world) -> None:
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["path"], scope["raw_path"]))

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/admin",
        "raw_path": b"/market",
        "headers": iter([(b"host", b"exchange.example"), (b"x-forwarded-for", b"8.8.8.8")]),
        "client": PEER,
    }
    asyncio.run(Enforcer(app, world.line, world.clock)(scope, None, None))
    assert seen == [("/market", b"/market")]


def test_it_works_around_fastapi(world) -> None:
    api = FastAPI()

    @api.get("/items/{number}")
    async def item(number: int) -> dict[str, int]:
        return {"number": number}

    client = TestClient(Enforcer(api, world.line, world.clock), client=PEER)
    assert client.get("/items/7", headers=IN_GERMANY).json() == {"number": 7}
    assert client.get("/items/seven", headers=IN_GERMANY).status_code == 422
    assert client.get("/items/7", headers=IN_AMERICA).status_code == 403


def test_every_response_names_its_decision_and_access(client) -> None:
    for headers in (IN_GERMANY, IN_AMERICA, {"host": "exchange.example"}, {"host": "other.example"}):
        answer = client.get("/", headers=headers)
        assert answer.headers["gateway-decision"]
        assert answer.headers["gateway-access"]


GERMANY, AMERICA = {**IN_GERMANY}, {**IN_AMERICA}
"""Copies: the client of the tests writes into the headers of a handshake."""


class Behind:
    """An app that takes requests without a task, unless it will not, and what it was given."""

    def __init__(self, *, takes=True):
        self.takes = takes
        self.taken = []
        self.called = []
        self.started = []

    async def __call__(self, scope, _receive, send):
        self.called.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def take(self, scope, _cycle, start, lines):
        self.taken.append((scope, start, lines))
        return self.takes


def cycle_of(headers):
    scope = {
        "type": "http",
        "client": PEER,
        "method": "GET",
        "path": "/api/v1/balances",
        "raw_path": b"/api/v1/balances",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "state": {},
    }
    outlet = Outlet(None, list)
    return Cycle(scope, outlet, keep_alive=True, waits=False, resume=list, answered=list)


async def run(started, scope=None):
    """What a task says that runs the app which was started."""
    said = []

    async def send(message):
        said.append(message)

    await started(scope, None, send)
    return said


@pytest.fixture
def enforcing(world, client):
    for headers in (GERMANY, AMERICA):
        client.get("/api/v1/balances", headers=headers | {"user-agent": "x"})

    def build(app, **parts):
        return Enforcer(app, world.line, world.clock, **parts)

    return build


async def test_a_request_like_an_earlier_one_is_taken_without_a_task_and_recorded(world, enforcing):
    app = Behind()
    recorded = len(world.journal.records)
    started = []
    assert enforcing(app).direct(app.take, cycle_of(GERMANY | {"gateway-account": "mallory"}), started.append)
    ((scope, start, lines),) = app.taken
    assert len(world.journal.records) == recorded + 1
    assert [value for name, value in scope["headers"] if name == b"gateway-account"] == [b"alice"]
    assert [name for name, _ in lines] == [b"gateway-decision", b"gateway-access"]
    assert started == []
    start(app)
    (message,) = await run(started[0])
    assert message["headers"] == lines
    assert app.called == [scope]


async def test_what_is_not_taken_is_answered_by_the_app_under_the_same_decision(world, enforcing):
    app = Behind(takes=False)
    started = []
    assert enforcing(app).direct(app.take, cycle_of(GERMANY), started.append)
    recorded = len(world.journal.records)
    (message,) = await run(started[0])
    assert message["headers"][0] == app.taken[0][2][0]
    assert len(world.journal.records) == recorded


async def test_a_refusal_is_answered_by_the_decision_that_was_recorded(world, enforcing):
    app = Behind()
    started = []
    recorded = len(world.journal.records)
    cycle = cycle_of(AMERICA)
    assert enforcing(app).direct(app.take, cycle, started.append)
    start, _ = await run(started[0])
    assert start["status"] == 403
    assert (app.taken, app.called) == ([], [])
    assert len(world.journal.records) == recorded + 1


def test_a_request_unlike_all_others_is_left_alone(world, enforcing):
    app = Behind()
    recorded = len(world.journal.records)
    assert not enforcing(app).direct(app.take, cycle_of(GERMANY | {"x-forwarded-for": "8.8.4.4"}), app.started.append)
    assert (app.taken, app.started, len(world.journal.records)) == ([], [], recorded)
