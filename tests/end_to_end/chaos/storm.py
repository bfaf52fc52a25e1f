"""Gateways as a reverse proxy, their upstream and their store, ended and paused at any instant while customers go on.

The truth is what is done to accounts meanwhile: from the instant at which a restriction is stored, no withdrawal that
is sent later may be let through, by any process, whatever just happened to it.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from gateway.adapters.proof import check
from gateway.adapters.recorded import read_documents
from gateway.adapters.sql import AccountStore
from gateway.config import load
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer
from tests.under_load import Gateway, Nursery, until

GATEWAYS = 2
CONNECTIONS = 3
"""To each gateway."""
CUSTOMERS = 8
"""Whose requests there are at a time, half of them restricted already."""
STALE_S = 2.0
"""How old the knowledge may be that all but money is decided by: a second by the docs, and one to be sure."""
RECOVERED_WITHIN_S = 30.0

_PROGRAM = """
import asyncio, os, random, signal, sys
from pathlib import Path
import gateway.app.gateway
from gateway import GatewayMiddleware
from gateway.app.upstreams import reverse_proxy
from gateway.config import load
from gateway.enforce.http_server import run

out = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

def told(port):
    os.write(out, f"{os.getpid()} {port}\\n".encode())

def proxy(config):
    settings = load(Path(config))
    wrapped = GatewayMiddleware(reverse_proxy(settings), config=settings)
    ready = lambda url: told(url.rpartition(":")[2])
    asyncio.run(run(wrapped, host="127.0.0.1", port=0, max_head_bytes=32768, ready=ready))

async def answer(reader, writer, file):
    try:
        while head := await reader.readuntil(b"\\r\\n\\r\\n"):
            if head.startswith(b"POST /api/v1/withdrawals "):
                decision = next(line for line in head.split(b"\\r\\n") if line.lower().startswith(b"gateway-decision:"))
                os.write(file, decision.partition(b":")[2].strip() + b"\\n")
            writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 4\\r\\n\\r\\ndone")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()

async def upstream(port, path):
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    server = await asyncio.start_server(lambda r, w: answer(r, w, file), "127.0.0.1", int(port))
    told(server.sockets[0].getsockname()[1])
    await server.serve_forever()

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    what, *arguments = line.rstrip("\\n").split("\\t")
    if os.fork() == 0:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        random.seed()
        if what == "gateway":
            proxy(arguments[0])
        else:
            asyncio.run(upstream(*arguments))
        os._exit(0)
"""


class Outcome(NamedTuple):
    """One request that was answered."""

    sent_at: float
    answered_at: float
    uid: str
    what: str
    status: int
    decision: str


class Truth:
    """What is so of accounts, by whoever makes it so."""

    def __init__(self, store: AccountStore, chance: random.Random) -> None:
        self._store = store
        self._chance = chance
        self._number = 0
        self.restricted: dict[str, float] = {}
        """Since when the store holds that each must not."""
        self.customers: list[str] = []

    async def go_on(self) -> None:
        """Let one more customer in, and restrict one of those who are open."""
        uid = f"customer-{self._number}"
        self._number += 1
        await self._store.put(uid, status="open", verification="full", documents=["PT"], who="tests", why="the storm")
        self.customers = [*self.customers, uid][-CUSTOMERS:]
        open_now = [one for one in self.customers if one not in self.restricted]
        if len(open_now) > CUSTOMERS // 2:
            one = self._chance.choice(open_now)
            if self._chance.random() < 0.5:
                await self._store.put(one, status="restricted", who="tests", why="the storm")
            else:
                for operation in ("withdraw", "trade.spot"):
                    await self._store.place_hold(one, operation=operation, cause="storm", who="tests", why="the storm")
            self.restricted[one] = time.monotonic()

    def forbids(self, one: Outcome) -> bool:
        """Return whether this should not have been let through."""
        since = self.restricted.get(one.uid)
        if since is None or one.status != 200 or one.what == "look":
            return False
        return one.sent_at > since + (0 if one.what == "withdraw" else STALE_S)


class Report(NamedTuple):
    """What happened, and what was found afterwards."""

    done: Counter[str]
    seconds: float
    statuses: Counter[tuple[str, int]]
    forbidden: Sequence[Outcome]
    restricted: int
    unrecorded: int
    """Answered requests without a decision on record."""
    unheard: int
    """Withdrawals that the upstream heard of without an allowing decision on record."""
    heard: int
    findings: int
    recovered: Sequence[float]

    @property
    def fine(self) -> bool:
        """Whether nothing was let through that the truth forbids, and all that was answered is on record."""
        return not (self.forbidden or self.unrecorded or self.unheard or self.findings)

    def text(self) -> str:
        """Return what happened in a few lines."""
        total = sum(self.done.values())
        ordered = sorted(self.recovered)
        answers = ", ".join(f"{what} {status}: {n:,}" for (what, status), n in sorted(self.statuses.items()))
        return (
            f"{total} faults in {self.seconds:.0f} s ({', '.join(f'{k} {n}' for k, n in sorted(self.done.items()))})\n"
            f"answers: {answers}\n"
            f"{self.restricted} accounts restricted; {len(self.forbidden)} let through that the truth forbids; "
            f"{self.unrecorded} answers without a record; {self.heard:,} withdrawals at the upstream, {self.unheard} "
            f"without an allowing record; {self.findings} findings in the journal\n"
            f"recovered after {ordered[len(ordered) // 2]:.2f} s in the middle, {ordered[-1]:.2f} s at most"
        )


class Storm:
    """Faults, one after another, each followed by a recovery."""

    def __init__(
        self,
        site: SimpleNamespace,
        *,
        faults: int,
        seed: int,
        server: PostgresServer | None = None,
        cache: RedisServer | None = None,
        between: tuple[int, int] = (10, 60),
    ) -> None:
        """Build.

        Args:
            site: where gateways have their files.
            faults: how many.
            seed: of what is done and when.
            server: where the store is, and what is done to it; the embedded one without it.
            cache: what gateways share besides, and what is done to it.
            between: how many requests are answered between two faults, at least and less than.
        """
        self._site = site
        self._server = server
        self._cache = cache
        self._faults = faults
        self._between = between
        self._chance = random.Random(seed)
        self._heard = site.folder / "heard"
        self._store_file = site.folder / "gateway.db"
        url = "sqlite:///gateway.db" if server is None else server.url()
        self._base = site.config.read_text().replace("sqlite:///gateway.db", url)
        if cache is not None:
            (site.folder / "cache-key").write_text("k" * 16 + "0123456789abcdef")
            self._base += f'\n[store.redis]\nurl = "{cache.url()}"\ncache_key_file = "cache-key"\n'
        self._config: Path = site.folder / "proxy.toml"
        self._outcomes: list[Outcome] = []
        self._alive: list[Gateway] = []
        self._upstream: Gateway | None = None
        self._over = False
        self._headers: dict[str, tuple[float, str]] = {}
        self._recovered: list[float] = []
        self._done: Counter[str] = Counter()

    def run(self) -> Report:
        """Blow, and compare."""
        began = time.monotonic()
        with _nursery() as nursery:
            truth = asyncio.run(self._blow(nursery))
        report = self._compare(truth, time.monotonic() - began)
        sys.stderr.write(f"{report.text()}\n")
        return report

    async def _blow(self, nursery: "_Nursery") -> Truth:
        self._upstream = nursery.begin("upstream", "0", str(self._heard))
        port = self._upstream.port
        self._config.write_text(
            f'{self._base}\n[upstream]\nurl = "http://127.0.0.1:{port}"\n'
            'connect_timeout = "1s"\nresponse_timeout = "1s"\n'
        )
        store = AccountStore(load(self._config).store.url)
        await store.start()
        truth = Truth(store, self._chance)
        await self._site.fill(store)
        for _ in range(CUSTOMERS + 1):
            await truth.go_on()
        async with asyncio.TaskGroup() as clients:
            while sum(self._done.values()) < self._faults:
                await self._fill(nursery, clients, truth)
                wanted = len(self._outcomes) + self._chance.randrange(*self._between)
                await until(lambda wanted=wanted: len(self._outcomes) >= wanted)
                with suppress(Exception):
                    # While the store is away, nobody can restrict anybody either.
                    await truth.go_on()
                self._done[await self._fault(nursery)] += 1
                began = time.monotonic()
                await self._fill(nursery, clients, truth)
                await self._recovery()
                self._recovered.append(time.monotonic() - began)
            self._over = True
            for one in (*self._alive, self._upstream):
                one.kill(shipper_too=True)
        await store.close()
        return truth

    async def _fill(self, nursery: "_Nursery", clients: asyncio.TaskGroup, truth: Truth) -> None:
        """Begin as many gateways as are missing, each with customers of its own."""
        while len(self._alive) < GATEWAYS:
            self._alive.append(one := await asyncio.to_thread(nursery.begin, "gateway", str(self._config)))
            for _ in range(CONNECTIONS):
                clients.create_task(self._load(one, truth))

    async def _fault(self, nursery: "_Nursery") -> str:
        """Make one; return which."""
        assert self._upstream is not None
        what = self._chance.choices(
            ["gateway killed", "upstream killed", "store away", "gateway paused", "cache"],
            [6, 2, 2, 2, 0 if self._cache is None else 2],
        )[0]
        pause = self._chance.uniform(0.05, 1.2)
        match what:
            case "gateway killed":
                self._alive.pop(self._chance.randrange(len(self._alive))).kill(shipper_too=True)
            case "upstream killed":
                self._upstream.kill(shipper_too=True)
                await asyncio.sleep(pause)
                port = str(self._upstream.port)
                self._upstream = await asyncio.to_thread(nursery.begin, "upstream", port, str(self._heard))
            case "cache":
                assert self._cache is not None
                return await self._fault_of_cache(self._cache, pause)
            case "store away" if self._server is not None:
                if self._chance.random() < 0.5:
                    self._server.kill()
                    await asyncio.sleep(pause)
                    await asyncio.to_thread(self._server.start)
                    return "store killed"
                with self._server.standing_still():
                    await asyncio.sleep(pause)
                return "store paused"
            case "store away":
                away = self._store_file.with_suffix(".away")
                self._store_file.rename(away)
                await asyncio.sleep(pause)
                away.rename(self._store_file)
            case _:
                one = self._chance.choice(self._alive)
                os.kill(one.pid, signal.SIGSTOP)
                await asyncio.sleep(pause)
                os.kill(one.pid, signal.SIGCONT)
        return what

    async def _fault_of_cache(self, cache: RedisServer, pause: float) -> str:
        """Kill it, let it stand still, or empty it; return which."""
        what = self._chance.choice(["cache killed", "cache paused", "cache flushed"])
        if what == "cache flushed":
            cache.say("FLUSHALL")
        elif what == "cache paused":
            cache.pause()
            await asyncio.sleep(pause)
            cache.resume()
        else:
            cache.kill()
            await asyncio.sleep(pause)
            await asyncio.to_thread(cache.start)
        return what

    async def _recovery(self) -> None:
        """Return once every gateway lets a customer withdraw again. Fail where one does not."""
        async with asyncio.timeout(RECOVERED_WITHIN_S):
            for one in self._alive:
                while True:
                    outcome = await self._asked_apart(one, "alice", "withdraw")
                    if outcome is not None and outcome.status == 200:
                        break
                    await asyncio.sleep(0.02)

    async def _asked_apart(self, one: Gateway, uid: str, what: str) -> Outcome | None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        except OSError:
            return None
        try:
            return await self._asked(reader, writer, uid, what)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        finally:
            writer.close()

    async def _load(self, one: Gateway, truth: Truth) -> None:
        """Ask for one customer after another until the gateway is gone."""
        with suppress(asyncio.IncompleteReadError, OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            try:
                while not self._over:
                    uid = self._chance.choice(truth.customers)
                    await self._asked(
                        reader, writer, uid, self._chance.choice(["withdraw", "withdraw", "trade", "look"])
                    )
                    await asyncio.sleep(0.005)
            finally:
                writer.close()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: str, what: str) -> Outcome:
        method, path = {
            "withdraw": ("POST", "/api/v1/withdrawals"),
            "trade": ("POST", "/api/v1/orders"),
            "look": ("GET", "/api/v1/balances"),
        }[what]
        sent_at = time.monotonic()
        writer.write(f"{method} {path} HTTP/1.1\r\n{self._signed_in(uid)}content-length: 0\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in lines if b": " in line)
        await reader.readexactly(int(fields[b"content-length"]))
        outcome = Outcome(
            sent_at, time.monotonic(), uid, what, int(status.split()[1]), fields[b"gateway-decision"].decode()
        )
        self._outcomes.append(outcome)
        return outcome

    def _signed_in(self, uid: str) -> str:
        """Return the lines of a customer's headers, with a proof that is fresh enough to withdraw by."""
        signed_at, lines = self._headers.get(uid, (0.0, ""))
        if time.monotonic() - signed_at > 60:
            lines = "".join(f"{name}: {value}\r\n" for name, value in self._site.headers(uid).items())
            self._headers[uid] = (time.monotonic(), lines)
        return lines

    def _compare(self, truth: Truth, seconds: float) -> Report:
        journal = self._site.folder / "journal"
        allowed = {
            one["id"]: one["verdict"] is not None and one["reply"]["status"] == 200 for one in read_documents(journal)
        }
        heard = self._heard.read_text().split() if self._heard.exists() else []
        return Report(
            done=self._done,
            seconds=seconds,
            statuses=Counter((one.what, one.status) for one in self._outcomes),
            forbidden=[one for one in self._outcomes if truth.forbids(one)],
            restricted=len(truth.restricted),
            unrecorded=sum(one.decision not in allowed for one in self._outcomes),
            unheard=sum(not allowed.get(one, False) for one in heard),
            heard=len(heard),
            findings=len(check(journal).findings),
            recovered=self._recovered,
        )


class _Nursery(Nursery):
    """Forks gateways and upstreams, each with everything imported."""

    program = _PROGRAM

    def begin(self, what: str, *arguments: str) -> Gateway:
        """Return what serves now. Fail where it does not begin to."""
        return self.said("\t".join((what, *arguments)))


@contextmanager
def _nursery() -> Iterator[_Nursery]:
    one = _Nursery()
    try:
        yield one
    finally:
        one.close()
