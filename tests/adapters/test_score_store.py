import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.adapters.schema import EVERYONE
from gateway.adapters.score_store import ScoreStore
from gateway.adapters.sql import AccountStore
from gateway.core.anomaly import Score
from gateway.core.forgetting import DAY
from gateway.core.score_days import ScoreDays
from tests.stores import AT, KINDS, SetClock, opened


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountStore]:
    async with opened(tmp_path, SetClock(), request.param) as store:
        yield store


def counted(count: int = 1, back: int = 0) -> ScoreDays:
    found = ScoreDays()
    for _ in range(count):
        found.count(AT - back * DAY, Score(1.0, ()), held=True, drawn=True)
    return found


def total(days: ScoreDays) -> int:
    return sum(day.withdrawals for day in days.days.values())


async def test_counts_of_many_at_once_are_all_kept(store: AccountStore) -> None:
    stores = [ScoreStore(store) for _ in range(4)]
    await asyncio.gather(*(one.add(counted(3)) for one in stores for _ in range(5)))

    assert total(await ScoreStore(store).add(ScoreDays())) == 60


async def test_looking_without_counts_writes_nothing(store: AccountStore) -> None:
    await ScoreStore(store).add(ScoreDays())

    async with store.reading("look") as connection:
        assert (await connection.execute(sa.select(EVERYONE))).all() == []


async def test_days_that_draw_nothing_any_more_are_forgotten(store: AccountStore) -> None:
    scores = ScoreStore(store)
    await scores.add(counted(5, back=70))

    assert total(await scores.add(counted(1))) == 1


async def test_damaged_counts_begin_anew(store: AccountStore) -> None:
    scores = ScoreStore(store)
    await scores.add(counted(5))
    async with store.writing("damage them") as connection:
        await connection.execute(sa.update(EVERYONE).values(blob=b"no"))

    assert total(await scores.add(ScoreDays())) == 0
    assert total(await scores.add(counted(2))) == 2
