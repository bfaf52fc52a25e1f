"""The proxy between real WebSocket clients and upstreams that do as they like."""

import asyncio
import base64
import contextlib
import hashlib

import pytest
import websockets
from websockets.asyncio.server import serve
from websockets.utils import accept_key

from gateway.enforce import proxy_websocket
from gateway.enforce.proxy_pool import Limits, Upstream
from gateway.enforce.reverse_proxy import ReverseProxy
from tests.enforce.scripted import served


@contextlib.asynccontextmanager
async def before(upstream, *, limits=None, **options):
    """The address of a proxy before a WebSocket server that does `upstream` with each connection."""
    async with serve(upstream, "127.0.0.1", 0, **options) as server:
        port = server.sockets[0].getsockname()[1]
        async with proxied(port, **(limits or {})) as address:
            yield address


@contextlib.asynccontextmanager
async def proxied(port, **limits):
    proxy = ReverseProxy(Upstream(f"http://127.0.0.1:{port}", Limits(**limits)))
    async with served(proxy) as url:
        yield url.replace("http", "ws") + "/stream"
    await proxy.close()


async def ending(socket):
    """How a WebSocket ended for its client: code and reason."""
    with contextlib.suppress(websockets.ConnectionClosed):
        async with asyncio.timeout(10):
            while True:
                await socket.recv()
    return socket.close_code, socket.close_reason


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def test_messages_pass_whole_whatever_their_fragments() -> None:
    async with before(echo) as address, websockets.connect(address) as socket:
        await socket.send(["in ", "three ", "parts"])
        await socket.send([b"\x00" * 100_000, b"\x01" * 100_000])
        await socket.send("")
        got = [await asyncio.wait_for(socket.recv(), 10) for _ in range(3)]
    assert got == ["in three parts", b"\x00" * 100_000 + b"\x01" * 100_000, ""]


async def test_no_extension_is_agreed_on_either_side() -> None:
    seen = []

    async def upstream(socket):
        seen.append(socket.request.headers)
        await echo(socket)

    async with before(upstream) as address, websockets.connect(address, compression="deflate") as socket:
        await socket.send("x" * 1000)
        assert await asyncio.wait_for(socket.recv(), 10) == "x" * 1000
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
    assert "Sec-WebSocket-Extensions" not in seen[0]


async def test_an_upstream_that_takes_an_extension_nobody_offered_is_no_upstream() -> None:
    async def handshake(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("sec-websocket-key"))
        writer.write(b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n")
        writer.write(f"sec-websocket-accept: {accept_key(key)}\r\n".encode())
        writer.write(b"sec-websocket-extensions: permessage-deflate\r\n\r\n")
        await writer.drain()
        writer.close()

    async with (
        await asyncio.start_server(handshake, "127.0.0.1", 0) as server,
        proxied(server.sockets[0].getsockname()[1]) as address,
    ):
        with pytest.raises(websockets.InvalidStatus, match="502"):
            await websockets.connect(address)


async def test_the_subprotocol_is_the_upstreams_choice() -> None:
    async with before(echo, subprotocols=["v2", "v1"]) as address:
        async with websockets.connect(address, subprotocols=["v1", "v2"]) as socket:
            assert socket.subprotocol == "v2"
        async with websockets.connect(address, subprotocols=["v1"]) as socket:
            assert socket.subprotocol == "v1"


@pytest.mark.parametrize(("code", "told"), [(1000, 1000), (1001, 1001), (3000, 3000), (4999, 4999), (1011, 1011)])
async def test_a_close_crosses_with_its_code_and_reason(code, told) -> None:
    heard = asyncio.get_running_loop().create_future()

    async def upstream(socket):
        if await socket.recv() == "close":
            await socket.close(code, "for a reason")
        else:
            await socket.wait_closed()
            heard.set_result((socket.close_code, socket.close_reason))

    async with before(upstream) as address:
        async with websockets.connect(address) as socket:
            await socket.send("close")
            assert await ending(socket) == (told, "for a reason")
        async with websockets.connect(address) as socket:
            await socket.send("wait")
            await socket.close(code, "for a reason")
        assert await asyncio.wait_for(heard, 10) == (told, "for a reason")


async def test_an_upstream_that_vanishes_is_a_bad_gateway() -> None:
    async def upstream(socket):
        await socket.recv()
        socket.transport.abort()

    async with before(upstream) as address, websockets.connect(address) as socket:
        await socket.send("go")
        assert (await ending(socket))[0] == 1014


async def test_a_client_that_vanishes_takes_its_connection_to_the_upstream_with_it() -> None:
    gone = asyncio.Event()

    async def upstream(socket):
        await socket.wait_closed()
        gone.set()

    async with before(upstream) as address:
        socket = await websockets.connect(address)
        socket.transport.abort()
        await asyncio.wait_for(gone.wait(), 5)
        with contextlib.suppress(websockets.ConnectionClosed):
            await socket.recv()


async def test_a_message_that_is_too_large_passes_in_neither_direction() -> None:
    codes = asyncio.Queue()

    async def upstream(socket):
        with contextlib.suppress(websockets.ConnectionClosed):
            if await socket.recv() == "send":
                await socket.send("x" * 3000)
        await socket.wait_closed()
        codes.put_nowait(socket.close_code)

    async with before(upstream, limits={"message_bytes": 2000}) as address:
        async with websockets.connect(address) as socket:
            await socket.send("send")
            assert await ending(socket) == (1014, "a message of the upstream is too large")
        async with websockets.connect(address) as socket:
            await socket.send("x" * ((1 << 20) + 1))
            assert (await ending(socket))[0] == 1009
        assert [await asyncio.wait_for(codes.get(), 10) for _ in range(2)] == [1009, 1009]


async def test_text_that_is_no_text_ends_the_websocket() -> None:
    async def upstream(socket):
        await socket.recv()
        await socket.send(b"\xff\xfe", text=True)
        await socket.wait_closed()

    async with before(upstream) as address, websockets.connect(address) as socket:
        await socket.send("go")
        assert (await ending(socket))[0] == 1014


async def test_the_refusal_of_an_upstream_is_passed_on_whole() -> None:
    def refuse(connection, _request):
        response = connection.respond(429, "slowly\n")
        response.headers["X-Own"] = "kept"
        response.headers["Gateway-Access"] = "forged"
        return response

    async with before(echo, process_request=refuse) as address:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(address)
    response = refused.value.response
    assert (response.status_code, bytes(response.body), response.headers["x-own"]) == (429, b"slowly\n", "kept")
    assert "gateway-access" not in response.headers


async def test_a_handshake_with_the_wrong_answer_is_a_bad_gateway_and_a_late_one_a_timeout() -> None:
    async def wrong(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        accept = base64.b64encode(hashlib.sha1(b"x").digest())
        writer.write(b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n")
        writer.write(b"sec-websocket-accept: " + accept + b"\r\n\r\n")
        await writer.drain()
        writer.close()

    async def late(reader, writer):
        await reader.read()
        writer.close()

    for does, status in ((wrong, "502"), (late, "504")):
        async with (
            await asyncio.start_server(does, "127.0.0.1", 0) as server,
            proxied(server.sockets[0].getsockname()[1], response_s=0.2) as address,
        ):
            with pytest.raises(websockets.InvalidStatus, match=status):
                await websockets.connect(address)


async def test_no_more_websockets_than_said_are_open() -> None:
    async with before(echo, limits={"websockets": 1}) as address:
        async with websockets.connect(address):
            with pytest.raises(websockets.InvalidStatus, match="503"):
                await websockets.connect(address)
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(websockets.InvalidStatus):
                    async with websockets.connect(address):
                        break


async def test_an_upstream_that_does_not_answer_pings_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(proxy_websocket, "_PING_S", 0.1)

    async def upstream(socket):
        await socket.recv()
        socket.transport.pause_reading()
        await asyncio.sleep(30)

    async with before(upstream) as address, websockets.connect(address) as socket:
        await socket.send("go")
        assert (await ending(socket))[0] == 1014


async def test_pings_of_an_upstream_are_answered_though_the_client_says_nothing() -> None:
    answered = asyncio.get_running_loop().create_future()

    async def upstream(socket):
        await (await socket.ping(b"there?"))
        answered.set_result(True)

    async with before(upstream) as address, websockets.connect(address):
        assert await asyncio.wait_for(answered, 10)


async def test_a_slow_client_holds_the_upstream_back() -> None:
    sent = 0

    async def upstream(socket):
        nonlocal sent
        for _ in range(1000):
            await socket.send(b"x" * 100_000)
            sent += 100_000

    async with before(upstream) as address, websockets.connect(address, max_queue=1) as socket:
        seen = -1
        async with asyncio.timeout(20):
            while seen != sent:
                seen = sent
                await asyncio.sleep(0.3)
        assert 0 < sent < 40_000_000
        socket.transport.abort()


async def test_a_slow_upstream_holds_the_client_back() -> None:
    go = asyncio.Event()

    async def upstream(_socket):
        await go.wait()

    async with before(upstream, max_queue=1) as address, websockets.connect(address) as socket:
        sent = 0
        with contextlib.suppress(TimeoutError):
            for _ in range(1000):
                async with asyncio.timeout(0.5):
                    await socket.send(b"x" * 100_000)
                sent += 100_000
        assert 0 < sent < 40_000_000
        go.set()
        socket.transport.abort()


async def test_a_client_that_takes_no_messages_is_given_up() -> None:
    gone = asyncio.Event()

    async def upstream(socket):
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await socket.send(b"x" * 100_000)
        gone.set()

    async with before(upstream, limits={"body_s": 0.3}) as address, websockets.connect(address, max_queue=1) as socket:
        await asyncio.wait_for(gone.wait(), 10)
        socket.transport.abort()


async def test_a_quiet_websocket_outlives_every_look_at_it() -> None:
    async with before(echo, limits={"body_s": 0.05}) as address, websockets.connect(address) as socket:
        await asyncio.sleep(0.3)
        await socket.send("still here")
        assert await asyncio.wait_for(socket.recv(), 10) == "still here"
