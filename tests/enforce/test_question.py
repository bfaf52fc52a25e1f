"""What is read out of a question, and which questions are none."""

import pytest

from gateway.enforce.question import DIALECTS, Dialect, NotAsked, Questions

CLIENT = [(b"host", b"exchange.example"), (b"authorization", b"Bearer x"), (b"gateway-access", b"full")]


def read(dialect, headers, *, rest=b"", query=b"", websocket=False):
    questions = Questions(dialect)
    for _ in range(2):  # the second time from what is remembered
        request = questions.request(questions.plan(headers), 7, "10.0.0.1", "GET", rest, query, headers, websocket)
    return request


def test_nginx_says_method_and_target_in_headers_and_all_others_are_the_clients():
    said = [(b"x-original-method", b"POST"), (b"x-original-uri", b"/a?b=c?d")]
    request = read(DIALECTS["nginx"], [said[0], *CLIENT, said[1]], query=b"of=the-question")
    assert (request.at, request.peer, request.method, request.target, request.query) == (
        7,
        "10.0.0.1",
        "POST",
        b"/a",
        b"b=c?d",
    )
    assert request.headers == CLIENT
    assert not request.websocket


def test_envoy_sends_the_question_as_the_request():
    request = read(DIALECTS["envoy"], CLIENT, rest=b"/a", query=b"b=c")
    assert (request.method, request.target, request.query, request.headers) == ("GET", b"/a", b"b=c", CLIENT)


def test_the_host_that_a_proxy_forwards_stands_in_the_place_of_its_own():
    said = [(b"x-forwarded-method", b"GET"), (b"x-forwarded-uri", b"/a"), (b"x-forwarded-host", b"exchange.example")]
    request = read(DIALECTS["caddy"], [(b"host", b"gateway.internal"), *CLIENT[1:], *said])
    assert request.headers == CLIENT


@pytest.mark.parametrize(
    ("lines", "websocket"),
    [
        ([], False),
        ([(b"upgrade", b"WebSocket")], True),
        ([(b"upgrade", b""), (b"upgrade", b"websocket")], True),
        ([(b"upgrade", b"h2c"), (b"upgrade", b"websocket")], False),
    ],
)
def test_a_handshake_is_known_by_its_upgrade(lines, websocket):
    request = read(DIALECTS["envoy"], [*CLIENT, *lines, (b"connection", b"x")], rest=b"/")
    assert request.websocket is websocket
    assert request.headers == CLIENT


@pytest.mark.parametrize("name", [b"connection", b"content-length", b"transfer-encoding", b"upgrade", b"expect"])
def test_a_question_with_a_line_about_the_connection_or_a_body_is_not_bare(name):
    questions = Questions(Dialect())
    assert questions.plan(CLIENT).bare
    assert not questions.plan([*CLIENT, (name, b"x")]).bare


@pytest.mark.parametrize(
    "said",
    [
        [(b"x-original-uri", b"/")],
        [(b"x-original-method", b"GET"), (b"x-original-uri", b"")],
        [(b"x-original-method", b"GET"), (b"x-original-uri", b"/a"), (b"x-original-uri", b"/b")],
        [(b"x-original-method\nx-original-uri", b"GET")],
    ],
)
def test_what_no_snippet_asks_is_no_question(said):
    with pytest.raises(NotAsked):
        read(DIALECTS["nginx"], [*CLIENT, *said])


def test_what_follows_the_endpoint_of_nginx_is_no_target():
    with pytest.raises(NotAsked, match="something follows"):
        read(DIALECTS["nginx"], [*CLIENT, (b"x-original-method", b"GET"), (b"x-original-uri", b"/")], rest=b"/x")


def test_names_that_read_alike_when_joined_are_not_taken_for_one_another():
    questions = Questions(Dialect())
    assert questions.plan([(b"a", b""), (b"b", b"")]).kept == (0, 1)
    assert questions.plan([(b"a\nb", b"")]).kept == (0,)
