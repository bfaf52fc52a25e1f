"""What stays open ends when it would no longer be allowed, whatever changed; the rest goes on undisturbed."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from gateway.core.errors import StoreUnavailable
from gateway.core.failing import Grace
from gateway.core.request import AccessRequest
from gateway.core.terms import Operation
from gateway.enforce.middleware import Enforcer
from gateway.enforce.streams import Streams
from gateway.policies.bundle import assemble
from gateway.ports import Identity
from tests.world import NOON, SECOND, account, identity

HEADERS = [
    (b"host", b"exchange.example"),
    (b"x-forwarded-for", b"8.8.8.8"),
    (b"authorization", b"Bearer alice-token"),
]
WAIT_S = 10


async def echo(scope, receive, send):
    """Echo messages; or answer without an end, a part a message that the test puts."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        scope["state"]["left"].set_result(message)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while (part := await scope["state"]["parts"].get()) is not None:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.fixture
async def streams(world):
    made = Streams(world.line, world.clock, at_latest_s=30)
    yield made
    await made.close()


@pytest.fixture
def opened(world, streams):
    enforcer = Enforcer(echo, world.line, world.clock, streams=streams)

    @asynccontextmanager
    async def run(kind="websocket", headers=HEADERS, path="/api/v1/deposits", enforcer=enforcer):
        heard, said = asyncio.Queue(), asyncio.Queue()
        left, parts = asyncio.get_running_loop().create_future(), asyncio.Queue()
        scope = {
            "type": kind,
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
            "client": ("10.0.0.1", 4711),
            "state": {"left": left, "parts": parts},
            "extensions": {},
        }

        async def send(message):
            heard.put_nowait(message)

        task = asyncio.ensure_future(enforcer(scope, said.get, send))
        said.put_nowait({"type": f"{kind}.connect" if kind == "websocket" else "http.request"})
        try:
            yield SimpleNamespace(heard=heard, said=said, left=left, parts=parts, task=task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return run


def stand_in(line, **other):
    """Return what does as the line does, but for some; the line itself may be compiled, and takes no patches."""
    names = ("bundle", "gather", "recall", "decide", "stands")
    return SimpleNamespace(**{name: other.get(name, getattr(line, name)) for name in names})


async def next_of(queue):
    return await asyncio.wait_for(queue.get(), WAIT_S)


def restrict(world):
    world.accounts.accounts["alice"] = account(status="restricted")
    world.accounts.generation += 1


def adopt(world):
    closed = world.policy.replace('when: country == "US"', 'when: country in ["US", "DE"]')
    world.line.adopt(assemble({"house.yaml": closed}, sources_configured=None))


def end_the_session(world):
    world.clock.at = NOON + 61 * SECOND
    world.tokens.identities[b"alice-token"] = EXPIRED


def revoke(world):
    world.tokens.identities[b"alice-token"] = EXPIRED
    world.tokens.generation += 1


def move_the_address(world):
    world.geo.countries["8.8.8.8"] = "US"
    world.geo.generation += 1


EXPIRED = Identity("session", "expired", None, 0, None, None)
CHANGES = [restrict, adopt, move_the_address]


@pytest.mark.parametrize("change", CHANGES)  # looking at a ticker is open to nobody in particular, too
async def test_a_socket_is_closed_with_the_reason_once_it_would_be_refused(world, streams, opened, change):
    async with opened() as socket:
        assert (await next_of(socket.heard))["type"] == "websocket.accept"
        socket.said.put_nowait({"type": "websocket.receive", "text": "one"})
        assert (await next_of(socket.heard))["text"] == "one"
        world.clock.at += SECOND
        change(world)
        closed = await next_of(socket.heard)
        assert (closed["type"], closed["code"]) == ("websocket.close", 1008)
        assert closed["reason"]
        socket.said.put_nowait({"type": "websocket.receive", "text": "two"})
        assert (await asyncio.wait_for(socket.left, WAIT_S))["type"] == "websocket.disconnect"
        assert socket.heard.empty()
    assert (streams.ended, len(streams)) == (1, 0)
    refused = world.journal.records[-1][0]
    assert refused.reply.status != 200


@pytest.mark.parametrize("change", [*CHANGES, end_the_session, revoke])
async def test_a_response_is_cut_off_once_it_would_be_refused(world, streams, opened, change):
    if change is end_the_session:
        world.tokens.identities[b"alice-token"] = identity(until=NOON + 60 * SECOND)
    async with opened("http") as answer:
        assert (await next_of(answer.heard))["status"] == 200
        answer.parts.put_nowait(b"one")
        assert (await next_of(answer.heard))["body"] == b"one"
        world.clock.at += SECOND
        change(world)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(answer.task), WAIT_S)
        assert answer.heard.empty()
    assert (streams.ended, len(streams)) == (1, 0)


async def test_what_others_do_disturbs_nobody(world, streams, opened):
    async with opened() as socket, opened("http") as answer:
        await next_of(socket.heard)
        await next_of(answer.heard)
        answer.parts.put_nowait(b"one")
        await next_of(answer.heard)
        world.accounts.accounts["bob"] = account("bob", "restricted")
        world.accounts.generation += 1
        await streams.look()
        socket.said.put_nowait({"type": "websocket.receive", "text": "still here"})
        assert (await next_of(socket.heard))["text"] == "still here"
        answer.parts.put_nowait(None)
        assert (await next_of(answer.heard))["more_body"] is False
    assert streams.ended == 0


async def test_nothing_is_decided_again_while_nothing_changes_and_all_is_at_the_stated_interval(world, streams, opened):
    async with opened() as socket:
        await next_of(socket.heard)
        recorded = len(world.journal.records)
        await streams.look()
        assert len(world.journal.records) == recorded
        world.clock.at += 31 * SECOND
        await streams.look()
        assert len(world.journal.records) == recorded + 1
        await streams.look()
        assert len(world.journal.records) == recorded + 1


def lose_the_store(world):
    world.accounts.heard, world.accounts.broken = False, True


async def test_while_the_store_is_away_a_stream_goes_on_for_the_stated_time_and_then_ends_by_and_by(
    world, streams, opened
):
    async with opened() as customer, opened(headers=HEADERS[:2], path="/api/v1/balances") as stranger:
        await next_of(customer.heard)
        await next_of(stranger.heard)
        recorded = len(world.journal.records)
        lose_the_store(world)
        for _ in range(9):
            world.clock.at += SECOND
            await streams.look()
        assert len(world.journal.records) == recorded
        assert len(streams) == 2
        for _ in range(6):
            world.clock.at += SECOND
            for _ in range(3):
                await streams.look()
        closed = await next_of(customer.heard)
        assert (closed["code"], closed["reason"]) == (1013, "account-unknown")
        assert len(streams) == 1
        assert len(world.journal.records) <= recorded + 8


async def test_a_stream_whose_account_is_restricted_while_the_store_is_away_ends_when_it_is_back(
    world, streams, opened
):
    async with opened() as socket:
        await next_of(socket.heard)
        lose_the_store(world)
        world.clock.at += 5 * SECOND
        await streams.look()
        assert len(streams) == 1
        world.accounts.heard, world.accounts.broken = True, False
        restrict(world)
        world.clock.at += SECOND
        await streams.look()
        assert (await next_of(socket.heard))["code"] == 1008


async def test_what_ends_a_stream_for_certain_does_not_wait_for_the_store(world, streams, opened):
    world.tokens.identities[b"alice-token"] = identity(until=NOON + 5 * SECOND)
    async with opened("http") as answer:
        await next_of(answer.heard)
        answer.parts.put_nowait(b"one")
        await next_of(answer.heard)
        lose_the_store(world)
        world.tokens.identities[b"alice-token"] = EXPIRED
        world.clock.at += 4 * SECOND
        await streams.look()
        assert len(streams) == 1
        world.clock.at += 2 * SECOND
        await streams.look()
        assert len(streams) == 0


async def test_under_new_policies_a_stream_is_asked_about_once_a_second_and_decided_when_the_store_is_back(
    world, streams, opened
):
    async with opened() as socket:
        await next_of(socket.heard)
        lose_the_store(world)
        world.clock.at += 2 * SECOND
        again = world.policy.replace("title: The rules of the tests", "title: The same again")
        world.line.adopt(assemble({"house.yaml": again}, sources_configured=None))
        recorded = len(world.journal.records)
        for _ in range(5):
            await streams.look()
        assert len(world.journal.records) == recorded + 1
        assert len(streams) == 1
        world.accounts.heard, world.accounts.broken = True, False
        restrict(world)
        world.clock.at += 2 * SECOND
        await streams.look()
        assert (await next_of(socket.heard))["code"] == 1008


async def test_nothing_is_asked_of_any_stream_while_nothing_changed(world, streams, opened, monkeypatch):
    async with opened() as socket, opened("http") as answer:
        await next_of(socket.heard)
        await next_of(answer.heard)
        answer.parts.put_nowait(b"one")
        await next_of(answer.heard)
        for _ in range(2):
            world.clock.at += 2000
            await streams.look()
        asked = []

        def stands(settled, at):
            asked.append(at)
            return world.line.stands(settled, at)

        monkeypatch.setattr(streams, "_line", stand_in(world.line, stands=stands))
        for _ in range(5):
            world.clock.at += SECOND
            await streams.look()
        assert asked == []
        world.accounts.accounts["bob"] = account("bob", "restricted")
        world.accounts.generation += 1
        world.clock.at += 2000
        await streams.look()
        assert len(asked) == 2
        assert len(streams) == 2


async def test_a_stream_that_opens_late_is_seen_though_nothing_changed_since(world, streams, opened):
    async with opened() as socket:
        await next_of(socket.heard)
        request = AccessRequest(world.clock.at, "10.0.0.1", "GET", b"/late", HEADERS, b"", True)
        passage = await world.line.decide(request)
        world.clock.at += SECOND
        world.geo.countries["8.8.8.8"] = "US"
        world.geo.generation += 1
        for _ in range(3):
            world.clock.at += 2000
            await streams.look()
        assert len(streams) == 0
        ended = asyncio.get_running_loop().create_future()
        streams.opened(request, passage, ended.set_result)
        world.clock.at += 2000
        await streams.look()
        assert (await asyncio.wait_for(ended, WAIT_S)).reply.status == 403


async def test_hundreds_of_streams_are_decided_when_each_is_due_and_all_end_with_new_policies(world):
    streams = Streams(world.line, world.clock, at_latest_s=30)
    ended = []
    for _ in range(300):
        world.clock.at += SECOND // 20
        request = AccessRequest(world.clock.at, "10.0.0.1", "GET", b"/ticker", HEADERS, b"", True)
        streams.opened(request, await world.line.decide(request), ended.append)
    recorded = len(world.journal.records)
    world.accounts.changed = {"alice": 1}
    for number in range(64):
        world.clock.at += SECOND
        # Whether others change meanwhile or not.
        world.accounts.generation += number // 32
        await streams.look()
    assert len(world.journal.records) == recorded + 600
    assert len(streams._dues) == 300
    assert len(streams) == 300
    adopt(world)
    await streams.look()
    assert (len(ended), len(streams), streams.ended) == (300, 0, 300)
    await streams.close()


async def test_what_is_strict_does_not_go_on_without_the_store(world, opened):
    strict = Streams(world.line, world.clock, at_latest_s=30, grace=Grace(strict=frozenset({Operation.VIEW})))
    async with opened(enforcer=Enforcer(echo, world.line, world.clock, streams=strict)) as socket:
        await next_of(socket.heard)
        lose_the_store(world)
        world.clock.at += 2 * SECOND
        await strict.look()
        assert (await next_of(socket.heard))["code"] == 1013
    await strict.close()


async def test_what_is_done_is_looked_after_no_longer(world, streams, opened):
    async with opened() as socket, opened("http") as answer:
        await next_of(socket.heard)
        await next_of(answer.heard)
        answer.parts.put_nowait(b"one")
        await next_of(answer.heard)
        assert len(streams) == 2
        socket.said.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await asyncio.wait_for(socket.left, WAIT_S)
        await asyncio.wait_for(socket.task, WAIT_S)
        answer.parts.put_nowait(None)
        await asyncio.wait_for(answer.task, WAIT_S)
        assert len(streams) == 0
    restrict(world)
    await streams.look()
    assert streams.ended == 0


async def test_an_answer_in_one_part_is_no_stream(world, streams):
    async def whole(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"all"})
        assert len(streams) == 0

    enforcer = Enforcer(whole, world.line, world.clock, streams=streams)
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "headers": HEADERS}
    await enforcer({**scope, "query_string": b"", "client": ("10.0.0.1", 1)}, None, asyncio.Queue().put)


async def test_what_cannot_be_decided_now_is_looked_at_again(world, streams, opened, monkeypatch):
    async with opened() as socket:
        await next_of(socket.heard)

        async def broken(request, body=None, *, again=False):
            raise StoreUnavailable("the store is away")

        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(streams, "_line", stand_in(world.line, decide=broken))
            world.clock.at += SECOND
            restrict(world)
            await streams.look()
        assert {one["event"] for one in logs} == {"stream:not_decided"}
        assert (await next_of(socket.heard))["code"] == 1008


async def test_a_look_that_fails_is_not_the_last(world, streams, opened, monkeypatch):
    async with opened() as socket:
        await next_of(socket.heard)
        failed = asyncio.Event()

        def broken(*_):
            failed.set()
            raise ValueError("nobody thought of this")

        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(streams, "_line", stand_in(world.line, stands=broken))
            await asyncio.wait_for(failed.wait(), WAIT_S)
            await asyncio.sleep(0)
        assert logs[0]["event"] == "stream:look_failed"
        world.clock.at += SECOND
        restrict(world)
        assert (await next_of(socket.heard))["code"] == 1008
