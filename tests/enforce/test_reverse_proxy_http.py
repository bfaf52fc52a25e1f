"""The proxy before an upstream that says exactly what a test wants, byte by byte."""

import asyncio
import contextlib
import json

import pytest

from gateway.enforce.proxy_pool import Limits, Upstream
from gateway.enforce.reverse_proxy import ReverseProxy
from tests.enforce.test_reverse_proxy import served

GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Scripted:
    """An upstream that does what `script` says with each connection, and remembers the heads of requests."""

    def __init__(self, script) -> None:
        self.script = script
        self.heads = []
        self.connections = 0
        self.lost = asyncio.Event()
        self.reached = asyncio.Semaphore(0)
        self.tasks = set()

    async def head(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        self.reached.release()
        return head

    async def connected(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self.script(self, reader, writer)
        finally:
            await closed(writer)


@contextlib.asynccontextmanager
async def before(script, **limits):
    """The port of a proxy before a scripted upstream, and that upstream."""
    upstream = Scripted(script)
    server = await asyncio.start_server(upstream.connected, "127.0.0.1", 0)
    proxy = ReverseProxy(Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", Limits(**limits)))
    async with served(proxy) as url:
        yield int(url.rpartition(":")[2]), upstream
    await proxy.close()
    server.close()
    for task in upstream.tasks:
        task.cancel()
    await asyncio.gather(*upstream.tasks, return_exceptions=True)
    await server.wait_closed()


def answering(*answers, close=False):
    """A script that answers the requests of a connection, one after the other, the last one for ever."""

    async def script(self, reader, writer):
        number = 0
        while True:
            await self.head(reader)
            writer.write(answers[min(number, len(answers) - 1)])
            await writer.drain()
            number += 1
            if close:
                return

    return script


async def silent(self, reader, _writer):
    await self.head(reader)
    await reader.read()
    self.lost.set()


@contextlib.asynccontextmanager
async def client(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        await closed(writer)


async def closed(writer):
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def answer(reader, *, method="GET"):
    """The status, headers and body of the next answer; the body is None where it was cut off."""
    head = b"HTTP/1.1 100"
    while head.startswith(b"HTTP/1.1 100"):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    status, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = dict(line.split(": ", 1) for line in lines)
    try:
        if method == "HEAD" or status.split()[1] in {"204", "304"}:
            body = b""
        elif "content-length" in headers:
            body = await asyncio.wait_for(reader.readexactly(int(headers["content-length"])), 10)
        else:
            body = b""
            while size := int(await asyncio.wait_for(reader.readuntil(b"\r\n"), 10), 16):
                body += (await asyncio.wait_for(reader.readexactly(size + 2), 10))[:-2]
            await reader.readexactly(2)
    except asyncio.IncompleteReadError:
        body = None
    return int(status.split()[1]), headers, body


async def asked(port, request, *, method="GET"):
    async with client(port) as (reader, writer):
        writer.write(request)
        return await answer(reader, method=method)


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


async def test_connections_are_kept_and_given_up_when_the_upstream_says_so() -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with before(answering(OK, OK, closing)) as (port, upstream):
        for _ in range(3):
            assert (await asked(port, GET))[0] == 200
        assert upstream.connections == 1
        assert (await asked(port, GET))[0] == 200
        assert upstream.connections == 2


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
        await asyncio.wait_for(upstream.lost.wait(), 2)


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
        await asyncio.wait_for(upstream.lost.wait(), 2)


async def test_each_wait_has_its_own_end_and_its_own_answer() -> None:
    async with before(silent, response_s=0.2) as (port, upstream):
        status, _, body = await asked(port, GET)
        assert (status, json.loads(body)["title"]) == (504, "Temporarily unavailable")
        await asyncio.wait_for(upstream.lost.wait(), 2)
    async with before(silent, body_s=0.2) as (port, _):
        late = await asked(port, b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nx")
        assert (late[0], late[1]["connection"]) == (408, "close")
    half = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
    async with before(half, idle_s=0.2) as (port, _):
        assert (await asked(port, GET))[2] is None


async def test_interim_answers_do_not_put_off_the_end_of_the_wait() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await asyncio.sleep(0.05)

    async with before(script, response_s=0.3) as (port, _):
        assert (await asked(port, GET))[0] == 504


async def test_no_more_requests_than_said_are_under_way_and_no_more_wait_than_said() -> None:
    async with before(silent, connections=2, queue_s=0.1) as (port, upstream), contextlib.AsyncExitStack() as held:
        for _ in range(2):
            _, writer = await held.enter_async_context(client(port))
            writer.write(GET)
            await asyncio.wait_for(upstream.reached.acquire(), 10)
        status, headers, _ = await asked(port, GET)
        assert (status, headers["retry-after"]) == (503, "1")
        assert upstream.connections == 2


async def test_who_waits_is_served_when_a_connection_is_free() -> None:
    async def script(self, reader, writer):
        while True:
            await self.head(reader)
            await asyncio.sleep(0.02)
            writer.write(OK)

    async with before(script, connections=2, queue_s=5) as (port, upstream):
        answers = await asyncio.gather(*(asked(port, GET) for _ in range(4)))
        assert [status for status, _, _ in answers] == [200] * 4
        assert upstream.connections <= 2


async def test_a_place_is_free_again_whatever_became_of_its_exchange() -> None:
    async with before(silent, connections=1, queue_s=0.05, response_s=0.05) as (port, _):
        for _ in range(4):
            assert (await asked(port, GET))[0] == 504


async def test_what_the_gateway_says_cannot_be_taken_away_by_nominating_it() -> None:
    async def told(scope, receive, send):
        if scope["type"] == "http":
            scope["headers"] = [*scope["headers"], (b"gateway-account", b"alice")]
        await proxy(scope, receive, send)

    upstream = Scripted(answering(OK))
    server = await asyncio.start_server(upstream.connected, "127.0.0.1", 0)
    proxy = ReverseProxy(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with served(told) as url:
        nominated = b"\r\nconnection: gateway-account, authorization, x-mine, x-forwarded-for\r\nauthorization: a\r\n"
        await asked(int(url.rpartition(":")[2]), GET.replace(b"\r\n\r\n", nominated + b"x-mine: 1\r\n\r\n"))
    await proxy.close()
    server.close()
    for task in upstream.tasks:
        task.cancel()
    await asyncio.gather(*upstream.tasks, return_exceptions=True)
    lines = upstream.heads[0].split(b"\r\n")
    assert b"gateway-account: alice" in lines
    assert b"authorization: a" in lines
    assert not [line for line in lines if line.startswith((b"x-mine", b"connection"))]


async def test_the_upstream_is_told_by_whom_it_was_asked() -> None:
    async with before(answering(OK)) as (port, upstream):
        await asked(port, GET.replace(b"\r\n\r\n", b"\r\nvia: 1.0 fred\r\n\r\n"))
    lines = upstream.heads[0].split(b"\r\n")
    assert lines.index(b"via: 1.0 fred") < lines.index(b"via: 1.1 gateway")


async def test_trailers_of_a_request_are_never_read_as_its_headers() -> None:
    async def script(self, reader, writer):
        await self.head(reader)
        self.heads.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)

    sent = (
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ntrailer: authorization\r\n\r\n"
        b"1\r\nx\r\n0\r\nauthorization: Bearer of-another\r\nx-forwarded-for: 1.2.3.4\r\n\r\n"
    )
    async with before(script) as (port, upstream):
        assert (await asked(port, sent))[0] == 200
    assert b"authorization" not in b"".join(upstream.heads)


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
