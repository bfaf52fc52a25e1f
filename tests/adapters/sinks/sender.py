"""A process that feeds a service from a journal of COUNT decisions until it has them all: URL FOLDER COUNT."""

import asyncio
import random
import sys
from pathlib import Path

from gateway.adapters.sinks.fan import Fan, Pace
from gateway.adapters.sinks.opa import OpaLog
from gateway.adapters.sinks.progress import Progress
from tests.adapters.sinks.rig import journal


async def feed(url: str, folder: Path, count: int) -> None:
    pace = Pace(batch=40, linger_s=0, idle_s=0.01, pause_s=0.01, most_pause_s=0.02)
    sink = OpaLog(url, labels={"id": "sender"}, most_bytes=8192)
    fan = Fan("log", sink, journal(count, workers=2), Progress(folder, "log"), chance=random.random, pace=pace)
    await fan.start()
    while any(fan.sent_to.get(worker, (0, 0))[1] < count for worker in ("w0", "w1")):  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0.01)
    await fan.close()


if __name__ == "__main__":
    asyncio.run(feed(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
