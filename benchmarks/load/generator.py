"""The load generator of a run: wrk where it is on PATH, else our own client."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import wrk
from benchmarks.ratios import Load
from benchmarks.world import ROOT

CONNECTIONS = 32

Drive = Callable[[int, Path, float, int], Load]
"""(port, file of requests, seconds, number of the first request) → what was seen."""


class Generator(NamedTuple):
    """How load is made in this run."""

    name: str
    drive: Drive


def choose(wanted: str = "any") -> Generator:
    """Return wrk, or our own client: as `wanted`, or wrk if it is installed."""
    found = shutil.which("wrk")
    if wanted == "wrk" and found is None:
        raise SystemExit(
            "benchmark: wrk is not on PATH; install it, or leave `--load` out to use the client that is built in"
        )
    if found is None or wanted == "own":
        return Generator("the built-in asyncio client", _own)
    binary = found

    def drive(port: int, requests: Path, seconds: float, start: int) -> Load:
        return wrk.run(binary, port, requests, connections=CONNECTIONS, seconds=max(1, round(seconds)), start=start)

    return Generator("wrk", drive)


def once(port: int, requests: Path) -> Load:
    """Send every request of the file once, with our own client, and return what it saw."""
    return _client(port, requests, "--once")


def _own(port: int, requests: Path, seconds: float, start: int) -> Load:
    return _client(port, requests, "--seconds", str(seconds), "--start", str(start))


def _client(port: int, requests: Path, *options: str) -> Load:
    command = [sys.executable, "-m", "benchmarks.load.client", "--port", str(port), "--requests", str(requests)]
    ended = subprocess.run(
        [*command, "--connections", str(CONNECTIONS), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"benchmark: the load generator failed: {ended.stderr.strip()[-2_000:]}")
    return parse(ended.stdout)


def parse(printed: str) -> Load:
    """Return what our own client printed, as a `Load`."""
    seen = json.loads(printed)
    wrong = seen["broken"] + sum(count for status, count in seen["statuses"].items() if status != "200")
    return Load(seen["requests"], seen["seconds"], wrong, seen["p50_ms"], seen["p99_ms"])
