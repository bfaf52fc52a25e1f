import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.adapters.feed import Heard
from gateway.adapters.migration import migrate
from gateway.core.errors import StoreUnavailable
from tests.adapters.feeds import World
from tests.stores import AT, SECOND


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    path = tmp_path / "gateway.db"
    migrate(path)
    world = World(path)
    yield world
    await world.feed.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the feed looks on a timer and tells nobody
            await asyncio.sleep(0.001)


async def test_a_commit_by_anybody_else_changes_the_generation_and_nothing_else_does(world: World) -> None:
    await world.feed.look()
    for _ in range(3):
        generation = world.feed.generation
        await world.feed.look()
        assert world.feed.generation == generation
        world.commit()
        await world.feed.look()
        assert world.feed.generation != generation


async def test_a_commit_that_leaves_the_accounts_alone_ends_nothing_that_is_remembered_of_them(world: World) -> None:
    """Logins are told all the time: an answer that was settled must not end with each."""
    await world.feed.look()
    generation, commits = world.feed.generation, world.feed.commits
    world.commit("INSERT INTO leases VALUES ('deliver', 'one', 1)")
    await world.feed.look()
    assert world.feed.generation == generation
    assert world.feed.commits != commits
    for change in (
        "INSERT INTO revoked_sessions VALUES ('alice', '', 'revoked', 1, NULL, 2)",
        "INSERT INTO accounts VALUES ('zoe', 'open', 'none', '', '', '', 1, 1)",
        "INSERT INTO account_flags VALUES ('zoe', 'vip', 'ann', 1, 'asked')",
        "UPDATE accounts SET status = 'flagged'",
        "DELETE FROM account_flags",
        "INSERT INTO api_keys VALUES (zeroblob(32), 'k', 'zoe', 'l', 1, NULL)",
    ):
        generation = world.feed.generation
        world.commit(change)
        await world.feed.look()
        assert world.feed.generation != generation, change


CHANGES = (
    "INSERT INTO account_flags VALUES ('zoe', 'vip', 'ann', 1, 'asked')",
    "UPDATE accounts SET status = 'flagged' WHERE uid = 'zoe'",
    "INSERT INTO account_holds VALUES ('zoe', 'withdraw', 'c', NULL)",
    "DELETE FROM account_flags",
    "INSERT INTO api_keys VALUES (zeroblob(32), 'k', 'zoe', 'l', 1, NULL)",
    "INSERT INTO revoked_sessions VALUES ('zoe', '', 'revoked', 1, NULL, 2)",
    "INSERT OR REPLACE INTO accounts VALUES ('zoe', 'open', 'none', '', '', '', 1, 1)",
    "INSERT OR IGNORE INTO account_flags VALUES ('zoe', 'new', 'ann', 1, 'asked')",
    "UPDATE OR REPLACE api_keys SET account = 'amy' WHERE account = 'zoe'",
)


async def test_whose_account_changed_is_said_and_that_nobody_elses_did(world: World) -> None:
    for uid in ("zoe", "amy"):
        world.commit(f"INSERT INTO accounts VALUES ('{uid}', 'open', 'none', '', '', '', 1, 1)")
    await world.feed.look()
    for change in CHANGES:
        before = world.feed.generation
        world.commit(change)
        await world.feed.look()
        assert world.feed.changed_at("zoe") == world.feed.generation > before, change
        assert world.feed.changed_at("bob") == world.feed.changed_at(None) <= before, change
    assert world.feed.changed_at("amy") == world.feed.generation, "what was one's own is another's"


async def test_whose_hold_ended_is_said_and_whose_began_again_on_a_clock_set_back(world: World) -> None:
    world.hold(AT + 10)
    await world.feed.look()
    for at in (AT + 10, AT + 9, AT + 11):
        world.clock.at = at
        before = world.feed.generation
        await world.feed.look()
        assert world.feed.changed_at("alice") == world.feed.generation > before
        assert world.feed.changed_at("bob") <= before


@pytest.mark.parametrize(
    "lose",
    [
        "DELETE FROM changed_accounts",
        "UPDATE generations SET number = number + 1",
        "UPDATE generations SET number = number + 5000",
        "UPDATE generations SET number = 0",
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4100) "
            "INSERT INTO accounts SELECT 'u' || i, 'open', 'none', '', '', '', 1, 1 FROM n"
        ),
    ],
)
async def test_a_change_that_is_not_named_may_have_been_of_anybody(world: World, lose: str) -> None:
    await world.feed.look()
    world.commit()
    world.commit(lose)
    await world.feed.look()
    assert world.feed.changed_at("bob") == world.feed.changed_at(None) == world.feed.generation


async def test_the_first_look_and_every_new_connection_may_have_missed_a_change_of_anybody(world: World) -> None:
    await world.feed.look()
    assert world.feed.changed_at("bob") == world.feed.generation
    assert world.watch._thread is not None
    world.watch._thread.submit(world.watch._disconnect).result()
    await world.feed.look()
    assert world.feed.changed_at("bob") == world.feed.generation


async def test_names_are_kept_in_a_bounded_memory_and_the_oldest_only_in_the_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.feed._REMEMBERED", 3)
    for uid in ("a", "b", "c"):
        world.feed.bump(uid)
    assert world.feed.changed_at("z") == 0
    world.feed.bump("d")
    assert world.feed.changed_at("z") == world.feed.generation
    assert not world.feed._changed
    for _ in range(3):
        world.commit(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) "
            "INSERT INTO accounts SELECT hex(randomblob(8)), 'open', 'none', '', '', '', 1, 1 FROM n"
        )
    with closing(sqlite3.connect(world.path)) as database:
        assert database.execute("SELECT count(*) FROM changed_accounts").fetchone() == (10_000,)


async def test_a_hold_that_ends_changes_the_generation(world: World) -> None:
    world.hold(AT + 10)
    world.hold(AT + 20)
    await world.feed.look()
    for at, changed in ((AT + 9, False), (AT + 10, True), (AT + 19, False), (AT + 20, True), (AT + 99, False)):
        generation = world.feed.generation
        world.clock.at = at
        await world.feed.look()
        assert (world.feed.generation != generation) is changed


async def test_a_change_of_ones_own_is_counted_at_once(world: World) -> None:
    generation = world.feed.generation
    world.feed.bump()
    assert world.feed.generation != generation


@pytest.mark.parametrize(
    ("later", "fresh"),
    [(0, True), (SECOND, True), (SECOND + 1, False), (-60 * SECOND, True), (-60 * SECOND - 1, False), (2**62, False)],
)
async def test_the_generation_may_be_relied_on_for_a_second_after_a_look(world: World, later: int, fresh: bool) -> None:
    assert not world.feed.fresh(AT)
    await world.feed.look()
    assert world.feed.fresh(AT + later) is fresh


async def test_a_look_counts_from_before_it_began(world: World) -> None:
    """What is committed while the look is under way may be missing from it."""
    await world.feed.look()
    observe = world.watch._observe

    def slow(now: int, *more: object) -> object:
        world.clock.at += 5 * SECOND
        return observe(now, *more)

    world.watch._observe = slow
    world.clock.at += 10
    await world.feed.look()
    assert world.feed.fresh(AT + 10 + SECOND)
    assert not world.feed.fresh(AT + 11 + SECOND)


async def test_the_feed_goes_on_looking_and_says_once_what_it_lost_and_found(world: World, tmp_path: Path) -> None:
    with capture_logs() as logs:
        await world.feed.start()
        await world.feed.start()
        generation = world.feed.generation
        world.commit()
        await until(lambda: world.feed.generation != generation)
        away = world.path.rename(tmp_path / "away.db")
        await until(lambda: bool(logs))
        generation = world.feed.generation
        away.rename(world.path)
        await until(lambda: len(logs) > 1)
        world.commit()
        await until(lambda: world.feed.generation != generation)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("store:lost", "error"),
        ("store:found", "warning"),
    ]
    await world.feed.close()
    assert not world.feed.fresh(AT)


async def test_a_feed_that_cannot_look_does_not_start(tmp_path: Path) -> None:
    world = World(tmp_path / "absent.db")
    with pytest.raises(StoreUnavailable, match="No such file"):
        await world.feed.start()
    await world.feed.close()


async def test_a_look_vouches_for_what_was_counted_before_it_and_not_for_what_it_finds(world: World) -> None:
    heard: list[Heard] = []
    world.feed.on_look = heard.append
    await world.feed.look()
    world.commit("INSERT INTO accounts VALUES ('alice', 'open', 'none', '', '', '', 1, 1)")
    await world.feed.look()
    await world.feed.look()

    first, found, after = heard
    assert found.number == after.number == first.number + 1
    assert found.generation < world.feed.changed_at("alice") <= after.generation
    assert first.since == found.since == after.since == AT


async def test_a_new_connection_vouches_for_nothing_from_before_it(world: World) -> None:
    heard: list[Heard] = []
    world.feed.on_look = heard.append
    await world.feed.look()
    world.clock.at += SECOND
    await world.feed.look()
    await asyncio.get_running_loop().run_in_executor(world.watch._thread, world.watch._disconnect)
    await world.feed.look()

    assert [one.since for one in heard] == [AT, AT, AT + SECOND]


async def test_whoever_asks_is_told_of_each_commit_that_is_made_here(world: World) -> None:
    told: list[int] = []
    world.feed.on_own_change = lambda: told.append(world.feed.commits)
    world.feed.bump("alice")
    world.feed.bump_commits()
    world.commit()
    await world.feed.look()

    assert told == [1, 2]
