import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.adapters.migration import migrate
from gateway.adapters.schema import REVISION
from gateway.core.errors import StoreUnavailable
from tests.adapters.feeds import World
from tests.stores import SECOND


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    path = tmp_path / "gateway.db"
    migrate(path)
    world = World(path)
    yield world
    await world.feed.close()


async def test_a_new_connection_is_a_change_though_its_numbers_are_the_same(world: World) -> None:
    """SQLite's data_version means nothing across connections: a commit in between must not go unseen."""
    await world.feed.look()
    generation = world.feed.generation
    assert world.watch._thread is not None
    world.watch._thread.submit(world.watch._disconnect).result()
    await world.feed.look()
    assert world.feed.generation != generation


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.unlink(), "No such file or directory"),
        (lambda path: shutil.copy(path, path.with_suffix(".new")).rename(path), "another file was put in its place"),
        (lambda path: path.write_bytes(b"x" * 9000), "malformed|not a database"),
        (lambda path: path.write_bytes(b""), "no such table|malformed|disk I/O"),
    ],
    ids=["removed", "replaced", "garbage", "empty"],
)
async def test_a_file_that_cannot_be_read_is_not_heard_from(
    world: World, spoil: Callable[[Path], object], why: str
) -> None:
    await world.feed.look()
    spoil(world.path)
    world.clock.at += SECOND + 1
    with pytest.raises(StoreUnavailable, match=why):
        await world.feed.look()
    assert not world.feed.fresh(world.clock.at)


async def test_a_file_at_another_revision_is_not_looked_at(world: World) -> None:
    world.commit("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreUnavailable, match=f"at revision 9999, and this gateway needs {REVISION}"):
        await world.feed.start()


async def test_a_file_that_does_not_count_its_changes_is_not_heard_from(world: World) -> None:
    await world.feed.look()
    world.commit("DELETE FROM generations")
    world.clock.at += SECOND + 1
    with pytest.raises(StoreUnavailable, match="count of changes is gone"):
        await world.feed.look()
    assert not world.feed.fresh(world.clock.at)
