import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.adapters.archive.memory import MemoryArchive
from gateway.core.errors import StoreUnavailable
from gateway.core.pseudonyms import Pseudonyms
from gateway.ports import Erasing, Keep, RecordedDecision, Stretch, ruling_digest
from gateway.service import shipping
from gateway.service.shipping import Progress, Shipping, Terms

SECOND = 1_000_000
NOON = 1_763_700_000 * SECOND
DOCUMENT = orjson.dumps({"facts": None, "operation": None, "bundle": ""})
Taken = Mapping[str, tuple[int, int]]


class Source:
    """A journal of one worker in memory, three decisions to a stretch; an offset is the number of decisions."""

    def __init__(self, decisions: int = 0) -> None:
        self.decisions = decisions
        self.damaged = 0

    def stretches(self, taken: Taken) -> Iterator[Stretch]:
        start = taken.get("w0", (1, 0))[1]
        while start < self.decisions:
            end = min(start + 3, self.decisions)
            digest = ruling_digest(DOCUMENT)
            decisions = [RecordedDecision(n.to_bytes(16), NOON + n, 5, None, b"", digest) for n in range(start, end)]
            yield Stretch("w0", 1, start, end, {digest: DOCUMENT}, decisions)
            start = end

    def behind(self, taken: Taken) -> tuple[int, int | None]:
        first = taken.get("w0", (1, 0))[1]
        return (self.decisions - first) * 100, NOON + first if first < self.decisions else None


class Archive(MemoryArchive):
    """One that can be away, and that can take a stretch and lose its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Exception] = []
        self.after: list[Exception] = []
        self.asked = 0
        self.forgot: list[Mapping[Keep, int]] = []
        self.erased: list[Erasing] = []
        self.workers: list[Collection[str]] = []

    async def take(self, stretch: Stretch) -> int:
        self.asked += 1
        if self.faults:
            raise self.faults.pop()
        new = await super().take(stretch)
        if self.after:
            raise self.after.pop()
        return new

    async def forget(self, before: Mapping[Keep, int]) -> int:
        self.forgot.append(before)
        return await super().forget(before)

    async def erase(self, erasing: Erasing, pseudonyms: Pseudonyms) -> int:
        self.erased.append(erasing)
        return await super().erase(erasing, pseudonyms)

    async def forget_workers(self, keep: Collection[str]) -> None:
        self.workers.append(keep)


@dataclass
class Keeping:
    seen: list[Taken] = field(default_factory=list)

    def remove(self, taken: Taken, now: int) -> list[str]:
        self.seen.append(dict(taken))
        return ["a segment"]

    def journal_bytes(self) -> int:
        return 4096


@dataclass
class Steps:
    """A clock that goes on by so much each time it is read."""

    step: int = SECOND
    at: int = NOON

    def now(self) -> int:
        self.at += self.step
        return self.at


@dataclass
class World:
    source: Source
    archive: Archive = field(default_factory=Archive)
    keeping: Keeping = field(default_factory=Keeping)
    clock: Steps = field(default_factory=Steps)
    noted: list[Progress] = field(default_factory=list)
    terms: Terms = field(default_factory=lambda: Terms(again_s=0.001, back_off_s=(0.001, 0.004)))

    async def ship(self, until: Callable[["World"], bool]) -> None:
        """Ship until this is so, and end."""
        stop = asyncio.Event()

        def note(progress: Progress) -> None:
            self.noted.append(progress)
            if until(self):
                stop.set()

        loop = Shipping(
            source=self.source,
            keeping=self.keeping,
            archive=self.archive,
            clock=self.clock,
            note=note,
            terms=self.terms,
            workers=lambda: {"w0"},
        )
        async with asyncio.timeout(20):
            await loop.run(stop)

    def shipped(self) -> bool:
        return len(self.archive._decisions) == self.source.decisions


async def test_everything_is_shipped_once() -> None:
    world = World(Source(10))
    await world.ship(World.shipped)
    assert world.shipped()
    assert world.archive.asked == 4
    assert world.noted[-1].shipped == 10
    assert (world.noted[-1].behind_bytes, world.noted[-1].oldest) == (0, None)


async def test_what_comes_before_the_end_is_shipped_at_the_end() -> None:
    world = World(Source(2))

    def more(world: World) -> bool:
        world.source.decisions = 7
        return True

    await world.ship(more)
    assert world.shipped()


@pytest.mark.parametrize("times", [1, 5])
async def test_shipping_catches_up_when_the_archive_was_away(times) -> None:
    world = World(Source(10))
    world.archive.faults = [StoreUnavailable("it is away")] * times
    with capture_logs() as logs:
        await world.ship(World.shipped)
    assert world.shipped()
    assert world.noted[-1].faults == times
    assert [entry["failed"] for entry in logs if entry["event"] == "gateway:shipping_resumed"] == [times]


async def test_an_answer_that_is_lost_on_its_way_makes_nothing_twice() -> None:
    world = World(Source(10))
    world.archive.after = [TimeoutError()]
    await world.ship(World.shipped)
    assert world.noted[-1].shipped == 7, "the three were not new when they were asked for again"
    assert world.archive.asked == 4, "and the archive said that it had them"
    assert sum(count.decisions for count in await world.archive.counts(0, 1 << 62)) == 10


async def test_a_fault_that_nobody_thought_of_does_not_end_it() -> None:
    world = World(Source(4))
    world.archive.faults = [ZeroDivisionError("who would have thought")]
    await world.ship(World.shipped)
    assert world.shipped()


async def test_the_wait_for_an_archive_grows_and_is_bounded() -> None:
    world = World(Source(1), terms=Terms(back_off_s=(0.5, 30)))
    loop = Shipping(
        source=world.source,
        keeping=world.keeping,
        archive=world.archive,
        clock=world.clock,
        note=world.noted.append,
        terms=world.terms,
    )
    waits = []
    for _ in range(12):
        loop._failed("it is away")
        waits.append(loop._back_off_s())
    assert all(0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(waits[:6]))
    assert all(15 <= wait <= 30 for wait in waits[7:])


async def test_an_archive_that_hangs_at_the_end_is_not_awaited_for_ever(monkeypatch) -> None:
    monkeypatch.setattr(shipping, "LAST_PASS_S", 0.05)
    world = World(Source(0))

    async def never(stretch: Stretch) -> int:
        await asyncio.Event().wait()
        return 0

    def more(world: World) -> bool:
        world.source.decisions = 3
        world.archive.take = never
        return True

    with capture_logs() as logs:
        await world.ship(more)
    assert "gateway:shipping_cut_short" in [entry["event"] for entry in logs]
    assert not world.shipped()


async def test_nothing_is_removed_before_the_archive_said_what_it_has() -> None:
    world = World(Source(3))
    world.archive.faults = [StoreUnavailable("it is away")] * 3
    await world.ship(World.shipped)
    assert world.keeping.seen == [{"w0": (1, 3)}]


async def test_being_behind_is_said_once_a_minute_and_so_is_catching_up() -> None:
    world = World(Source(3), clock=Steps(5 * SECOND))
    world.archive.faults = [StoreUnavailable("it is away")] * 12
    world.terms = world.terms._replace(warn_behind_us=60 * SECOND)
    with capture_logs() as logs:
        await world.ship(World.shipped)
    behind = [entry for entry in logs if entry["event"] == "gateway:shipping_behind"]
    assert behind
    assert all(entry["seconds"] > 60 and entry["bytes"] == 300 for entry in behind)
    assert len(behind) < 12
    assert [entry["event"] for entry in logs].count("gateway:shipping_caught_up") == 1


async def test_an_archive_that_never_answered_is_behind_since_the_start_and_not_since_the_oldest_segment() -> None:
    world = World(Source(3))
    world.clock.at = NOON + 7 * 86_400 * SECOND
    world.archive.faults = []

    async def away() -> Mapping[str, tuple[int, int]]:
        raise StoreUnavailable("it is away")

    world.archive.taken = away
    await world.ship(lambda world: len(world.noted) > 3)
    assert all(progress.at - progress.oldest < 3600 * SECOND for progress in world.noted)


@pytest.mark.parametrize("keep_us", [{}, {Keep.MONEY: 7200 * SECOND, Keep.REST: 3600 * SECOND}])
async def test_the_archive_forgets_each_class_as_it_was_told_to_and_once_an_hour(keep_us) -> None:
    world = World(Source(3))
    world.terms = world.terms._replace(keep_us=keep_us)
    await world.ship(lambda world: len(world.noted) > 5)
    assert len(world.archive.forgot) == bool(keep_us)
    for forgot in world.archive.forgot:
        assert {one: round((NOON - before) / 3600 / SECOND) for one, before in forgot.items()} == {
            "money": 2,
            "rest": 1,
        }


@pytest.mark.parametrize("later", [None, 3600 * SECOND])
async def test_personal_data_is_erased_before_it_is_taken_or_once_a_day(later) -> None:
    pseudonyms = Pseudonyms(b"k" * 32)
    world = World(Source(3), clock=Steps(3600 * SECOND))
    world.terms = world.terms._replace(keep_personal_us=later, pseudonyms=pseudonyms)
    await world.ship(lambda world: world.shipped() and len(world.noted) > 24)
    before = [erasing.before for erasing in world.archive.erased]
    assert bool(before) == (later is not None)
    assert all(one is not None and one >= NOON for one in before)
    assert all(late - early >= 24 * 3600 * SECOND for early, late in pairwise(before))
    documents = [document for document, _ in world.archive._rulings.values()]
    assert documents == [pseudonyms.of_ruling(DOCUMENT)]


async def test_workers_whose_journal_is_gone_are_forgotten_once_a_day() -> None:
    world = World(Source(3))
    await world.ship(lambda world: len(world.noted) > 5)
    assert world.archive.workers == [{"w0"}]


async def test_a_share_of_its_time_leaves_the_rest_to_others() -> None:
    world = World(Source(30))
    world.terms = world.terms._replace(share=0.2)
    worked = 0.0
    take = world.archive.take

    async def slow(stretch: Stretch) -> int:
        nonlocal worked
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.01)
        worked += asyncio.get_running_loop().time() - began
        return await take(stretch)

    world.archive.take = slow
    began = asyncio.get_running_loop().time()
    await world.ship(World.shipped)
    assert asyncio.get_running_loop().time() - began > 4 * worked
