"""Servers for these tests, and a link to one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from gateway.adapters.redis.link import Link
from gateway.adapters.redis.place import Place
from tests.redis_server import certificates, redis_server, server_of_this_process

__all__ = ["certificates", "redis_server"]

PATIENT_S = 5.0
"""How long one command may take where that is not what is tested: longer than a busy machine pauses."""


def place(url: str, **more: object) -> Place:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    usual = {"within_s": PATIENT_S, "connect_within_s": PATIENT_S}
    return Place("server", ((parts.hostname, parts.port),), **{**usual, **more})


async def until(condition: Callable[[], object], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a server and tells nobody
            await asyncio.sleep(0.005)


@asynccontextmanager
async def linked(at: Place) -> AsyncIterator[Link]:
    """Give a link that has found its server."""
    link = Link(at, chance=lambda: 0.0)
    await link.start()
    try:
        await until(lambda: link.up)
        yield link
    finally:
        await link.close()


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    """A link to the server that the tests of this process share."""
    async with linked(place(server_of_this_process())) as one:
        yield one
