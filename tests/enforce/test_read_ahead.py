import asyncio

import pytest

from gateway.enforce.read_ahead import read_ahead


def receiver(*messages):
    left = list(messages)

    async def receive():
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def part(body: bytes, more: bool = False):
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("messages", "body"),
    [
        ((part(b"ab", True), part(b"cd")), b"abcd"),
        ((part(b""),), b""),
        (({"type": "http.request"},), b""),
        ((part(b"abcd", True), part(b"efgh", True), part(b"i")), None),
        ((part(b"ab", True), {"type": "http.disconnect"}), None),
        ((part(b"ab", True),), None),
    ],
)
async def test_a_body_is_read_within_bounds_and_the_app_gets_every_message_of_it(messages, body) -> None:
    found, again = await read_ahead(receiver(*messages), 6, within_s=0.05)
    assert found == body
    async with asyncio.timeout(1):
        assert [await again() for _ in messages] == list(messages)
