"""Forgetting in PostgreSQL: whole days, the rest, and the rulings that nothing names any more."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.core.decision import Document
from gateway.core.search import Search
from tests.contract.stretches import AT, decision, ruling, stretch
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

HOUR = 3_600_000_000
DAY = 24 * HOUR
FIRST = AT // DAY


@pytest.fixture
async def archive(postgres_database: str) -> AsyncIterator[PostgresArchive]:
    archive = PostgresArchive(postgres_database)
    await archive.start()
    yield archive
    await archive.close()


async def filled(archive: PostgresArchive) -> MemoryArchive:
    """Give the archive, and the one in memory that comes back, four days of decisions, one every four hours."""
    memory = MemoryArchive()
    documents = [ruling(account=f"u{n}") for n in range(8)] + [ruling(account="always")]
    made = [
        decision(hour, document, FIRST * DAY + hour * HOUR + hour)
        for hour in range(0, 96, 4)
        for document in [documents[8 if hour % 8 else hour // 12]]
    ]
    for one in (archive, memory):
        assert await one.take(stretch(made, documents)) == 24
    return memory


async def left(archive: PostgresArchive) -> tuple[list[Any], set[bytes]]:
    assert archive._pool is not None
    rows = await archive._pool.fetch("SELECT inhrelid::regclass::text FROM pg_inherits ORDER BY 1")
    rulings = await archive._pool.fetch("SELECT digest FROM rulings")
    return [row[0] for row in rows if "decisions_" in row[0] and "idx" not in row[0] and "key" not in row[0]], {
        row["digest"] for row in rulings
    }


@pytest.mark.parametrize("hours", [-1, 0, 5, 24, 24.2, 47, 48.0001, 72, 95, 96, 500])
async def test_what_is_left_is_what_was_made_later(archive: PostgresArchive, hours: float) -> None:
    memory = await filled(archive)
    before = FIRST * DAY + int(hours * HOUR)
    counted = await archive.counts(0, 1 << 62)
    assert await archive.forget(before) == await memory.forget(before)
    assert await archive.search(Search()) == await memory.search(Search())
    assert await archive.counts(0, 1 << 62) == counted
    days, rulings = await left(archive)
    assert rulings == set(memory._rulings)
    gone = min(max(int(hours // 24), 0), 5)
    assert days == [f"decisions_{FIRST + day}" for day in range(gone, 5)] + ["decisions_other"]
    assert await archive.forget(before) == 0


async def test_rows_that_lie_apart_from_their_ids_time_are_forgotten_by_when_they_were_made(
    archive: PostgresArchive,
) -> None:
    memory = await filled(archive)
    document = ruling(account="odd")
    odd = [
        decision(900, document, (FIRST + 1) * DAY, id=decision(900, document, (FIRST - 2) * DAY).id),
        decision(901, document, (FIRST - 1) * DAY, id=decision(901, document, (FIRST + 3) * DAY).id),
        decision(902, document, -7),
    ]
    for one in (archive, memory):
        assert await one.take(stretch(odd, [document], segment=2)) == 3
    for day in (FIRST, FIRST + 1, FIRST + 2, FIRST + 9):
        assert await archive.forget(day * DAY) == await memory.forget(day * DAY)
        assert await archive.search(Search()) == await memory.search(Search())
        assert (await left(archive))[1] == set(memory._rulings)


async def test_what_is_taken_after_forgetting_finds_its_place_again(archive: PostgresArchive) -> None:
    memory = await filled(archive)
    await archive.forget((FIRST + 9) * DAY)
    await memory.forget((FIRST + 9) * DAY)
    assert await filled_again(archive) == await filled_again(memory) == 3
    assert await archive.search(Search()) == await memory.search(Search())


async def filled_again(archive: PostgresArchive | MemoryArchive) -> int:
    document = ruling(account="u1")
    made = [decision(n, document, (FIRST + n) * DAY) for n in range(3)]
    return await archive.take(stretch(made, [document], segment=5))


async def test_each_whole_day_is_exported_before_it_goes(archive: PostgresArchive) -> None:
    memory = await filled(archive)
    expected = {one["id"]: one for one in (await memory.search(Search())).documents}
    exported: dict[int, list[Document]] = {}

    async def export(day: int, decisions: AsyncIterator[Document]) -> None:
        exported[day] = [one async for one in decisions]

    assert await archive.forget(FIRST * DAY + 50 * HOUR, export) == 12
    assert {day: len(found) for day, found in exported.items()} == {FIRST: 6, FIRST + 1: 6}
    assert all(expected[one["id"]] == one for found in exported.values() for one in found)
    assert [one["id"] for one in exported[FIRST]] == sorted(one["id"] for one in exported[FIRST])
    assert len((await archive.search(Search())).documents) == 12


async def test_a_day_whose_export_fails_stays(archive: PostgresArchive) -> None:
    await filled(archive)

    async def export(day: int, decisions: AsyncIterator[Document]) -> None:
        await anext(decisions)
        if day > FIRST:
            raise LookupError("no room for the file")

    async def all_of_it(day: int, decisions: AsyncIterator[Document]) -> None:
        assert [one async for one in decisions]

    with pytest.raises(LookupError, match="no room"):
        await archive.forget((FIRST + 4) * DAY, export)
    assert len((await archive.search(Search())).documents) == 24, "a day that was not read to its end is not dropped"
    assert await archive.forget((FIRST + 4) * DAY, all_of_it) == 24


async def test_a_day_that_is_added_to_while_it_is_exported_stays(archive: PostgresArchive) -> None:
    await filled(archive)
    document = ruling()
    late = stretch([decision(777, document, FIRST * DAY + 9)], [document], worker="late")
    takers = [archive.take]

    async def export(day: int, decisions: AsyncIterator[Document]) -> None:
        assert len([one async for one in decisions]) >= 6
        while takers:
            assert await takers.pop()(late) == 1

    assert await archive.forget((FIRST + 1) * DAY, export) == 0
    assert await archive.forget((FIRST + 1) * DAY, export) == 7
