"""However a request ends, that is told once."""

import asyncio

import pytest

from gateway.enforce.answered import Answered, watched

HTTP, WEBSOCKET = {"type": "http"}, {"type": "websocket"}


def told(scope, *messages, fault: BaseException | None = None, passage=None) -> list[Answered]:
    found: list[Answered] = []
    sent = []

    async def app(scope, _receive, send) -> None:
        if passage is not None:
            scope["state"]["gateway"] = passage
        for message in messages:
            await send(message)
        if fault is not None:
            raise fault

    async def send(message) -> None:
        sent.append(message)

    async def run() -> None:
        await watched(app, dict(scope), None, send, found.append)

    if fault is None:
        asyncio.run(run())
    else:
        with pytest.raises(type(fault)):
            asyncio.run(run())
    assert sent == list(messages)
    return found


START, BODY = {"type": "http.response.start", "status": 403}, {"type": "http.response.body"}


def test_a_request_is_told_at_its_end_with_what_was_decided() -> None:
    assert told(HTTP, START, BODY, passage="a passage") == [Answered("a passage", 403)]


def test_a_fault_is_told_and_goes_on() -> None:
    fault = RuntimeError("odd")
    assert told(HTTP, fault=fault) == [Answered(None, None, fault)]
    assert told(HTTP, START, fault=fault) == [Answered(None, 403, fault)]


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({"type": "websocket.accept"}, 101),
        ({"type": "websocket.close", "code": 1008}, 403),
        ({"type": "websocket.http.response.start", "status": 451}, 451),
    ],
)
def test_a_handshake_is_told_when_it_is_answered_and_not_when_its_socket_ends(message, status: int) -> None:
    assert told(WEBSOCKET, message, {"type": "websocket.close"}) == [Answered(None, status)]


def test_a_handshake_that_was_left_without_an_answer_is_told_too() -> None:
    assert told(WEBSOCKET) == [Answered(None, None)]
