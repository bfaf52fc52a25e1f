"""Forgetting in PostgreSQL: whole days, the rest, and the rulings that nothing names any more."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import pytest

from gateway.adapters.archive import postgres_retention
from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.postgres_schema import DAY_MS, millisecond_of
from gateway.core.errors import StoreUnavailable
from gateway.core.keeping import Keep
from gateway.core.search import Search
from tests.contract.stretches import AT, decision, ruling, stretch
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

HOUR = 3_600_000_000
DAY = 24 * HOUR
FIRST = AT // DAY


def all_before(instant: int) -> Mapping[Keep, int]:
    return dict.fromkeys(Keep, instant)


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
    assert await archive.forget(all_before(before)) == await memory.forget(all_before(before))
    assert await archive.search(Search()) == await memory.search(Search())
    assert await archive.counts(0, 1 << 62) == counted
    days, rulings = await left(archive)
    assert rulings == set(memory._rulings)
    gone = min(max(int(hours // 24), 0), 5)
    assert days == [f"decisions_{FIRST + day}" for day in range(gone, 5)] + ["decisions_other"]
    assert await archive.forget(all_before(before)) == 0


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
        assert await archive.forget(all_before(day * DAY)) == await memory.forget(all_before(day * DAY))
        assert await archive.search(Search()) == await memory.search(Search())
        assert (await left(archive))[1] == set(memory._rulings)


async def test_what_is_taken_after_forgetting_finds_its_place_again(archive: PostgresArchive) -> None:
    memory = await filled(archive)
    for one in (archive, memory):
        assert await one.forget(all_before((FIRST + 9) * DAY)) == 24
    assert await filled_again(archive) == await filled_again(memory) == 3
    assert await archive.search(Search()) == await memory.search(Search())


async def filled_again(archive: PostgresArchive | MemoryArchive) -> int:
    document = ruling(account="u1")
    made = [decision(n, document, (FIRST + n) * DAY) for n in range(3)]
    return await archive.take(stretch(made, [document], segment=5))


CLASSES = {
    Keep.MONEY: ruling(operation="withdraw", outcome="deny"),
    Keep.REFUSED: ruling(operation="view", outcome="deny"),
    Keep.REST: ruling(operation="view", outcome="allow", reason=None, rules=()),
}


async def filled_with_classes(archive: PostgresArchive) -> MemoryArchive:
    """Give both archives three days with eight decisions of each class a day."""
    memory = MemoryArchive()
    made = [
        decision(hour * 10 + place, document, FIRST * DAY + hour * HOUR)
        for hour in range(0, 72, 3)
        for place, document in enumerate(CLASSES.values())
    ]
    for one in (archive, memory):
        assert await one.take(stretch(made, CLASSES.values())) == 72
    return memory


@pytest.mark.parametrize(
    ("days", "partitions", "cleared"),
    [
        ({Keep.REST: 2}, 4, {0: 4, 1: 4}),
        ({Keep.REST: 1.5, Keep.REFUSED: 1}, 4, {0: 6}),
        ({Keep.MONEY: 1, Keep.REFUSED: 2, Keep.REST: 3}, 3, {1: 6, 2: 4}),
        ({Keep.MONEY: 9, Keep.REFUSED: 9, Keep.REST: 0}, 4, {0: 3, 1: 3, 2: 3, 3: 3}),
        ({}, 4, {}),
    ],
)
async def test_each_class_goes_at_its_own_time(
    archive: PostgresArchive, days: Mapping[Keep, float], partitions: int, cleared: Mapping[int, int]
) -> None:
    memory = await filled_with_classes(archive)
    before = {keep: FIRST * DAY + int(number * DAY) for keep, number in days.items()}
    for _ in range(2):
        assert await archive.forget(before) == await memory.forget(before)
        assert await archive.search(Search()) == await memory.search(Search())
    names, rulings = await left(archive)
    assert len(names) == partitions + 1
    assert rulings == set(memory._rulings)
    assert archive._pool is not None
    noted = await archive._pool.fetch("SELECT day, cleared FROM days WHERE cleared <> 0")
    assert {row["day"] - FIRST: row["cleared"] for row in noted} == cleared


async def test_what_comes_late_to_a_day_that_was_cleared_is_forgotten_too(archive: PostgresArchive) -> None:
    memory = await filled_with_classes(archive)
    before = {Keep.REST: FIRST * DAY + DAY}
    document = CLASSES[Keep.REST]
    late = stretch([decision(7777, document, FIRST * DAY + 5)], [document], worker="late")
    for one in (archive, memory):
        assert await one.forget(before) == 8
        assert await one.take(late) == 1
        assert await one.forget(before) == 1
    assert await archive.search(Search()) == await memory.search(Search())


async def test_whoever_forgets_waits_for_whoever_does_so_already(
    archive: PostgresArchive, postgres_database: str
) -> None:
    await filled(archive)
    other = PostgresArchive(postgres_database)
    await other.start()
    gone = await asyncio.gather(
        *(one.forget(all_before((FIRST + 2) * DAY)) for one in (archive, other) for _ in range(3))
    )
    assert sorted(gone) == [0] * 5 + [12]
    await other.close()


async def test_what_failed_in_between_is_finished_by_the_next(
    archive: PostgresArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = await filled_with_classes(archive)
    forget_rulings = postgres_retention._forget_rulings

    async def fail(connection: Any, low: UUID, high: UUID) -> None:
        if millisecond_of(high) - millisecond_of(low) == DAY_MS:
            raise OSError("the disk went away")
        await forget_rulings(connection, low, high)

    for before in ({Keep.REST: FIRST * DAY + DAY}, all_before(FIRST * DAY + DAY)):
        await memory.forget(before)
        with monkeypatch.context() as patched:
            patched.setattr(postgres_retention, "_forget_rulings", fail)
            with pytest.raises(StoreUnavailable, match="the disk went away"):
                await archive.forget(before)
        assert await archive.forget(before) == 0
        assert (await left(archive))[1] == set(memory._rulings)
        assert archive._pool is not None
        epochs = await archive._pool.fetch(
            "SELECT epoch FROM rulings r WHERE NOT EXISTS (SELECT FROM decisions d WHERE d.ruling = r.number)"
        )
        assert epochs == [], "rulings that nothing names are gone"
