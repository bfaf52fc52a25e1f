"""Whether memory stays flat: the gateway called in process by millions who were never seen before.

    python -m benchmarks.memory --requests 10_000_000     about ten minutes
    python -m benchmarks.memory --requests 200_000        half a minute

Prints the memory of the process over time. It is flat when the last quarter needs no more than five per cent beyond the
second (the first fills the caches). What counts is anonymous memory, what the process itself allocated: pages of the
journal's mapped segments belong to the file, and the kernel takes them back when it wants them.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks import inprocess, traffic
from benchmarks.world import Customer, World, build, on_disk, sign

SAMPLES = 80
FLAT = 1.05
KEPT_SEGMENTS = 3
SEGMENT = "4MiB"
"""Small segments, so that many are opened, filled and closed in a run."""


class Sample(NamedTuple):
    """The process after so many requests."""

    requests: int
    own_kib: int
    """Anonymous memory."""
    all_kib: int
    """With mapped files."""


class Visitors:
    """Requests of every kind, most of them by somebody new: the mix is fixed, the values never repeat."""

    def __init__(self, world: World) -> None:
        self._rng = random.Random(11)
        self._customers = world.customers
        self._key = Ed25519PrivateKey.from_private_bytes(world.key.read_bytes())
        self._number = 0
        self._kinds: list[Callable[[Customer], bytes]] = self._rng.choices(
            [self._known, self._moved, self._stranger, self._forged, self._garbage, self._renewed, self._odd],
            weights=[60, 15, 10, 5, 4, 3, 3],
            k=4096,
        )

    def request(self) -> bytes:
        """Return the next request."""
        self._number += 1
        return self._kinds[self._number % 4096](self._rng.choice(self._customers))

    def _known(self, one: Customer) -> bytes:
        return traffic.order(one) if self._number % 5 == 0 else traffic.market(one)

    def _moved(self, one: Customer) -> bytes:
        return traffic.market(one._replace(address=self._address()))

    def _stranger(self, one: Customer) -> bytes:
        request = traffic.market(one._replace(address=self._address()))
        kept = [line for line in request.split(b"\r\n") if not line.startswith(b"Authorization")]
        return b"\r\n".join(kept).replace(b"/api/v1/market", b"/news/%d" % self._number)

    def _forged(self, one: Customer) -> bytes:
        head, _, _ = one.token.rpartition(".")
        return traffic.market(one._replace(token=f"{head}.{self._number:080d}AAAAAA"))

    def _garbage(self, one: Customer) -> bytes:
        return traffic.market(one._replace(token=f"{self._rng.getrandbits(400):x}"))

    def _renewed(self, one: Customer) -> bytes:
        now = int(time.time())  # noqa: TID251 - a token needs the real time
        return traffic.market(one._replace(token=sign(self._key, one.uid, now)))

    def _odd(self, one: Customer) -> bytes:
        """Return a request that is new in its shape: a path in another spelling, or a header nobody else sends."""
        if self._number % 2:
            return traffic.market(one).replace(b"/api/v1/market", b"/api//%%6Darket/%d" % self._number)
        return traffic.market(one).replace(b"Accept-Language", b"X-Trace-%d" % self._number)

    def _address(self) -> str:
        number = self._rng.getrandbits(32)
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


async def run(world: World, requests: int) -> tuple[list[Sample], Counter[int]]:
    """Return samples of memory over so many requests, and how they were answered."""
    from benchmarks.apps.gateway import create

    app = create(world)
    visitors = Visitors(world)
    statuses: Counter[int] = Counter()
    samples: list[Sample] = []
    step = max(1, requests // SAMPLES)
    async with inprocess.started(app):
        for number in range(1, requests + 1):
            scope, body = inprocess.scope_of(visitors.request())
            status, _ = await inprocess.ask(app, scope, body)
            statuses[status] += 1
            if number % 64 == 0:
                # The journal's and the store's own tasks run too, as they do between requests of a server.
                await asyncio.sleep(0)
            if number % step == 0:
                samples.append(Sample(number, *memory_kib()))
                _tidy(world.folder / "journal")
                _say(f"{number:,} of {requests:,}: {samples[-1].own_kib / 1024:.1f} MiB")
    return samples, statuses


def memory_kib() -> tuple[int, int]:
    """Return anonymous and resident memory of this process."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(fields["RssAnon"].split()[0]), int(fields["VmRSS"].split()[0])


def growth(samples: Sequence[Sample]) -> float:
    """Return how many times the memory of the second quarter the last quarter needs, by medians."""
    quarter = len(samples) // 4
    second = median(one.own_kib for one in samples[quarter : 2 * quarter])
    last = median(one.own_kib for one in samples[-quarter:])
    return last / second


def _tidy(journal: Path) -> None:
    """Remove all but the newest segments, as an operator who has shipped them would: ten million decisions are big."""
    for old in sorted(journal.glob("*.gwj"), key=lambda path: path.stat().st_mtime)[:-KEPT_SEGMENTS]:
        old.unlink(missing_ok=True)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main() -> int:
    """Run, print, and return 0 when memory stayed flat."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.requests < SAMPLES:
        parser.error(f"--requests must be at least {SAMPLES}, or there is nothing to compare")
    with tempfile.TemporaryDirectory(prefix="gateway-memory-", dir=on_disk()) as folder:
        world = build(Path(folder), customers=4_000, segment=SEGMENT)
        began = time.perf_counter()
        samples, statuses = uvloop.run(run(world, given.requests))
        seconds = time.perf_counter() - began
    _say("")
    grown = growth(samples)
    if given.json:
        answers = {str(status): count for status, count in sorted(statuses.items())}
        print(json.dumps({"samples": samples, "answers": answers, "growth": grown, "flat": grown <= FLAT}))
    else:
        print(f"{'requests':>12}{'own MiB':>10}{'all MiB':>10}")
        for one in samples[:: max(1, len(samples) // 20)]:
            print(f"{one.requests:>12,}{one.own_kib / 1024:>10.1f}{one.all_kib / 1024:>10.1f}")
        told = ", ".join(f"{count:,} of {status}" for status, count in sorted(statuses.items()))
        print(f"\nanswers: {told} in {seconds:.0f} s")
        print(f"{'flat' if grown <= FLAT else 'GROWS'}: the last quarter needs {grown:.3f} of the second")
    return 0 if grown <= FLAT else 1


if __name__ == "__main__":
    sys.exit(main())
