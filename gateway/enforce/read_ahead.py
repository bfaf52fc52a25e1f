"""Reading a request's body before the app does, and giving it the same messages afterwards."""

import asyncio
from typing import Final

from gateway.enforce.asgi import Message, Receive

WITHIN_S: Final = 10.0
"""How long a body may take that a decision waits for. Without it, it is decided as one that says nothing."""


async def read_ahead(receive: Receive, most: int, *, within_s: float = WITHIN_S) -> tuple[bytes | None, Receive]:
    """Return the body, None where it is longer than `most`, late or cut off, and what gives the app all of it anew."""
    seen: list[Message] = []
    body = await _read(receive, most, within_s, seen)

    async def again() -> Message:
        return seen.pop(0) if seen else await receive()

    return body, again


async def _read(receive: Receive, most: int, within_s: float, seen: list[Message]) -> bytes | None:
    parts: list[bytes] = []
    length = 0
    try:
        async with asyncio.timeout(within_s):
            while True:
                message = await receive()
                seen.append(message)
                if message["type"] != "http.request":
                    return None
                part = message.get("body", b"")
                parts.append(part)
                length += len(part)
                if length > most:
                    return None
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        return None
