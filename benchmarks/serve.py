"""A server process of the benchmark: one app under uvicorn, pinned to one core.

    python -m benchmarks.serve --app bare --world FOLDER --core 0

Prints the port that it listens on, then serves until it is told to stop.
"""

import argparse
import asyncio
import importlib
import os
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop

from benchmarks.report import BARE_EMBEDDED, CEILING, EMBEDDED
from benchmarks.world import load

APPS = {
    "bare": "benchmarks.apps.market:create",
    "two-headers": "benchmarks.apps.floor:create",
    "gateway": "benchmarks.apps.gateway:create",
    "gateway-compiled": "benchmarks.apps.gateway:create_compiled",
    "gateway-embedded": "benchmarks.apps.gateway:create_compiled",
    "bare-embedded": "benchmarks.apps.gateway:create_bare",
    "straightforward": "benchmarks.apps.straightforward:create",
    "fastapi-guard": "benchmarks.apps.guarded:create",
    "fastapi-guard-asgi": "benchmarks.apps.guarded:create_pure",
}


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", choices=[*APPS, CEILING], required=True)
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--core", type=int, help="the core to stay on; without it, any")
    arguments = parser.parse_args()
    if arguments.core is not None:
        # Before anything else starts a thread: threads inherit it.
        os.sched_setaffinity(0, {arguments.core})
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    if arguments.app == CEILING:
        uvloop.run(_answer(listening))
        return
    module, _, name = APPS[arguments.app].partition(":")
    app = getattr(importlib.import_module(module), name)(load(arguments.world))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="gateway:protocol" if arguments.app in {EMBEDDED, BARE_EMBEDDED} else "httptools",
        lifespan="on",
        proxy_headers=False,
        access_log=False,
        log_level="warning",
        backlog=256,
    )
    # The port accepts from now on; a connection waits in the backlog until the app has started.
    _announce(listening)
    uvicorn.Server(config).run(sockets=[listening])


def _announce(listening: socket.socket) -> None:
    print(listening.getsockname()[1], flush=True)
    # Nobody reads further: what an app prints from now on goes where its errors go.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


async def _answer(listening: socket.socket) -> None:
    from benchmarks.apps.canned import Canned

    server = await asyncio.get_running_loop().create_server(Canned, sock=listening)
    _announce(listening)
    await server.serve_forever()


if __name__ == "__main__":
    main()
