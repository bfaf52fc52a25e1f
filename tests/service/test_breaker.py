"""What does not answer in time is left alone, asked again by one at a time, and taken back once it answers."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.core.errors import StoreUnavailable
from gateway.service.breaker import SLOW_US, Breaker
from tests.world import SECOND, FakeClock


class Part:
    """Answers, or fails after a while, as it is told."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.asked = 0
        self.takes = SECOND // 4
        self.fault: type[BaseException] | None = StoreUnavailable

    async def read(self, name: str) -> str:
        self.asked += 1
        self.clock.at += self.takes
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return name


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def part(clock: FakeClock) -> Part:
    return Part(clock)


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker("store", clock, StoreUnavailable, faults=3)


async def fail(breaker: Breaker, part: Part, times: int, fault: type[BaseException] = StoreUnavailable) -> None:
    for _ in range(times):
        with pytest.raises(fault):
            await breaker.ask(part.read, "alice")


async def test_what_fails_slowly_some_times_in_a_row_is_asked_no_more(breaker, part) -> None:
    with capture_logs() as logs:
        await fail(breaker, part, 8)
    assert (part.asked, breaker.is_open, breaker.opened, breaker.refused) == (3, True, 1, 5)
    assert [one["event"] for one in logs] == ["breaker:opened"]


async def test_nobody_waits_for_what_is_left_alone(breaker, part, clock) -> None:
    await fail(breaker, part, 3)
    before = clock.at
    await fail(breaker, part, 50)
    assert clock.at == before


async def test_what_fails_at_once_makes_nobody_wait_and_is_asked_again(breaker, part) -> None:
    part.takes = SLOW_US - 1
    await fail(breaker, part, 20)
    assert (part.asked, breaker.is_open) == (20, False)


async def test_one_answer_begins_the_count_anew(breaker, part) -> None:
    await fail(breaker, part, 2)
    part.fault = None
    assert await breaker.ask(part.read, "alice") == "alice"
    part.fault = StoreUnavailable
    await fail(breaker, part, 2)
    assert not breaker.is_open


async def test_after_a_rest_one_asks_for_all_and_an_answer_takes_it_back(breaker, part, clock) -> None:
    await fail(breaker, part, 3)
    clock.at += SECOND
    part.fault = None
    answers = await asyncio.gather(*[breaker.ask(part.read, "alice") for _ in range(9)], return_exceptions=True)
    assert answers[0] == "alice"
    assert [type(one) for one in answers[1:]] == [StoreUnavailable] * 8
    assert (part.asked, breaker.is_open) == (4, False)
    assert await breaker.ask(part.read, "bob") == "bob"


async def test_a_probe_that_fails_slowly_begins_another_rest(breaker, part, clock) -> None:
    await fail(breaker, part, 3)
    clock.at += SECOND
    await fail(breaker, part, 2)
    assert (part.asked, breaker.is_open, breaker.opened) == (4, True, 1)


async def test_a_probe_that_fails_at_once_shows_that_nobody_would_wait(breaker, part, clock) -> None:
    await fail(breaker, part, 3)
    clock.at += SECOND
    part.takes = 0
    await fail(breaker, part, 2)
    assert (part.asked, breaker.is_open) == (5, False)


async def test_whoever_gives_up_waiting_counts_and_holds_no_probe(breaker, part, clock) -> None:
    part.fault = asyncio.CancelledError
    await fail(breaker, part, 3, asyncio.CancelledError)
    assert breaker.is_open
    clock.at += SECOND
    await fail(breaker, part, 1, asyncio.CancelledError)
    clock.at += SECOND
    part.fault = None
    assert await breaker.ask(part.read, "alice") == "alice"


async def test_whoever_hangs_whatever_is_done_is_left_behind_and_counts(clock) -> None:
    let_go = asyncio.Event()
    given_up = 0

    async def stuck() -> None:
        """Hang as a driver does that is stuck in the system: it cannot be given up."""
        nonlocal given_up
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                given_up += 1

    breaker = Breaker("store", clock, StoreUnavailable, faults=2, within_s=0.01)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"no answer within 0\.01 s"):
            await breaker.ask(stuck)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await Breaker("store", clock, StoreUnavailable, within_s=60).ask(stuck)
    await asyncio.sleep(0)
    let_go.set()
    assert (breaker.is_open, given_up, len(breaker._left)) == (True, 3, 2)
    async with asyncio.timeout(10):
        while breaker._left:  # noqa: ASYNC110 - nobody tells when the last one is gone
            await asyncio.sleep(0)


async def test_what_is_left_behind_may_fail_unheard(clock) -> None:
    async def late() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise StoreUnavailable("too late") from None

    breaker = Breaker("store", clock, StoreUnavailable, within_s=0.01)
    with pytest.raises(StoreUnavailable, match="no answer"):
        await breaker.ask(late)
    await asyncio.sleep(0.01)
    assert not breaker._left


async def test_a_clock_that_is_set_back_does_not_keep_it_open(breaker, part, clock) -> None:
    await fail(breaker, part, 3)
    clock.at -= 3600 * SECOND
    part.fault = None
    assert await breaker.ask(part.read, "alice") == "alice"
