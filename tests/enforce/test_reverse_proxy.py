"""The proxy between a real client and a real upstream, all on loopback and in one event loop."""

import asyncio
import contextlib
import json
from types import SimpleNamespace

import httpx2
import pytest
import websockets
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from gateway.enforce.proxy_pool import Upstream
from gateway.enforce.reverse_proxy import ReverseProxy
from tests.enforce.scripted import served


async def echo(request):
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.url.query,
            "headers": request.headers.items(),
            "length": len(body),
        },
        headers={"gateway-access": "forged", "x-own": "kept", "connection": "x-own"},
    )


async def stream(_request):
    async def parts():
        for number in range(100):
            yield b"%03d" % number * 1000

    return StreamingResponse(parts())


async def ticker(websocket):
    await websocket.accept(subprotocol="ticks" if "ticks" in websocket.scope["subprotocols"] else None)
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("text") == "close":
            await websocket.close(4001)
            return
        await websocket.send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


UPSTREAM = Starlette(
    routes=[
        Route("/long", lambda _: RedirectResponse("/" + "a" * 11_999)),
        Route("/redirect", lambda _: RedirectResponse("http://elsewhere.example/")),
        Route("/empty", lambda _: Response(status_code=204)),
        Route("/stream", stream),
        WebSocketRoute("/ticker", ticker),
        Route("/{rest:path}", echo, methods=["GET", "POST", "DELETE"]),
    ]
)


@pytest.fixture
async def url():
    async with served(UPSTREAM) as upstream:
        proxy = ReverseProxy(upstream)
        async with served(proxy) as listening:
            yield listening
            await proxy.close()


@pytest.fixture
async def client(url):
    async with httpx2.AsyncClient(base_url=url) as client:
        yield client


async def test_a_request_arrives_as_it_was_sent_without_what_belongs_to_the_connection(client) -> None:
    answer = await client.post(
        "/api/x?a=b%2Fc&d",
        content=b"z" * 200_000,
        headers={
            "x-mine": "1",
            "te": "trailers",
            "connection": "keep-alive, x-hop",
            "x-hop": "1",
            "proxy-authorization": "x",
        },
    )
    body = answer.json()
    assert (body["method"], body["path"], body["query"], body["length"]) == ("POST", "/api/x", "a=b%2Fc&d", 200_000)
    headers = dict(body["headers"])
    assert headers["x-mine"] == "1"
    assert not {"te", "x-hop", "proxy-authorization"} & set(headers)


@pytest.mark.parametrize(
    "name",
    [
        "forwarded",
        "x-forwarded-for",
        "x_forwarded_for",
        "x-forwarded-host",
        "x-real-ip",
        "true-client-ip",
        "true_client_ip",
        "cf-connecting-ip",
        "client-ip",
        "client_ip",
        "x-azure-clientip",
        "x-rewrite-uri",
    ],
)
async def test_nobody_tells_the_upstream_another_address(client, name) -> None:
    headers = dict((await client.get("/", headers={name: "1.2.3.4"})).json()["headers"])
    assert name not in headers


async def test_the_upstream_is_told_the_address_that_was_held_responsible() -> None:
    settled = SimpleNamespace(client_ip=SimpleNamespace(address="2.80.10.20"))

    async def decided(scope, receive, send):
        if scope["type"] == "http":
            scope["state"] = {"gateway": SimpleNamespace(settled=settled)}
        await proxy(scope, receive, send)

    async with served(UPSTREAM) as upstream:
        proxy = ReverseProxy(upstream)
        async with served(decided) as listening, httpx2.AsyncClient(base_url=listening) as client:
            headers = dict((await client.get("/", headers={"x-forwarded-for": "1.2.3.4"})).json()["headers"])
            await proxy.close()
    assert headers["x-forwarded-for"] == "2.80.10.20"


async def test_a_chunked_body_arrives_whole(client) -> None:
    async def parts():
        for _ in range(5):
            yield b"p" * 1000

    assert (await client.post("/", content=parts())).json()["length"] == 5000


async def test_the_upstream_cannot_speak_for_the_gateway(client) -> None:
    answer = await client.get("/")
    assert "gateway-access" not in answer.headers
    assert "te" not in answer.headers


async def test_long_answers_stream_and_redirects_are_passed_on(client) -> None:
    assert len((await client.get("/stream")).content) == 300_000
    redirect = await client.get("/redirect")
    assert (redirect.status_code, redirect.headers["location"]) == (307, "http://elsewhere.example/")
    assert (await client.get("/empty")).status_code == 204
    head = await client.head("/stream")
    assert (head.status_code, head.content) == (200, b"")


async def test_a_websocket_passes_messages_subprotocols_and_close_codes(url) -> None:
    address = url.replace("http", "ws") + "/ticker"
    async with websockets.connect(address, subprotocols=["ticks"]) as socket:
        assert socket.subprotocol == "ticks"
        await socket.send("text")
        await socket.send(b"bytes")
        assert [await socket.recv(), await socket.recv()] == ["text", b"bytes"]
        await socket.send("close")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4001


async def test_a_websocket_that_the_upstream_refuses_is_refused(url) -> None:
    with pytest.raises(websockets.InvalidStatus):
        async with websockets.connect(url.replace("http", "ws") + "/nowhere"):
            pass


async def test_an_upstream_that_is_away_is_a_502_that_says_so() -> None:
    proxy = ReverseProxy("http://127.0.0.1:1")
    async with served(proxy) as listening, httpx2.AsyncClient(base_url=listening) as client:
        answer = await client.post("/api/v1/orders", content=b"x")
        assert answer.status_code == 502
        assert json.loads(answer.content)["title"] == "Temporarily unavailable"
        with pytest.raises(websockets.InvalidStatus, match="502"):
            async with websockets.connect(listening.replace("http", "ws") + "/ticker"):
                pass
        await proxy.close()


async def test_values_arrive_byte_by_byte(client) -> None:
    for value in (b"\xe9", "é".encode()):
        answer = await client.get("/", headers={"x-mine": value})
        assert dict(answer.json()["headers"])["x-mine"].encode("latin-1") == value


async def test_a_long_redirect_is_passed_on(client) -> None:
    answer = await client.get("/long")
    assert (answer.status_code, len(answer.headers["location"])) == (307, 12_000)


async def test_a_request_that_may_have_been_carried_out_is_not_repeated() -> None:
    seen = []

    async def upstream(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                seen.append(head.split(b" ")[0])
                if head.startswith(b"DELETE"):
                    break
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(upstream, "127.0.0.1", 0)
    proxy = ReverseProxy(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with served(proxy) as listening, httpx2.AsyncClient(base_url=listening) as client:
        assert (await client.get("/")).status_code == 204
        assert (await client.delete("/orders/1")).status_code == 502
    await proxy.close()
    server.close()
    assert seen == [b"GET", b"DELETE"]


async def test_whoever_holds_a_connection_makes_nobody_wait(url) -> None:
    address = url.replace("http", "ws") + "/ticker"
    async with contextlib.AsyncExitStack() as held, httpx2.AsyncClient(base_url=url) as client:
        for _ in range(120):
            await held.enter_async_context(websockets.connect(address, compression=None))
        assert (await client.get("/", timeout=3)).status_code == 200


def named(name):
    """An upstream that says its name and the target it was asked for."""

    async def says(request):
        return PlainTextResponse(f"{name} {request.scope['raw_path'].decode()}?{request.url.query}")

    async def says_so(websocket):
        await websocket.accept()
        await websocket.send_text(name)
        await websocket.close()

    return Starlette(routes=[Route("/{rest:path}", says), WebSocketRoute("/{rest:path}", says_so)])


async def test_the_first_path_that_fits_takes_the_request_and_its_target_as_it_is() -> None:
    async with contextlib.AsyncExitStack() as stack:
        rest, orders, stream = [await stack.enter_async_context(served(named(n))) for n in ("rest", "orders", "stream")]
        routes = [
            ("/ws/{rest:path}", Upstream(stream)),
            ("/orders/{id:int}", Upstream(orders)),
            ("/orders/{id}", Upstream(stream)),
        ]
        proxy = ReverseProxy(rest, routes)
        url = await stack.enter_async_context(served(proxy))
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=url))
        for target, answer in (
            ("/ws/a/b?c=%2F", "stream /ws/a/b?c=%2F"),
            ("/orders/17", "orders /orders/17?"),
            ("/orders/x", "stream /orders/x?"),
            ("/orders/17/x", "rest /orders/17/x?"),
            ("/wsx", "rest /wsx?"),
            ("/", "rest /?"),
        ):
            assert (await client.get(target)).text == answer
        for path, answer in (("/ws/x", "stream"), ("/x", "rest")):
            async with websockets.connect(url.replace("http", "ws") + path) as socket:
                assert await asyncio.wait_for(socket.recv(), 10) == answer
        await proxy.close()
