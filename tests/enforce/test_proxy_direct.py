"""What is passed on without a task comes out as with one; what turns out otherwise goes on in one."""

import asyncio

import pytest

from gateway.enforce import reverse_proxy
from gateway.enforce.proxy_exchange import Exchange
from tests.enforce.scripted import GET, OK, answer, answering, asked, before, client

POST = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody"


@pytest.fixture
def in_tasks(monkeypatch):
    """The requests that were passed on in a task of their own."""
    made = []

    def noted(asked, *others):
        made.append(asked)
        return Exchange(asked, *others)

    monkeypatch.setattr(reverse_proxy, "Exchange", noted)
    return made


@pytest.mark.parametrize("request_", [GET, POST, GET.replace(b"GET", b"DELETE")])
@pytest.mark.parametrize(
    "answer_",
    [
        OK,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nx-trailer: 1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: x\r\nx: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ngateway-access: full\r\ndate: then\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more",
        b"no answer\r\n\r\n",
    ],
)
async def test_an_answer_without_a_task_is_the_answer_with_one(in_tasks, request_, answer_) -> None:
    async def told(port):
        status, headers, body = await asked(port, request_)
        headers.pop("date", None)
        return status, headers, body

    async with before(answering(OK, answer_)) as (port, upstream):
        # The first one is asked in a task: there is no connection yet to be had.
        assert (await asked(port, GET))[0] == 200
        direct = await told(port)
        assert (len(in_tasks), upstream.connections) == (1, 1)
    async with before(answering(answer_)) as (port, _):
        assert await told(port) == direct
        assert len(in_tasks) == 2


async def test_the_head_alone_is_answered_with_the_length_of_what_it_stands_for(in_tasks) -> None:
    async with before(answering(OK, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", OK)) as (port, upstream):
        await asked(port, GET)
        status, headers, body = await asked(port, GET.replace(b"GET", b"HEAD"), method="HEAD")
        assert (status, headers["content-length"], body) == (200, "9", b"")
        assert (await asked(port, GET))[2] == b"ok"
        assert len(in_tasks) == 1
        assert upstream.connections == 1


async def test_an_answer_that_comes_in_parts_goes_on_in_a_task(in_tasks) -> None:
    parted = asyncio.Event()

    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(OK)
        await self.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\none")
        await parted.wait()
        writer.write(b" two,")
        await self.head(reader)
        writer.write(OK)

    async with before(script) as (port, upstream), client(port) as (reader, writer):
        writer.write(GET)
        assert (await answer(reader))[2] == b"ok"
        writer.write(GET)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\none"), 10)
        assert b"content-length: 8" in head
        parted.set()
        assert await asyncio.wait_for(reader.readexactly(5), 10) == b" two,"
        writer.write(GET)
        assert (await answer(reader))[2] == b"ok"
        assert len(in_tasks) == 2
        assert upstream.connections == 1


async def test_an_answer_that_breaks_off_is_not_made_whole() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(OK)
        await self.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\none")

    async with before(script) as (port, _):
        await asked(port, GET)
        assert (await asked(port, GET))[2] is None


async def test_an_upstream_that_is_silent_is_given_up_and_its_connection_not_used_again() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(OK)
        await self.head(reader)
        await reader.read()

    async with before(script, response_s=0.1) as (port, upstream):
        await asked(port, GET)
        status, _, body = await asked(port, GET)
        assert (status, b"upstream-late" in body) == (504, True)
        assert (await asked(port, GET))[0] == 200
        assert upstream.connections == 2


async def test_a_client_that_leaves_takes_its_request_with_it_and_leaves_its_place() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(OK)
        await self.head(reader)
        await reader.read()
        self.lost.set()

    async with before(script, connections=1) as (port, upstream):
        await asked(port, GET)
        async with client(port) as (_, writer):
            writer.write(GET)
            await asyncio.wait_for(upstream.reached.acquire(), 10)
            await asyncio.wait_for(upstream.reached.acquire(), 10)
        await asyncio.wait_for(upstream.lost.wait(), 10)
        assert (await asked(port, GET))[0] == 200


async def test_a_body_that_is_not_all_there_is_passed_on_by_a_task(in_tasks) -> None:
    async with before(answering(OK)) as (port, upstream):
        await asked(port, GET)
        async with client(port) as (reader, writer):
            writer.write(POST[:-2])
            await asyncio.sleep(0.05)
            writer.write(POST[-2:])
            assert (await answer(reader))[0] == 200
        assert len(in_tasks) == 2
        assert upstream.heads[-1].startswith(b"POST ")


async def test_requests_sent_one_behind_the_other_are_answered_in_order(in_tasks) -> None:
    bodies = [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % number for number in range(6)]
    async with before(answering(*bodies), connections=1) as (port, _), client(port) as (reader, writer):
        writer.write(GET)
        assert (await answer(reader))[2] == b"0"
        writer.write(GET * 5)
        assert [(await answer(reader))[2] for _ in range(5)] == [b"1", b"2", b"3", b"4", b"5"]
