import pytest
from starlette.requests import Request

from gateway.api.bodies import members, read_body, text_of, texts_of
from gateway.api.problems import ApiProblem


def request(*pieces: bytes, kind: str = "application/json") -> Request:
    left = list(pieces)

    async def receive() -> dict:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind.encode())]}
    return Request(scope, receive)


async def test_a_body_is_put_together_and_bounded() -> None:
    assert await read_body(request(b"ab", b"cd"), 4) == b"abcd"
    with pytest.raises(ApiProblem) as raised:
        await read_body(request(b"ab", b"cde", b"never asked for"), 4)
    assert (raised.value.status, raised.value.headers) == (413, {"Connection": "close"})


@pytest.mark.parametrize(
    ("body", "kind", "status", "parameter"),
    [
        (b"{}", "text/plain", 415, None),
        (b"{", "application/json", 400, "body"),
        (b"[1]", "application/json", 400, "body"),
        (b"nan", "application/json", 400, "body"),
        (b'{"b": 1, "x": 2}', "application/json", 400, "x"),
        (b'{"a": 1}', "application/json", 400, "b"),
        (b'{"b": null}', "application/json", 400, "b"),
    ],
)
def test_what_is_sent_is_an_object_of_what_is_known(body, kind, status, parameter) -> None:
    with pytest.raises(ApiProblem) as raised:
        members(request(kind=kind), body, ("a", "b"), ("b",))
    assert (raised.value.status, raised.value.parameter) == (status, parameter)


def test_members_are_of_their_kind() -> None:
    found = members(request(kind="Application/JSON; charset=utf-8"), b'{"a": "x", "b": ["y"]}', ("a", "b"))
    assert (text_of(found, "a"), texts_of(found, "b"), texts_of(found, "c")) == ("x", ["y"], [])
    for name, read in (("b", text_of), ("a", texts_of), ("c", text_of)):
        with pytest.raises(ApiProblem) as raised:
            read(found, name)
        assert raised.value.parameter == name
    for wrong in ([1], ["x"] * 257, None):
        with pytest.raises(ApiProblem):
            texts_of({"b": wrong}, "b")
