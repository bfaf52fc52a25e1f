"""The bytes of an answer, without a connection."""

import pytest

from gateway.enforce.http_answer import Cycle, Outlet, written

DATE = [(b"date", b"today")]


class Transport:
    def __init__(self):
        self.heard = b""
        self.closed = False

    def write(self, data):
        self.heard += data

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


class Asked:
    """A request of one method, what is heard of its answer, and how often it was said to be out."""

    def __init__(self, method="GET", *, keep_alive=True, waits=False):
        self.transport = Transport()
        self.answered = 0
        outlet = Outlet(self.transport, lambda: DATE)
        self.cycle = Cycle(
            {"type": "http", "method": method},
            outlet,
            keep_alive=keep_alive,
            waits=waits,
            resume=lambda: None,
            answered=self._answered,
        )

    def _answered(self):
        self.answered += 1

    async def run(self, *messages):
        async def app(_scope, _receive, send):
            for message in messages:
                await send(message)

        await self.cycle.run(app)
        return self.transport.heard


def start(*headers, status=200):
    return {"type": "http.response.start", "status": status, "headers": [*headers]}


def body(data=b"", *, more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def test_an_answer_of_a_known_length_is_sent_as_it_is():
    asked = Asked()
    heard = await asked.run(start((b"Content-Length", b"2")), body(b"o", more=True), body(b"k"))
    assert heard == b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\nok"
    assert (asked.answered, asked.transport.closed) == (1, False)


async def test_an_answer_of_no_length_is_sent_in_chunks():
    heard = await Asked().run(start(), body(b"part", more=True), body())
    assert heard.endswith(b"transfer-encoding: chunked\r\n\r\n4\r\npart\r\n0\r\n\r\n")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_an_answer_without_a_body_has_none(method, status):
    heard = await Asked(method).run(start(status=status), body(b"never" if method == "HEAD" else b""))
    assert heard.endswith(b"\r\n\r\n")
    assert b"chunked" not in heard


@pytest.mark.parametrize(
    "line",
    [(b"x", b"a\r\nset-cookie: b"), (b"x", b"a\x00"), (b"x y", b"a"), (b"x:", b"a"), (b"", b"a"), (b"x\n", b"a")],
)
async def test_a_header_that_would_be_two_lines_is_never_sent(line, caplog):
    with pytest.raises(RuntimeError):
        written([line])
    asked = Asked()
    heard = await asked.run(start(line, (b"content-length", b"0")), body())
    assert heard == b""
    assert asked.transport.closed
    assert "Exception in ASGI application" in caplog.text


def test_a_name_is_sent_in_small_letters_whether_it_was_seen_before_or_is_too_long_to_be_remembered():
    lines = [(b"X-Name", b"a"), (b"x-name", b"b\tc"), (b"X-" + b"N" * 100, b"")]
    sent = b"x-name: a\r\nx-name: b\tc\r\nx-" + b"n" * 100 + b": \r\n"
    assert [written(lines), written(lines)] == [sent, sent]


@pytest.mark.parametrize("parts", [(body(b"long"),), (body(b"l"),), (body(b"l", more=True),)])
async def test_what_is_not_as_long_as_was_said_ends_the_connection(parts, caplog):
    asked = Asked()
    await asked.run(start((b"content-length", b"3")), *parts)
    assert asked.transport.closed
    assert asked.answered == 0
    assert caplog.records


async def test_an_app_that_says_nothing_is_answered_for(caplog):
    heard = await Asked().run()
    assert heard.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"connection: close\r\n" in heard
    assert "without starting response" in caplog.text


async def test_a_connection_that_is_not_kept_says_so_and_is_closed():
    by_request, by_answer = Asked(keep_alive=False), Asked()
    for asked, line in ((by_request, (b"x", b"y")), (by_answer, (b"Connection", b"Close"))):
        heard = await asked.run(start(line, (b"content-length", b"0")), body())
        assert heard.lower().count(b"connection: close") == 1
        assert asked.transport.closed


async def test_a_client_that_is_gone_is_said_to_be_and_hears_nothing():
    asked = Asked()
    asked.cycle.lose()
    assert await asked.cycle.receive() == {"type": "http.disconnect"}
    assert await asked.run(start(), body()) == b""


async def test_a_body_is_received_as_it_came():
    asked = Asked("POST", waits=True)
    asked.cycle.part(b"one")
    asked.cycle.part(b"two")
    assert asked.cycle.waiting == 6
    assert await asked.cycle.receive() == {"type": "http.request", "body": b"onetwo", "more_body": True}
    asked.cycle.end()
    assert await asked.cycle.receive() == {"type": "http.request", "body": b"", "more_body": False}
    assert asked.transport.heard == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_the_lines_of_every_answer_are_those_of_now():
    lines = [DATE]
    outlet = Outlet(Transport(), lambda: lines[0])
    assert outlet.begin(200) == b"HTTP/1.1 200 OK\r\ndate: today\r\n"
    lines[0] = [(b"date", b"tomorrow")]
    assert outlet.begin(599) == b"HTTP/1.1 599 \r\ndate: tomorrow\r\n"
