"""The requests, as the bytes that go over the wire: built before the clock starts, the same for every server."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from benchmarks.world import HEADER, Customer, World

HOST = "exchange.example"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
ORDER = b'{"market":"BTC-EUR","side":"buy","amount":"0.0125","price":"61250.00"}'


class Kind(StrEnum):
    """What is special about a probe."""

    SERVED = "an address that is served"
    CLOSED = "an address of a closed country"
    FORGED = "a token with a forged signature"


class Probe(NamedTuple):
    """One request whose answer is known: what a server that decides must say to it."""

    kind: Kind
    request: bytes


def market(customer: Customer) -> bytes:
    """Return `GET /api/v1/market` of one customer."""
    return head("GET /api/v1/market", customer) + b"\r\n"


def order(customer: Customer) -> bytes:
    """Return `POST /api/v1/orders` of one customer."""
    lines = head("POST /api/v1/orders", customer)
    return b"%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (lines, len(ORDER), ORDER)


def timed(customers: Sequence[Customer], seed: int = 7) -> list[bytes]:
    """Return four views and one order of every customer, shuffled: every one of them is allowed."""
    requests = [build(one) for one in customers for build in (market, market, market, market, order)]
    random.Random(seed).shuffle(requests)
    return requests


def varied(requests: Sequence[bytes], seed: int = 11) -> list[bytes]:
    """Return the requests, each with a request id and a trace that no other one has, as most clients send them."""
    rng = random.Random(seed)
    found = []
    for request in requests:
        drawn = rng.randbytes(24).hex()
        lines = f"X-Request-Id: {rng.randbytes(16).hex()}\r\ntraceparent: 00-{drawn[:32]}-{drawn[32:]}-01\r\n".encode()
        head, _, rest = request.partition(b"Accept-Encoding: ")
        found.append(b"%b%bAccept-Encoding: %b" % (head, lines, rest))
    return found


def once(customers: Sequence[Customer]) -> list[bytes]:
    """Return one view and one order of every customer: after these, nothing that is timed is new to the server."""
    return [build(one) for one in customers for build in (market, order)]


def probes(world: World, count: int = 20, seed: int = 0) -> list[Probe]:
    """Return `count` requests to be allowed, `count` to be refused for their country, and one for its token."""
    rng = random.Random(seed)
    served = rng.sample(world.customers, min(count, len(world.customers)))
    closed = rng.sample(world.closed_out, min(count, len(world.closed_out)))
    one = served[0]
    head, _, tail = one.token.rpartition(".")
    forged = one._replace(token=f"{head}.{'A' if tail[0] != 'A' else 'B'}{tail[1:]}")
    return [
        *(Probe(Kind.SERVED, build(each)) for each, build in zip(served, _alternating(), strict=False)),
        *(Probe(Kind.CLOSED, build(each)) for each, build in zip(closed, _alternating(), strict=False)),
        Probe(Kind.FORGED, order(forged)),
    ]


def _alternating() -> Iterator[Callable[[Customer], bytes]]:
    return itertools.cycle((market, order))


def head(line: str, customer: Customer) -> bytes:
    """Return the head of one customer's request, without the empty line that ends it."""
    return (
        f"{line} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: {AGENT}\r\nAccept: application/json\r\n"
        f"Accept-Encoding: gzip, deflate\r\nAccept-Language: en-GB,en;q=0.7\r\n"
        f"{HEADER}: {customer.address}\r\nAuthorization: Bearer {customer.token}\r\n"
    ).encode()
