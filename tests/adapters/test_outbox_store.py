from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.outbox_rows import tell
from gateway.adapters.outbox_store import OutboxFilter, OutboxStore
from gateway.adapters.sql import AccountStore
from gateway.core.account import Refused
from gateway.core.errors import SearchError
from gateway.core.messages import Told, message
from gateway.ports import Outbox, OutboxRow
from tests.stores import AT, BY, HOUR, KINDS, SECOND, SetClock, opened


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[AccountStore]:
    async with opened(tmp_path, clock, request.param) as store:
        yield store


@pytest.fixture
def outbox(store: AccountStore) -> OutboxStore:
    return OutboxStore(store)


async def owe(store: AccountStore, *accounts: str) -> None:
    async with store.writing("owe messages") as connection:
        for number, account in enumerate(accounts):
            await connection.run_sync(tell, [message(Told.NOTICE, account, number=number)], AT + number)


async def due(outbox: OutboxStore, at: int = AT + HOUR) -> list[tuple[str, object]]:
    return [(row.account, row.data["number"]) for row in await outbox.due(at, 10)]


async def test_of_each_account_its_first_message_is_due(store: AccountStore, outbox: OutboxStore) -> None:
    port: Outbox = outbox
    await owe(store, "alice", "bob", "alice", "carol", "bob")
    assert await due(outbox) == [("alice", 0), ("bob", 1), ("carol", 3)]
    assert await due(outbox, AT + 1) == [("alice", 0), ("bob", 1)]
    first = (await port.due(AT + HOUR, 1))[0]
    await port.delivered(first.id, AT + 5)
    assert await due(outbox) == [("bob", 1), ("alice", 2), ("carol", 3)]
    found = await outbox.row(first.id)
    assert found == first._replace(state="delivered", tries=1, delivered_at=AT + 5)


async def test_a_failed_one_waits_and_lets_nothing_of_its_account_pass(
    store: AccountStore, outbox: OutboxStore
) -> None:
    await owe(store, "alice", "alice")
    (first,) = await outbox.due(AT + HOUR, 10)
    await outbox.failed(first.id, "503 " * 500, AT + 2 * HOUR)
    assert await due(outbox) == []
    assert await outbox.next_due() == AT + 1
    (again,) = await outbox.due(AT + 2 * HOUR, 10)
    assert (again.id, again.tries) == (first.id, 1)
    assert again.last_error is not None
    assert len(again.last_error) == 500


async def test_a_parked_one_lets_the_next_go_on_until_it_is_tried_again(
    store: AccountStore, outbox: OutboxStore
) -> None:
    await owe(store, "alice", "alice")
    (first,) = await outbox.due(AT + HOUR, 10)
    await outbox.parked(first.id, "410 gone")
    assert await due(outbox) == [("alice", 1)]
    tried = await outbox.retry(first.id, **BY)
    assert isinstance(tried, OutboxRow)
    assert (tried.state, tried.tries) == ("pending", 0)
    assert await due(outbox) == [("alice", 0)]
    assert (await store.history("alice"))[0].action == "outbox.retry"


async def test_only_what_is_parked_is_tried_again(store: AccountStore, outbox: OutboxStore) -> None:
    await owe(store, "alice")
    (row,) = await outbox.due(AT, 10)
    for wrong, what in ((row.id, "state"), ("msg_none", "id")):
        refused = await outbox.retry(wrong, **BY)
        assert isinstance(refused, Refused)
        assert refused.what == what
    refused = await outbox.retry(row.id, who="ann", why="")
    assert isinstance(refused, Refused)
    assert refused.what == "why"


async def test_a_late_word_of_a_try_changes_nothing_that_is_settled(store: AccountStore, outbox: OutboxStore) -> None:
    await owe(store, "alice")
    (row,) = await outbox.due(AT, 10)
    await outbox.delivered(row.id, AT)
    await outbox.failed(row.id, "timeout", AT + 1)
    await outbox.parked(row.id, "too many")
    found = await outbox.row(row.id)
    assert found is not None
    assert (found.state, found.last_error) == ("delivered", None)


async def test_one_owner_at_a_time_has_a_lease(outbox: OutboxStore, clock: SetClock) -> None:
    assert await outbox.lease("deliver", "one", AT + 30 * SECOND)
    assert not await outbox.lease("deliver", "two", AT + 30 * SECOND)
    assert await outbox.lease("deliver", "one", AT + 60 * SECOND)
    clock.at = AT + 60 * SECOND
    assert await outbox.lease("deliver", "two", AT + 90 * SECOND)
    assert not await outbox.lease("deliver", "one", AT + 90 * SECOND)
    await outbox.release("deliver", "one")
    assert not await outbox.lease("deliver", "one", AT + 90 * SECOND)
    await outbox.release("deliver", "two")
    assert await outbox.lease("deliver", "one", AT + 90 * SECOND)


async def test_pages_have_everything_once_the_newest_first(store: AccountStore, outbox: OutboxStore) -> None:
    await owe(store, *["alice"] * 5, "bob")
    found: list[object] = []
    cursor: str | None = None
    while True:
        page = await outbox.rows(OutboxFilter(account="alice"), cursor=cursor, limit=2)
        found += [row.data["number"] for row in page.rows]
        if page.cursor is None:
            break
        cursor = page.cursor
    assert found == [4, 3, 2, 1, 0]
    assert (await outbox.rows(OutboxFilter(state="parked"))).rows == ()
    assert len((await outbox.rows(OutboxFilter(type="notice"))).rows) == 6
    with pytest.raises(SearchError):
        await outbox.rows(cursor="one")


async def test_delivered_messages_are_forgotten_and_owed_ones_never(store: AccountStore, outbox: OutboxStore) -> None:
    await owe(store, "alice", "bob")
    (row, _) = await outbox.due(AT + HOUR, 10)
    await outbox.delivered(row.id, AT + HOUR)
    assert await outbox.forget(AT + HOUR) == 0
    assert await outbox.forget(AT + 2 * HOUR) == 1
    assert [row.account for row in (await outbox.rows()).rows] == ["bob"]
