"""What shipping at full speed costs the requests beside it: the same load with the shipper awake and asleep, in turns.

    python -m benchmarks.disturbance --backend postgres      two minutes, most of it writing what is to be shipped
    python -m benchmarks.disturbance --shadow                a candidate follows the gateway's own journal instead

The gateway has one core; the load, the shipper and the database share the other. A journal of made-up decisions waits
to be shipped, as after an outage of the database, so that shipping goes as fast as it can. Prints the medians of the
turns and, as ratios, how shipping changes the CPU time of a request and how long it takes.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import archive as made_up
from benchmarks import traffic
from benchmarks.load import generator, wire
from benchmarks.ratios import Load
from benchmarks.servers import Server
from benchmarks.servers import running as serving
from benchmarks.world import ROOT, build, on_disk
from gateway.adapters.journal import FileJournal
from gateway.adapters.shadow_file import ShadowFile
from gateway.app.archives import archive_at
from gateway.app.plan import Plan
from gateway.policies.schema import FACTS, NETWORKS
from gateway.ports import Ruling, Step
from tests import postgres_server

SHADOW = ("library:account-status", "library:credentials", "library:holds", "library:us-exit")
_CHILD = "from gateway.app.shipper import child; child()"
_SETTLE_S = 0.3
"""After the shipper is woken or stopped, before a turn begins."""


class Turn(NamedTuple):
    """What was seen in one turn."""

    seen: Load
    cpu_us: float
    """Of the gateway, a request."""
    shipped: float
    """Decisions a second."""


async def write_backlog(directory: Path, decisions: int) -> None:
    """Write a journal of so many made-up decisions."""
    journal = FileJournal(directory, worker="before", segment_bytes=64 << 20)
    await journal.start()
    for stretch in made_up.World(decisions, 30, 10).stretches(50_000):
        rulings = {digest: Ruling(document) for digest, document in stretch.rulings.items()}
        for one in stretch.decisions:
            journal.append(rulings[one.ruling], one.id, one.at, one.auth_age, one.took_us, one.request)
        # Lets the journal allocate its next segment.
        await asyncio.sleep(0)
    await journal.close()


async def shipped(url: str) -> int:
    """Return how many decisions the archive has, or a shadow has weighed beside the journal in this folder."""
    if "://" not in url:
        return int(ShadowFile(Path(url)).read().get("decisions", 0))
    archive = archive_at(url)
    await archive.start()
    try:
        return sum(one.decisions for one in await archive.counts(0, 1 << 52, step=Step.ALL))
    finally:
        await archive.close()


@contextmanager
def shipping(plan: Plan) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that ships, as a gateway does, and give it asleep."""
    process = subprocess.Popen([sys.executable, "-c", _CHILD], cwd=ROOT, stdin=subprocess.PIPE)
    try:
        assert process.stdin is not None
        process.stdin.write(plan.line())
        process.stdin.flush()
        time.sleep(2)
        process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        process.kill()
        process.wait()


def paced(port: int, requests: Path, rate: int, seconds: float) -> Load:
    """Return what a load of so many requests a second saw."""
    command = [sys.executable, "-m", "benchmarks.load.paced", "--port", str(port), "--requests", str(requests)]
    command += ["--rate", str(rate), "--seconds", str(seconds)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seen = json.loads(ended.stdout)
    return Load(seen["requests"], seen["seconds"], seen["wrong"], seen["p50_ms"], seen["p99_ms"])


def turn(server: Server, requests: Path, rate: int, seconds: float, url: str) -> Turn:
    """Return what one turn saw. Raise SystemExit where anything was answered wrongly."""
    time.sleep(_SETTLE_S)
    had, began = asyncio.run(shipped(url)), time.perf_counter()
    before = server.cpu_s()
    seen = paced(server.port, requests, rate, seconds)
    after = server.cpu_s()
    took, has = time.perf_counter() - began, asyncio.run(shipped(url))
    if seen.wrong or before is None or after is None:
        raise SystemExit(f"benchmark: {seen.wrong} of {seen.requests} requests were answered wrongly: {server.tail()}")
    return Turn(seen, (after - before) / seen.requests * 1e6, (has - had) / took)


def measure(options: argparse.Namespace, folder: Path, url: str) -> list[tuple[Turn, Turn]]:
    """Return turns without and with shipping, in pairs."""
    plan = Plan(str(folder / "backlog"), url, keep_journal_s=10**9, journal_at_most=None, warn_behind_s=10**9)
    world = build(folder, customers=2_000)
    if options.shadow:
        url = str(folder / "journal")
        named = {"facts": sorted(FACTS), "networks": sorted(NETWORKS), "base": str(folder)}
        plan = plan._replace(directory=url, url=None, shadow={"paths": [*SHADOW], **named})
    else:
        print(f"writing {options.decisions:,} decisions that wait to be shipped", file=sys.stderr)
        asyncio.run(write_backlog(Path(plan.directory), options.decisions))
    first, timed = folder / "first.requests", folder / "timed.requests"
    wire.write(first, traffic.once(world.customers))
    wire.write(timed, traffic.timed(world.customers))
    pairs = []
    with serving(["gateway"], world, options.core) as servers, shipping(plan) as shipper:
        server = servers["gateway"]
        server.wake()
        generator.once(server.port, first)
        paced(server.port, timed, options.rate, 2)
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            alone = turn(server, timed, options.rate, options.seconds, url)
            shipper.send_signal(signal.SIGCONT)
            beside = turn(server, timed, options.rate, options.seconds, url)
            shipper.send_signal(signal.SIGSTOP)
            pairs.append((alone, beside))
    return pairs


def report(pairs: list[tuple[Turn, Turn]]) -> dict[str, float]:
    """Return the medians, and the medians of the ratios within a pair."""

    return {
        "shipped_per_second": statistics.median(beside.shipped for _, beside in pairs),
        "requests_per_second": statistics.median(beside.seen.requests / beside.seen.seconds for _, beside in pairs),
        "cpu_us_alone": statistics.median(alone.cpu_us for alone, _ in pairs),
        "cpu_ratio": statistics.median(beside.cpu_us / alone.cpu_us for alone, beside in pairs),
        "p50_ratio": statistics.median(beside.seen.p50_ms / alone.seen.p50_ms for alone, beside in pairs),
        "p99_ratio": statistics.median(beside.seen.p99_ms / alone.seen.p99_ms for alone, beside in pairs),
        "p50_ms_alone": statistics.median(alone.seen.p50_ms for alone, _ in pairs),
        "p99_ms_alone": statistics.median(alone.seen.p99_ms for alone, _ in pairs),
        "p99_ms_beside": statistics.median(beside.seen.p99_ms for _, beside in pairs),
    }


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["sqlite", "postgres"], default="postgres")
    parser.add_argument("--decisions", type=int, default=2_000_000, help="that wait to be shipped")
    parser.add_argument("--shadow", action="store_true", help="follow with a candidate; ship nothing")
    parser.add_argument("--rate", type=int, default=4_000, help="requests a second")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    options = parser.parse_args()
    usable = sorted(os.sched_getaffinity(0))
    options.core = usable[0]
    # What is started from here on inherits it: the load, the shipper and the database.
    os.sched_setaffinity(0, set(usable[1:2] or usable))
    with tempfile.TemporaryDirectory(prefix="gateway-bench-", dir=on_disk()) as name:
        folder = Path(name)
        if options.shadow or options.backend == "sqlite":
            found = report(measure(options, folder, f"sqlite:///{folder}/decisions.db"))
        else:
            with postgres_server.running(durable=True, settings=made_up.POSTGRES) as database:
                found = report(measure(options, folder, database.url()))
    for name, value in found.items():
        print(f"{name:24}{value:12,.2f}")


if __name__ == "__main__":
    main()
