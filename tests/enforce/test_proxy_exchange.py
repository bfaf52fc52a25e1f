"""One request and its answer: who waits for whom, how long, and what becomes of it where somebody leaves."""

import asyncio
import contextlib
import json

import pytest

from tests.enforce.scripted import GET, OK, answer, answering, asked, before, client, silent


@pytest.mark.parametrize(
    ("request_", "statuses", "heads"),
    [
        (GET, 200, 3),
        (b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n", 502, 2),
        (b"DELETE / HTTP/1.1\r\nhost: h\r\n\r\n", 502, 2),
        (b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\nx", 502, 2),
    ],
)
async def test_only_what_changes_nothing_is_asked_twice_on_a_kept_connection(request_, statuses, heads) -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(OK)
        if self.connections == 1:
            await self.head(reader)

    async with before(script) as (port, upstream):
        assert (await asked(port, GET))[0] == 200
        assert (await asked(port, request_))[0] == statuses
        assert len(upstream.heads) == heads


async def test_nothing_is_asked_again_once_an_answer_began() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(OK)
        await self.head(reader)
        writer.write(b"HTTP/1.1 2")

    async with before(script) as (port, upstream):
        assert (await asked(port, GET))[0] == 200
        assert (await asked(port, GET))[0] == 502
        assert len(upstream.heads) == 2


async def test_the_client_is_asked_for_its_body_when_the_upstream_asks() -> None:
    agreed = asyncio.Event()

    async def script(self, reader, writer):
        head = await self.head(reader)
        assert b"\r\nexpect: 100-continue\r\n" in head
        await agreed.wait()
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(4) == b"body"
        writer.write(OK)

    async with before(script) as (port, _), client(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        agreed.set()
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert (await answer(reader))[:1] == (200,)


async def test_a_body_that_the_upstream_does_not_want_is_not_asked_for() -> None:
    refusal = b"HTTP/1.1 417 No\r\ncontent-length: 0\r\n\r\n"
    async with before(answering(refusal)) as (port, _), client(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        status, headers, _ = await answer(reader)
        assert (status, headers["connection"]) == (417, "close")
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_an_upstream_that_never_says_continue_gets_the_body_all_the_same() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        assert await reader.readexactly(4) == b"body"
        writer.write(OK)

    async with before(script) as (port, _):
        sent = b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nbody"
        assert (await asked(port, sent))[0] == 200


async def test_an_early_answer_is_passed_on_and_the_rest_of_the_body_not_read() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await writer.drain()
        await reader.read()
        self.lost.set()

    async with before(script) as (port, upstream), client(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\nx")
        status, headers, body = await answer(reader)
        assert (status, headers["connection"], body) == (413, "close", b"big")
        writer.close()
        await asyncio.wait_for(upstream.lost.wait(), 10)


async def test_an_answer_may_come_while_the_body_is_still_going_up() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while size := int(await reader.readuntil(b"\r\n"), 16):
            data = (await reader.readexactly(size + 2))[:-2]
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        writer.write(b"0\r\n\r\n")

    async with before(script) as (port, _), client(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        await asyncio.wait_for(reader.readuntil(b"1\r\na\r\n"), 10)
        for letter in b"bcd":
            writer.write(b"1\r\n%c\r\n" % letter)
            await asyncio.wait_for(reader.readuntil(b"1\r\n%c\r\n" % letter), 10)
        writer.write(b"0\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 10) == b"0\r\n\r\n"


async def test_a_client_that_leaves_takes_its_request_with_it() -> None:
    async with before(silent) as (port, upstream):
        async with client(port) as (_, writer):
            writer.write(GET)
            await asyncio.wait_for(upstream.reached.acquire(), 10)
        await asyncio.wait_for(upstream.lost.wait(), 5)


async def test_a_client_that_leaves_amid_its_body_never_sends_a_whole_one() -> None:
    received = []

    async def script(self, reader, _writer):
        await self.head(reader)
        with contextlib.suppress(ConnectionError):
            received.append(await reader.read(-1))
        self.lost.set()

    async with before(script) as (port, upstream):
        async with client(port) as (_, writer):
            writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            await asyncio.wait_for(upstream.reached.acquire(), 10)
        await asyncio.wait_for(upstream.lost.wait(), 5)
    assert b"0\r\n\r\n" not in b"".join(received)


async def test_a_client_that_leaves_amid_an_answer_ends_it() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        self.lost.set()

    async with before(script) as (port, upstream):
        async with client(port) as (reader, writer):
            writer.write(GET)
            await asyncio.wait_for(reader.readuntil(b"1\r\nx\r\n"), 10)
        await asyncio.wait_for(upstream.lost.wait(), 5)


async def test_each_wait_has_its_own_end_and_its_own_answer() -> None:
    async with before(silent, response_s=0.2) as (port, upstream):
        status, _, body = await asked(port, GET)
        assert (status, json.loads(body)["title"]) == (504, "Temporarily unavailable")
        await asyncio.wait_for(upstream.lost.wait(), 5)
    async with before(silent, body_s=0.2) as (port, _):
        late = await asked(port, b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nx")
        assert (late[0], late[1]["connection"]) == (408, "close")
    half = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
    async with before(half, idle_s=0.2) as (port, _):
        assert (await asked(port, GET))[2] is None


async def test_a_slow_reader_holds_the_upstream_back() -> None:
    written = 0

    async def script(self, reader, writer):
        nonlocal written
        await self.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n")
        for _ in range(2000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            written += 100_000

    async with before(script) as (port, _), client(port) as (reader, writer):
        writer.write(GET)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        seen = -1
        async with asyncio.timeout(20):
            while seen != written:
                seen = written
                await asyncio.sleep(0.3)
        # What the kernel holds on four sockets, and a little of ours.
        assert written < 40_000_000


async def test_a_slow_upstream_holds_the_client_back() -> None:
    go = asyncio.Event()

    async def script(self, reader, writer):
        await self.head(reader)
        await go.wait()

    async with before(script) as (port, _), client(port) as (_, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 200000000\r\n\r\n")
        sent = 0
        with contextlib.suppress(TimeoutError):
            for _ in range(2000):
                writer.write(b"x" * 100_000)
                async with asyncio.timeout(0.5):
                    await writer.drain()
                sent += 100_000
        assert 0 < sent < 40_000_000
        go.set()


async def test_a_client_that_takes_nothing_of_its_answer_is_given_up() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * 100_000)
                await writer.drain()
        self.lost.set()

    async with before(script, body_s=0.3) as (port, upstream), client(port) as (_, writer):
        writer.write(GET)
        await asyncio.wait_for(upstream.lost.wait(), 10)


async def test_a_client_that_was_not_asked_for_its_body_is_missed_when_it_leaves() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(b"HTTP/1.1 417 No\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        self.lost.set()

    async with before(script) as (port, upstream):
        async with client(port) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
            await asyncio.wait_for(reader.readuntil(b"1\r\nx\r\n"), 10)
        await asyncio.wait_for(upstream.lost.wait(), 5)
