"""What a simulation over the archive costs: every decision weighed under shipped policies.

    python -m benchmarks.simulate --decisions 10_000_000                     about fifteen minutes, 1.2 GB on the disk
    python -m benchmarks.simulate --decisions 1_000_000 --backend postgres   a server of its own
    python -m benchmarks.simulate --database FILE                            an archive that is there

The decisions are those of `benchmarks.archive`: ten share a ruling on average. Prints the time on the clock and of the
CPU (of PostgreSQL this side's alone), the most memory that was used, and what came of it.
"""

import argparse
import asyncio
import multiprocessing
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.archive import BEGIN, POSTGRES, World, fill
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.policy_files import read_sources
from gateway.policies.bundle import load
from gateway.ports import Moment
from gateway.service.simulation import Momentary, simulate
from tests.postgres_server import running

POLICIES = ("library:account-status", "library:credentials", "library:holds", "library:us-exit")
YEAR = 365 * 86_400_000_000


def archive_of(url: str) -> SqliteArchive | PostgresArchive:
    return PostgresArchive(url, read_within_s=60) if "://" in url else SqliteArchive(Path(url))


def build(url: str, options: argparse.Namespace) -> None:
    async def run() -> None:
        archive = archive_of(url)
        await archive.start()
        await fill(archive, World(options.decisions, options.days, options.share), options.stretch)
        await archive.close()

    asyncio.run(run())


async def one(moment: Moment) -> AsyncIterator[Moment]:
    yield moment


async def measure(url: str, rounds: int) -> None:
    candidate = load(read_sources(POLICIES, Path()), sources_configured=None)
    archive = archive_of(url)
    await archive.start()
    assert isinstance(archive, Momentary)
    for _ in range(rounds):
        begun, cpu = time.perf_counter(), time.process_time()
        async with archive.moment() as moment:
            found = await simulate(one(moment), candidate, since=BEGIN - YEAR, until=BEGIN + YEAR)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{found.decisions:,} decisions, {found.varieties:,} distinct, {found.flipped:,} flipped: "
            f"{time.perf_counter() - begun:.1f} s on the clock, {time.process_time() - cpu:.1f} s of CPU, {most} MB"
        )
    await archive.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--backend", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--days", type=float, default=30, help="the time over which they are spread")
    parser.add_argument("--share", type=int, default=10, help="decisions that share a ruling, on average")
    parser.add_argument("--stretch", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", help="an archive that is there: a file, or postgresql://…")
    parser.add_argument("--folder", default="/var/tmp", help="where the file lies meanwhile")
    options = parser.parse_args()
    if not Path(options.folder).is_dir():
        parser.error(f"--folder: there is no folder `{options.folder}`")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, ExitStack() as servers:
        url = options.database
        if url is None:
            url = f"{folder}/decisions.db"
            if options.backend == "postgres":
                url = servers.enter_context(running(durable=True, settings=POSTGRES)).url()
            # In a process of its own, so that the memory that is shown is that of simulating.
            building = multiprocessing.get_context("spawn").Process(target=build, args=(url, options))
            building.start()
            building.join()
            if building.exitcode:
                raise SystemExit(building.exitcode)
        asyncio.run(measure(url, options.rounds))


if __name__ == "__main__":
    main()
