"""Raw bytes at the strict server, each conversation on a loopback connection of its own."""

import asyncio

import pytest

from gateway.enforce import http_server
from tests.enforce.conversing import converse, echo


def test_an_ordinary_request_is_served_and_the_connection_kept() -> None:
    heard = converse(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n", pause=0.05)
    assert heard.count(b"200 OK") == 2
    assert b'"/b"' in heard


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        (b"/a?b=c", b'"/a"'),
        (b"http://evil.example/api/v1/withdrawals?x", b'"http://evil.example/api/v1/withdrawals"'),
        (b"//evil.example/x", b'"//evil.example/x"'),
        (b"/a#b", b'"/a#b"'),
    ],
)
def test_the_app_sees_the_target_as_it_was_sent(target, seen) -> None:
    assert seen in converse(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")


def test_a_head_without_end_is_refused_before_it_fills_the_memory() -> None:
    heard = converse(b"GET / HTTP/1.1\r\nHost: h\r\nX: ", *[b"a" * 4096] * 200, pause=0.001)
    # What is still under way may reset the connection before the 400 is read.
    assert heard.endswith(b"<closed>")
    assert b"200 OK" not in heard
    short = converse(b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"a" * 4097, pause=0.05)
    assert short.startswith(b"HTTP/1.1 400 ")
    assert b"too large" in short


def test_a_large_body_is_not_taken_for_a_large_head() -> None:
    body = b"b" * 400_000
    first = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%bGET /next HTTP/1.1\r\nHo" % (len(body), body)
    heard = converse(first, b"st: h\r\n\r\n", pause=0.05)
    assert heard.count(b"200 OK") == 2
    assert b'"body": 400000' in heard


def test_a_head_that_does_not_arrive_in_time_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(http_server, "_HEAD_SECONDS", 0.05)
    assert converse(b"GET / HTTP/1.1\r\nHo").startswith(b"HTTP/1.1 400 ")
    assert converse(b"") == b"<closed>"


@pytest.mark.parametrize(
    "framing",
    [
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: +3\r\n",
    ],
)
def test_framing_that_two_readers_read_differently_is_refused_and_closed(framing) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    heard = converse(b"POST / HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n0\r\n\r\n" + smuggled)
    assert b"smuggled" not in heard
    assert heard.startswith(b"HTTP/1.1 400 ")


def test_trailers_are_never_among_the_headers() -> None:
    async def listing(scope, receive, send):
        if scope["type"] == "lifespan":
            await echo(scope, receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        names = b" ".join(name for name, _ in scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(names))]})
        await send({"type": "http.response.body", "body": names})

    request = (
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
        b"Authorization: Bearer x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    )
    heard = converse(request, request, app=listing, pause=0.05)
    assert heard.count(b"\r\n\r\nhost transfer-encoding") == 2
    assert b"authorization" not in heard


CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        [b"".join(b"X-%d: %b\r\n" % (number, b"a" * 100) for number in range(50)) + b"\r\n"],
        [b"X-%d: %b\r\n" % (number, b"a" * 100) for number in range(40)],
        [b"X: ", *[b"a" * 1024] * 4],
    ],
    ids=["many at once", "many one by one", "one without end"],
)
def test_trailers_are_held_to_the_bound_of_the_head(parts) -> None:
    heard = converse(CHUNKED, *parts, pause=0.002)
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.endswith(b"<closed>")
    assert b"200 OK" not in heard


def test_a_chunk_that_takes_many_reads_is_no_trailer() -> None:
    body = b"5000\r\n", *[b"b" * 1024] * 20, b"\r\n0\r\nX-Sum: 1\r\n\r\n"
    heard = converse(CHUNKED.removesuffix(b"0\r\n"), *body, b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n", pause=0.002)
    assert b'"body": 20481' in heard
    assert heard.count(b"200 OK") == 2


def test_what_is_refused_in_the_midst_of_an_answer_adds_nothing_to_it() -> None:
    async def hasty(scope, receive, send):
        if scope["type"] == "lifespan":
            await echo(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await asyncio.Event().wait()

    heard = converse(CHUNKED, *[b"X: %b\r\n" % (b"a" * 2050)] * 3, app=hasty, pause=0.02)
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert heard.endswith(b"begun<closed>")


def test_a_refused_handshake_is_answered_without_filling_the_log(caplog) -> None:
    async def refusing(scope, receive, send):
        if scope["type"] == "lifespan":
            await echo(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.http.response.start", "status": 451, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no"})

    handshake = (
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    heard = converse(handshake, app=refusing)
    assert heard.startswith(b"HTTP/1.1 451 ")
    assert heard.endswith(b"no<closed>")
    assert caplog.records == []


@pytest.mark.parametrize("framing", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_handshake_with_a_body_is_refused_and_closed(framing) -> None:
    heard = converse(
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n" + framing
    )
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.endswith(b"<closed>")


def test_requests_sent_at_once_are_answered_in_their_order():
    requests = [b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(20)]
    heard = converse(b"".join(requests))
    assert [int(one.split(b'"')[0]) for one in heard.split(b'"/')[1:]] == [*range(20)]


def test_a_handshake_behind_a_request_without_an_answer_is_refused():
    handshake = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    heard = converse(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n" + handshake)
    assert b" 101 " not in heard
    assert heard.endswith(b"<closed>")


def test_a_client_that_waits_is_asked_for_its_body_once():
    heard = converse(
        b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", b"ab", b"cd", pause=0.05
    )
    assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert heard.count(b"HTTP/1.1") == 2
    assert b'"body": 4' in heard


def test_http_1_0_is_answered_and_closed():
    heard = converse(b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close\r\n" in heard
    assert heard.endswith(b"<closed>")
