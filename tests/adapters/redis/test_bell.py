"""Rings between processes, so to speak: bells on links of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.adapters.redis import bell as bell_module
from gateway.adapters.redis.bell import Bell
from gateway.adapters.redis.link import Link
from gateway.core.errors import StoreUnavailable
from tests.adapters.redis.conftest import linked, place, until
from tests.redis_server import RedisServer, Relay


class Looks:
    def __init__(self, fault: Exception | None = None) -> None:
        self.number = 0
        self.fault = fault

    async def __call__(self) -> None:
        self.number += 1
        if self.fault is not None:
            raise self.fault


@asynccontextmanager
async def listening(link: Link, looks: Looks, name: str) -> AsyncIterator[Bell]:
    bell = Bell(link, "bell", looks, name=name)
    await bell.start()
    await until(lambda: bell.listening)
    # The first look is for what was rung before.
    await until(lambda: looks.number)
    yield bell
    await bell.close()


@pytest.fixture
async def pair(redis_server: RedisServer) -> AsyncIterator[tuple[Bell, Looks, Bell, Looks]]:
    looks = Looks(), Looks()
    async with AsyncExitStack() as stack:
        bells = []
        for number in range(2):
            link = await stack.enter_async_context(linked(place(redis_server.url())))
            bells.append(await stack.enter_async_context(listening(link, looks[number], f"p{number}")))
        yield bells[0], looks[0], bells[1], looks[1]


async def test_the_others_look_and_who_rang_does_not(pair: tuple[Bell, Looks, Bell, Looks]) -> None:
    one, own, other, looks = pair
    one.ring()
    await until(lambda: looks.number == 2)
    await until(lambda: one.sent == 1)
    assert own.number == 1
    assert (one.heard, other.heard) == (0, 1)
    other.ring()
    await until(lambda: own.number == 2)


async def test_many_changes_are_few_rings_and_few_looks(
    pair: tuple[Bell, Looks, Bell, Looks], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell_module, "APART_S", 3600)
    one, _, _, looks = pair
    for _ in range(1000):
        one.ring()
        await asyncio.sleep(0)
    await until(lambda: looks.number == 2)
    assert one.sent == 1


async def test_a_store_that_is_away_or_a_look_that_fails_does_not_end_the_listening(redis_server: RedisServer) -> None:
    looks = Looks(StoreUnavailable("away"))
    async with linked(place(redis_server.url())) as link, listening(link, looks, "one"):
        for number, fault in ((2, RuntimeError("never thought of")), (3, None), (4, None)):
            redis_server.say("PUBLISH", "bell", "x")
            await until(lambda number=number: looks.number >= number)
            looks.fault = fault


async def test_what_somebody_else_says_on_the_channel_is_a_look_and_nothing_more(redis_server: RedisServer) -> None:
    looks = Looks()
    async with linked(place(redis_server.url())) as link, listening(link, looks, "one"):
        redis_server.say("PUBLISH", "bell", b"\0" * 1_000_000)
        await until(lambda: looks.number == 2)


async def test_after_an_outage_it_listens_again_and_looks_for_what_was_rung_meanwhile(
    redis_server: RedisServer,
) -> None:
    looks = Looks()
    async with linked(place(redis_server.url())) as link, listening(link, looks, "one") as bell:
        redis_server.kill()
        await until(lambda: not bell.listening)
        redis_server.start()
        await until(lambda: bell.listening)
        await until(lambda: looks.number == 2)


async def test_a_channel_that_died_silently_is_given_up(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell_module, "ASKED_EVERY_S", 0.2)
    looks = Looks()
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(Relay(redis_server.port).open())
        # The link itself is patient: it is the bell that finds out.
        link = await stack.enter_async_context(linked(place(f"redis://127.0.0.1:{relay.port}")))
        bell = await stack.enter_async_context(listening(link, looks, "one"))
        relay.fall_silent()
        await until(lambda: not bell.listening)
        relay.go_on()
        await until(lambda: looks.number >= 2)


async def test_the_last_change_is_told_before_the_end(pair: tuple[Bell, Looks, Bell, Looks]) -> None:
    one, _, _, looks = pair
    one.ring()
    await one.close()
    await until(lambda: looks.number == 2)
    assert one.sent == 1
