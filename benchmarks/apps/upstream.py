"""What proxies are measured in front of: fixed answers, bodies of any size, WebSockets that echo. As cheap as can be.

Its load is our own: it reads what `benchmarks.proxy` sends and nothing else.
"""

import asyncio
import base64
import hashlib
import re
from typing import cast

SMALL = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
PART = b"x" * 65_536
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\nsec-websocket-key: *([^\r]+)", re.IGNORECASE)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Upstream(asyncio.Protocol):
    """`/large/N`: N bytes. A body: read and dropped. An upgrade: every message is echoed. Else a fixed answer."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._body = 0
        self._left = 0
        self._paused = False
        self._websocket = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._websocket:
            self._echo(data)
        elif self._body:
            self._take(len(data))
        else:
            self._received += data
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if end:
                self._received = b""
                self._answer(head, rest)

    def _answer(self, head: bytes, rest: bytes) -> None:
        assert self._transport is not None
        if key := _KEY.search(head):
            accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
            self._transport.write(
                b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %b\r\n\r\n"
                % accept
            )
            self._websocket = True
        elif head.startswith(b"GET /large/"):
            self._left = int(head[11 : head.index(b" ", 11)])
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % self._left)
            self._send()
        elif (length := _LENGTH.search(head)) and int(length[1]):
            self._body = int(length[1])
            self._take(len(rest))
        else:
            self._transport.write(SMALL)

    def _take(self, length: int) -> None:
        assert self._transport is not None
        self._body -= length
        if not self._body:
            self._transport.write(SMALL)

    def _send(self) -> None:
        assert self._transport is not None
        while self._left and not self._paused:
            part = PART[: self._left]
            self._left -= len(part)
            self._transport.write(part)

    def _echo(self, data: bytes) -> None:
        """Send every message back: short ones, each in one frame."""
        assert self._transport is not None
        self._received += data
        while len(self._received) >= 6 and len(self._received) >= (size := 6 + (self._received[1] & 0x7F)):
            frame, self._received = self._received[:size], self._received[size:]
            length = size - 6
            mask = (frame[2:6] * (length // 4 + 1))[:length]
            payload = (int.from_bytes(frame[6:]) ^ int.from_bytes(mask)).to_bytes(length)
            if frame[0] & 0x0F == 8:
                self._transport.close()
                return
            self._transport.write(bytes((frame[0], length)) + payload)
