"""Gateways under load in one folder, killed at any instant: who was answered, and what is on record afterwards."""

import asyncio
import os
import random
import re
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from gateway.adapters.progress import ProgressFile
from gateway.adapters.proof import check
from gateway.adapters.recorded import read_documents
from gateway.app.archives import archive_at
from gateway.app.parts import plan_of
from gateway.app.shipper import ship
from gateway.config import load
from gateway.core.search import Search
from tests.postgres_server import PostgresServer

CONNECTIONS = 4
"""To each gateway."""
GATEWAYS = 2
"""That serve at a time: one takes over shipping when the other is killed."""
AHEAD = 300
"""How many more requests are answered while somebody is started again."""

_SERVE = """
import asyncio, os, random, signal, sys
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from gateway import GatewayMiddleware
from gateway.enforce.http_server import run

# What gateways log goes nowhere: a pipe that nobody reads would stop them.
out = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

def serve(config):
    app = Starlette(routes=[Route("/{rest:path}", lambda _: PlainTextResponse("done"), methods=["GET", "POST"])])
    wrapped = GatewayMiddleware(app, config=config)
    told = lambda url: os.write(out, f"{os.getpid()} {url.rpartition(':')[2]}\\n".encode())
    asyncio.run(run(wrapped, host="127.0.0.1", port=0, max_head_bytes=32768, ready=told))
"""
_ALONE = f"{_SERVE}\nserve(sys.argv[1])"
_NURSERY = f"""{_SERVE}
import gateway.adapters.archive.postgres, gateway.adapters.archive.sqlite, gateway.app.gateway, gateway.app.shipper

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if os.fork() == 0:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        random.seed()
        serve(line.rstrip("\\n"))
        os._exit(0)
"""


class Gateway(NamedTuple):
    """A gateway that serves, alone in its process group with its shipper."""

    pid: int
    port: int

    def kill(self, *, shipper_too: bool) -> None:
        """Kill it, and at the same instant its shipper, or let that have its last pass."""
        with suppress(ProcessLookupError):
            (os.killpg if shipper_too else os.kill)(self.pid, signal.SIGKILL)
        wait_for(lambda: not self.lives())

    def lives(self) -> bool:
        """Return whether it runs: what was killed and not waited for yet does not."""
        with suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return False

    def shippers(self) -> list[int]:
        """Return the processes that it started."""
        with suppress(OSError):
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []


def _begun(process: "subprocess.Popen[bytes]", within_s: float = 60) -> Gateway:
    """Return the gateway that the process says it began. Fail where it says none."""
    assert process.stdout is not None
    told = select.select([process.stdout], [], [], within_s)[0]
    line = process.stdout.readline() if told else b""
    assert line, f"no gateway began to serve within {within_s} s"
    pid, port = map(int, line.split())
    return Gateway(pid, port)


@contextmanager
def served(config: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Gateway]]:
    """A gateway in a process and a process group of its own, waited for at the end: whoever asks for it ends it."""
    with subprocess.Popen(
        [sys.executable, "-c", _ALONE, str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        process_group=0,
    ) as process:
        try:
            yield process, _begun(process)
        except BaseException:
            process.kill()
            raise


class Nursery:
    """A process that has everything imported and forks a gateway whenever it is asked: quick, and each one new."""

    program = _NURSERY

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    def start(self, config: Path) -> Gateway:
        """Return a gateway that serves. Fail where it does not begin to."""
        return self.said(str(config))

    def said(self, line: str) -> Gateway:
        """Return what began to serve after this line. Fail where nothing does."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        return _begun(self._process)

    def close(self) -> None:
        """End it. What it started lives on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery, ended afterwards."""
    one = Nursery()
    try:
        yield one
    finally:
        one.close()


def requests_of(site: SimpleNamespace) -> list[bytes]:
    """Return requests of every kind: read, trade, withdraw, and one that cannot be read."""

    def raw(method: str, path: str, who: str | None, address: str) -> bytes:
        lines = [f"{name}: {value}" for name, value in site.headers(who, address).items()]
        return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "content-length: 0", "", ""]).encode()

    return [
        raw("GET", "/api/v1/balances", "alice", "2.80.10.20"),
        raw("POST", "/api/v1/orders", "bob", "65.24.10.20"),
        raw("POST", "/api/v1/withdrawals", "alice", "2.80.10.20"),
        raw("GET", "/%2f", None, "2.80.10.20"),
    ]


def config_of(site: SimpleNamespace, how: str, url: str | None = None) -> Path:
    """Return a configuration of the site's gateway that ships in this way, beside the others in its folder."""
    path: Path = site.folder / f"gateway-{how}.toml"
    archive = f'ship = "{how}"' + (f'\nurl = "{url}"' if url else "")
    path.write_text(re.sub(r'ship = "\w+"', archive, site.config.read_text()))
    return path


async def one_after_another(
    port: int, request: bytes, answered: list[str], over: Callable[[], bool], waits: Callable[[], bool] = lambda: False
) -> None:
    """Send requests on one connection until it breaks or it is over, none while it `waits`; note each answer's id."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return
    try:
        while not over():
            if waits():
                await asyncio.sleep(0.005)
                continue
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            await reader.readexactly(int(fields[b"content-length"]))
            answered.append(fields[b"gateway-decision"].decode())
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


async def answered_by(port: int, requests: Sequence[bytes], wanted: int) -> list[str]:
    """Return the ids of so many answers, and of those that came meanwhile."""
    answered: list[str] = []
    async with asyncio.timeout(60), asyncio.TaskGroup() as clients:
        for number in range(2 * CONNECTIONS):
            request = requests[number % len(requests)]
            clients.create_task(one_after_another(port, request, answered, lambda: len(answered) >= wanted))
    return answered


class Tally(NamedTuple):
    """What happened, and what is on record of it."""

    kills: Mapping[str, int]
    seconds: float
    answered: int
    missing: int
    """Of the answered ones, in what was looked through."""
    found: int
    twice: int
    unlike: int
    """Decisions that only one of journal and archive has, or that counts do not have."""
    findings: int
    reclaimed: int

    def text(self) -> str:
        """Return one line for people."""
        total = sum(self.kills.values())
        return (
            f"{total} kills ({', '.join(f'{name} {number}' for name, number in sorted(self.kills.items()))}) in "
            f"{self.seconds:.0f} s, {self.seconds / total:.2f} s each; {self.answered:,} answered, {self.found:,} "
            f"found, {self.missing} missing, {self.twice} twice, {self.unlike} unlike; {self.findings} findings, "
            f"{self.reclaimed} segments sealed after a kill"
        )

    @property
    def fine(self) -> bool:
        """Whether nothing is missing, nothing is there twice, and all of it is proved."""
        return not (self.missing or self.twice or self.unlike or self.findings)


class Storm:
    """Load that goes on while gateways, those who ship for them and their database are killed."""

    def __init__(
        self,
        site: SimpleNamespace,
        *,
        kills: int,
        seed: int,
        ships: Sequence[str] = ("process", "process", "process", "thread"),
        server: PostgresServer | None = None,
        between: tuple[int, int] = (20, 500),
    ) -> None:
        """Build.

        Args:
            site: the configured gateway in its folder.
            kills: how many.
            seed: of what is killed and when.
            ships: how gateways ship: one of these each.
            server: the database, if it shall be killed as well.
            between: how many requests are answered between two kills, at least and less than.
        """
        self._site = site
        self._kills = kills
        self._chance = random.Random(seed)
        self._server = server
        self._between = between
        url = None if server is None else server.url()
        self._configs = [config_of(site, how, url) for how in ships]
        self._archived = "off" not in ships
        self.answered: list[str] = []
        self._done: Counter[str] = Counter()
        self._over = False
        self._most = 0

    def run(self) -> Tally:
        """Kill, ship what is left, and compare."""
        began = time.monotonic()
        with nursery() as source:
            asyncio.run(self._blow(source))
        seconds = time.monotonic() - began
        if self._archived:
            ship_the_rest(self._configs[0])
        tally = self._compare(seconds)
        sys.stderr.write(f"{tally.text()}\n")
        return tally

    async def _blow(self, source: Nursery) -> None:
        alive: list[Gateway] = []
        began = time.monotonic()
        async with asyncio.TaskGroup() as clients:
            while (done := sum(self._done.values())) < self._kills:
                while len(alive) < GATEWAYS:
                    alive.append(one := await asyncio.to_thread(source.start, self._chance.choice(self._configs)))
                    for request in requests_of(self._site)[:CONNECTIONS]:
                        clients.create_task(self._load(one, request))
                wanted = len(self.answered) + self._chance.randrange(*self._between)
                self._most = wanted + AHEAD
                await until(lambda wanted=wanted: len(self.answered) >= wanted)
                self._done[await self._kill(alive)] += 1
                if done % 25 == 24:
                    spent = time.monotonic() - began
                    sys.stderr.write(f"{done + 1} kills, {len(self.answered):,} answered, {spent:.0f} s\n")
            self._over = True
            for one in alive:
                one.kill(shipper_too=True)

    async def _load(self, one: Gateway, request: bytes) -> None:
        await one_after_another(
            one.port, request, self.answered, lambda: self._over, lambda: len(self.answered) >= self._most
        )

    async def _kill(self, alive: list[Gateway]) -> str:
        """Kill somebody; return who it was."""
        if self._server is not None and self._chance.random() < 0.3:
            self._server.kill()
            await asyncio.to_thread(self._server.start)
            return "database"
        one = self._chance.choice(alive)
        what = self._chance.choices(["gateway", "gateway and shipper", "shipper"], [4, 4, 2])[0]
        shippers = [pid for each in alive for pid in each.shippers()]
        if what == "shipper" and shippers:
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(shippers), signal.SIGKILL)
            return what
        alive.remove(one)
        one.kill(shipper_too=what == "gateway and shipper")
        return "gateway and shipper" if what == "gateway and shipper" else "gateway"

    def _compare(self, seconds: float) -> Tally:
        journal = self._site.folder / "journal"
        recorded = [document["id"] for document in read_documents(journal)]
        found, counted = archived(self._configs[0]) if self._archived else (recorded, len(recorded))
        if self._archived:
            # What dead writers left is sealed by the next start; here there is none, and a proof says as much.
            assert len(recorded) == len(set(recorded))
        proof = check(journal)
        return Tally(
            kills=self._done,
            seconds=seconds,
            answered=len(set(self.answered)),
            missing=len(set(self.answered) - set(found)),
            found=len(found),
            twice=len(found) - len(set(found)),
            unlike=len(set(found) ^ set(recorded)) + abs(counted - len(found)),
            findings=len(proof.findings),
            reclaimed=sum(one.reclaimed for one in proof.workers),
        )


async def until(done: Callable[[], bool], within_s: float = 60) -> None:
    """Return once it is done. Fail where that takes too long."""
    async with asyncio.timeout(within_s):
        while not done():  # noqa: ASYNC110 - what it waits for is a number that others count up
            await asyncio.sleep(0.002)


def wait_for(done: Callable[[], bool], within_s: float = 60) -> None:
    """Return once it is done. Fail where that takes too long."""
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, f"not done within {within_s} s"
        time.sleep(0.02)


def ship_the_rest(config: Path) -> None:
    """Ship what is left, as the next gateway in this folder would."""
    settings = load(config)
    plan = plan_of(settings)
    assert plan is not None
    progress = ProgressFile(settings.journal.directory)

    async def once() -> bool:
        stop = asyncio.Event()
        stop.set()
        return await ship(plan, stop) and progress.read().get("oldest", 0) is None

    wait_for(lambda: asyncio.run(once()), within_s=300)


def archived(config: Path) -> tuple[list[str], int]:
    """Return every id in the archive, as often as it is there, and how many decisions its counts have."""
    settings = load(config)

    async def read() -> tuple[list[str], int]:
        archive = archive_at(settings.archive_url or "")
        await archive.start()
        try:
            ids: list[str] = []
            cursor: str | None = None
            while True:
                page = await archive.search(Search(), limit=1000, cursor=cursor)
                ids += [document["id"] for document in page.documents]
                cursor = page.cursor
                if cursor is None:
                    counts = await archive.counts(0, 1 << 62)
                    return ids, sum(count.decisions for count in counts)
        finally:
            await archive.close()

    return asyncio.run(read())
