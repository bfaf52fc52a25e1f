"""Decisions reach the archive while the gateway serves, once each, whoever is killed in between."""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.progress import ProgressFile
from gateway.adapters.recorded import read_documents
from gateway.app.parts import plan_of
from gateway.app.records import Records
from gateway.app.shipper import ship
from gateway.config import load
from gateway.core.search import Search

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
CONNECTIONS = 8
KILLS = 20
SOAK_KILLS = 500


@pytest.fixture
def shipping_site(site) -> SimpleNamespace:
    """The cast's gateway, shipping."""

    def ships(how: str) -> None:
        site.config.write_text(re.sub(r'ship = "\w+"', f'ship = "{how}"', site.config.read_text()))

    site.ships = ships
    return site


def start(config: Path) -> tuple[subprocess.Popen, int]:
    """Start a gateway in a process group of its own; return it and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        process_group=0,
    )
    for line in process.stdout:
        if line.startswith("http://"):
            return process, int(line.rpartition(":")[2])
    raise AssertionError(f"the gateway ended with {process.wait()}")


def requests_of(site: SimpleNamespace) -> list[bytes]:
    def raw(method: str, path: str, who: str | None, address: str) -> bytes:
        lines = [f"{name}: {value}" for name, value in site.headers(who, address).items()]
        return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "content-length: 0", "", ""]).encode()

    return [
        raw("GET", "/api/v1/balances", "alice", "2.80.10.20"),
        raw("POST", "/api/v1/orders", "bob", "65.24.10.20"),
        raw("POST", "/api/v1/withdrawals", "alice", "2.80.10.20"),
        raw("GET", "/%2f", None, "2.80.10.20"),
    ]


async def one_after_another(port: int, request: bytes, answered: list[str], enough: asyncio.Event, wanted: int) -> None:
    """Send requests on one connection until it breaks or there are enough; note the id of every answer."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return
    try:
        while not enough.is_set():
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


async def load_until(port: int, requests: list[bytes], wanted: int, kill: tuple[int, ...] = ()) -> list[str]:
    """Return the ids of the answers; at the end each process in `kill` (a group where negative) is killed."""
    answered: list[str] = []
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as clients:
        for number in range(CONNECTIONS):
            request = requests[number % len(requests)]
            clients.create_task(one_after_another(port, request, answered, enough, wanted))
        await asyncio.wait_for(enough.wait(), 60)
        for pid in kill:
            (os.killpg if pid < 0 else os.kill)(abs(pid), signal.SIGKILL)
    return answered


def wait_for(done: Callable[[], bool], within_s: float = 30) -> None:
    """Return once it is done. Fail where that takes too long."""
    until = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < until, f"not done within {within_s} s"
        time.sleep(0.05)


def ship_the_rest(config: Path) -> None:
    """Ship what is left, as the next gateway in this folder would."""

    async def once() -> bool:
        stop = asyncio.Event()
        stop.set()
        return await ship(plan_of(load(config)), stop)

    wait_for(lambda: asyncio.run(once()))


def archived(folder: Path) -> tuple[list[str], int]:
    """Return every id in the archive, as often as it is there, and how many decisions its counts have."""

    async def read() -> tuple[list[str], int]:
        archive = SqliteArchive(folder / "decisions.db")
        await archive.start()
        try:
            ids: list[str] = []
            cursor: str | None = None
            while True:
                page = await archive.search(Search(), limit=1000, cursor=cursor)
                ids += [document["id"] for document in page.documents]
                cursor = page.cursor
                if cursor is None:
                    counts = await archive.counts(0, 1 << 62)
                    return ids, sum(count.decisions for count in counts)
        finally:
            await archive.close()

    return asyncio.run(read())


def kill_again_and_again(site: SimpleNamespace, kills: int, seed: int) -> None:
    requests = requests_of(site)
    answered: set[str] = set()
    chance = random.Random(seed)
    for number in range(kills):
        site.ships("process" if number % 4 else "thread")
        process, port = start(site.config)
        # The gateway alone, whose shipper then has a last pass; or both at one instant.
        whom = process.pid if chance.random() < 0.5 else -process.pid
        answered.update(asyncio.run(load_until(port, requests, chance.randrange(50, 1500), (whom,))))
        process.wait()
        process.stdout.close()
    ship_the_rest(site.config)

    found, counted = archived(site.folder)
    recorded = {document["id"] for document in read_documents(site.folder / "journal")}
    assert len(answered) > 50 * kills
    assert answered <= set(found), f"{len(answered - set(found))} of {len(answered)} answered requests are missing"
    assert len(found) == len(set(found)), "some decision is there twice"
    assert counted == len(found), "some decision was counted twice, or not at all"
    assert set(found) == recorded


@pytest.mark.timeout(280)
def test_every_answered_request_is_in_the_archive_once_however_often_the_gateway_is_killed(shipping_site) -> None:
    kill_again_and_again(shipping_site, KILLS, seed=20230215)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_and_after_five_hundred_kills(shipping_site) -> None:
    kill_again_and_again(shipping_site, SOAK_KILLS, seed=20230401)


@pytest.mark.parametrize("how", ["process", "thread"])
def test_a_gateway_ships_while_it_serves_and_ends_with_everything_shipped(shipping_site, how) -> None:
    site = shipping_site
    site.ships(how)
    process, port = start(site.config)
    answered = asyncio.run(load_until(port, requests_of(site), 400))
    records = Records.of(site.config)
    last = records.find(answered[-1])
    assert last is not None
    assert last["id"] == answered[-1]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in {0, -signal.SIGTERM}
    process.stdout.close()
    found, counted = archived(site.folder)
    assert set(answered) <= set(found)
    assert counted == len(found) == len(set(found))
    progress = ProgressFile(site.folder / "journal").read()
    assert progress["shipped"] == len(found)
    assert (progress["behind_bytes"], progress["oldest"]) == (0, None)


def test_of_several_gateways_one_ships_and_another_takes_over_when_it_dies(shipping_site) -> None:
    site = shipping_site
    site.ships("process")
    first, port = start(site.config)
    answered = asyncio.run(load_until(port, requests_of(site), 50))
    progress = ProgressFile(site.folder / "journal")
    wait_for(lambda: progress.read().get("shipped", 0) >= 50)
    second, other = start(site.config)
    answered += asyncio.run(load_until(other, requests_of(site), 50, (-first.pid,)))
    answered += asyncio.run(load_until(other, requests_of(site), 50))
    first.wait()
    wait_for(lambda: set(answered) <= set(archived(site.folder)[0]))
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) in {0, -signal.SIGTERM}
    first.stdout.close()
    second.stdout.close()
    found, counted = archived(site.folder)
    assert counted == len(found) == len(set(found))


def test_a_command_ships_beside_gateways_that_do_not_and_ends_with_everything_shipped(shipping_site) -> None:
    site = shipping_site
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "ship", "--config", str(site.config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as shipper:
        process, port = start(site.config)
        answered = asyncio.run(load_until(port, requests_of(site), 50))
        progress = ProgressFile(site.folder / "journal")
        wait_for(lambda: progress.read().get("shipped", 0) >= 50)
        answered += asyncio.run(load_until(port, requests_of(site), 50, (process.pid,)))
        process.wait()
        process.stdout.close()
        shipper.send_signal(signal.SIGTERM)
        assert shipper.wait(30) == 0
    found, counted = archived(site.folder)
    assert set(answered) <= set(found)
    assert counted == len(found) == len(set(found))
