"""The reverse proxy that a configuration means."""

import asyncio
import contextlib

import pytest

from gateway.app.upstreams import reverse_proxy
from gateway.config import load
from gateway.core.errors import ConfigError
from tests.enforce.scripted import GET, answering, asked, before, served, silent

LEAST = "[client_ip]\ntrusted_proxies = []\n"


async def test_each_table_speaks_for_its_own_path(tmp_path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        # The scripted upstreams stand behind proxies of their own here; what is asked of those, is asked of them.
        rest, _ = await stack.enter_async_context(before(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")))
        slow, _ = await stack.enter_async_context(before(silent))
        path = tmp_path / "gateway.toml"
        path.write_text(
            f'{LEAST}[upstream]\nurl = "http://127.0.0.1:{rest}"\n'
            f'[[upstreams]]\npath = "/slow/{{rest:path}}"\nurl = "http://127.0.0.1:{slow}"\nresponse_timeout = "1s"\n'
        )
        proxy = reverse_proxy(load(path, {}))
        url = await stack.enter_async_context(served(proxy))
        port = int(url.rpartition(":")[2])
        statuses = await asyncio.gather(asked(port, GET), asked(port, GET.replace(b"/ ", b"/slow/x ")))
        assert [status for status, _, _ in statuses] == [200, 504]
        await proxy.close()


def test_a_certificate_that_is_none_stops_the_start(tmp_path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(f'{LEAST}[upstream]\nurl = "https://api.internal"\nca_file = "gateway.toml"\n')
    with pytest.raises(ConfigError, match=r"gateway\.toml` holds no certificates"):
        reverse_proxy(load(path, {}))


def test_without_an_upstream_there_is_nothing_to_pass_on_to(tmp_path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(LEAST)
    with pytest.raises(ConfigError, match="no `\\[upstream\\]`"):
        reverse_proxy(load(path, {}))
