"""A load generator of our own, for machines without wrk: raw sockets, requests built beforehand, answers counted.

    python -m benchmarks.load.client --port 8000 --requests FILE --connections 32 --seconds 2

Every connection sends one request, waits for the whole answer and sends the next: no pipelining, keep-alive.
With `--once`, each request is sent once. Prints one JSON line.
"""

import argparse
import asyncio
import json
import re
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.load.wire import read

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
STALL_S = 10


class Tally:
    """What all connections of a run share."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests = requests
        self.statuses: Counter[bytes] = Counter()
        self.waits_ns = array("Q")
        self.broken = 0
        self.last_ns = 0


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, tally: Tally, until_ns: int | None) -> None:
        self._tally = tally
        self._until_ns = until_ns
        self._sent_ns = 0
        self._waiting = False
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        # A cast: uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count an answer that is complete, and send the next request."""
        if self._received:
            data = self._received + data
        length = answer_length(data)
        if length is None or len(data) < length:
            self._received = data
            return
        self._received = b""
        now = time.perf_counter_ns()
        self._waiting = False
        tally = self._tally
        tally.statuses[data[9:12]] += 1
        tally.waits_ns.append(now - self._sent_ns)
        tally.last_ns = now
        self._send()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Note a connection that ended before its answer."""
        if self._waiting:
            self._tally.broken += 1
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        assert self._transport is not None
        now = time.perf_counter_ns()
        request = next(self._tally.requests, None) if self._until_ns is None or now < self._until_ns else None
        if request is None:
            self._transport.close()
            return
        self._sent_ns = now
        self._waiting = True
        self._transport.write(request)


def answer_length(data: bytes) -> int | None:
    """Return how many bytes the first answer in `data` has; None while its end cannot be told."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    found = CONTENT_LENGTH.search(data, 0, head)
    if found is not None:
        return head + 4 + int(found[1])
    if CHUNKED.search(data, 0, head) is not None:
        end = data.find(b"\r\n0\r\n\r\n", head)
        return None if end < 0 else end + 7
    return head + 4


async def drive(port: int, requests: list[bytes], connections: int, seconds: float | None) -> dict[str, object]:
    """Return what was counted: answers by status, seconds, waits. `seconds` None: every request once."""
    loop = asyncio.get_running_loop()
    tally = Tally(iter(requests) if seconds is None else cycle(requests))
    start = time.perf_counter_ns()
    until = None if seconds is None else start + int(seconds * 1e9)
    lines: list[Connection] = []
    for _ in range(connections):
        _, line = await loop.create_connection(lambda: Connection(tally, until), "127.0.0.1", port)
        lines.append(line)
    patience = STALL_S + (seconds or len(requests) * 0.05)
    _, stuck = await asyncio.wait([line.done for line in lines], timeout=patience)
    waits = sorted(tally.waits_ns)
    return {
        "requests": len(waits),
        "seconds": max(1, tally.last_ns - start) / 1e9,
        "statuses": {status.decode(): count for status, count in sorted(tally.statuses.items())},
        "broken": tally.broken + len(stuck),
        "p50_ms": quantile(waits, 0.50) / 1e6,
        "p99_ms": quantile(waits, 0.99) / 1e6,
        "cpu_s": time.process_time(),
    }


def quantile(ordered: list[int], share: float) -> int:
    """Return the value below which `share` of the ordered values lie (nearest rank); 0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


def main() -> None:
    """Drive one server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--start", type=int, default=0, help="the number of the first request to send")
    parser.add_argument("--once", action="store_true", help="send every request once, however long it takes")
    given = parser.parse_args()
    seconds = None if given.once else given.seconds
    requests = read(given.requests)
    first = given.start % len(requests)
    print(json.dumps(uvloop.run(drive(given.port, requests[first:] + requests[:first], given.connections, seconds))))


if __name__ == "__main__":
    main()
