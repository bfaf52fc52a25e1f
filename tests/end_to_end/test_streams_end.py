"""An open WebSocket ends when another process changes the account, and the time that takes is measured and printed."""

import asyncio
import statistics
import sys
import time

import websockets

from gateway.adapters.sql import AccountStore
from gateway.app import GatewayMiddleware
from gateway.config import load
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
