"""What one read of an account costs: of the store itself, and of Redis by way of the cache. Everything in one run.

    python -m benchmarks.snapshots                    some seconds
    python -m benchmarks.snapshots --reads 20000      more of each

Each kind reads the same accounts one after another (`alone`), and 16 at a time (`together`). `cpu` is what this
process spends on one read, not what the server does. A read is an account with its flags and holds; what is read of
Redis was written there before. Servers are started here, on this machine: the network costs nothing, as it seldom does.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import uvloop

from gateway.adapters.clock import SystemClock
from gateway.adapters.numbered import NumberedReads
from gateway.adapters.redis.cached_accounts import CachedAccounts
from gateway.adapters.redis.known import CLOCKS_DIFFER_US, Known
from gateway.adapters.redis.link import Link
from gateway.adapters.redis.place import Place
from gateway.adapters.redis.wrapping import Wrapping
from gateway.adapters.sql import AccountStore
from gateway.core.account import Account
from tests.postgres_server import running as running_postgres
from tests.redis_server import running as running_redis

AT_ONCE = 16
T = TypeVar("T")
Read = Callable[[str], Awaitable[Account | None]]


class Cost(NamedTuple):
    """Of one read."""

    alone_us: float
    together_us: float
    cpu_us: float


class Clock:
    """A real clock that begins so long ago that snapshots count from the first look on."""

    behind = CLOCKS_DIFFER_US

    def now(self) -> int:
        return SystemClock().now() - self.behind


async def plainly(asked: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    return await asked(*arguments)


async def measured(read: Read, reads: int, accounts: int) -> Cost:
    uids = [f"u{number % accounts}" for number in range(reads)]
    for uid in uids[:accounts]:
        assert await read(uid) is not None
    begun, cpu = time.perf_counter(), time.process_time()
    for uid in uids:
        await read(uid)
    alone, cpu = time.perf_counter() - begun, time.process_time() - cpu

    async def lane(number: int) -> None:
        for uid in uids[number::AT_ONCE]:
            await read(uid)

    begun = time.perf_counter()
    await asyncio.gather(*(lane(number) for number in range(AT_ONCE)))
    together = time.perf_counter() - begun
    return Cost(*(round(one * 1e6 / reads, 1) for one in (alone, together, cpu)))


async def of(url: str, redis: str, reads: int, accounts: int) -> tuple[Cost, Cost]:
    """Return what a read costs of this store, and of Redis in front of it."""
    clock = Clock()
    async with AsyncExitStack() as stack:
        store = AccountStore(url, clock=clock, read_within_s=10, write_within_s=30)
        known = Known(store.changed_at)
        store.attend(look=known.heard, own_change=lambda: None)
        await store.start()
        stack.push_async_callback(store.close)
        for number in range(accounts):
            await store.put(f"u{number}", verification="full", documents=["PT"], who="bench", why="to be read")
        parts = urlsplit(redis)
        assert parts.hostname
        assert parts.port
        link = Link(Place("server", ((parts.hostname, parts.port),), within_s=5.0), chance=lambda: 0.0)
        await link.start()
        stack.push_async_callback(link.close)
        while not link.up:  # noqa: ASYNC110 - a server tells nobody that it is found
            await asyncio.sleep(0.01)
        snapshots = CachedAccounts(
            link, NumberedReads(store, plainly), known, Wrapping(b"s" * 32, "bench"), clock=clock, keep_s=3600
        )
        await snapshots.start()
        stack.push_async_callback(snapshots.close)
        # From here on what is read now is surely younger than the store's connection.
        clock.behind = 0
        await asyncio.sleep(0.5)
        direct = await measured(store.read, reads, accounts)
        for number in range(accounts):
            await snapshots.read(f"u{number}")
        await snapshots.written()
        before = snapshots.results["used"]
        cached = await measured(snapshots.read, reads, accounts)
        assert snapshots.results["used"] - before == 2 * reads + min(reads, accounts), snapshots.results
        return direct, cached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reads", type=int, default=4000)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(running_redis()).url()
        postgres = stack.enter_context(running_postgres(durable=True)).url()
        found = {}
        for name, url in (("sqlite", f"sqlite:///{folder}/gateway.db"), ("postgresql", postgres)):
            direct, cached = uvloop.run(of(url, redis, options.reads, options.accounts))
            found[name] = direct._asdict()
            found[f"redis before {name}"] = cached._asdict()
            uvloop.run(flushed(redis))
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'one read of an account, µs':28}{'alone':>10}{'together':>10}{'cpu':>10}")
    for name, cost in found.items():
        print(f"{name:28}{cost['alone_us']:10.1f}{cost['together_us']:10.1f}{cost['cpu_us']:10.1f}")
    for name in ("sqlite", "postgresql"):
        before = found[f"redis before {name}"]
        print(
            f"Redis before {name}: {', '.join(f'{before[key] / found[name][key]:.2f} of its {key}' for key in before)}"
        )


async def flushed(redis: str) -> None:
    from redis.asyncio import Redis

    async with Redis.from_url(redis) as client:
        await client.flushall()


if __name__ == "__main__":
    main()
