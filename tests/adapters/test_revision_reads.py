"""What is asked of revisions: which there are, and who runs which."""

import pytest

from gateway.adapters.revision_reads import FORGOTTEN_US, Run
from tests.adapters.test_revisions import a_desk
from tests.stores import AT, KINDS, rows


@pytest.fixture(params=KINDS)
async def desk(request, tmp_path):
    async with a_desk(tmp_path, request.param) as found:
        yield found


async def test_a_revision_is_found_by_number_and_by_the_beginning_of_its_digest(desk) -> None:
    one = await desk.publish("one")
    for wanted in ("1", one.digest, one.digest[:6]):
        assert await desk.revisions.revision(wanted) == one
    for wanted in ("2", "abc", "", "1; DROP", "%", one.digest[:6].upper() + "g"):
        assert await desk.revisions.revision(wanted) is None


async def test_processes_say_what_they_run_until_they_take_leave_or_are_forgotten(desk) -> None:
    one = Run("w1", "host", "a" * 64, AT, AT)
    two = Run("w2", "host", "a" * 64, AT, AT, "b" * 64, "no source")
    for run in (one, two, one._replace(digest="b" * 64, since=AT + 1)):
        await desk.revisions.acknowledge(run)
    assert await desk.revisions.runs() == (one._replace(digest="b" * 64, since=AT + 1), two)
    await desk.revisions.depart("w2")
    assert [run.worker for run in await desk.revisions.runs()] == ["w1"]
    desk.clock.at += FORGOTTEN_US + 1
    assert await desk.revisions.runs() == ()
    await desk.revisions.acknowledge(two._replace(seen_at=desk.clock.at))
    assert rows(desk.store, "SELECT worker FROM policy_runs") == [("w2",)]


async def test_revisions_are_listed_the_newest_first_by_state_and_page(desk) -> None:
    for name in ("one", "two", "three"):
        await desk.publish(name)
    assert [one.number for one in await desk.revisions.revisions(limit=2)] == [3, 2]
    assert [one.number for one in await desk.revisions.revisions(before=2)] == [1]
    assert [one.number for one in await desk.revisions.revisions("superseded")] == [2, 1]
