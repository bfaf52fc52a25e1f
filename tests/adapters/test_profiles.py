import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.adapters import profiles
from gateway.adapters.event_book import EventBook
from gateway.adapters.profile_rows import make_familiar
from gateway.adapters.profiles import ProfileStore
from gateway.adapters.schema import EVERYONE, PROFILES
from gateway.adapters.sql import AccountStore
from gateway.core.errors import StoreUnavailable
from gateway.core.events import LoginFailed, LoginSucceeded
from gateway.core.login import AGENT, DEVICE, PREFIX, Digests, login_of
from gateway.ports import Profiles
from tests.stores import AT, HOUR, KINDS, ON_A_FILE, SECOND, SetClock, file_of, opened

DIGESTS = Digests(b"the key of these tests")
WIDTH = 1 << 10


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[AccountStore]:
    async with opened(tmp_path, clock, request.param) as store:
        yield store


@pytest.fixture
def book(store: AccountStore) -> EventBook:
    return EventBook(store, DIGESTS)


@pytest.fixture
def port(store: AccountStore) -> ProfileStore:
    return ProfileStore(store, DIGESTS, width=WIDTH)


def login(number: int, account: str = "alice", device: str = "d1") -> LoginSucceeded:
    at = AT - HOUR + number * SECOND
    return LoginSucceeded(id=f"l{number}", account=account, at=at, ip="81.2.69.160", device=device, user_agent="curl/8")


async def until(done: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not done():  # noqa: ASYNC110 - it is counted elsewhere, and tells nobody
            await asyncio.sleep(0.01)


async def test_a_profile_is_read_as_it_is_after_each_event(book: EventBook, port: ProfileStore) -> None:
    needed: Profiles = port
    assert await needed.read("alice") is None
    assert await needed.read("no account\n") is None
    for number in (1, 2, 3):
        await book.take([login(number)], "exchange")
        found = await needed.read("alice")
        assert found is not None
        assert len(found.waiting) == number


async def test_who_changes_a_profile_that_was_read_changes_its_own(book: EventBook, port: ProfileStore) -> None:
    await book.take([login(1)], "exchange")
    first = await port.read("alice")
    assert first is not None
    first.settle(AT + 90 * 24 * HOUR)
    again = await port.read("alice")
    assert again is not None
    assert len(again.waiting) == 1


async def test_a_profile_is_asked_for_once_while_nothing_changes(
    book: EventBook, port: ProfileStore, store: AccountStore
) -> None:
    await book.take([login(1)], "exchange")
    await port.read("alice")
    async with asyncio.timeout(10):
        while True:  # until the feed has seen the event, after which nothing changes
            generation = port.generation
            await port.read("alice")
            await asyncio.sleep(0.1)
            if port.generation == generation:
                break
    await store._backend._readers.dispose()
    asked: list[str] = []
    reading = store.reading
    store.reading = lambda what, within_s=None: (asked.append(what), reading(what, within_s))[1]  # type: ignore[method-assign]
    assert await port.read("alice") is not None
    assert asked == []


async def test_an_event_ends_what_is_remembered_of_its_account_alone(
    book: EventBook, port: ProfileStore, store: AccountStore
) -> None:
    await port.start()
    await port.read("alice")
    generation = port.generation
    await book.take([login(1, "bob"), login(2, "carol")], "exchange")
    await until(lambda: port.everyone.seen == 2)
    assert port.generation == generation
    async with store.writing("release") as connection:
        await connection.run_sync(make_familiar, "alice", "device=2a", AT, "T-AAAAAAAAAA")
    await until(lambda: port.generation != generation)
    generation = port.generation
    await book.take([login(3)], "exchange")
    await until(lambda: port.generation != generation)
    await port.close()


async def test_what_was_read_long_ago_is_remembered_by_nobody(
    book: EventBook, port: ProfileStore, clock: SetClock
) -> None:
    await port.start()
    await port.read("alice")
    generation = port.generation
    clock.at += 601 * SECOND
    await book.take([login(1)], "exchange")
    await until(lambda: port.everyone.seen == 1)
    assert port.generation == generation
    await port.close()


@ON_A_FILE
async def test_a_store_that_is_away_is_no_profile_without_history(port: ProfileStore, store: AccountStore) -> None:
    away = file_of(store).with_suffix(".away")
    file_of(store).rename(away)
    with pytest.raises(StoreUnavailable):
        await port.read("alice")
    away.rename(file_of(store))


async def test_a_damaged_profile_is_a_fault(book: EventBook, port: ProfileStore, store: AccountStore) -> None:
    await book.take([login(1)], "exchange")
    async with store.writing("damage") as connection:
        await connection.execute(sa.update(PROFILES).values(blob=b"\x01\xff"))
    store.bump()
    with pytest.raises(StoreUnavailable, match="profile of `alice` is damaged"):
        await port.read("alice")


async def test_what_is_common_to_all_is_counted_by_every_process(
    book: EventBook, port: ProfileStore, store: AccountStore
) -> None:
    other = ProfileStore(store, DIGESTS, width=WIDTH)
    await port.start()
    await other.start()
    await book.take([login(number, f"a{number}") for number in range(450)], "exchange")
    await until(lambda: port.everyone.seen == other.everyone.seen == 450)
    device = DIGESTS.text(b"device", "d1")
    assert port.everyone.weight(DEVICE, device) == pytest.approx(port.everyone.total)
    await port.close()
    await other.close()


async def test_who_starts_next_takes_up_the_counts_and_goes_on(
    book: EventBook, port: ProfileStore, store: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "SAVED_AFTER", 10)
    await book.take([login(number) for number in range(20)], "exchange")
    assert await port.catch_up() == 20
    assert await port.save()
    assert not await port.save()
    await book.take([login(20)], "exchange")
    after = ProfileStore(store, DIGESTS, width=1 << 4)
    await after.start()
    await until(lambda: after.everyone.seen == 21)
    assert await port.catch_up() == 1
    agent = login_of(DIGESTS, AT, agent="curl/8").values[AGENT]
    assert after.everyone.weight(AGENT, agent) == pytest.approx(port.everyone.weight(AGENT, agent))
    await after.close()


async def test_damaged_counts_are_counted_again(
    book: EventBook, port: ProfileStore, store: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "SAVED_AFTER", 1)
    await book.take([login(number) for number in range(5)], "exchange")
    await port.catch_up()
    assert await port.save()
    async with store.writing("damage") as connection:
        await connection.execute(sa.update(EVERYONE).values(blob=b"\0"))
    after = ProfileStore(store, DIGESTS, width=WIDTH)
    await after.start()
    await until(lambda: after.everyone.seen == 5)
    await after.close()


async def test_one_process_saves_at_a_time(
    book: EventBook, port: ProfileStore, store: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "SAVED_AFTER", 1)
    other = ProfileStore(store, DIGESTS, width=WIDTH)
    await book.take([login(number) for number in range(5)], "exchange")
    await port.catch_up()
    await other.catch_up()
    assert [await port.save(), await other.save()] == [True, False]


async def test_stuffing_is_known_again_after_a_restart(
    book: EventBook, port: ProfileStore, store: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "SAVED_AFTER", 1)
    failed = [
        LoginFailed(id=f"f{number}", account=f"a{number}", at=AT - 60 * SECOND + number, ip="81.2.69.160")
        for number in range(40)
    ]
    await book.take(failed, "exchange")
    await port.catch_up()
    await port.save()
    after = ProfileStore(store, DIGESTS, width=WIDTH)
    await after.start()
    network = login_of(DIGESTS, AT, ip="81.2.69.7").values[PREFIX]
    assert isinstance(network, int)
    assert port.networks.attempts(network, AT).stuffing
    assert after.networks.attempts(network, AT).stuffing
    await after.close()
