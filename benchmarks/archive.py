"""What the archive of decisions costs and how fast it answers, with as many decisions as you have time for.

    python -m benchmarks.archive --decisions 1_000_000 --backend sqlite      about a minute
    python -m benchmarks.archive --decisions 10_000_000 --backend sqlite     about ten minutes, 2 GB on the disk
    python -m benchmarks.archive --backend postgres      a server of its own; the CPU time shown is this side's alone

A made-up exchange: customers come for a few minutes at a time, and what they ask meanwhile shares one ruling (ten
decisions on average, `--share`); one session in ten is a stranger's; one in twelve is refused; the bundle changes four
times. Prints bytes per decision, how many are taken a second, and median and 95th percentile of each kind of search,
and the 95th percentile of its CPU time, which is what to look at where other work goes on beside it.
"""

import argparse
import asyncio
import gc
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg  # type: ignore[import-untyped]
import orjson

from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.core.keeping import Keep
from gateway.core.search import Search
from gateway.ports import Archive, RecordedDecision, Step, Stretch, ruling_digest
from tests.postgres_server import running

BEGIN = 1_760_000_000_000_000
DAY = 86_400_000_000
SESSION = 300_000_000
CUSTOMERS = 200_000
COUNTRIES = ["PT", "DE", "ES", "FR", "US", "GB", "BR", "JP", "NL", "IT", "PL", "CA", "KR", "TR", "IN", "MX", "AR", "ZA"]
RARE_COUNTRY = "NU"
TICKETS = 20_000
PATHS = [f"GET\0/api/v1/{path}" for path in ("market", "ticker", "depth", "account", "balances", "orders", "history")]
AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0" for n in range(90, 150)]
OPERATIONS = {"view": 70, "trade.spot": 20, "login": 4, "withdraw": 3, "deposit": 2, "security": 1}
REFUSALS = [
    ("deny", "jurisdiction-blocked", "us-exit", "us-closed"),
    ("deny", "account-restricted", "account-status", "restricted"),
    ("challenge", "step-up-required", "credentials", "withdraw-mfa"),
]
OLD_RULE = ("deny", "account-flagged", "old-policy", "old-rule")
"""Of the first bundle alone."""
BUNDLES = [f"{n:02x}" * 32 for n in (0xA1, 0xB2, 0xC3, 0xD4, 0xE5)]

POSTGRES = ("shared_buffers=1GB", "max_wal_size=4GB")


class Customer(NamedTuple):
    name: str | None
    address: str
    country: str
    asn: int
    agent: bytes


class World:
    """Who comes, and what is recorded of it."""

    def __init__(self, decisions: int, days: float, share: int, seed: int = 5) -> None:
        self._rng = random.Random(seed)
        self.decisions, self.share = decisions, share
        self.span = int(days * DAY)
        self.customers = [self._customer(f"c{n:06d}") for n in range(min(CUSTOMERS, max(decisions // 50, 10)))]
        self._operations = list(OPERATIONS)
        self._weights = list(itertools.accumulate(OPERATIONS.values()))

    def _customer(self, name: str | None) -> Customer:
        rng = self._rng
        # A network of each kind is large, most are small.
        country = COUNTRIES[min(int(rng.expovariate(0.25)), len(COUNTRIES) - 1)]
        asn = 3000 + min(int(rng.expovariate(0.005)), 4000)
        first = 80 + min(int(rng.expovariate(0.1)), 90)
        address = f"{first}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        return Customer(name, address, country, asn, b"api.example\0" + rng.choice(AGENTS).encode())

    def stretches(self, size: int) -> Iterator[Stretch]:
        left, number = self.decisions, 0
        while left:
            some = min(size, left)
            window = self.span * some // self.decisions
            start = BEGIN + self.span * (self.decisions - left) // self.decisions
            yield self._stretch(number, start, window, some)
            left, number = left - some, number + 1

    def _stretch(self, number: int, start: int, window: int, size: int) -> Stretch:
        rng = self._rng
        rulings: dict[bytes, bytes] = {}
        decisions: list[RecordedDecision] = []
        while len(decisions) < size:
            at = start + int(rng.random() * window)
            who = self._customer(None) if rng.random() < 0.1 else rng.choice(self.customers)
            if rng.random() < 1e-5:
                who = who._replace(country=RARE_COUNTRY, asn=65_000)
            operation = rng.choices(self._operations, cum_weights=self._weights)[0]
            document = self._ruling(who, operation, at)
            digest = ruling_digest(document)
            rulings[digest] = document
            times = 1 if self.share == 1 else 1 + int(rng.expovariate(1 / (self.share - 0.5)))
            for _ in range(min(times, size - len(decisions))):
                then = at + int(rng.random() * SESSION) * (times > 1)
                path = rng.choice(PATHS) if rng.random() < 0.9 else f"GET\0/api/v1/orders/{rng.getrandbits(40)}"
                decisions.append(
                    RecordedDecision(
                        (then // 1000).to_bytes(6, "big") + b"\x70\0\x80" + rng.randbytes(7),
                        then,
                        rng.randrange(20, 400),
                        None if who.name is None else (then - at) // 1_000_000,
                        path.encode() + b"\0" + who.agent,
                        digest,
                    )
                )
        decisions.sort(key=lambda one: one.at)
        return Stretch("w0", number + 1, 0, 64 << 20, rulings, decisions)

    def bundle(self, at: int) -> str:
        return BUNDLES[min((at - BEGIN) * len(BUNDLES) // self.span, len(BUNDLES) - 1)]

    def _ruling(self, who: Customer, operation: str, at: int) -> bytes:
        rng = self._rng
        refusal = None
        if rng.random() < 0.08:
            refusal = OLD_RULE if self.bundle(at) == BUNDLES[0] and rng.random() < 0.01 else rng.choice(REFUSALS)
        outcome, reason, policy, rule = refusal or ("allow", None, "", "")
        ticket = None if refusal is None else f"T-{rng.randrange(TICKETS)}"
        by = {"policy": policy, "rule": rule, "effect": "limit", "reason": reason, "uncertain": False}
        by["basis"] = "Settlement of February 2023, paragraph 12"
        signed_in = who.name is not None
        document = {
            "client_ip": {
                "address": who.address,
                "reason": None,
                "how": "forwarded",
                "chain": [{"text": "10.0.0.7", "role": "trusted"}, {"text": who.address, "role": "client"}],
            },
            "operation": operation,
            "facts": {
                "operation": operation,
                "country": who.country,
                "continent": "EU",
                "asn": who.asn,
                "credential": "session" if signed_in else "none",
                "token": "valid" if signed_in else "absent",
                "assurance": 2 if signed_in else 0,
                "auth_age": rng.randrange(86_400) if signed_in else None,
                "account": who.name,
                "status": "open" if signed_in else "none",
                "flags": [],
                "verification": "full" if signed_in else "none",
                "documents": [who.country] if signed_in else [],
                "residence": who.country if signed_in else None,
                "nationality": who.country if signed_in else None,
                "holds": [],
            },
            "unknown": {
                name: {"why": "not-configured"}
                for name in ("network", "signals", "risk", "amount_usd", "destination", "withdrawn_today_usd")
            },
            "bundle": self.bundle(at),
            "editions": ["country 2025-10-01 7f3a9c1e", "asn 2025-10-01 99aa0b1c"],
            "verdict": {
                "outcome": outcome,
                "access": "full" if refusal is None else "support_only",
                "operations": sorted(OPERATIONS) if refusal is None else ["support"],
                "by": [] if refusal is None else [by],
                "nothing_granted": False,
                "reason": reason,
                "challenge": None,
                "uncertain": [],
                "obligations": [],
                "outage": False,
            },
            "reply": {"status": 200 if refusal is None else 403, "reason": reason, "ticket_id": ticket},
        }
        return orjson.dumps(document)

    def values(self, rng: random.Random) -> dict[str, dict[str, Any]]:
        """Return conditions by what they are called, drawn anew each time."""
        who = rng.choice(self.customers)
        hour = BEGIN + int(rng.random() * (self.span - DAY // 24))
        address = ip_address(who.address)
        return {
            "account": {"account": who.name},
            "address": {"address": ip_network(address)},
            "network /24": {"address": ip_network(f"{address}/24", strict=False)},
            "network /16": {"address": ip_network(f"{address}/16", strict=False)},
            "network /8": {"address": ip_network(f"{address}/8", strict=False)},
            "country": {"country": who.country},
            "country, rare": {"country": RARE_COUNTRY},
            "country, never": {"country": "AQ"},
            "asn": {"asn": who.asn},
            "asn, rare": {"asn": 65_000},
            "operation": {"operation": rng.choice(self._operations)},
            "outcome": {"outcome": rng.choice(["allow", "deny", "challenge"])},
            "reason": {"reason": rng.choice(REFUSALS)[1]},
            "rule": {"rule": "{2}/{3}".format(*rng.choice(REFUSALS))},
            "rule, old": {"rule": "{2}/{3}".format(*OLD_RULE)},
            "bundle": {"bundle": BUNDLES[-1][:8]},
            "bundle, old": {"bundle": rng.choice(BUNDLES[:-1])[:12]},
            "ticket": {"ticket": f"T-{rng.randrange(TICKETS)}"},
            "hour": {"since": hour, "until": hour + DAY // 24},
            "until": {"until": hour},
        }


def progress(text: str) -> None:
    print(f"\r{text:<100}", end="", file=sys.stderr, flush=True)


def percentile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)] * 1000


async def size_of(folder: Path, url: str | None) -> int:
    if url is not None:
        connection = await asyncpg.connect(url)
        size: int = await connection.fetchval("SELECT pg_database_size(current_database())")
        await connection.close()
        return size
    return sum(file.stat().st_size for file in folder.iterdir())  # noqa: ASYNC240 - nothing waits for this loop


async def fill(archive: Archive, world: World, size: int) -> dict[str, Any]:
    spent, used, taken, slowest, ids = 0.0, 0.0, 0, 0.0, []
    rulings = raw = 0
    for stretch in world.stretches(size):
        begun, cpu = time.perf_counter(), time.process_time()
        taken += await archive.take(stretch)
        used += time.process_time() - cpu
        slowest = max(slowest, took := time.perf_counter() - begun)
        spent += took
        rulings += len(stretch.rulings)
        raw += sum(map(len, stretch.rulings.values()))
        ids += [one.id for one in stretch.decisions[:: max(1, size // 200)]]
        progress(f"taken {taken:,} of {world.decisions:,}, {taken / spent:,.0f} a second, the last {size / took:,.0f}")
    return {
        "decisions": taken,
        "rulings": rulings,
        "ruling_bytes": raw // max(rulings, 1),
        "per_second": taken / spent,
        "per_cpu_second": taken / used,
        "slowest_take_s": slowest,
        "ids": ids,
    }


async def timed(archive: Archive, searches: Sequence[Search], pages: int = 1) -> dict[str, float]:
    times, used, found = [], [], 0
    for search in searches:
        cursor = None
        for _ in range(pages):
            begun, cpu = time.perf_counter(), time.process_time()
            page = await archive.search(search, cursor=cursor)
            times.append(time.perf_counter() - begun)
            used.append(time.process_time() - cpu)
            found += len(page.documents)
            cursor = page.cursor
            if cursor is None:
                break
    return {
        "p50_ms": percentile(times, 0.5),
        "p95_ms": percentile(times, 0.95),
        "max_ms": max(times) * 1000,
        "cpu_p95_ms": percentile(used, 0.95),
        "found": found / len(times),
    }


async def ask(archive: Archive, world: World, rounds: int, ids: list[bytes]) -> dict[str, Any]:
    # The pretend world is large: looking through it for garbage takes longer than most searches.
    gc.collect()
    gc.freeze()
    rng = random.Random(9)
    searches: dict[str, list[Search]] = {"all": [Search()] * rounds}
    for _ in range(rounds):
        values = world.values(rng)
        for name, condition in values.items():
            searches.setdefault(name, []).append(Search(**condition))
    for _ in range(max(rounds // 4, 5)):
        values, others = world.values(rng), world.values(rng)
        for (name, condition), (other, more) in itertools.combinations(zip(values, values.values(), strict=True), 2):
            if not set(condition) & set(more):
                # Half of them of one customer, half of two, so that much is found by some and nothing by others.
                second = more if rng.random() < 0.5 else others[other]
                searches.setdefault(f"{name} + {other}", []).append(Search(**condition, **second))
    report = {}
    for number, (name, ones) in enumerate(searches.items(), 1):
        progress(f"searching, {number} of {len(searches)}: {name}")
        report[name] = await timed(archive, ones)
    report["ten pages of a country"] = await timed(archive, [Search(country="PT"), Search(country="ZA")], pages=10)
    times = []
    for raw in rng.sample(ids, min(500, len(ids))):
        begun = time.perf_counter()
        assert await archive.find(raw.hex()) is not None
        times.append(time.perf_counter() - begun)
    report["find"] = {"p50_ms": percentile(times, 0.5), "p95_ms": percentile(times, 0.95), "max_ms": max(times) * 1000}
    for step in Step:
        times, used, rows = [], [], 0
        for n in range(10):
            begun, cpu = time.perf_counter(), time.process_time()
            # Not from a midnight on, so that a day is cut.
            rows = len(await archive.counts(BEGIN - DAY + n * DAY // 24, BEGIN + 366 * DAY, step=step))
            times.append(time.perf_counter() - begun)
            used.append(time.process_time() - cpu)
        report[f"counts, {step}"] = {
            "p50_ms": percentile(times, 0.5),
            "p95_ms": max(times) * 1000,
            "cpu_p95_ms": max(used) * 1000,
            "found": rows,
        }
    return report


async def run(options: argparse.Namespace) -> dict[str, Any]:
    world = World(options.decisions, options.days, options.share)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, ExitStack() as servers:
        url = None
        archive: Archive
        if options.backend == "postgres":
            # A server of its own, as careful as a real one; its folder lies where temporary files do (TMPDIR).
            url = servers.enter_context(running(durable=True, settings=POSTGRES)).url()
            archive = PostgresArchive(url, read_within_s=60)
        else:
            path = Path(folder) / "decisions.db"
            archive = MemoryArchive() if options.backend == "memory" else SqliteArchive(path, read_within_s=60)
        await archive.start()
        report = await fill(archive, world, options.stretch)
        ids = report.pop("ids")
        await archive.close()
        size = await size_of(Path(folder), url)
        report["bytes_per_decision"] = size / report["decisions"]
        await archive.start()
        report["searches"] = await ask(archive, world, options.rounds, ids)
        if options.forget:
            progress("forgetting a tenth")
            begun = time.perf_counter()
            gone = await archive.forget(dict.fromkeys(Keep, BEGIN + world.span // 10))
            report["forgotten_per_second"] = gone / (time.perf_counter() - begun)
        await archive.close()
        report["bytes_after_forgetting"] = await size_of(Path(folder), url)
    progress("")
    return report


def show(report: dict[str, Any]) -> None:
    print(
        f"\n{report['decisions']:,} decisions, {report['rulings']:,} rulings of {report['ruling_bytes']} bytes: "
        f"{report['bytes_per_decision']:.0f} bytes a decision on the disk; "
        f"taken at {report['per_second']:,.0f} a second, {report['per_cpu_second']:,.0f} a second of CPU, "
        f"the slowest stretch in {report['slowest_take_s']:.2f} s"
    )
    if "forgotten_per_second" in report:
        print(f"forgotten at {report['forgotten_per_second']:,.0f} a second")
    print(f"{'':<40}{'p50':>10}{'p95':>10}{'cpu p95':>10}   {'found':>10}")
    for name, one in report["searches"].items():
        found = f"{one['found']:>10.1f}" if "found" in one else ""
        cpu = f"{one['cpu_p95_ms']:>10.2f}" if "cpu_p95_ms" in one else " " * 10
        print(f"{name:<40}{one['p50_ms']:>10.2f}{one['p95_ms']:>10.2f}{cpu} ms{found}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--backend", choices=["sqlite", "postgres", "memory"], default="sqlite")
    parser.add_argument("--days", type=float, default=30, help="the time over which they are spread")
    parser.add_argument("--share", type=int, default=10, help="decisions that share a ruling, on average")
    parser.add_argument("--stretch", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=60, help="searches of each kind")
    parser.add_argument("--folder", default="/var/tmp", help="where the file lies meanwhile")
    parser.add_argument("--forget", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = asyncio.run(run(options))
    if options.json:
        print(json.dumps(report))
    else:
        show(report)


if __name__ == "__main__":
    main()
