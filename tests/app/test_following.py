import asyncio

from gateway.app.finding import Found
from gateway.app.following import follow
from gateway.core.search import Search
from tests.app.test_finding import Recorder, recorder  # noqa: F401 - the fixture
from tests.contract.stretches import AT


async def next_ids(following, number: int) -> list[str]:
    return [(await asyncio.wait_for(anext(following), 10))["id"] for _ in range(number)]


async def test_each_new_decision_comes_once_and_the_oldest_first(recorder: Recorder) -> None:  # noqa: F811
    found = Found(recorder.archive, recorder.directory)
    await recorder.decide(2)
    await found.look()
    following = follow(found, Search(), AT, 0.001)
    assert await next_ids(following, 2) == recorder.ids(0, 1)
    await recorder.ship()
    await recorder.decide(2, "bob")
    assert await next_ids(following, 2) == recorder.ids(2, 3)
    await recorder.ship()
    await recorder.decide(1)
    assert await next_ids(following, 1) == recorder.ids(4)
    await following.aclose()


async def test_only_what_is_searched_for_and_made_since_comes(recorder: Recorder) -> None:  # noqa: F811
    found = Found(recorder.archive, recorder.directory)
    await recorder.decide(2)
    await recorder.decide(2, "bob")
    await found.look()
    following = follow(found, Search(account="bob"), AT + 3000, 0.001)
    assert await next_ids(following, 1) == recorder.ids(3)
    await following.aclose()
    following = follow(found, Search(account="bob", since=AT), AT + 3000, 0.001)
    assert await next_ids(following, 2) == recorder.ids(2, 3)
    await following.aclose()


async def test_it_ends_when_cancelled_though_the_archive_kept_that_to_itself(recorder: Recorder) -> None:  # noqa: F811
    asking = asyncio.Event()

    class Keeping(Found):
        async def look(self) -> None:
            asking.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return  # as a driver does whose answer came at the same instant

    found = Keeping(recorder.archive, recorder.directory)

    async def followed() -> None:
        async for _ in follow(found, Search(), AT, 0.001):
            pass

    following = asyncio.get_running_loop().create_task(followed())
    await asking.wait()
    following.cancel()
    await asyncio.wait_for(following, 10)
