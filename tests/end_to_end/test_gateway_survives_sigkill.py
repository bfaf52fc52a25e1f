"""The gateway is killed under load, again and again: every answer that a client got is in the journal afterwards."""

import asyncio
import os
import random
import signal
import subprocess
import sys

import pytest

from gateway.adapters.recorded import read_documents

SERVE = """
import asyncio, sys
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from gateway import GatewayMiddleware
from gateway.enforce.http_server import run

app = Starlette(routes=[Route("/{rest:path}", lambda _: PlainTextResponse("done"), methods=["GET", "POST"])])
wrapped = GatewayMiddleware(app, config=sys.argv[1])
asyncio.run(run(wrapped, host="127.0.0.1", port=0, max_head_bytes=32768, ready=lambda url: print(url, flush=True)))
"""
KILLS = 6
CONNECTIONS = 8


def start(config) -> tuple[subprocess.Popen, int]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(config)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    for line in process.stdout:
        if line.startswith("http://"):
            return process, int(line.rpartition(":")[2])
    raise AssertionError(f"the gateway ended with {process.wait()}")


async def load(port: int, request: bytes, answered: list[str], enough: asyncio.Event, wanted: int) -> None:
    """Send one request after another on one connection until it breaks; note the id of every answer."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return
    try:
        while True:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            await reader.readexactly(int(fields[b"content-length"]))
            answered.append(fields[b"gateway-decision"].decode())
            if len(answered) >= wanted:
                enough.set()
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


async def kill_under_load(process: subprocess.Popen, port: int, requests: list[bytes], wanted: int) -> list[str]:
    answered: list[str] = []
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as clients:
        for number in range(CONNECTIONS):
            clients.create_task(load(port, requests[number % len(requests)], answered, enough, wanted))
        await asyncio.wait_for(enough.wait(), 60)
        os.kill(process.pid, signal.SIGKILL)
    return answered


@pytest.mark.timeout(280)
def test_every_answered_request_is_in_the_journal_after_sigkill(site) -> None:
    def raw(method: str, path: str, who: str | None, address: str) -> bytes:
        lines = [f"{name}: {value}" for name, value in site.headers(who, address).items()]
        return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "content-length: 0", "", ""]).encode()

    requests = [
        raw("GET", "/api/v1/balances", "alice", "2.80.10.20"),
        raw("POST", "/api/v1/orders", "bob", "65.24.10.20"),
        raw("POST", "/api/v1/withdrawals", "alice", "2.80.10.20"),
        raw("GET", "/%2f", None, "2.80.10.20"),
    ]
    answered: set[str] = set()
    chance = random.Random(20230215)
    for _ in range(KILLS):
        process, port = start(site.config)
        answered.update(asyncio.run(kill_under_load(process, port, requests, chance.randrange(50, 800))))
        process.wait()
        process.stdout.close()
    recorded = {document["id"] for document in read_documents(site.folder / "journal")}
    assert len(answered) > 50 * KILLS
    assert answered <= recorded, f"{len(answered - recorded)} of {len(answered)} answered requests are not on record"
