"""How soon a change that is made on one machine is in force on another: SQLite and PostgreSQL, in one run.

    python -m benchmarks.changes                      about a minute
    python -m benchmarks.changes --changes 300        more of each kind
    python -m benchmarks.changes --check              exit 1 where the bar is missed

Each kind of change is made by a process of its own, account by account, while a gateway in another process is asked by
one client without a pause whether that account may trade: what moves money is read from the store each time, and would
be known at once. The time runs from when the change was answered to the end of the first request that is answered by
it, so one request is in it. The bar is a median of 100 ms, and 1 s at worst.

Where the database is one machine's, both processes share its SQLite file; PostgreSQL is a server of its own, started
here, that writes to the disk. `--redis` is the address of a Redis or Valkey that rings as well.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import jwt
import uvloop

from benchmarks.servers import process
from benchmarks.world import on_disk
from gateway.adapters.desk_store import DeskStore
from gateway.adapters.event_book import EventBook
from gateway.adapters.sql import AccountStore
from gateway.core.account import Author
from gateway.core.events import SessionRevoked
from gateway.core.permissions import person
from gateway.core.terms import Operation
from gateway.desk.kinds import TicketKind
from tests.postgres_server import running

MEDIAN_MS: Final = 100
WORST_MS: Final = 1000
_KEY: Final = "the key that signs the tokens of this benchmark, which nobody else has"
_BY: Final = {"who": "benchmark", "why": "to see how soon it is in force"}
_CONFIG: Final = """
[client_ip]
trusted_proxies = []

[identity]
algorithms = ["HS256"]
issuer = "https://auth.example"
audience = "exchange-api"
secret_file = "key"

[policies]
paths = ["library:account-status", "library:credentials", "library:holds"]

[geodb.overrides]
"127.0.0.0/8" = {{ country = "DE" }}

[store]
url = "{url}"
redis = "{redis}"

[journal]
directory = "journal"

[archive]
ship = "off"

[[operations]]
operation = "trade.spot"
methods = ["POST"]
path = "/orders"
"""

Change = Callable[[AccountStore, str], Awaitable[object]]


class Seen(NamedTuple):
    """How long the changes of one kind took to be in force elsewhere."""

    store: str
    kind: str
    milliseconds: Sequence[float]

    @property
    def median(self) -> float:
        """Return the median, in milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def worst(self) -> float:
        """Return the longest, in milliseconds."""
        return max(self.milliseconds)

    @property
    def fine(self) -> bool:
        """Return whether the bar is held."""
        return self.median <= MEDIAN_MS and self.worst <= WORST_MS


async def _hold(store: AccountStore, uid: str) -> object:
    return await DeskStore(store).open(
        uid, TicketKind.REVIEW, person("Bob", ["support"]), "a review", operations=[Operation.TRADE_SPOT]
    )


async def _status(store: AccountStore, uid: str) -> object:
    return await store.set_status(uid, "restricted", by=Author.COMPLIANCE, **_BY)


async def _session(store: AccountStore, uid: str) -> object:
    over = SessionRevoked(id=f"over-{uid}", account=uid, at=store.clock.now())
    return await EventBook(store, None).take([over], "benchmark")


KINDS: Final[dict[str, Change]] = {"hold": _hold, "status": _status, "session": _session}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=100, help="of each kind")
    parser.add_argument("--redis", default="", help="redis://…: what rings besides")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(_serve(arguments.serve))
        return
    found: list[Seen] = []
    with tempfile.TemporaryDirectory(dir=on_disk()) as folder:
        found += measure("sqlite", f"sqlite:///{folder}/gateway.db", Path(folder), arguments.changes)
    with tempfile.TemporaryDirectory(dir=on_disk()) as folder, running(durable=True) as server:
        found += measure("postgresql", server.url(), Path(folder), arguments.changes, arguments.redis)
    for seen in found:
        if arguments.json:
            print(json.dumps({**seen._asdict(), "median": seen.median, "worst": seen.worst}))
        else:
            print(f"{seen.store:<11} {seen.kind:<8} median {seen.median:6.1f} ms   worst {seen.worst:6.1f} ms")
    if arguments.check and not all(seen.fine for seen in found):
        sys.exit(1)


def measure(store: str, url: str, folder: Path, changes: int, redis: str = "") -> list[Seen]:
    """Return how soon changes in the store at `url` were in force in a gateway of another process."""
    (folder / "key").write_text(_KEY)
    config = folder / "gateway.toml"
    config.write_text(_CONFIG.format(url=url, redis=redis))
    with ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.changes", "--serve", str(config)]
        other = stack.enter_context(process("gateway", command, folder, None))
        return uvloop.run(_measured(store, url, f"http://127.0.0.1:{other.port}/orders", changes))


async def _measured(store: str, url: str, other: str, changes: int) -> list[Seen]:
    here = AccountStore(url, write_within_s=20)
    await here.start()
    found = []
    async with httpx2.AsyncClient(timeout=30) as client:
        for kind, change in KINDS.items():
            times = []
            for number in range(changes):
                uid = f"{kind}-{number}"
                await here.put(uid, verification="full", documents=["DE"], **_BY)
                times.append(await _time(client, other, uid, lambda uid=uid, change=change: change(here, uid)))
            found.append(Seen(store, kind, times))
    await here.close()
    return found


async def _time(client: httpx2.AsyncClient, other: str, uid: str, change: Callable[[], Awaitable[object]]) -> float:
    """Return how many milliseconds after a change the other gateway answered by it."""
    now = round(time.time()) - 5  # noqa: TID251 - a token of now
    claims = {"iss": "https://auth.example", "aud": "exchange-api", "sub": uid, "iat": now, "exp": now + 600}
    token = jwt.encode({**claims, "auth_time": now, "amr": ["pwd", "mfa"]}, _KEY, "HS256")
    headers = {"authorization": f"Bearer {token}"}

    async def status() -> int:
        return (await client.post(other, headers=headers)).status_code

    async with asyncio.timeout(60):
        while await status() != 200:
            pass
        changing = asyncio.ensure_future(_ended(change))
        refused: float | None = None
        while refused is None or not changing.done():
            if await status() != 200 and refused is None:
                refused = time.perf_counter()
        return max(0.0, refused - await changing) * 1000


async def _ended(change: Callable[[], Awaitable[object]]) -> float:
    await change()
    return time.perf_counter()


async def _serve(config: Path) -> None:
    import uvicorn

    from gateway import GatewayMiddleware

    server = uvicorn.Server(uvicorn.Config(GatewayMiddleware(_exchange, config=config), port=0, log_level="error"))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving


async def _exchange(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


if __name__ == "__main__":
    main()
