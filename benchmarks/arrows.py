"""Each arrow of the line alone, against the obvious other way to do the same, alternately in one process.

    python -m benchmarks.arrows
    python -m benchmarks.arrows --only "evaluate 200 rules"

What an arrow costs alone is less than what it costs in a live server, where nothing stays in the processor's cache;
`python -m benchmarks.bench` measures that.
"""

import argparse
import asyncio
import ipaddress
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from benchmarks import inprocess, rules, traffic
from benchmarks.apps.floor import TwoHeaders
from benchmarks.apps.straightforward import GeoFence
from benchmarks.apps.straightforward import create as create_fence
from benchmarks.pairs import Pair, Timing, table, time_pair
from benchmarks.world import Customer, World, account_of, build, on_disk, sign
from gateway.app import Gateway, GatewayMiddleware
from gateway.config import load
from gateway.core.client_ip import ClientIPRule
from gateway.core.problem import problem
from gateway.core.reply import reply_to
from gateway.core.request import AccessRequest
from gateway.core.terms import Operation
from gateway.policies.bundle import load as load_bundle
from gateway.policies.evaluate import evaluate
from gateway.ports import Presented, Ruling

BATCH = 500
COLD = 100
PEER = "127.0.0.1"


class Bench:
    """What the pairs are made of: the world, a running gateway, and the straightforward implementation beside it."""

    def __init__(self, world: World, gateway: Gateway, fence: GeoFence) -> None:
        self.world = world
        self.gateway = gateway
        self.line = gateway.line
        self.fence = fence
        self.some = world.customers[:BATCH]
        self.scopes = [inprocess.scope_of(traffic.market(one))[0] for one in self.some]
        self.at = gateway.clock.now()
        self.requests = [self.request(scope) for scope in self.scopes]

    def request(self, scope: Any) -> AccessRequest:
        """Return what the middleware makes of a scope."""
        return AccessRequest(self.at, PEER, scope["method"], scope["raw_path"], scope["headers"])

    def presented(self, one: Customer) -> Presented:
        """Return the credential of a customer."""
        return Presented("session", one.token.encode())


def reading(bench: Bench) -> Iterator[Pair]:
    """Yield the pair of AccessRequest → what it attempts."""
    read = bench.line.reader.read

    def ours() -> None:
        for request in bench.requests:
            read(request)

    def theirs() -> None:
        for scope in bench.scopes:
            request = Request(scope)
            headers = request.headers
            _ = (request.method, request.url.path, headers.get("authorization"), headers.get("x-forwarded-for"))
            _ = (headers.get("host"), headers.get("user-agent"))

    yield Pair("reading", ours, theirs, "the same headers from a Starlette Request", BATCH)


def client_address(bench: Bench) -> Iterator[Pair]:
    """Yield the pair of headers → ClientIP, nothing remembered."""
    resolve = ClientIPRule(**bench.gateway.settings.client_ip.model_dump()).resolve
    lines = [(one.address.encode(),) for one in bench.some]

    def ours() -> None:
        for line in lines:
            resolve(PEER, line)

    def theirs() -> None:
        for (line,) in lines:
            address = ipaddress.ip_address(line.decode().rsplit(",", 1)[-1].strip())
            _ = (str(address), address.is_global)

    yield Pair("client address, cold", ours, theirs, "ipaddress: last element, is it global", BATCH)


def geo(bench: Bench) -> Iterator[Pair]:
    """Yield the pair of address → country and ASN."""
    look_up = bench.gateway.geo.look_up
    addresses = [one.address for one in bench.some]

    def ours() -> None:
        for address in addresses:
            look_up(address, bench.at)

    def theirs() -> None:
        for address in addresses:
            bench.fence.gather(address, None)

    yield Pair("look-up", ours, theirs, "geoip2 models of the same two editions", BATCH)


def gather(bench: Bench) -> Iterator[Pair]:
    """Yield the pairs of credential and address → Facts, warm and cold."""
    ask = bench.line.gather
    private = Ed25519PrivateKey.from_private_bytes(bench.world.key.read_bytes())
    reader = bench.line.reader
    addresses = [reader.client_ip(request, reader.read(request).plan) for request in bench.requests]
    tokens = [bench.presented(one) for one in bench.some]
    renewed: list[Customer] = []

    def renew() -> None:
        now = int(time.time())  # noqa: TID251 - a token needs the real time
        renewed[:] = [one._replace(token=sign(private, one.uid, now)) for one in bench.some[:COLD]]

    async def warm() -> None:
        for client_ip, presented in zip(addresses, tokens, strict=True):
            await ask(bench.at, Operation.VIEW, client_ip, presented, fresh=False)

    async def cold() -> None:
        at = bench.gateway.clock.now()
        for client_ip, one in zip(addresses, renewed, strict=False):
            await ask(at, Operation.VIEW, client_ip, bench.presented(one), fresh=False)

    def theirs(customers: Sequence[Customer]) -> None:
        for one in customers:
            bench.fence.gather(one.address, bench.fence.verify(one.token))

    against = "geoip2, PyJWT and one SQLite read"
    yield Pair("gather, token known", warm, lambda: theirs(bench.some), against, BATCH)
    yield Pair("gather, token new", cold, lambda: theirs(renewed), against, COLD, before=renew)


def evaluation(bench: Bench) -> Iterator[Pair]:
    """Yield the pairs of Facts → Verdict for 50, 200 and 1,000 rules."""
    contexts = [_context(one, number) for number, one in enumerate(bench.some)]
    facts = [seen.facts(bench.at) for seen in contexts]
    for size in (50, 200, 1_000):
        chosen = rules.of_size(size)
        bundle = load_bundle(rules.policy_files(chosen), sources_configured=None)
        yield Pair(
            f"evaluate {size:,} rules",
            _each(lambda one, bundle=bundle: evaluate(one, bundle), facts),
            _each(lambda seen, chosen=chosen: [rule.id for rule in chosen if rule.matches(seen)], contexts),
            "every rule's closure in a loop",
            BATCH,
        )


def reply(bench: Bench) -> Iterator[Pair]:
    """Yield the pair of a refusing Verdict → status and body."""
    facts = [rules.Context("US", 64_000, documents=frozenset({"US"})).facts(bench.at)] * BATCH
    verdicts = [evaluate(one, bench.line.bundle) for one in facts]
    decision = "01970000-0000-7000-8000-000000000000"
    body = json.loads(problem(reply_to(verdicts[0]), decision, accept=b"application/json", support_url=None)[0])

    def render(verdict: Any) -> None:
        problem(reply_to(verdict), decision, accept=b"application/json", support_url=None)

    against = "a Starlette JSONResponse of the same body"
    yield Pair(
        "reply, a refusal", _each(render, verdicts), lambda: [JSONResponse(body, 403) for _ in verdicts], against, BATCH
    )


def journal(bench: Bench) -> Iterator[Pair]:
    """Yield the pair of a decision → its record."""
    append = bench.line.journal.append
    ruling = Ruling(b'{"facts": {}}' * 60)
    record = b"GET\0/api/v1/market\0exchange.example\0" + traffic.AGENT.encode()
    numbers = count()
    plain = os.open(bench.world.folder / "plain.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    same = bytes(len(record) + 48)

    def ours() -> None:
        for _ in range(BATCH):
            append(ruling, next(numbers).to_bytes(16, "big"), bench.at, 60, 100, record)

    def theirs() -> None:
        for _ in range(BATCH):
            os.write(plain, same)

    yield Pair("journal append", ours, theirs, "os.write of as many bytes, made beforehand", BATCH)


def line(bench: Bench) -> Iterator[Pair]:
    """Yield the pair of the whole line for requests like earlier ones."""
    recall, decide = bench.line.recall, bench.line.decide

    async def ours() -> None:
        at = bench.gateway.clock.now()
        for request in bench.requests:
            asked = replace(request, at=at)
            if recall(asked) is None:
                await decide(asked)

    def theirs() -> None:
        for scope in bench.scopes:
            bench.fence.decide(Request(scope))

    against = "the straightforward decision, without BaseHTTPMiddleware"
    yield Pair("the whole line, warm", ours, theirs, against, BATCH)


def middleware(bench: Bench) -> Iterator[Pair]:
    """Yield the pair of all that stands around an app, for requests like earlier ones."""
    enforce = GatewayMiddleware(_nothing, gateway=bench.gateway)
    marks = TwoHeaders(_nothing)

    async def ours() -> None:
        for scope in bench.scopes:
            await enforce(scope, _receive, _send)

    async def theirs() -> None:
        for scope in bench.scopes:
            await marks(scope, _receive, _send)

    yield Pair("the middleware, warm", ours, theirs, "middleware that decides nothing and adds two headers", BATCH)


ARROWS: tuple[Callable[[Bench], Iterator[Pair]], ...] = (
    *(reading, client_address, geo, gather),
    *(evaluation, reply, journal, line, middleware),
)


async def _nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(_message: Message) -> None:
    pass


def _each(work: Callable[[Any], object], items: Sequence[Any]) -> Callable[[], None]:
    def batch() -> None:
        for item in items:
            work(item)

    return batch


def _context(one: Customer, number: int) -> rules.Context:
    status, verification, papers, residence, nationality = account_of(one.uid)
    country = rules.RESTRICTED[number % len(rules.RESTRICTED)]
    return rules.Context(
        country, 1_000 + number, status, verification, frozenset(), frozenset(papers), residence, nationality
    )


async def run(world: World, only: str | None, rounds: int) -> list[Timing]:
    """Return the timings of all pairs, or of those whose name has `only` in it."""
    gateway = Gateway(load(world.config))
    fence = create_fence(world)
    timings: list[Timing] = []
    await gateway.start()
    try:
        bench = Bench(world, gateway, fence)
        for arrow in ARROWS:
            for pair in arrow(bench):
                if only is None or only in pair.arrow:
                    timings.append(await time_pair(pair, rounds))
                await asyncio.sleep(0)
    finally:
        await gateway.close()
        fence.close()
    return timings


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="the arrows with this in their name")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-arrows-", dir=on_disk()) as folder:
        world = build(Path(folder), customers=2 * BATCH)
        timings = uvloop.run(run(world, given.only, given.rounds))
    print(json.dumps([asdict(one) for one in timings]) if given.json else table(timings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
