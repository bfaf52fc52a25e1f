"""What is owed to the exchange reaches it, in order and under its key, however often whoever delivers is killed."""

import asyncio
import random
import sys
from pathlib import Path

import orjson
from aiohttp import web

from gateway.adapters.outbox_rows import tell
from gateway.adapters.outbox_store import OutboxFilter, OutboxStore
from gateway.core.messages import Told, message
from tests.adapters.sinks.rig import Taken, service
from tests.stores import SetClock, opened

KILLS = 4
OWED = 120
ACCOUNTS = 5

DELIVERS = """
import asyncio, sys
from gateway.adapters.clock import SystemClock
from gateway.adapters.outbox_delivery import Delivery
from gateway.adapters.outbox_store import OutboxStore
from gateway.adapters.sql import AccountStore
from gateway.adapters.webhook_target import WebhookTarget
from gateway.adapters.webhooks import Secret

async def deliver(database, url):
    store = AccountStore(f"sqlite:///{database}", read_within_s=10, write_within_s=20)
    await store.start()
    target = WebhookTarget("exchange", url, lambda: (Secret(bytes(32)),), allow_private=True)
    delivery = Delivery(OutboxStore(store), [target], clock=SystemClock(), owner="w0", chance=lambda: 0.0, look_s=0.01)
    await delivery.start()
    await asyncio.Event().wait()

asyncio.run(deliver(*sys.argv[1:]))
"""


async def test_a_killed_process_loses_no_message_and_repeats_none_under_another_key(tmp_path: Path) -> None:
    draw = random.Random(7)
    taken: list[Taken] = []
    arrived = asyncio.Condition()

    async def answer(request: web.Request, one: Taken) -> web.Response:
        async with arrived:
            arrived.notify_all()
        return web.Response()

    async def delivered(outbox: OutboxStore) -> bool:
        return not (await outbox.rows(OutboxFilter(state="pending"), limit=1)).rows

    async with opened(tmp_path, SetClock()) as store, service(answer, taken) as url:
        outbox = OutboxStore(store)
        async with store.writing("owe messages") as connection:
            for number in range(OWED):
                told = message(Told.HOLD_PLACED, f"account-{number % ACCOUNTS}", order=number)
                await connection.run_sync(tell, [told], number)
        for life in range(KILLS + 1):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", DELIVERS, str(tmp_path / "gateway.db"), url
            )
            try:
                async with asyncio.timeout(60):
                    if life < KILLS:
                        enough = len(taken) + draw.randint(1, 12)
                        async with arrived:
                            while len(taken) < enough:
                                await arrived.wait()
                    else:
                        while not await delivered(outbox):  # noqa: ASYNC110 - another process works it off
                            await asyncio.sleep(0.02)
            finally:
                process.kill()
                await process.wait()
        rows = (await outbox.rows(limit=500)).rows

    assert [row.state for row in rows] == ["delivered"] * OWED
    bodies: dict[str, set[bytes]] = {}
    order: dict[str, list[int]] = {}
    for one in taken:
        data = orjson.loads(one.body)["data"]
        name = one.headers["webhook-id"]
        if name not in bodies:
            order.setdefault(data["account"], []).append(data["order"])
        bodies.setdefault(name, set()).add(one.body)
    assert bodies.keys() == {row.id for row in rows}
    assert all(len(same) == 1 for same in bodies.values()), "a repeat is the same message"
    assert all(numbers == sorted(numbers) for numbers in order.values())
