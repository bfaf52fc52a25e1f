"""The archive in a file, read through: beyond what every archive does alike (`tests/contract/test_simulation.py`)."""

import pytest

from gateway.adapters.archive import sqlite_alike
from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.archive.sqlite_alike import moment_of
from gateway.core.errors import StoreUnavailable
from tests.recorded import AT, HOUR, bundle, facts, recorded


@pytest.fixture
async def archive(tmp_path):
    opened = SqliteArchive(tmp_path / "decisions.db")
    await opened.start()
    yield opened
    await opened.close()


async def counted(moment, since=0, until=1 << 60) -> int:
    return sum([one.decisions async for some in moment.alike(since, until) for one in some])


async def test_what_is_taken_meanwhile_is_not_seen(archive) -> None:
    await archive.take(recorded([facts()], bundle()))
    async with archive.moment() as moment:
        await archive.take(recorded([facts(at=AT + HOUR), facts(at=AT + 2 * HOUR)], bundle(), worker="w1"))
        assert dict(moment.taken) == {"w0": (1, 1000)}
        assert await counted(moment) == 1
    async with archive.moment() as moment:
        assert await counted(moment) == 3


async def test_hours_within_and_hours_at_the_edge_add_up(archive) -> None:
    await archive.take(recorded([facts(at=AT + number * HOUR // 7) for number in range(70)], bundle()))
    async with archive.moment() as moment:
        for first, end in ((0, 70), (3, 9), (11, 12), (20, 69), (69, 70)):
            assert await counted(moment, AT + first * HOUR // 7, AT + end * HOUR // 7) == end - first


async def test_a_reading_that_takes_too_long_is_given_up(archive, monkeypatch) -> None:
    await archive.take(recorded([facts(account=f"a{number}") for number in range(3000)], bundle()))
    async with archive.moment() as moment:
        monkeypatch.setattr(sqlite_alike, "STEP_WITHIN_S", -1.0)
        monkeypatch.setattr(sqlite_alike, "_LOOK_EVERY", 1)
        with pytest.raises(StoreUnavailable, match="could not read it through"):
            await counted(moment)


async def test_where_there_is_no_file_that_is_said(tmp_path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open"):
        async with moment_of(tmp_path / "none.db"):
            pass


async def test_a_file_of_before_there_were_matters_is_brought_to_have_them(tmp_path) -> None:
    archive = SqliteArchive(tmp_path / "old.db")
    await archive.start()
    await archive.take(recorded([facts()], bundle()))
    archive._writer.execute("ALTER TABLE rulings DROP COLUMN matter")
    archive._writer.execute("DROP INDEX decisions_by_trace")
    for column in ("parent", "trace"):
        archive._writer.execute(f"ALTER TABLE decisions DROP COLUMN {column}")
    archive._writer.execute("PRAGMA user_version=1")
    await archive.close()
    await archive.start()
    await archive.take(recorded([facts(at=AT + HOUR)], bundle(), worker="w1"))
    async with archive.moment() as moment:
        matters = {one.matter async for some in moment.alike(0, 1 << 60) for one in some}
    assert len(matters) == 1
    await archive.close()
