import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.once import Answer, KeptBefore, OnceStore
from tests.stores import AT, DAY, KINDS, SetClock, opened


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=KINDS)
async def once(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[OnceStore]:
    async with opened(tmp_path, clock, request.param) as store:
        yield OnceStore(store)


async def test_a_name_is_new_once_for_each_issuer(once: OnceStore) -> None:
    assert not await once.seen("https://idp.example", "j-1")
    came = await asyncio.gather(*(once.first("https://idp.example", "j-1", AT + DAY) for _ in range(20)))
    assert sum(came) == 1
    assert await once.seen("https://idp.example", "j-1")
    assert await once.first("https://other.example", "j-1", AT + DAY)


async def test_where_the_issuer_ends_and_the_name_begins_is_part_of_it(once: OnceStore) -> None:
    assert await once.first("a", "bc", AT + DAY)
    assert await once.first("ab", "c", AT + DAY)


async def keep(once: OnceStore, caller: str, key: str, answer: Answer, until: int) -> None:
    async with once._store.writing("keep an answer") as connection:
        await connection.run_sync(once.keeping(caller, key, answer.request, until), answer.body)


async def test_the_first_answer_under_a_key_stays_for_its_time(once: OnceStore, clock: SetClock) -> None:
    first, second = Answer(b"r" * 32, 200, b"{}"), Answer(b"s" * 32, 200, b"[]")
    assert await once.answer("ann", "key") is None
    await keep(once, "ann", "key", first, AT + DAY)
    with pytest.raises(KeptBefore):
        await keep(once, "ann", "key", second, AT + DAY)
    assert await once.answer("ann", "key") == first
    assert await once.answer("ben", "key") is None
    clock.at = AT + DAY
    assert await once.answer("ann", "key") is None
    await keep(once, "ann", "key", second, AT + 2 * DAY)
    assert await once.answer("ann", "key") == second


async def test_what_is_over_is_forgotten_and_nothing_else(once: OnceStore, clock: SetClock) -> None:
    await once.first("a", "old", AT + DAY)
    await once.first("a", "new", AT + 3 * DAY)
    await keep(once, "ann", "key", Answer(b"r" * 32, 200, b"{}"), AT + DAY)
    clock.at = AT + 2 * DAY
    assert await once.forget() == 2
    assert await once.seen("a", "new")
    assert not await once.seen("a", "old")
