"""What is open ends when another process changes the account, and is decided again though nothing changed."""

import asyncio
import statistics
import sys
import time
from collections import Counter
from contextlib import ExitStack

import pytest
import websockets

from gateway.adapters.recorded import read_documents
from gateway.adapters.sql import AccountStore
from gateway.app import GatewayMiddleware
from gateway.config import load
from gateway.enforce.reverse_proxy import ReverseProxy
from tests.end_to_end.conformance.exchange import Exchange, serving

ROUNDS = 10


def test_an_open_socket_ends_with_the_account_that_another_process_restricts(site, capsys) -> None:
    gateway = GatewayMiddleware(Exchange(), config=site.config)

    async def rounds(port: int) -> list[float]:
        store = AccountStore(load(site.config).store.url)
        await store.start()
        await site.fill(store)
        took = []
        for number in range(ROUNDS):
            uid = f"customer-{number}"
            await store.put(uid, status="open", verification="full", documents=["PT"], who="tests", why="the cast")
            headers = site.headers(uid)
            headers.pop("host")
            url = f"ws://127.0.0.1:{port}/api/v1/ticker"
            async with websockets.connect(url, additional_headers=headers) as socket:
                await socket.send("one")
                assert await socket.recv() == "one"
                begun = time.monotonic()
                await store.put(uid, status="restricted", who="tests", why="a letter")
                await asyncio.wait_for(socket.wait_closed(), 20)
                took.append(time.monotonic() - begun)
                assert (socket.close_code, socket.close_reason) == (1008, "account-restricted")
        await store.close()
        return took

    with serving(gateway) as port:
        took = asyncio.run(rounds(port))
    figures = f"{statistics.median(took) * 1000:.0f} ms (median), {max(took) * 1000:.0f} at most"
    with capsys.disabled():
        sys.stdout.write(f"\nsockets ended after {figures}\n")


class Endless(Exchange):
    """An exchange whose answers to `/stream` go on until somebody leaves."""

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http" or scope["path"] != "/stream":
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass


@pytest.mark.parametrize("mounting", ["inside an app", "before an upstream"])
def test_what_is_open_is_decided_again_at_the_stated_interval_though_nothing_changes(site, mounting) -> None:
    site.config.write_text(site.config.read_text().replace("[server]", '[server]\nlook_again = "1s"'))

    def decisions() -> Counter[str]:
        return Counter(one["request"]["path"] for one in read_documents(load(site.config).journal.directory))

    async def stay(port: int) -> None:
        store = AccountStore(load(site.config).store.url)
        await store.start()
        await site.fill(store)
        await store.close()
        headers = site.headers()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        headers.pop("host")
        url = f"ws://127.0.0.1:{port}/api/v1/ticker"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(30), websockets.connect(url, additional_headers=headers) as socket:
            writer.write(f"GET /stream HTTP/1.1\r\n{lines}\r\n".encode())
            await reader.readuntil(b"begun")
            while not {"/stream", "/api/v1/ticker"} <= {path for path, n in decisions().items() if n > 2}:  # noqa: ASYNC110 - files tell
                await asyncio.sleep(0.2)
            await socket.send("still here")
            assert await socket.recv() == "still here"
        writer.close()

    with ExitStack() as stack:
        app = Endless()
        if mounting == "before an upstream":
            app = ReverseProxy(f"http://127.0.0.1:{stack.enter_context(serving(app))}")
        asyncio.run(stay(stack.enter_context(serving(GatewayMiddleware(app, config=site.config)))))
