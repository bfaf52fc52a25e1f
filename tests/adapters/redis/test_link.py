"""A server that is there, gone, silent and back, for real."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from gateway.adapters.redis import link as link_module
from gateway.adapters.redis.link import LONGEST_PAUSE_S, Away, Latency, Link, Unanswerable, end
from tests.adapters.redis.conftest import PATIENT_S, linked, place, until
from tests.redis_server import RedisServer, Relay

SHORT_S = 0.2
"""How long a command may take where nothing answers it."""


async def timed(asked: Callable[[], Awaitable[object]]) -> float:
    now = asyncio.get_running_loop().time
    begun = now()
    with pytest.raises(Away):
        await asked()
    return now() - begun


async def test_what_lies_there_of_another_kind_is_said_to_be_and_is_no_outage(link: Link) -> None:
    await link.ask("DEL", "link:list")
    await link.ask("RPUSH", "link:list", "x")
    with pytest.raises(Unanswerable, match="WRONGTYPE"):
        await link.ask("GETRANGE", "link:list", 0, 9)
    assert link.up
    assert link.faults == 0


async def test_nobody_waits_for_one_that_was_never_there_and_it_is_found_when_it_comes(
    redis_server: RedisServer,
) -> None:
    redis_server.kill()
    link = Link(place(redis_server.url()), chance=lambda: 0.0)
    with capture_logs() as logs:
        await link.start()
        await link.start()
        await until(lambda: link.faults > 1)
        with pytest.raises(Away):
            await link.ask("PING")
        redis_server.start()
        await until(lambda: link.up)
        assert await link.ask("PING")
        await link.close()
    assert [log["event"] for log in logs] == ["redis:lost", "redis:found"]


async def test_one_that_was_killed_is_found_when_it_is_back(redis_server: RedisServer) -> None:
    async with linked(place(redis_server.url())) as link:
        redis_server.kill()
        await timed(lambda: link.ask("PING"))
        assert not link.up
        redis_server.start()
        await until(lambda: link.up)
        assert await link.ask("PING")


async def test_a_paused_server_costs_those_who_are_waiting_one_bounded_wait_and_nobody_after_them(
    redis_server: RedisServer,
) -> None:
    async with linked(place(redis_server.url(), within_s=SHORT_S, connect_within_s=SHORT_S)) as link:
        redis_server.pause()
        # Many more than there are connections: they do not queue behind each other.
        waits = await asyncio.gather(*(timed(lambda: link.ask("PING")) for _ in range(200)))
        assert max(waits) < SHORT_S + 2
        assert not link.up
        # Nobody after them waits at all: it is said before anything could be waited for.
        with pytest.raises(Away):
            link.ask("PING").send(None)
        redis_server.resume()
        await until(lambda: link.up)


async def test_a_network_that_falls_silent_is_found_by_asking_and_left_when_it_speaks_again(
    redis_server: RedisServer,
) -> None:
    async with Relay(redis_server.port).open() as relay:
        there = place(f"redis://127.0.0.1:{relay.port}", within_s=SHORT_S, connect_within_s=SHORT_S)
        async with linked(there) as link:
            relay.fall_silent()
            await until(lambda: not link.up)
            relay.go_on()
            await until(lambda: link.up)
            await link.ask("SET", "link:silent", "x")
            assert await link.ask("GETRANGE", "link:silent", 0, 9) == b"x"


async def test_whoever_gave_up_leaves_no_answer_to_the_next(redis_server: RedisServer) -> None:
    async with linked(place(redis_server.url(), connections=2)) as link:
        for number in range(10):
            await link.ask("SET", f"k{number}", number)
        for number in range(50):
            impatient = asyncio.ensure_future(link.ask("GETRANGE", "k0", 0, 9))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            impatient.cancel()
            answers = await asyncio.gather(*(link.ask("GETRANGE", f"k{one}", 0, 9) for one in range(1, 10)))
            assert answers == [str(one).encode() for one in range(1, 10)]
        assert link.up


async def test_more_at_once_than_there_are_connections_take_turns(redis_server: RedisServer) -> None:
    async with linked(place(redis_server.url(), connections=3)) as link:
        assert await asyncio.gather(*(link.ask("ECHO", str(number)) for number in range(100))) == [
            str(number).encode() for number in range(100)
        ]
        clients = await link.ask("CLIENT", "LIST")
        assert len(clients if isinstance(clients, list) else str(clients).splitlines()) <= 3


async def test_one_that_comes_and_goes_is_asked_ever_more_seldom(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        if seconds >= link_module.FIRST_PAUSE_S / 2 and len(pauses) < 9:
            pauses.append(seconds)
            seconds = 0
        await sleep(seconds)

    redis_server.kill()
    monkeypatch.setattr(link_module.asyncio, "sleep", noted)
    link = Link(place(redis_server.url()), chance=lambda: 0.5)
    await link.start()
    while len(pauses) < 9:
        await sleep(0.01)
    await link.close()
    assert pauses == [0.75 * min(0.1 * 2**tried, LONGEST_PAUSE_S) for tried in range(9)]


async def test_a_server_that_became_a_replica_is_left(redis_server: RedisServer) -> None:
    async with linked(place(redis_server.url())) as link:
        redis_server.say("REPLICAOF", "127.0.0.1", "1")
        await timed(lambda: link.ask("SET", "k", "v"))
        assert link.faults == 1
        redis_server.say("REPLICAOF", "NO", "ONE")
        await until(lambda: link.up)


async def test_whoever_listens_is_told_when_it_goes(redis_server: RedisServer) -> None:
    async with linked(place(redis_server.url())) as link:
        pubsub = await link.subscription("c")
        redis_server.kill()

        async def listen() -> None:
            while True:
                await pubsub.get_message(timeout=PATIENT_S)

        with pytest.raises(Exception, match=r"[Cc]onnect|reset"):
            await listen()
        await pubsub.aclose()


def test_latencies_are_counted_as_prometheus_has_them() -> None:
    latency = Latency()
    for milliseconds in (0.1, 0.25, 0.3, 40, 9999):
        latency.observe(milliseconds / 1000)
    buckets = dict(latency.buckets())
    assert (buckets["0.00025"], buckets["0.0005"], buckets["0.05"], buckets["1"], buckets["+Inf"]) == (2, 3, 4, 4, 5)
    assert latency.sum_s == pytest.approx(10.03965)


async def test_a_task_that_loses_its_cancellation_is_told_again() -> None:
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while lost < 3:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                lost += 1

    task = asyncio.get_running_loop().create_task(deaf())
    await asyncio.sleep(0)
    await asyncio.wait_for(end([task]), 10)
    assert lost == 3
