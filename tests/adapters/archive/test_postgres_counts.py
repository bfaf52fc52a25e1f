"""Counts in PostgreSQL, by hour, by day and in all."""

import random
from collections.abc import AsyncIterator

import pytest

from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.ports import Step
from tests.contract.stretches import AT, decision, ruling, stretch
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

HOUR = 3_600_000_000
DAY = 24 * HOUR
MIDNIGHT = AT // DAY * DAY


@pytest.fixture
async def archive(postgres_database: str) -> AsyncIterator[PostgresArchive]:
    archive = PostgresArchive(postgres_database)
    await archive.start()
    yield archive
    await archive.close()


async def test_whichever_hours_are_asked_for_each_is_counted_once(archive: PostgresArchive) -> None:
    memory, draw = MemoryArchive(), random.Random(4)
    documents = [ruling(operation=one) for one in ("view", "withdraw", "login")]
    ats = [MIDNIGHT + draw.randrange(-3 * DAY, 3 * DAY) for _ in range(300)] + [-5, -DAY, -DAY - 1, 0]
    made = [decision(n, draw.choice(documents), at) for n, at in enumerate(ats)]
    for one in (archive, memory):
        for part, end in ((made[:150], 5), (made[100:], 9)):
            await one.take(stretch(part, documents, end=end))
    edges = [MIDNIGHT + days * DAY + some for days in (-2, 0, 1) for some in (0, 1, HOUR, 11 * HOUR - 1, DAY - 1)]
    edges += [-(1 << 80), -2 * DAY, -DAY, 0, 1 << 80]
    for since in edges:
        for until in edges:
            for step in Step:
                found = [await one.counts(since, until, step=step) for one in (archive, memory)]
                assert [one.start for one in found[0]] == sorted(one.start for one in found[0])
                assert sorted(found[0], key=repr) == sorted(found[1], key=repr), (since, until, step)
