"""What crosses the gateway on its way to an upstream."""

import asyncio

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.enforce.proxy_headers import HOP_BY_HOP, Unreadable
from gateway.enforce.proxy_headers import asked as asked_of
from gateway.enforce.reverse_proxy import ReverseProxy
from tests.enforce.scripted import GET, OK, Scripted, answering, asked, before, served


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


CROSSING = {b"x-mine", b"accept", b"cookie", b"via"}
ABOUT_THE_CLIENT = {b"x-forwarded-for", b"x_forwarded_for", b"x-real-ip", b"forwarded", b"client.ip"}
NAMES = st.sampled_from(sorted(HOP_BY_HOP | ABOUT_THE_CLIENT | CROSSING))
VALUES = st.binary(max_size=20)


def scope(headers, *, target=b"/", query=b"", method="GET"):
    return {"method": method, "raw_path": target, "query_string": query, "headers": headers, "http_version": "1.1"}


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_one_request_is_written_and_nothing_of_the_connection_or_of_another_address(headers) -> None:
    try:
        one = asked_of(scope([line for line in headers if line[0] not in {b"transfer-encoding", b"connection"}]))
    except Unreadable:
        assert any(byte < 32 or byte == 127 for _, value in headers for byte in value)
        return
    seen = SeenHeaders()
    httptools.HttpRequestParser(seen).feed_data(one.head)
    assert seen.complete == 1
    assert {name for name, _ in seen.headers} <= CROSSING


class SeenHeaders:
    """What a parser finds."""

    def __init__(self) -> None:
        self.headers = []
        self.complete = 0

    def on_header(self, name, value) -> None:
        self.headers.append((name, value))

    def on_message_complete(self) -> None:
        self.complete += 1


@pytest.mark.parametrize(
    "odd",
    [
        scope([], target=b"/a b"),
        scope([], target=b"/a\r\nx: y"),
        scope([], target=b"http://elsewhere.example/"),
        scope([], target=b"/a#b"),
        scope([], target=b""),
        scope([], query=b"a b"),
        scope([], query=b"a\r\n\r\nGET / HTTP/1.1"),
        scope([], method="GET / HTTP/1.1\r\nx: y"),
        scope([(b"x-mine", b"a\r\ncontent-length: 5")]),
        scope([(b"x-mine", b"a\nb")]),
        scope([(b"x-mine", b"a\0b")]),
        scope([(b"x-mine", b"a\x7fb")]),
        scope([(b"content-length", b"1"), (b"content-length", b"1")]),
        scope([(b"content-length", b"0"), (b"content-length", b"0")]),
        scope([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")]),
        scope([(b"content-length", b"+1")]),
        scope([(b"content-length", b"1_0")]),
        scope([(b"transfer-encoding", b"gzip, chunked")]),
        scope([(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")]),
    ],
)
def test_what_could_be_read_in_two_ways_is_not_written(odd) -> None:
    with pytest.raises(Unreadable):
        asked_of(odd)


@pytest.mark.parametrize(
    ("headers", "length", "expects"),
    [
        ([], 0, False),
        ([(b"content-length", b"7")], 7, False),
        ([(b"transfer-encoding", b"Chunked")], None, False),
        ([(b"content-length", b"7"), (b"expect", b"100-Continue")], 7, True),
        ([(b"content-length", b"0"), (b"expect", b"100-continue")], 0, False),
        ([(b"content-length", b"7"), (b"expect", b"something")], 7, False),
    ],
)
def test_how_long_a_body_is_and_whether_it_waits_to_be_asked_for(headers, length, expects) -> None:
    one = asked_of(scope(headers, method="POST"))
    assert (one.length, one.expects) == (length, expects)
    assert (b"\r\nexpect:" in one.head) == expects


def test_only_what_changes_nothing_and_carries_nothing_may_be_repeated() -> None:
    methods = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH")
    assert {one for one in methods if asked_of(scope([], method=one)).repeatable} == {"GET", "HEAD", "OPTIONS"}
    assert not asked_of(scope([(b"content-length", b"1")])).repeatable
