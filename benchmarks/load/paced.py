"""A load that does not wait for its answers: so many requests a second, each on time, whatever the server does.

    python -m benchmarks.load.paced --port 8000 --requests FILE --rate 4000 --seconds 3

How long a request took is counted from the instant at which it should have been sent, so that a server that stops for a
while is seen by all who would have come meanwhile. Prints one JSON line.
"""

import argparse
import asyncio
import json
import time
from collections import deque
from itertools import cycle
from pathlib import Path
from typing import cast

import uvloop
from typing_extensions import override

from benchmarks.load.client import answer_length, quantile
from benchmarks.load.wire import read

LAST_S = 3.0


class Lane(asyncio.Protocol):
    """One keep-alive connection: requests go out in order, and a late one waits for the answer before it."""

    def __init__(self) -> None:
        self.due: deque[tuple[int, bytes]] = deque()
        self.waits_ns: list[int] = []
        self.wrong = 0
        self._began_ns: int | None = None
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        # A cast: uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        """Count an answer that is complete, and send what is due."""
        data = self._received + data
        length = answer_length(data)
        if length is None or len(data) < length:
            self._received = data
            return
        self._received = b""
        assert self._began_ns is not None
        self.waits_ns.append(time.perf_counter_ns() - self._began_ns)
        self.wrong += data[9:12] != b"200"
        self._began_ns = None
        self.send()

    @override
    def connection_lost(self, _exc: Exception | None) -> None:
        """Count what got no answer."""
        self.wrong += self._began_ns is not None

    def send(self) -> None:
        """Send the next request that is due, where none is on its way."""
        if self._began_ns is None and self.due and self._transport is not None:
            self._began_ns, request = self.due.popleft()
            self._transport.write(request)


async def drive(port: int, requests: list[bytes], rate: int, seconds: float, connections: int) -> dict[str, object]:
    """Return what was seen: answers, how many were wrong, and how long they took."""
    loop = asyncio.get_running_loop()
    lanes = [(await loop.create_connection(Lane, "127.0.0.1", port))[1] for _ in range(connections)]
    wanted = int(rate * seconds)
    each = cycle(requests)
    began = time.perf_counter_ns()
    sent = 0
    while sent < wanted:
        now = time.perf_counter_ns()
        while sent < wanted and began + sent * 1_000_000_000 // rate <= now:
            lane = lanes[sent % connections]
            lane.due.append((began + sent * 1_000_000_000 // rate, next(each)))
            lane.send()
            sent += 1
        await asyncio.sleep(0.0005)
    # What is still on its way by then counts as wrong.
    await asyncio.sleep(LAST_S)
    waits = sorted(wait for lane in lanes for wait in lane.waits_ns)
    return {
        "requests": len(waits),
        "wrong": sum(lane.wrong for lane in lanes) + wanted - len(waits),
        "seconds": seconds,
        "p50_ms": quantile(waits, 0.50) / 1e6,
        "p99_ms": quantile(waits, 0.99) / 1e6,
    }


def main() -> None:
    """Drive one server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--rate", type=int, default=4_000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=32)
    given = parser.parse_args()
    asked = drive(given.port, read(given.requests), given.rate, given.seconds, given.connections)
    print(json.dumps(uvloop.run(asked)))


if __name__ == "__main__":
    main()
