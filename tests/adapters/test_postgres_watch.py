"""What is particular to PostgreSQL; how a feed counts what its watch sees is in `test_feed.py`."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg  # type: ignore[import-untyped]
import pytest

from gateway.adapters.feed import ChangeFeed
from gateway.adapters.postgres_address import PostgresAddress
from gateway.adapters.postgres_watch import PostgresWatch
from gateway.adapters.schema import REVISION
from gateway.core.errors import StoreUnavailable
from tests.stores import AT, SECOND, SetClock, empty_database

ADD = "INSERT INTO accounts VALUES ('{}', 'open', 'none', '', '', '', 1, 1)"


class World:
    """A feed on a database, its clock, and somebody who writes in it by hand."""

    def __init__(self, url: str, writer: asyncpg.Connection) -> None:
        self.url = url
        self.writer = writer
        self.clock = SetClock()
        self.watch = PostgresWatch(PostgresAddress.of(url))
        self.feed = ChangeFeed(self.watch, self.clock, 60)

    async def other(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.url, server_settings={"search_path": "gateway"})


@pytest.fixture
async def world() -> AsyncIterator[World]:
    url = await empty_database()
    writer = await asyncpg.connect(url, server_settings={"search_path": "gateway"})
    world = World(url, writer)
    yield world
    await world.feed.close()
    await writer.close()


async def test_whose_account_changed_is_said_and_that_nobody_elses_did(world: World) -> None:
    await world.feed.look()
    for change in (
        ADD.format("zoe"),
        "INSERT INTO account_flags VALUES ('zoe', 'vip', 'ann', 1, 'asked')",
        "UPDATE accounts SET status = 'flagged' WHERE uid = 'zoe'",
        "INSERT INTO account_holds VALUES ('zoe', 'withdraw', 'c', NULL)",
        "DELETE FROM account_flags",
        "INSERT INTO api_keys VALUES ('\\x00', 'k', 'zoe', 'l', 1, NULL)",
        "INSERT INTO revoked_sessions VALUES ('zoe', '', 'revoked', 1, NULL, 2)",
    ):
        before = world.feed.generation
        await world.writer.execute(change)
        await world.feed.look()
        assert world.feed.changed_at("zoe") == world.feed.generation > before, change
        assert world.feed.changed_at("bob") <= before, change


async def test_what_leaves_the_accounts_alone_is_a_commit_and_no_change(world: World) -> None:
    await world.feed.look()
    generation, commits = world.feed.generation, world.feed.commits
    await world.feed.look()
    assert (world.feed.generation, world.feed.commits) == (generation, commits)
    await world.writer.execute("UPDATE generations SET number = number + 1 WHERE name = 'commits'")
    await world.feed.look()
    assert (world.feed.generation, world.feed.commits) == (generation, commits + 1)


async def test_a_hold_that_ends_is_a_change_of_its_account_alone(world: World) -> None:
    await world.writer.execute(ADD.format("zoe"))
    await world.writer.execute("INSERT INTO account_holds VALUES ('zoe', 'withdraw', 'c', $1)", AT + 10)
    await world.feed.look()
    for at in (AT + 10, AT + 9, AT + 11):
        world.clock.at = at
        before = world.feed.generation
        await world.feed.look()
        assert world.feed.changed_at("zoe") == world.feed.generation > before
        assert world.feed.changed_at("bob") <= before


async def test_what_commits_late_has_the_later_number_and_is_not_missed(world: World) -> None:
    """Of two who change accounts at once the second waits for its number until the first has committed."""
    late = await world.other()
    await world.feed.look()
    transaction = world.writer.transaction()
    await transaction.start()
    await world.writer.execute(ADD.format("zoe"))
    second = asyncio.ensure_future(late.execute(ADD.format("amy")))
    await world.feed.look()
    seen = world.feed.generation
    assert world.feed.changed_at("zoe") <= seen
    done, _ = await asyncio.wait({second}, timeout=0.1)
    assert not done
    await transaction.commit()
    await second
    await world.feed.look()
    assert world.feed.changed_at("zoe") > seen
    assert world.feed.changed_at("amy") > seen
    assert world.feed.changed_at("bob") <= seen
    await late.close()


async def test_the_server_tells_of_a_change_before_it_is_looked_for(world: World) -> None:
    await world.feed.start()
    seen = world.feed.generation
    await world.writer.execute(ADD.format("zoe"))
    async with asyncio.timeout(20):
        while world.feed.generation == seen:  # noqa: ASYNC110 - the feed tells nobody
            await asyncio.sleep(0.001)
    assert world.feed.changed_at("zoe") > seen


async def test_a_connection_that_broke_is_made_anew_and_may_have_missed_a_change_of_anybody(world: World) -> None:
    await world.feed.look()
    seen = world.feed.generation
    await world.writer.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'gateway-feed'"
    )
    async with asyncio.timeout(20):
        while True:
            try:
                await world.feed.look()
            except StoreUnavailable:
                continue
            if world.feed.generation > seen:
                break
    assert world.feed.changed_at("bob") == world.feed.generation


async def test_a_look_that_is_given_up_leaves_no_answer_for_the_next(world: World) -> None:
    await world.feed.look()
    looking = asyncio.ensure_future(world.feed.look())
    await asyncio.sleep(0)
    looking.cancel()
    await asyncio.wait({looking})
    await world.feed.look()
    assert world.feed.fresh(world.clock.at)


@pytest.mark.parametrize(
    ("spoil", "again", "why"),
    [
        (
            "UPDATE alembic_version SET version_num = '9999'",
            f"UPDATE alembic_version SET version_num = '{REVISION}'",
            f"at revision 9999, and this gateway needs {REVISION}",
        ),
        ("DELETE FROM generations WHERE name = 'commits'", "SELECT 1", "count of changes is gone"),
        ("DELETE FROM generations WHERE name = 'accounts'", "SELECT 1", "count of changes is gone"),
    ],
)
async def test_a_database_that_cannot_be_relied_on_is_not_heard_from(
    world: World, spoil: str, again: str, why: str
) -> None:
    await world.writer.execute(spoil)
    try:
        with pytest.raises(StoreUnavailable, match=why):
            await world.feed.start()
        assert not world.feed.fresh(world.clock.at)
    finally:
        await world.writer.execute(again)


async def test_a_server_that_is_not_there_is_not_heard_from() -> None:
    feed = ChangeFeed(
        PostgresWatch(PostgresAddress.of("postgresql://gw:hunter2@/none?host=%2Fnowhere")), SetClock(), 60
    )
    with pytest.raises(StoreUnavailable, match="store /nowhere/none: ") as lost:
        await feed.look()
    assert "hunter2" not in str(lost.value)
    assert not feed.fresh(AT + SECOND)
    await feed.close()
