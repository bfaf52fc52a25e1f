"""Where the newest seals go besides the journal's folder, so that a folder cut at its end is noticed."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import structlog

log: Any = structlog.get_logger("gateway")

POST_WITHIN_S: Final = 5.0
"""How long one try may take, and `close` in all."""
POST_AGAIN_S: Final = 30.0
"""How long after a try that failed the newest line is tried again."""


class Publisher(Protocol):
    """Keeps seals out of reach of whoever can write the journal's folder."""

    def publish(self, line: bytes) -> None:
        """Take the newest line of one worker's seals, without its newline. Raise OSError: it is tried again, later.

        Called from a thread that seals, about once a minute while decisions come and once at the end. It must return
        within a bounded time.
        """


class FilePublisher:
    """Appends to a file, best on another machine's disk or one that only takes appends."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def publish(self, line: bytes) -> None:
        """Append the line; the disk has it when this returns. Raise OSError."""
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # One write: lines of several workers never mix. A newline first ends what a full disk may have torn.
            if os.write(fd, b"\n" + line + b"\n") != len(line) + 2:
                raise OSError(f"{self._path}: no room for a whole line")
            os.fsync(fd)
        finally:
            os.close(fd)


class WebhookPublisher:
    """Posts the newest line of one journal, as JSON, to an address. Belongs to the event loop's thread, but `publish`.

    A line that could not be posted before a newer one came is left out: the newer one names it. One that was being
    posted at the end comes twice.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._newest: bytes | None = None
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._posting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to post."""
        self._loop = asyncio.get_running_loop()
        self._posting = self._loop.create_task(self._keep_posting())

    async def close(self) -> None:
        """Post what is still owed, within a bounded time, and stop."""
        if self._posting is not None:
            self._posting.cancel()
            await asyncio.gather(self._posting, return_exceptions=True)
            self._posting = None
            await self._post()

    def publish(self, line: bytes) -> None:
        """Take the line and return at once; from any thread."""
        self._newest = line
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _keep_posting(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self._post():
                loop.call_later(POST_AGAIN_S, self._wake.set)

    async def _post(self) -> bool:
        """Return whether nothing is owed any more."""
        line = self._newest
        if line is None:
            return True
        timeout = aiohttp.ClientTimeout(total=POST_WITHIN_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session,
                session.post(self._url, data=line, allow_redirects=False) as answer,
            ):
                fault = None if answer.ok and answer.status < 300 else f"it answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as failed:
            fault = f"{type(failed).__name__}: {failed}"
        if fault is not None:
            log.error("journal:not_published", fault=fault)
            return False
        if self._newest is line:
            self._newest = None
        return self._newest is None
