"""What an upstream may send, and what is taken for an answer."""

import asyncio
import json

import pytest

from tests.enforce.scripted import GET, OK, answer, answering, asked, before, client


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\nokmor",
        b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 999 What\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx-odd: a\x00b\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\ncontent-length: 2\r\n\r\nok",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"",
    ],
)
async def test_what_can_be_read_in_two_ways_is_no_answer(sent) -> None:
    async with before(answering(sent, close=True)) as (port, _):
        status, headers, body = await asked(port, GET)
    assert (status, headers["content-type"]) == (502, "application/problem+json")
    assert json.loads(body)["type"] == "urn:gateway:problem:upstream-unavailable"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_second_answer_reaches_nobody(method) -> None:
    smuggled = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled"
    first = OK if method == "GET" else b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    async with before(answering(first + smuggled)) as (port, upstream):
        for _ in range(3):
            status, _, body = await asked(port, GET.replace(b"GET", method.encode()), method=method)
            assert (status, body) == (200, b"ok" if method == "GET" else b"")
        assert upstream.connections == 3


async def test_an_answer_that_comes_before_it_was_asked_for_reaches_nobody() -> None:
    later = asyncio.Event()

    async def script(self, reader, writer):
        await self.head(reader)
        writer.write(OK)
        await later.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled")
        await writer.drain()
        await reader.read()
        self.lost.set()

    async with before(script) as (port, upstream):
        assert (await asked(port, GET))[2] == b"ok"
        later.set()
        await asyncio.wait_for(upstream.lost.wait(), 10)
        assert (await asked(port, GET))[2] == b"ok"


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    ],
)
async def test_half_an_answer_is_never_made_whole(sent) -> None:
    async with before(answering(sent, close=True)) as (port, _):
        assert (await asked(port, GET))[2] is None


async def test_an_answer_that_ends_with_its_connection_is_passed_on_and_its_connection_not_used_again() -> None:
    async with before(answering(b"HTTP/1.0 200 OK\r\n\r\nall of it", close=True)) as (port, upstream):
        for _ in range(2):
            status, headers, body = await asked(port, GET)
            assert (status, headers["transfer-encoding"], body) == (200, "chunked", b"all of it")
        assert upstream.connections == 2


async def test_interim_answers_go_by_and_trailers_and_hop_by_hop_headers_are_dropped() -> None:
    sent = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\nx-early: 1\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nconnection: x-hop\r\nx-hop: 1\r\nDate: x\r\nkeep-alive: 5\r\ntrailer: gateway-access\r\n"
        b"GATEWAY-Access: full\r\nproxy-authenticate: x\r\nset-cookie: a\r\nset-cookie: b\r\n"
        b"transfer-encoding: Chunked\r\n\r\n2;ext=1\r\nok\r\n0\r\ngateway-access: full\r\nx-late: 1\r\n\r\n"
    )
    async with before(answering(sent)) as (port, upstream):
        async with client(port) as (reader, writer):
            for _ in range(2):
                writer.write(GET)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                date, *lines = head.lower().split(b"\r\n")[1:-2]
                assert date.startswith(b"date: ")
                assert lines == [b"set-cookie: a", b"set-cookie: b", b"transfer-encoding: chunked"]
                assert await reader.readexactly(12) == b"2\r\nok\r\n0\r\n\r\n"
        assert upstream.connections == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_an_answer_without_a_body_leaves_the_connection_as_it_was(status) -> None:
    async with (
        before(answering(b"HTTP/1.1 " + status + b"\r\ncontent-length: 5\r\netag: x\r\n\r\n", OK)) as (port, _),
        client(port) as (reader, writer),
    ):
        writer.write(GET)
        got, headers, _ = await answer(reader)
        assert (got, "content-length" in headers) == (int(status[:3]), False)
        writer.write(GET)
        assert (await answer(reader))[2] == b"ok"


async def test_the_head_alone_says_how_long_the_body_would_be() -> None:
    sent = b"HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n"
    async with before(answering(sent)) as (port, _), client(port) as (reader, writer):
        for _ in range(3):
            writer.write(GET.replace(b"GET", b"HEAD"))
            assert (await answer(reader, method="HEAD"))[1]["content-length"] == "12345"


async def test_interim_answers_do_not_put_off_the_end_of_the_wait() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await asyncio.sleep(0.05)

    async with before(script, response_s=0.3) as (port, _):
        assert (await asked(port, GET))[0] == 504
