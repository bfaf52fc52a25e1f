import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.adapters import tidying
from gateway.adapters.desk_store import DeskStore
from gateway.adapters.event_book import EventBook
from gateway.adapters.evidence_places import Folder
from gateway.adapters.once import OnceStore
from gateway.adapters.outbox_store import OutboxStore
from gateway.adapters.sql import AccountStore
from gateway.adapters.tidying import Tidying
from gateway.core.errors import StoreUnavailable
from gateway.core.evidence import After
from gateway.core.login import Digests
from gateway.core.obligations import SetFlag
from gateway.desk.evidence import Evidence
from tests.stores import AT, DAY, HOUR, KINDS, ON_A_FILE, RULE, SetClock, errands, file_of, hold, opened, rows


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[AccountStore]:
    async with opened(tmp_path, clock, request.param) as store:
        yield store


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - what is waited for is in a file, and tells nobody
            await asyncio.sleep(0.01)


async def test_tickets_end_in_the_background_when_their_time_is_over(
    store: AccountStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "SWEEP_EVERY_S", 0.01)
    await DeskStore(store).carry_out(errands(hold(length=HOUR)))
    one, other = Tidying(store), Tidying(store)
    await one.start()
    await other.start()
    clock.at += HOUR
    await until(lambda: rows(store, "SELECT state FROM tickets") == [("expired",)])
    await one.close()
    await other.close()
    assert rows(store, "SELECT act FROM ticket_log") == [("open",), ("expire",)]
    assert rows(store, "SELECT count(*) FROM account_holds") == [(0,)]


@ON_A_FILE
async def test_a_store_that_is_away_is_tidied_when_it_is_back(
    store: AccountStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "SWEEP_EVERY_S", 0.01)
    await DeskStore(store).carry_out(errands(hold(length=HOUR)))
    clock.at += HOUR
    away = file_of(store).rename(file_of(store).with_suffix(".away"))
    tidier = Tidying(store)
    with capture_logs() as logs:
        await tidier.start()
        await until(lambda: bool(logs))
    assert logs[0]["event"] == "store:not_tidied"
    away.rename(file_of(store))
    await until(lambda: rows(store, "SELECT state FROM tickets") == [("expired",)])
    await tidier.close()


async def test_what_nobody_asks_for_any_more_is_removed_and_nothing_else(store: AccountStore, clock: SetClock) -> None:
    seen = SetFlag("alice", "c", RULE, "us-ip", After(3, 30))
    await DeskStore(store).carry_out(errands(hold(), seen))
    outbox = OutboxStore(store)
    (row,) = await outbox.due(AT, 1)
    await outbox.delivered(row.id, AT)
    await OnceStore(store).first("idp", "j-1", AT + DAY)
    tidier = Tidying(store, EventBook(store, Digests(b"the key of these tests")))
    assert await tidier.forget() == 0
    clock.at = AT + 31 * DAY
    assert await tidier.forget() == 2
    assert len((await outbox.rows()).rows) == 1
    clock.at = AT + 367 * DAY
    assert await tidier.forget() == 1
    assert rows(store, "SELECT count(*) FROM sightings") == [(0,)]


async def test_a_file_of_evidence_without_a_ticket_is_removed_after_a_day_and_no_other_one(
    store: AccountStore, clock: SetClock, tmp_path: Path
) -> None:
    desk = DeskStore(store)
    await desk.carry_out(errands(hold()))
    ((ticket,),) = rows(store, "SELECT id FROM tickets")
    place = Folder(tmp_path / "evidence")
    left, named, elsewhere = ("ab/" + digit * 32 for digit in "123")
    for key in (left, named):
        await desk.begin_file(key)
    for key in (left, named, elsewhere):
        await place.write(key, b"sealed")
    piece = Evidence("E-1", "selfie_with_document", clock.at, "bob", "0" * 64, 6, "image/png")
    await desk.attach(ticket, piece, kept_as=named)
    tidier = Tidying(store, files=place)
    clock.at += DAY
    assert await tidier.forget() == 0
    clock.at += 1
    with capture_logs() as logs:
        assert await tidier.forget() == 1
    assert (tidier.files_removed, [one["key"] for one in logs]) == (1, [left])
    assert sorted(path.name[0] for path in (tmp_path / "evidence" / "ab").iterdir()) == ["2", "3"]
    assert rows(store, "SELECT count(*) FROM files_begun") == [(0,)]
    assert await tidier.forget() == 0


async def test_a_file_that_cannot_be_removed_is_tried_again(
    store: AccountStore, clock: SetClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, place, key = DeskStore(store), Folder(tmp_path / "evidence"), "ab/" + "1" * 32
    await desk.begin_file(key)
    await place.write(key, b"sealed")
    clock.at += DAY + 1
    tidier = Tidying(store, files=place)

    async def away(_: str) -> None:
        raise StoreUnavailable("the bucket is away")

    with monkeypatch.context() as patched:
        patched.setattr(place, "remove", away)
        with pytest.raises(StoreUnavailable):
            await tidier.forget()
    assert await tidier.forget() == 1
    assert not (tmp_path / "evidence" / key).exists()
