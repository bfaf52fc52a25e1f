"""The server processes of a run: started together, only the one that is measured is awake."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import NEED_COMPILER
from benchmarks.world import ROOT, World

START_S = 60
STOP_S = 10


@dataclass
class Server:
    """One running server process."""

    app: str
    process: subprocess.Popen[str]
    port: int
    errors: Path

    def wake(self) -> None:
        """Let it run."""
        self.process.send_signal(signal.SIGCONT)

    def sleep(self) -> None:
        """Stop it where it stands: its timers cost the others nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End it, kindly first."""
        self.wake()
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_s(self) -> float | None:
        """Return the CPU seconds (user and system, all threads) that it has used; None where only Linux tells."""
        if sys.platform != "linux":
            return None
        # The kernel's own clock id of a process's CPU time, as clock_getcpuclockid(3) makes it: the sum that
        # /proc/PID/stat shows in ticks of 10 ms, here in nanoseconds.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def tail(self) -> str:
        """Return the last of what it wrote to stderr."""
        return self.errors.read_text(errors="replace")[-2_000:].strip()

    def check_alive(self) -> None:
        """Stop the run with the server's own words when it has died."""
        if self.process.poll() is not None:
            raise SystemExit(f"benchmark: the server of `{self.app}` ended: {self.tail() or 'without a word'}")


@contextmanager
def running(
    apps: Sequence[str], world: World, core: int | None, compiled: Path | None = None
) -> Iterator[dict[str, Server]]:
    """Start a server for each app; all are asleep when they are handed over, and ended afterwards.

    `compiled` is the folder of the packages that those run on which need a compiler.
    """
    servers: dict[str, Server] = {}
    try:
        for app in apps:
            servers[app] = _start(app, world, core, compiled if app in NEED_COMPILER else None)
            servers[app].sleep()
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def _start(app: str, world: World, core: int | None, packages: Path | None) -> Server:
    errors = world.folder / f"{app}.stderr"
    # -P: what is imported comes from `packages` first, and not from the folder that it runs in.
    command = [sys.executable, "-P", "-m", "benchmarks.serve", "--app", app, "--world", str(world.folder)]
    if core is not None:
        command += ["--core", str(core)]
    process = _begun(command, errors, packages)
    assert process.stdout is not None
    with process.stdout:
        port = _first_line(process.stdout.fileno())
    if not port:
        process.kill()
        process.wait()
        raise SystemExit(f"benchmark: the server of `{app}` did not start: {errors.read_text()[-2_000:].strip()}")
    return Server(app, process, int(port), errors)


def _begun(command: list[str], errors: Path, packages: Path | None) -> "subprocess.Popen[str]":
    """Return a process whose errors go into a file, and whose Python finds what is in `packages` first."""
    paths = os.pathsep.join(str(one) for one in (packages, ROOT) if one is not None)
    with errors.open("w") as stderr:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": paths},  # noqa: TID251 - the same environment, one variable more
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


def _first_line(descriptor: int) -> str:
    """Return the line that a server prints when it listens; empty when it ended, or took too long."""
    line = b""
    deadline = time.monotonic() + START_S
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(descriptor, 64) if ready else b""
        if not piece:
            return ""
        line += piece
    return line.decode().strip()


def free_port() -> int:
    """Return a port that nobody listened on a moment ago, for a server that cannot be asked to choose one."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def binary(name: str) -> str:
    """Return the path of a program that came with a Python package."""
    return str(Path(sys.executable).parent / name)


@contextmanager
def process(
    name: str, command: list[str], folder: Path, core: int | None, port: int = 0, *, packages: Path | None = None
) -> Iterator[Server]:
    """A command that serves: it says its port, or listens on the one that is given.

    Where it is Python, it imports what is in `packages` before what is in the checkout.
    """
    errors = folder / f"{name}.stderr"
    started = _begun(command, errors, packages)
    try:
        if core is not None:
            os.sched_setaffinity(started.pid, {core})
        assert started.stdout is not None
        # What else it prints is its log.
        listens = port and _listens(port)
        port = port or next((int(line) for line in started.stdout if line.strip().isdigit()), 0)
        if not port or listens is False:
            raise SystemExit(f"benchmark: `{name}` did not start: {errors.read_text()[-2_000:]}")
        yield Server(name, started, port, errors)
    finally:
        started.send_signal(signal.SIGCONT)
        started.kill()
        started.wait()
        assert started.stdout is not None
        started.stdout.close()


def _listens(port: int) -> bool:
    """Return whether something listens before long."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
