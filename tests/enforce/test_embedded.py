"""An app of somebody's own under uvicorn, with our protocol: what uvicorn was told holds, and what is strict."""

import asyncio
import json

import pytest
import uvicorn

from tests.enforce.conversing import say

GET = b"GET /a%20b?c=d HTTP/1.1\r\nHost: h\r\n\r\n"
HANDSHAKE = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def told(scope, receive, send):
    said = {name: scope[name] for name in ("path", "root_path", "scheme", "http_version")}
    said["raw_path"] = scope["raw_path"].decode()
    body = json.dumps(said).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def answered(*parts: bytes, pause: float = 0.0, app=told, **settings) -> bytes:
    """Return what a server says that was told these settings, and `<closed>` where it closes then."""

    async def serve():
        config = uvicorn.Config(
            app, http="gateway:protocol", port=0, lifespan="off", proxy_headers=False, log_level="error", **settings
        )
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve())
        try:
            async with asyncio.timeout(10):
                while not server.started:  # noqa: ASYNC110 - uvicorn tells of its start by this alone
                    await asyncio.sleep(0.005)
            return await say(server.servers[0].sockets[0].getsockname()[1], *parts, pause=pause)
        finally:
            server.should_exit = True
            await serving

    return asyncio.run(serve())


def test_uvicorn_takes_it_by_name_and_it_tells_the_app_what_uvicorn_was_told() -> None:
    heard = answered(GET, root_path="/inner", headers=[("X-Served-By", "us")])

    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nx-served-by: us" in head
    assert json.loads(body) == {
        "path": "/inner/a b",
        "raw_path": "/inner/a%20b",
        "root_path": "/inner",
        "scheme": "http",
        "http_version": "1.1",
    }


@pytest.mark.parametrize("target", [b"http://evil.example/a", b"//evil.example/a", b"/a#b"])
def test_a_target_that_has_two_readings_arrives_as_it_was_sent(target) -> None:
    heard = answered(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n", root_path="/inner")

    assert json.loads(heard.partition(b"\r\n\r\n")[2])["raw_path"] == target.decode()


def test_a_connection_rests_as_long_as_the_server_was_told() -> None:
    assert answered(GET, timeout_keep_alive=0).endswith(b"<closed>")
    kept = answered(GET, GET, pause=0.05)
    assert kept.count(b"200 OK") == 2
    assert not kept.endswith(b"<closed>")


def test_more_at_once_than_the_server_shall_take_is_answered_503() -> None:
    assert answered(GET, limit_concurrency=2).startswith(b"HTTP/1.1 200 ")
    assert answered(GET, limit_concurrency=1).startswith(b"HTTP/1.1 503 ")


def test_where_nothing_speaks_websockets_a_handshake_is_a_request_like_others() -> None:
    heard = answered(HANDSHAKE, ws="none")

    assert heard.startswith(b"HTTP/1.1 200 ")
    assert b'"/ws"' in heard


def test_a_head_that_is_too_large_is_refused() -> None:
    heard = answered(b"GET / HTTP/1.1\r\nX: ", b"a" * 20_000, b"a" * 20_000, pause=0.05)

    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.endswith(b"<closed>")
