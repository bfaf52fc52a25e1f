"""The server as a whole: it starts, or says in one line why it does not."""

import asyncio

import pytest

from gateway.core.errors import ConfigError
from gateway.enforce.http_server import run
from tests.enforce.conversing import MAX_HEAD, echo


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    async def twice():
        listening = asyncio.get_running_loop().create_future()
        first = asyncio.ensure_future(
            run(echo, host="127.0.0.1", port=0, max_head_bytes=MAX_HEAD, ready=listening.set_result)
        )
        port = int((await listening).rpartition(":")[2])
        try:
            with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {port}"):
                await run(echo, host="127.0.0.1", port=port, max_head_bytes=MAX_HEAD, ready=print)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    asyncio.run(twice())


def test_an_app_that_does_not_start_is_one_clear_line() -> None:
    async def broken(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no store"})

    with pytest.raises(ConfigError, match="did not start"):
        asyncio.run(run(broken, host="127.0.0.1", port=0, max_head_bytes=MAX_HEAD, ready=print))
