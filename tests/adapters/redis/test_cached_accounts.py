"""The cache without a server: what is believed, and that no interleaving shows what this process knows to be old."""

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import orjson
import pytest

from gateway.adapters.feed import Heard
from gateway.adapters.numbered import Numbered
from gateway.adapters.redis.cached_accounts import WAITING, CachedAccounts, _plain_account
from gateway.adapters.redis.known import CLOCKS_DIFFER_US, Known
from gateway.adapters.redis.link import Away, Unanswerable
from gateway.adapters.redis.wrapping import LARGEST, Wrapping
from gateway.core.account import Account, new_account
from gateway.core.errors import StoreUnavailable
from gateway.ports import Revocation

AT = 1_763_700_000_000_000
SECOND = 1_000_000
WRAPPING = Wrapping(b"s" * 32, "gateway")
ALICE = Account(
    "alice",
    "flagged",
    frozenset({"staff", "us-ip"}),
    "full",
    frozenset({"PT", "US"}),
    "PT",
    None,
    frozenset({"withdraw"}),
)
ENDED = (Revocation("", AT, None), Revocation("ab", AT + 1, 2))


class SetClock:
    def __init__(self) -> None:
        self.at = AT + CLOCKS_DIFFER_US

    def now(self) -> int:
        return self.at


class Dictionary:
    """A Redis in memory. `said` is what it says in place of an answer."""

    def __init__(self) -> None:
        self.up = True
        self.kept: dict[bytes, bytes] = {}
        self.lasting: dict[bytes, int] = {}
        self.said: type[Exception] | None = None
        self.asked: list[tuple[Any, ...]] = []

    async def ask(self, *command: Any) -> Any:
        self.asked.append(command)
        if self.said is not None:
            raise self.said
        match command:
            case ("GETRANGE", name, 0, last):
                return self.kept.get(name, b"")[: last + 1]
            case ("SET", name, value, "PX", lasts):
                self.kept[name], self.lasting[name] = value, lasts
                return b"OK"
            case _:
                raise AssertionError(command)


class Store:
    """What numbered reads read."""

    def __init__(self, clock: SetClock) -> None:
        self.reads = 0
        self.number = 10
        self.away = False
        self.clock = clock
        self.accounts: dict[str, Account] = {"alice": ALICE}
        self.ends: int | None = None

    async def account(self, uid: str) -> Numbered[Account] | None:
        self.reads += 1
        if self.away:
            raise StoreUnavailable("away")
        account = self.accounts.get(uid)
        return None if account is None else Numbered(account, self.number, self.clock.at, self.ends)

    async def sessions(self, uid: str) -> Numbered[tuple[Revocation, ...]] | None:
        self.reads += 1
        return Numbered(ENDED if uid == "alice" else (), self.number, self.clock.at)


class World:
    def __init__(self) -> None:
        self.clock = SetClock()
        self.redis = Dictionary()
        self.store = Store(self.clock)
        self.changed: dict[str | None, int] = {}
        self.known = Known(lambda uid: self.changed.get(uid, 0))
        self.known.heard(Heard(10, 0, AT))
        self.cache = self.another()

    def another(self) -> CachedAccounts:
        return CachedAccounts(self.redis, self.store, self.known, WRAPPING, clock=self.clock, keep_s=60)

    def plant(self, *content: object) -> None:
        value = WRAPPING.wrapped(b"a", "alice", orjson.dumps(content))
        assert value is not None
        self.redis.kept[WRAPPING.name(b"a", "alice")] = value

    async def written(self) -> None:
        async with asyncio.timeout(10):
            await self.cache.written()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.cache.start()
    yield world
    await world.cache.close()


async def test_what_one_reads_of_the_store_another_reads_of_redis(world: World) -> None:
    assert await world.cache.read("alice") == ALICE
    assert await world.cache.of("alice") == ENDED
    await world.written()
    other = world.another()
    reads = world.store.reads
    assert await other.read("alice") == ALICE
    assert await other.of("alice") == ENDED
    assert world.store.reads == reads
    assert other.results == {"used": 2}
    assert world.cache.results == {"missing": 2}


async def test_nobody_and_nonsense_are_not_kept(world: World) -> None:
    assert await world.cache.read("nobody") is None
    assert await world.cache.read("a b") is None
    assert await world.cache.of("a\0b") == ()
    await world.written()
    assert world.redis.kept == {}


async def test_what_is_kept_names_nobody(world: World) -> None:
    await world.cache.read("alice")
    await world.cache.of("alice")
    await world.written()
    assert len(world.redis.kept) == 2
    assert not any(b"alice" in text for pair in world.redis.kept.items() for text in pair)


async def test_a_change_that_this_process_heard_of_ends_a_snapshot_and_one_of_somebody_else_does_not(
    world: World,
) -> None:
    await world.cache.read("alice")
    await world.written()
    world.changed["bob"] = 1
    await world.cache.read("alice")
    assert world.cache.results == {"missing": 1, "used": 1}
    world.changed["alice"] = 2
    await world.cache.read("alice")
    assert world.cache.results["old"] == 1
    assert world.store.reads == 2


async def test_a_change_that_is_heard_of_while_the_answer_is_on_its_way_ends_it(world: World) -> None:
    await world.cache.read("alice")
    await world.written()
    ask = world.redis.ask

    async def slowly(*command: Any) -> Any:
        answer = await ask(*command)
        world.changed["alice"] = 1
        return answer

    world.redis.ask = slowly  # type: ignore[method-assign]
    await world.cache.read("alice")
    assert world.cache.results == {"missing": 1, "old": 1}


async def test_a_snapshot_lives_no_longer_than_its_holds_and_than_was_said(world: World) -> None:
    name = WRAPPING.name(b"a", "alice")
    await world.cache.read("alice")
    await world.written()
    assert world.redis.lasting[name] == 60_000
    world.clock.at += 60 * SECOND - 1
    await world.cache.read("alice")
    assert world.cache.results["used"] == 1
    # Redis should have removed it; nobody relies on that.
    world.clock.at += 1
    world.store.ends = world.clock.at + 5 * SECOND
    await world.cache.read("alice")
    assert world.cache.results["old"] == 1
    await world.written()
    assert world.redis.lasting[name] == 5_000
    world.clock.at = world.store.ends
    await world.cache.read("alice")
    assert world.cache.results["old"] == 2


async def test_what_a_clock_ahead_of_ours_read_waits_until_we_are_there(world: World) -> None:
    """A hold that ended there may go on here."""
    await world.cache.read("alice")
    await world.written()
    world.clock.at -= 1
    await world.cache.read("alice")
    assert world.cache.results["old"] == 1


@pytest.mark.parametrize(
    "value",
    [
        b"1",
        b"\xff" * 100,
        b"x" * (LARGEST + 1),
        WRAPPING.wrapped(b"a", "bob", b"[10,0,null,[]]"),
        WRAPPING.wrapped(b"s", "alice", b"[10,0,null,[]]"),
        WRAPPING.wrapped(b"a", "alice", b"not JSON"),
        WRAPPING.wrapped(b"a", "alice", b"[10,0,null]"),
        WRAPPING.wrapped(b"a", "alice", b'[10,0,null,["open"]]'),
        WRAPPING.wrapped(b"a", "alice", b'["x",0,null,["open",[],"none",[],null,null,[]]]'),
        Wrapping(b"t" * 32, "gateway").wrapped(b"a", "alice", b'[10,0,null,["open",[],"none",[],null,null,[]]]'),
    ],
)
async def test_what_cannot_be_believed_is_read_of_the_store_and_replaced(world: World, value: bytes) -> None:
    name = WRAPPING.name(b"a", "alice")
    world.redis.kept[name] = value
    assert await world.cache.read("alice") == ALICE
    assert world.cache.results == {"refused": 1}
    await world.written()
    assert await world.cache.read("alice") == ALICE
    assert world.cache.results["used"] == 1


async def test_no_more_is_read_of_what_lies_there_than_a_snapshot_can_have(world: World) -> None:
    world.redis.kept[WRAPPING.name(b"a", "alice")] = b"x" * 10_000_000
    await world.cache.read("alice")
    assert ("GETRANGE", WRAPPING.name(b"a", "alice"), 0, LARGEST) in world.redis.asked


async def test_what_was_put_back_is_judged_by_its_number(world: World) -> None:
    """Whoever may write into Redis replays what we wrapped ourselves, from before the account was flagged."""
    world.plant(9, world.clock.at, None, _plain_account(new_account("alice")))
    assert await world.cache.read("alice") == ALICE
    assert world.cache.results == {"old": 1}


@pytest.mark.parametrize(("fault", "result"), [(Away, "away"), (Unanswerable, "refused")])
async def test_a_redis_that_does_not_answer_costs_a_look_into_the_store(
    world: World, fault: type[Exception], result: str
) -> None:
    world.redis.said = fault
    assert await world.cache.read("alice") == ALICE
    await world.written()
    assert world.cache.results == {result: 1}
    world.redis.up = False
    asked = len(world.redis.asked)
    assert await world.cache.read("alice") == ALICE
    assert len(world.redis.asked) == asked


async def test_a_store_that_is_away_is_said_to_be(world: World) -> None:
    world.store.away = True
    with pytest.raises(StoreUnavailable):
        await world.cache.read("alice")


async def test_no_more_waits_to_be_written_than_said() -> None:
    world = World()  # whose cache was not started: nothing is written
    for number in range(WAITING + 10):
        world.store.accounts[f"u{number}"] = new_account(f"u{number}")
        await world.cache.read(f"u{number}")
    assert world.cache._waiting.qsize() == WAITING


async def test_a_fault_that_nobody_thought_of_does_not_end_the_writing(world: World) -> None:
    world.redis.said = RuntimeError
    world.cache._keep(world.cache._accounts, "alice", Numbered(ALICE, 10, world.clock.at))
    await world.written()
    world.redis.said = None
    await world.cache.read("alice")
    await world.written()
    assert world.redis.kept


# The race ---------------------------------------------------------------------------------------------------------


class Turns:
    """Lets one of several waits end at a time, in an order that is drawn."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    async def run(self, tasks: list[asyncio.Task[None]], draw: Callable[[int], int]) -> None:
        while not all(task.done() for task in tasks):
            for _ in range(8):  # as many steps as any of them takes between two waits
                await asyncio.sleep(0)
            if self._waiting:
                self._waiting.pop(draw(len(self._waiting))).set_result(None)
        for task in tasks:
            task.result()


class Truth:
    """A store: each account has the number of its latest change for a residence, so to speak."""

    def __init__(self) -> None:
        self.number = 10
        self.latest = {"alice": 0, "bob": 0}
        self.whose: list[tuple[int, str]] = []

    def commit(self, uid: str) -> int:
        self.number += 1
        self.latest[uid] = self.number
        self.whose.append((self.number, uid))
        return self.number


class Process:
    """One gateway: a feed as `ChangeFeed` counts, numbered reads, and a cache, each waiting where it waits for real."""

    def __init__(self, truth: Truth, redis: Dictionary, turns: Turns) -> None:
        self.truth, self.redis, self.turns = truth, redis, turns
        self.up = True
        self.clock = SetClock()
        self.generation = 0
        self.changed: dict[str, int] = {}
        self.seen = truth.number
        self.heard = {"alice": 0, "bob": 0}
        """The latest change of each account that this process knows of: none of its answers may be older."""
        self.known = Known(lambda uid: self.changed.get(uid or "", 0))
        self.known.heard(Heard(truth.number, 0, AT))
        self.cache = CachedAccounts(self, self, self.known, WRAPPING, clock=self.clock, keep_s=60)

    async def ask(self, *command: Any) -> Any:
        await self.turns.wait()
        answer = await self.redis.ask(*command)
        await self.turns.wait()
        return answer

    async def account(self, uid: str) -> Numbered[Account] | None:
        await self.turns.wait()
        latest = self.truth.latest[uid]
        snapshot = Numbered(new_account(uid)._replace(verification=str(latest)), self.truth.number, self.clock.at)
        await self.turns.wait()
        return snapshot

    async def sessions(self, uid: str) -> Numbered[tuple[Revocation, ...]] | None:
        raise AssertionError(uid)

    def count(self, uids: set[str]) -> None:
        self.generation += 1
        self.changed.update(dict.fromkeys(uids, self.generation))

    async def look(self) -> None:
        generation = self.generation
        await self.turns.wait()
        number = self.truth.number
        found = [(one, uid) for one, uid in self.truth.whose if self.seen < one <= number]
        await self.turns.wait()
        self.seen = max(self.seen, number)
        if found:
            self.count({uid for _, uid in found})
            for one, uid in found:
                self.heard[uid] = max(self.heard[uid], one)
        self.known.heard(Heard(number, generation, AT))

    async def change(self, uid: str) -> None:
        await self.turns.wait()
        number = self.truth.commit(uid)
        await self.turns.wait()
        self.heard[uid] = max(self.heard[uid], number)
        self.count({uid})

    async def read(self, uid: str) -> None:
        owed = self.heard[uid]
        account = await self.cache.read(uid)
        assert account is not None
        assert int(account.verification) >= owed


STEPS = ("read", "read", "read", "look", "look", "change")


@pytest.mark.parametrize("seed", range(6))
def test_no_interleaving_shows_a_process_what_it_knows_to_be_old(seed: int) -> None:
    """Above all: read of the store, changed there, and written into Redis only then."""
    used = sum(asyncio.run(_interleaved(Random(f"{seed}/{number}"))) for number in range(30))
    assert used > 100


async def _interleaved(chance: Random) -> int:
    """Play three processes against each other, each doing two things at a time; return how many snapshots were used."""
    truth, redis, turns = Truth(), Dictionary(), Turns()
    processes = [Process(truth, redis, turns) for _ in range(3)]

    async def play(process: Process, steps: list[str], looking: asyncio.Lock) -> None:
        for step in steps:
            if step == "look":
                async with looking:  # a feed looks in one thread
                    await process.look()
            else:
                await getattr(process, step)(chance.choice(["alice", "alice", "bob"]))

    tasks = []
    for process in processes:
        await process.cache.start()
        looking = asyncio.Lock()
        for _ in range(2):
            steps = [chance.choice(STEPS) for _ in range(10)]
            tasks.append(asyncio.get_running_loop().create_task(play(process, steps, looking)))
    try:
        await turns.run(tasks, chance.randrange)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for process in processes:
            await process.cache.close()
    return sum(process.cache.results["used"] for process in processes)
