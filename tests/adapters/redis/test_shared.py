"""Two gateways' stores on one database and one Redis, which is flushed, killed, paused and cut off."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from gateway.adapters.redis import known
from gateway.adapters.redis.bell import Bell
from gateway.adapters.redis.cached_accounts import CachedAccounts
from gateway.adapters.redis.link import Link
from gateway.adapters.redis.place import Place
from gateway.adapters.redis.shared import Shared
from gateway.adapters.sql import AccountStore
from gateway.core.account import Account
from gateway.core.errors import ConfigError
from tests.adapters.redis.conftest import PATIENT_S, place, until
from tests.redis_server import RedisServer, Relay
from tests.stores import BY, url_of

T = TypeVar("T")
SECRET = b"s" * 32


async def plainly(what: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    return await what(*arguments)


class Gateway(NamedTuple):
    store: AccountStore
    link: Link
    shared: Shared

    @property
    def snapshots(self) -> CachedAccounts:
        assert self.shared.snapshots is not None
        return self.shared.snapshots

    async def status(self) -> str:
        account = await self.snapshots.read("alice")
        assert isinstance(account, Account)
        return account.status

    async def hears(self, status: str) -> None:
        """Return once a request here sees the status; the bound is the feed's own."""
        while await self.status() != status:
            await self.store.look()


@asynccontextmanager
async def gateway(url: str, at: Place, name: str, *, look_every_s: float = 0.02) -> AsyncIterator[Gateway]:
    store = AccountStore(url, read_within_s=10, write_within_s=20, look_every_s=look_every_s)
    link = Link(at, chance=lambda: 0.0)
    bell = Bell(link, "gateway:bell", store.look, name=name)
    shared = Shared(link, bell, store, ask=plainly, secret=SECRET, prefix="gateway", keep_s=60)
    await store.start()
    await shared.start()
    try:
        yield Gateway(store, link, shared)
    finally:
        await shared.close()
        await store.close()


@pytest.fixture(autouse=True)
def clocks_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one clock here: nobody has to wait until a snapshot is surely younger than a connection."""
    monkeypatch.setattr(known, "CLOCKS_DIFFER_US", 0)


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return await url_of(request.param, tmp_path)


@asynccontextmanager
async def two(url: str, at: Place, *, look_every_s: float = 0.02) -> AsyncIterator[tuple[Gateway, Gateway]]:
    async with AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(gateway(url, at, name, look_every_s=look_every_s)) for name in ("a", "b")
        ]
        for one in gateways:
            await until(lambda one=one: one.shared.up)
        await gateways[0].store.put("alice", verification="full", documents=["PT"], **BY)
        yield gateways[0], gateways[1]


async def used(reader: Gateway, writer: Gateway) -> None:
    """Return once the one uses a snapshot that the other wrote."""
    before = reader.snapshots.results["used"]
    while reader.snapshots.results["used"] == before:
        await writer.snapshots.read("alice")
        await writer.snapshots.written()
        await reader.snapshots.read("alice")
        await reader.store.look()
        await writer.store.look()


async def test_what_one_read_the_other_uses_until_it_hears_of_a_change(url: str, redis_server: RedisServer) -> None:
    async with two(url, place(redis_server.url())) as (one, other):
        await used(other, one)
        await one.store.change("alice", lambda account: account._replace(status="flagged"), **BY)
        assert await one.status() == "flagged"
        await other.hears("flagged")
        await used(other, one)
        assert await other.status() == "flagged"


async def test_the_bell_is_heard_by_one_that_would_not_look_by_itself(url: str, redis_server: RedisServer) -> None:
    async with two(url, place(redis_server.url()), look_every_s=3600) as (one, other):
        await until(lambda: other.shared._bell.listening)
        await other.store.look()
        await other.snapshots.read("alice")
        generation = other.store.generation
        await one.store.change("alice", lambda account: account._replace(status="flagged"), **BY)
        await until(lambda: other.store.generation > generation)
        assert await other.status() == "flagged"


async def test_a_flush_in_the_middle_is_a_miss(url: str, redis_server: RedisServer) -> None:
    async with two(url, place(redis_server.url())) as (one, other):
        await used(other, one)
        redis_server.say("FLUSHALL")
        assert await other.status() == "open"
        await used(other, one)
        assert other.link.faults == 0


async def test_a_redis_that_is_killed_is_done_without_and_taken_up_again(url: str, redis_server: RedisServer) -> None:
    async with two(url, place(redis_server.url())) as (one, other):
        redis_server.kill()
        await one.store.change("alice", lambda account: account._replace(status="flagged"), **BY)
        await other.hears("flagged")
        assert other.snapshots.results["away"]
        redis_server.start()
        await until(lambda: one.shared.up and other.shared.up)
        await used(other, one)
        assert await other.status() == "flagged"


async def test_one_that_is_paused_comes_back_with_old_snapshots_that_nobody_uses(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    there = place(redis_server.url(), within_s=0.3)
    async with two(await url_of("sqlite", tmp_path), there) as (one, other):
        await used(other, one)
        redis_server.pause()
        await one.store.change("alice", lambda account: account._replace(status="flagged"), **BY)
        await other.hears("flagged")
        redis_server.resume()
        await until(lambda: one.shared.up and other.shared.up)
        for _ in range(5):
            assert await other.status() == "flagged"


async def test_one_that_is_cut_off_from_redis_hears_of_changes_from_the_store(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    url = await url_of("sqlite", tmp_path)
    async with Relay(redis_server.port).open() as relay, AsyncExitStack() as stack:
        cut = place(f"redis://127.0.0.1:{relay.port}", within_s=0.3, connect_within_s=PATIENT_S)
        one = await stack.enter_async_context(gateway(url, place(redis_server.url()), "a"))
        other = await stack.enter_async_context(gateway(url, cut, "b"))
        await until(lambda: one.shared.up and other.shared.up)
        await one.store.put("alice", **BY)
        await used(other, one)
        relay.fall_silent()
        await one.store.change("alice", lambda account: account._replace(status="flagged"), **BY)
        await until(lambda: other.store.changed_at("alice") > 0)
        await other.hears("flagged")
        relay.go_on()


def test_a_secret_that_could_be_guessed_stops_the_start(tmp_path: Path) -> None:
    store = AccountStore(f"sqlite:///{tmp_path}/gateway.db")
    link = Link(place("redis://127.0.0.1:1"), chance=lambda: 0.0)
    bell = Bell(link, "gateway:bell", store.look, name="a")
    with pytest.raises(ConfigError, match=r"store\.redis\.cache_key_file: has 5 bytes"):
        Shared(link, bell, store, ask=plainly, secret=b"short", prefix="gateway", keep_s=60)
