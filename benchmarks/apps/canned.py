"""No HTTP server at all: one fixed answer to whatever arrives. What the load generator can drive at the most."""

import asyncio
from typing import cast

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Canned(asyncio.Protocol):
    """Answers every request head; an orders body arrives in the same segment."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        # A cast: uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer the requests in `data`: the client waits for each answer, so there is one."""
        if b"\r\n\r\n" in data and self._transport is not None:
            self._transport.write(ANSWER)
