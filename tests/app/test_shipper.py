import asyncio
import subprocess
import sys
from pathlib import Path

import orjson

from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.progress import ProgressFile
from gateway.adapters.shipping_lock import ShippingLock
from gateway.app.shipper import TAKEN, ship, ship_when_free
from tests.shipping import journal_of, taken_by

CHILD = "from gateway.app.shipper import child; child()"


def test_a_process_ships_what_its_parent_left_when_that_is_gone(plan) -> None:
    journal_of(plan, 300)
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE) as process:
        process.communicate(orjson.dumps(list(plan)) + b"\n", timeout=30)
    assert process.returncode == 0
    assert taken_by(plan)["w0"][0] == 1
    assert ProgressFile(Path(plan.directory)).read()["shipped"] == 300


def test_who_ships_watches_the_refusals(plan, monkeypatch) -> None:
    watched = []

    class Watching:
        def __init__(self, archive, _clock, *, memory, texts_of) -> None:
            assert memory.read().alarms == ()
            assert texts_of("0" * 64) is None
            watched.append(archive)

        async def start(self, *, after_s: float) -> None:
            assert after_s > 0
            watched.append("started")

        async def close(self) -> None:
            watched.append("closed")

    monkeypatch.setattr("gateway.app.shipper.Watch", Watching)
    journal_of(plan, 10)

    async def live() -> None:
        stop = asyncio.Event()
        stop.set()
        assert await ship(plan, stop)

    asyncio.run(live())
    assert isinstance(watched[0], SqliteArchive)
    assert watched[1:] == ["started", "closed"]


def test_a_process_that_finds_another_one_shipping_says_so_and_ends(plan) -> None:
    lock = ShippingLock(Path(plan.directory))
    assert lock.take()
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE) as process:
        process.stdin.write(orjson.dumps(list(plan)) + b"\n")
        process.stdin.flush()
        assert process.wait(30) == TAKEN
    lock.release()


def test_who_waits_for_another_ships_when_that_ends(plan, monkeypatch) -> None:
    monkeypatch.setattr("gateway.app.shipper.FREE_AGAIN_S", 0.01)
    journal_of(plan, 10)
    lock = ShippingLock(Path(plan.directory))
    assert lock.take()

    async def live() -> None:
        stop = asyncio.Event()
        assert not await ship(plan, stop)
        refused = asyncio.Semaphore(0)

        async def asked(*args: object, **options: object) -> bool:
            shipped = await ship(*args, **options)
            refused.release()
            return shipped

        monkeypatch.setattr("gateway.app.shipper.ship", asked)
        waiting = asyncio.get_running_loop().create_task(ship_when_free(plan, stop))
        for _ in range(3):
            await asyncio.wait_for(refused.acquire(), 20)
        assert not waiting.done()
        lock.release()
        async with asyncio.timeout(20):
            while ProgressFile(Path(plan.directory)).read().get("shipped") != 10:  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.01)
            stop.set()
            await waiting

    asyncio.run(live())
    assert ShippingLock(Path(plan.directory)).take(), "it was given back"


def test_who_is_told_to_end_while_it_waits_ends(plan) -> None:
    lock = ShippingLock(Path(plan.directory))
    assert lock.take()

    async def live() -> None:
        stop = asyncio.Event()
        stop.set()
        async with asyncio.timeout(5):
            await ship_when_free(plan, stop)

    asyncio.run(live())
    assert not Path(plan.url.removeprefix("sqlite:///")).exists()
    lock.release()
