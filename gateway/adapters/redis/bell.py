"""Tells the other gateways that something was committed, and looks when they tell."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from redis.asyncio.client import PubSub

from gateway.adapters.redis.link import Away, Link, Unanswerable, end, let_go
from gateway.core.errors import StoreUnavailable

log: Any = structlog.get_logger("gateway")

APART_S: Final = 0.02
"""How long after a ring no other is sent, and after a look no other is made: what comes meanwhile is one."""
ASKED_EVERY_S: Final = 5.0
"""How often it is asked whether the channel is still there; a connection that died silently is found by it."""
_AGAIN_S: Final = 0.5


class Bell:
    """Rings mean `look`, and nothing else: what changed is read from the store. One that is lost costs the delay of the
    next look, and one that is forged costs a look.
    """  # noqa: D205 - one sentence

    def __init__(self, link: Link, channel: str, look: Callable[[], Awaitable[object]], *, name: str) -> None:
        """Build. `name` is this process's alone: it does not answer its own rings."""
        self.sent = 0
        self.heard = 0
        """Rings of others."""
        self.listening = False
        self._link = link
        self._channel = channel
        self._look = look
        self._name = name.encode("ascii")
        self._to_send = asyncio.Event()
        self._to_look = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def ring(self) -> None:
        """Tell the others, soon. Nobody waits for it."""
        self._to_send.set()

    async def start(self) -> None:
        """Listen from now on."""
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(each()) for each in (self._send, self._listen, self._answer)]

    async def close(self) -> None:
        """Send the ring that waits, if there is one, and stop."""
        tasks, self._tasks = self._tasks, []
        await end(tasks)
        if tasks and self._to_send.is_set():
            await self._send_one()

    async def _send_one(self) -> None:
        self._to_send.clear()
        with suppress(Away, Unanswerable):
            await self._link.ask("PUBLISH", self._channel, self._name)
            self.sent += 1

    async def _send(self) -> None:
        while True:
            await self._to_send.wait()
            await self._send_one()
            await asyncio.sleep(APART_S)

    async def _answer(self) -> None:
        while True:
            await self._to_look.wait()
            self._to_look.clear()
            try:
                await self._look()
            except StoreUnavailable:
                pass  # whoever looks at it every so often says so
            except Exception:
                log.exception("redis:look_failed")
            await asyncio.sleep(APART_S)

    async def _listen(self) -> None:
        while True:
            pubsub: PubSub | None = None
            try:
                pubsub = await self._link.subscription(self._channel)
                self.listening = True
                # What was rung while nobody listened.
                self._to_look.set()
                await self._hear(pubsub)
            except Exception as fault:  # noqa: BLE001 - whatever it is, it is listened again
                log.debug("redis:not_listening", why=type(fault).__name__)
            finally:
                self.listening = False
                if pubsub is not None:
                    await let_go(pubsub)
            await asyncio.sleep(_AGAIN_S)

    async def _hear(self, pubsub: PubSub) -> None:
        """Take rings until the connection is gone, or silent for too long."""
        asked = False
        while True:
            message = await pubsub.get_message(timeout=ASKED_EVERY_S)
            if message is not None:
                asked = False
                if message["type"] == "message" and message["data"] != self._name:
                    self.heard += 1
                    self._to_look.set()
            elif asked:
                raise Away
            else:
                await pubsub.ping()
                asked = True
