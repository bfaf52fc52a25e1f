"""Too much to do is said at once: looks are refused first, money last, and one long task refuses nobody."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.core.failing import Kind
from gateway.service import load as module
from gateway.service.load import AT_ONCE, Load, TooMuch


async def filled(load: Load, number: int, stack: AsyncExitStack) -> None:
    for _ in range(number):
        await stack.enter_async_context(load.place(Kind.MONEY))


@pytest.mark.parametrize(
    ("in_work", "taken"),
    [
        (0, {Kind.LOOKS, Kind.CHANGES, Kind.MONEY}),
        (20, {Kind.CHANGES, Kind.MONEY}),
        (30, {Kind.MONEY}),
        (40, set()),
    ],
)
async def test_looks_are_refused_first_and_money_last(in_work: int, taken: set[Kind]) -> None:
    load = Load(most=40)
    load.in_work = in_work
    assert {kind for kind in Kind if load.takes(kind)} == taken
    for kind in set(Kind) - taken:
        with pytest.raises(TooMuch):
            async with load.place(kind):
                pytest.fail("there was no room")
    for kind in taken:
        async with load.place(kind):
            assert load.in_work == in_work + 1
    assert load.in_work == in_work


@pytest.mark.parametrize(
    ("late", "taken"),
    [(0.2, 3), (0.25, 2), (0.49, 2), (0.5, 1), (0.99, 1), (1.0, 0)],
)
def test_a_loop_that_stays_late_refuses_in_the_same_order(late: float, taken: int) -> None:
    load = Load(late_s=0.25)
    for _ in range(4):
        load.saw(late)
    assert [kind for kind in (Kind.MONEY, Kind.CHANGES, Kind.LOOKS) if load.takes(kind)] == [
        Kind.MONEY,
        Kind.CHANGES,
        Kind.LOOKS,
    ][:taken]


def test_one_long_task_is_no_overload_and_one_quick_look_ends_one() -> None:
    load = Load()
    for late in (0, 0, 0, 60):
        load.saw(late)
    assert load.takes(Kind.LOOKS)
    for _ in range(4):
        load.saw(9)
    assert not load.takes(Kind.MONEY)
    load.saw(0)
    assert load.takes(Kind.LOOKS)


async def test_whoever_waits_too_long_for_a_turn_is_refused_and_leaves_nothing_behind() -> None:
    load = Load(place_within_s=0.01)
    async with AsyncExitStack() as stack:
        await filled(load, AT_ONCE, stack)
        with pytest.raises(TooMuch):
            async with load.place(Kind.MONEY):
                pytest.fail("there was no turn")
        assert load.in_work == AT_ONCE
    async with load.place(Kind.LOOKS):
        assert load.in_work == 1


async def test_so_many_ask_at_a_time_and_the_rest_takes_its_turn() -> None:
    load = Load()
    most = now = 0

    async def work() -> None:
        nonlocal most, now
        async with load.place(Kind.CHANGES):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*[work() for _ in range(5 * AT_ONCE)])
    assert (most, load.in_work) == (AT_ONCE, 0)


async def test_the_loop_is_watched(monkeypatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.001)
    load = Load()
    load.late = -1.0
    task = asyncio.ensure_future(load.watch())
    async with asyncio.timeout(10):
        while load.late < 0:  # noqa: ASYNC110 - what it waits for is a number that the watch sets
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
