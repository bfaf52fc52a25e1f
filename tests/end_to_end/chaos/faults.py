"""Faults, made for real on a gateway that serves: each begins, lets requests be sent, and ends again."""

import asyncio
import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.adapters import journal as journal_module
from gateway.adapters.clock import SystemClock
from gateway.adapters.segment import Segment
from gateway.app import Gateway, GatewayMiddleware
from gateway.app.upstreams import reverse_proxy
from gateway.config import load
from gateway.core.errors import StoreUnavailable

SEGMENT: Final = 16 * 1024
HOUR_US: Final = 3600 * 1_000_000
_LOCKER: Final = """
import fcntl, sys
# The locks that every reader of the write-ahead log needs (SQLite: WAL-mode File Format, section 2.3).
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, 8, 120)
    print("held", flush=True)
    sys.stdin.read()
"""


class Answered(NamedTuple):
    """What a client got."""

    status: int
    reason: str | None
    headers: dict[bytes, bytes]


class Live:
    """A gateway that serves in this process, on real files."""

    def __init__(self, site: SimpleNamespace, patch: pytest.MonkeyPatch) -> None:
        self.site = site
        self.patch = patch
        self.folder: Path = site.folder
        self.gateway: Gateway
        self.app: Any
        self.inner: Callable[[Any], Any] = lambda _: _done
        self.upstream: asyncio.Server | None = None

    async def start(self) -> None:
        """Start it, with customers."""
        settings = load(self.site.config)
        # Short enough to be full soon; the file may not say so.
        journal = settings.journal.model_copy(update={"segment_bytes": SEGMENT})
        self.gateway = Gateway(settings.model_copy(update={"journal": journal}))
        self.app = GatewayMiddleware(self.inner(settings), gateway=self.gateway)
        await self.gateway.start()
        await self.site.fill(self.gateway.store)

    async def close(self) -> None:
        """End it."""
        await self.gateway.close()
        if self.upstream is not None:
            self.upstream.close()
            await self.upstream.wait_closed()

    def configure(self, more: str) -> None:
        """Add to the configuration, before the start."""
        self.site.config.write_text(f"{self.site.config.read_text()}\n{more}\n")

    async def ask(self, kind: str, address: str = "2.80.10.20") -> Answered:
        """Return the answer to a request of this kind."""
        method, path = {
            "money": ("POST", "/api/v1/withdrawals"),
            "changes": ("POST", "/api/v1/orders"),
            "looks": ("GET", "/api/v1/balances"),
            "nobody": ("GET", "/api/v1/balances"),
        }[kind]
        headers = self.site.headers(None if kind == "nobody" else "alice", address)
        said: list[dict[str, Any]] = []
        heard = asyncio.Queue[dict[str, Any]]()
        heard.put_nowait({"type": "http.request", "body": b"", "more_body": False})

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 4711), "scheme": "http", "http_version": "1.1", "server": ("127.0.0.1", 80),
            "state": {},
        }  # fmt: skip
        # After its request a client says nothing more, and stays.
        await self.app(scope, heard.get, send)
        body = b"".join(one.get("body", b"") for one in said[1:])
        problem = json.loads(body) if said[0]["status"] != 200 else {}
        reason = problem.get("reason") or problem.get("type", "").rpartition(":")[2] or None
        return Answered(said[0]["status"], reason, {name.lower(): value for name, value in said[0]["headers"]})


async def _done(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - what it waits for are facts of the gateway, not events
            await asyncio.sleep(0.02)


async def _unheard(live: Live) -> None:
    """Wait until what is remembered counts no more."""
    await _until(lambda: not live.gateway.store.fresh(live.gateway.clock.now()))


@asynccontextmanager
async def store_away(live: Live) -> AsyncIterator[None]:
    await live.start()
    store = live.folder / "gateway.db"
    store.rename(live.folder / "away")
    await _unheard(live)
    yield
    (live.folder / "away").rename(store)


@asynccontextmanager
async def store_silent(live: Live) -> AsyncIterator[None]:
    await live.start()
    command = [sys.executable, "-c", _LOCKER, str(live.folder / "gateway.db-shm")]
    locker = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert locker.stdout is not None
        assert await asyncio.wait_for(locker.stdout.readline(), 20) == b"held\n"
        await _unheard(live)
        await asyncio.gather(*[live.ask("money") for _ in range(live.gateway.settings.failure.store_faults)])
        assert live.gateway.breaker.is_open
        yield
    finally:
        locker.kill()
        await locker.wait()


@asynccontextmanager
async def store_unwritable(live: Live) -> AsyncIterator[None]:
    await live.start()
    other = sqlite3.connect(live.folder / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    live.gateway.store.write_within_s = 0.1
    with pytest.raises(StoreUnavailable):
        await live.gateway.store.put("alice", status="restricted", who="tests", why="while it cannot be written")
    yield
    other.execute("ROLLBACK")
    other.close()


@asynccontextmanager
async def store_replaced(live: Live) -> AsyncIterator[None]:
    await live.start()
    store = live.folder / "gateway.db"
    shutil.copy(store, live.folder / "copy")
    store.rename(live.folder / "old")
    (live.folder / "copy").rename(store)
    await _unheard(live)
    yield
    (live.folder / "old").rename(store)


@asynccontextmanager
async def keys_never_had(live: Live) -> AsyncIterator[None]:
    config = live.site.config.read_text()
    # Nobody listens on the port of a server that has ended.
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    live.site.config.write_text(config.replace('"jwks.json"', f'"http://127.0.0.1:{port}/jwks"'))
    await live.start()
    yield


@asynccontextmanager
async def keys_wrong(live: Live) -> AsyncIterator[None]:
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key()))
    keys = {"keys": [{**jwk, "kid": "k1", "alg": "EdDSA", "use": "sig"}]}
    (live.folder / "jwks.json").write_text(json.dumps(keys))
    await live.start()
    yield


@asynccontextmanager
async def edition_damaged(live: Live) -> AsyncIterator[None]:
    database = live.folder / "country.mmdb"
    shipped = next((Path(__file__).parents[3] / "geodb/data").glob("*country*.mmdb"))
    shutil.copy(shipped, database)
    config = live.site.config.read_text()
    live.site.config.write_text(config.replace("[geodb]", f'[geodb]\ncountry = ["{database}"]'))
    await live.start()
    database.write_bytes(shipped.read_bytes()[:5000])
    await live.gateway.refresh()
    yield
    database.unlink()
    await live.gateway.refresh()


@asynccontextmanager
async def edition_too_old(live: Live) -> AsyncIterator[None]:
    live.configure('[geodb.max_age]\nwarn = "1s"\nrefuse = "1s"')
    await live.start()
    yield


@asynccontextmanager
async def _clock_moved(live: Live, by_us: int) -> AsyncIterator[None]:
    moved = SimpleNamespace(by=0)
    real = SystemClock.now
    live.patch.setattr(SystemClock, "now", lambda self: real(self) + moved.by)
    signed_in = live.site.headers
    known = {uid: signed_in(uid) for uid in (None, "alice")}
    live.site.headers = lambda uid, address: {**known[uid], "x-forwarded-for": address}
    await live.start()
    moved.by = by_us
    yield
    moved.by = 0


def clock_back(live: Live) -> Any:
    return _clock_moved(live, -HOUR_US)


def clock_forward(live: Live) -> Any:
    return _clock_moved(live, HOUR_US)


@asynccontextmanager
async def journal_full(live: Live) -> AsyncIterator[None]:
    await live.start()
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow to the length of a segment: to the journal, a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (SEGMENT - 1, was[1]))
    try:
        for number in range(200):
            await live.ask("nobody", f"2.80.{number}.1")
            if live.gateway.journal.unrecorded > 1:
                break
            await asyncio.sleep(0.01)
        assert "no room" in (live.gateway.journal.fault or "")
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)


@asynccontextmanager
async def journal_silent(live: Live) -> AsyncIterator[None]:
    answers = threading.Event()
    answers.set()
    sync = Segment.sync

    def slow(self: Segment) -> None:
        answers.wait(20)
        sync(self)

    live.patch.setattr(Segment, "sync", slow)
    live.patch.setattr(journal_module, "DURABLE_WITHIN_S", 0.2)
    await live.start()
    try:
        answers.clear()
        await asyncio.gather(*[live.ask("money") for _ in range(5)])
        assert live.gateway.line.disk.is_open
        yield
    finally:
        answers.set()


@asynccontextmanager
async def too_much(live: Live) -> AsyncIterator[None]:
    live.configure("[failure]\nin_work = 16")
    await live.start()
    crowd = [asyncio.ensure_future(live.ask("money")) for _ in range(16)]
    await asyncio.sleep(0)
    assert live.gateway.load.in_work == 16
    yield
    assert {one.status for one in await asyncio.gather(*crowd)} == {200}


@asynccontextmanager
async def _upstream(live: Live, says: bytes, *, stays: bool) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(healthy if well.is_set() else says)
        if not well.is_set() and stays:
            await reader.read()
        writer.close()

    healthy = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ndone"
    well = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    live.configure(f'[upstream]\nurl = "http://127.0.0.1:{port}"\nresponse_timeout = "1s"')
    live.inner = reverse_proxy
    await live.start()
    yield
    well.set()
    live.upstream = server


def upstream_late(live: Live) -> Any:
    return _upstream(live, b"", stays=True)


def upstream_half(live: Live) -> Any:
    return _upstream(live, b"HTTP/1.1 200 OK\r\ncontent-le", stays=False)


@asynccontextmanager
async def upstream_away(live: Live) -> AsyncIterator[None]:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    live.configure(f'[upstream]\nurl = "http://127.0.0.1:{port}"')
    live.inner = reverse_proxy
    await live.start()
    yield


FAULTS: Final = {
    made.__name__: made
    for made in (
        store_away, store_silent, store_unwritable, store_replaced, keys_never_had, keys_wrong, edition_damaged,
        edition_too_old, clock_back, clock_forward, journal_full, journal_silent, too_much, upstream_away,
        upstream_late, upstream_half,
    )
}  # fmt: skip
LASTS: Final = frozenset({"keys_never_had", "keys_wrong", "edition_too_old", "store_replaced", "upstream_away"})
"""What somebody must mend: these do not pass by themselves here."""
