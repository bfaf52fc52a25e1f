"""How a process stops serving without dropping a request: first nobody is sent here any more, then it closes.

1. Drained: whoever asks whether it is ready hears no, every answer ends its connection, and all requests are answered.
2. Deaf: the kernel drops new handshakes of TCP, and what it had already taken is accepted. Closing a listening socket
   resets what waits in its queue, in which a request may stand already; a handshake that was dropped is tried again by
   its client, and then refused, which loses nothing.
3. Closed, as uvicorn closes: what is under way is answered.
"""

import asyncio
import ctypes
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

_DEAF_S: Final = 0.1
"""How long what the kernel had already taken is accepted."""

# https://www.kernel.org/doc/html/latest/networking/filter.html. On a listening socket the data begins with the header
# of TCP, whose 14th byte holds the flags: SYN without ACK is dropped, everything else passes.
_FILTER: Final = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
_SO_ATTACH_FILTER: Final = 26


class Ending:
    """Where the process stands with it. One for all servers of a process."""

    def __init__(self, drain_s: float = 0, *, told: Callable[[], object] = lambda: None) -> None:
        """Build. `told` is called when it begins; `drain_s` later nothing new is taken."""
        self.begun = False
        """Whether each answer is the last one of its connection."""
        self._drain_s = drain_s
        self._told = told
        self._hurry = asyncio.Event()
        self._before: list[Callable[[], Awaitable[object]]] = []
        self.ends: Callable[[int], object] | None = None
        """Ends the main server, by a signal."""

    def before_closing(self, step: Callable[[], Awaitable[object]]) -> None:
        """Have something done between draining and closing."""
        self._before.append(step)

    def hurry(self) -> None:
        """Wait for nothing any more."""
        self._hurry.set()

    async def drain(self, listening: Sequence[socket.socket]) -> None:
        """Return when the listening sockets may be closed."""
        self._told()
        if self._drain_s and not self._hurry.is_set():
            self.begun = True
            with suppress(TimeoutError):
                async with asyncio.timeout(self._drain_s):
                    await self._hurry.wait()
            for one in listening:
                deafen(one)
            await asyncio.sleep(_DEAF_S)
        for step in self._before:
            await step()


def deafen(listening: socket.socket) -> None:
    """Have the kernel drop new connections to this socket, where it knows how; those that it has stay."""
    code = b"".join(struct.pack("=HBBI", *one) for one in _FILTER)
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HP", len(_FILTER), ctypes.addressof(held))
    # By a copy of its number: loops give sockets that know fewer options than the system.
    with suppress(OSError), socket.socket(fileno=os.dup(listening.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
