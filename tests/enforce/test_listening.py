"""What the app hears on a stream is what was allowed; what the client hears of the rest is documented."""

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from gateway.core.said import MessageRule, MessageTable
from gateway.enforce import listening
from gateway.enforce.middleware import Enforcer
from gateway.enforce.streams import Streams
from tests.enforce.test_streams import HEADERS, WAIT_S, next_of, restrict
from tests.world import SECOND

NAMES = {"order": "trade.spot", "watch": "view", "withdraw": "withdraw"}
WATCH, ORDER, TWICE = '{"op": "watch"}', '{"op": "order", "id": 7}', '{"op": "watch", "op": "order"}'


@pytest.fixture
async def opened(world):
    """A way to open a WebSocket before an app that notes what it hears."""
    streams = Streams(world.line, world.clock, at_latest_s=30)

    @asynccontextmanager
    async def run(path="/ws/trade", send=None, app=None, **more):
        rule = MessageRule(field="/op", operations=NAMES, id="/id", **more)
        heard, told, said = [], asyncio.Queue(), asyncio.Queue()

        async def noting(scope, receive, send):
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                heard.append(message["bytes"] if message["text"] is None else message["text"])
                await send({"type": "websocket.send", "text": "heard"})
            heard.append(message)

        enforcer = Enforcer(
            app or noting,
            world.line,
            world.clock,
            streams=streams,
            messages=MessageTable([("/ws/{name}", rule)]),
            support_url="https://help.example/",
        )
        scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": HEADERS,
            "client": ("10.0.0.1", 4711),
            "state": {},
        }

        async def put(message):
            told.put_nowait(message)

        async def say(text=None, data=None):
            said.put_nowait({"type": "websocket.receive", "text": text, "bytes": data})
            return await next_of(told)

        task = asyncio.ensure_future(enforcer(scope, said.get, send or put))
        said.put_nowait({"type": "websocket.connect"})
        try:
            if send is None:
                assert (await next_of(told))["type"] == "websocket.accept"
            yield SimpleNamespace(say=say, said=said, told=told, heard=heard, task=task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    yield run
    await streams.close()


async def test_what_is_allowed_reaches_the_app_as_it_was_said(opened):
    text = ' {"op":"order" , "price": 1.50}'
    async with opened() as socket:
        assert (await socket.say(text))["text"] == "heard"
        assert socket.heard == [text]


async def test_a_binary_message_reaches_the_app_as_bytes_where_it_may(opened):
    async with opened(binary="json") as socket:
        assert (await socket.say(data=WATCH.encode()))["text"] == "heard"
        assert socket.heard == [WATCH.encode()]


@pytest.mark.parametrize("bad", [TWICE, "no json", '{"op": "\\ud800"}'])
async def test_what_cannot_be_read_closes_the_stream_and_never_reaches_the_app(opened, bad):
    async with opened() as socket:
        closed = await socket.say(bad)
        assert closed == {"type": "websocket.close", "code": 1008, "reason": "ambiguous-request"}
        await asyncio.wait_for(socket.task, WAIT_S)
        assert socket.heard == [{"type": "websocket.disconnect", "code": 1008, "reason": "ambiguous-request"}]


def narrow(world):
    """Let Alice be where one may only read, two hours later."""
    world.clock.at += 7200 * SECOND
    world.geo.countries["8.8.8.8"] = "PT"
    world.geo.generation += 1


async def test_a_refused_message_closes_the_stream_with_its_reason(world, opened):
    async with opened() as socket:
        await socket.say(ORDER)
        narrow(world)
        assert (await socket.say(WATCH))["text"] == "heard"
        closed = await socket.say(ORDER)
        assert (closed["type"], closed["code"], closed["reason"]) == ("websocket.close", 1008, "jurisdiction-exit")
        await asyncio.wait_for(socket.task, WAIT_S)
        assert socket.heard[:-1] == [ORDER, WATCH]
        assert socket.heard[-1]["type"] == "websocket.disconnect"


async def test_a_refused_message_is_answered_where_that_is_said_and_the_stream_goes_on(world, opened):
    async with opened(answers=True) as socket:
        told = json.loads((await socket.say(TWICE))["text"])
        assert (told["status"], told["reason"], told["message"]) == (
            400,
            "ambiguous-request",
            {"name": None, "id": None},
        )
        narrow(world)
        told = json.loads((await socket.say(ORDER))["text"])
        assert told["message"] == {"name": "order", "id": 7}
        assert told["type"] == "urn:gateway:problem:jurisdiction-exit"
        assert (told["operation"], told["access"], told["support_url"]) == (
            "trade.spot",
            "read_only",
            "https://help.example/",
        )
        assert told["decision_id"].replace("-", "") == world.journal.records[-1][1].hex()
        assert (await socket.say(WATCH))["text"] == "heard"
        assert socket.heard == [WATCH]


async def test_a_stream_that_is_refused_while_a_message_is_decided_takes_it_nowhere(world, opened, monkeypatch):
    async with opened() as socket:
        closed, was, read = [], world.accounts.accounts["alice"], world.accounts.read

        async def slowly(uid):
            # The first to ask is the message; while it waits, the look at the streams finds the account restricted.
            monkeypatch.setattr(world.accounts, "read", read)
            restrict(world)
            closed.append(await next_of(socket.told))
            return was

        monkeypatch.setattr(world.accounts, "read", slowly)
        socket.said.put_nowait({"type": "websocket.receive", "text": '{"op": "withdraw"}', "bytes": None})
        await asyncio.wait_for(socket.task, WAIT_S)
        assert [(message["type"], message["reason"]) for message in closed] == [("websocket.close", "not-granted")]
        assert [message["type"] for message in socket.heard] == ["websocket.disconnect"]
    allowed = [one for one in world.journal.records if b'"message"' in one[0].document]
    assert [ruling.reply.status for ruling, *_ in allowed] == [200]


async def test_an_app_that_stopped_waiting_for_a_message_hears_it_when_it_asks_again(world, opened, monkeypatch):
    deciding, go_on = asyncio.Event(), asyncio.Event()
    read = world.accounts.read

    async def slowly(uid):
        deciding.set()
        await go_on.wait()
        return await read(uid)

    async with opened(app=Impatient(deciding)) as socket:
        monkeypatch.setattr(world.accounts, "read", slowly)
        socket.said.put_nowait({"type": "websocket.receive", "text": '{"op": "withdraw"}', "bytes": None})
        await asyncio.wait_for(deciding.wait(), WAIT_S)
        assert (await next_of(socket.told))["text"] == "impatient"
        go_on.set()
        assert (await next_of(socket.told))["text"] == '{"op": "withdraw"}'


class Impatient:
    """An app that stops waiting for its first message while that is decided, and asks again."""

    def __init__(self, deciding):
        self._deciding = deciding

    async def __call__(self, scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        waiting = asyncio.ensure_future(receive())
        await self._deciding.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await send({"type": "websocket.send", "text": "impatient"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})


async def test_the_app_hears_that_the_client_went_after_the_client_heard_why(opened):
    order = []

    async def slow(message):
        if message["type"] == "websocket.close":
            await asyncio.sleep(0.05)
        order.append(message["type"])

    async with opened(send=slow) as socket:
        socket.said.put_nowait({"type": "websocket.receive", "text": TWICE, "bytes": None})
        await asyncio.wait_for(socket.task, WAIT_S)
        assert order == ["websocket.accept", "websocket.close"]


async def test_a_client_that_takes_no_refusal_is_given_up(opened, monkeypatch):
    monkeypatch.setattr(listening, "_WITHIN_S", 0.05)
    told = asyncio.Queue()

    async def stuck(message):
        if message["type"] == "websocket.send":
            await asyncio.Event().wait()
        told.put_nowait(message)

    async with opened(send=stuck, answers=True) as socket:
        assert (await next_of(told))["type"] == "websocket.accept"
        socket.said.put_nowait({"type": "websocket.receive", "text": TWICE, "bytes": None})
        assert (await next_of(told))["type"] == "websocket.close"
        await asyncio.wait_for(socket.task, WAIT_S)


@pytest.mark.parametrize("answers", [True, False])
async def test_a_client_that_went_before_it_was_told_is_no_fault_of_the_app(opened, answers):
    accepted = asyncio.Event()

    async def gone(message):
        if message["type"] != "websocket.accept":
            raise OSError("the client went")
        accepted.set()

    async with opened(send=gone, answers=answers) as socket:
        await accepted.wait()
        socket.said.put_nowait({"type": "websocket.receive", "text": TWICE, "bytes": None})
        socket.said.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await asyncio.wait_for(socket.task, WAIT_S)
        assert [message["type"] for message in socket.heard] == ["websocket.disconnect"]


async def test_messages_of_other_paths_are_nobodys_business(opened):
    async with opened(path="/feed") as socket:
        assert (await socket.say("anything", None))["text"] == "heard"
        assert socket.heard == ["anything"]


async def test_a_path_in_another_spelling_is_the_same_path(opened):
    async with opened(path="/WS/Trade/") as socket:
        assert (await socket.say(TWICE))["type"] == "websocket.close"
