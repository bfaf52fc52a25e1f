"""A line with fakes at its ports: each can be told to fail, and each says what it was asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from gateway.core.client_ip import ClientIPRule
from gateway.core.credential import CredentialRule, Presented
from gateway.core.errors import JournalUnavailable, StoreUnavailable
from gateway.core.facts import Unknown
from gateway.core.headers import HeaderRule
from gateway.core.operations import OperationTable
from gateway.core.request import AccessRequest
from gateway.core.terms import WhyUnknown
from gateway.policies.bundle import load
from gateway.ports import Account, Connection, Identity, Ruling
from gateway.service.gather import Gather
from gateway.service.pipeline import Line
from gateway.service.reading import RequestReader

SECOND = 1_000_000
NOON = 1_700_000_000 * SECOND

POLICY = """\
policy: house
title: The rules of the tests
owner: tests
rules:
  - id: everybody
    grant: [view, login, support]
    when: status == "none"
  - id: customers
    grant: full
    when: status == "open"
  - id: closed-country
    limit: support_only
    when: country == "US"
    reason: jurisdiction-blocked
    basis: The tests
  - id: fresh-proof
    require: {for: [withdraw], proof: mfa, max_age: 5m}
    when: token == "valid"
    reason: step-up-required
    basis: The tests
  - id: later
    limit: read_only
    when: country == "PT"
    reason: jurisdiction-exit
    basis: The tests
    in_force: {from: 2023-11-15T00:00:00Z}
tests:
  - name: The closed country is closed
    facts: {country: US, status: open}
    operation: view
    at: 2023-05-01
    expect: {outcome: deny, by: [closed-country]}
  - name: A withdrawal needs a fresh proof
    facts: {country: DE, status: open, assurance: 1}
    operation: withdraw
    at: 2023-05-01
    expect: {outcome: challenge, by: [fresh-proof]}
  - name: Later, the Portuguese may only read
    facts: {country: PT, status: open}
    operation: deposit
    at: 2023-12-01
    expect: {outcome: deny, by: [later]}
"""


@dataclass
class FakeClock:
    at: int = NOON

    def now(self) -> int:
        return self.at


@dataclass
class FakeGeo:
    countries: dict[str, str] = field(default_factory=dict)
    generation: int = 1
    editions: tuple[str, ...] = ("test@2026-01-01#00000000",)
    asked: list[str | None] = field(default_factory=list)

    def look_up(self, geo_key: str | None, at: int) -> Connection:
        assert at
        self.asked.append(geo_key)
        if geo_key is None:
            return Connection(*[Unknown(WhyUnknown.ADDRESS_UNRESOLVED)] * 5)
        nothing = Unknown(WhyUnknown.NO_RECORD)
        country = self.countries.get(geo_key, nothing)
        return Connection(country, nothing, "EU", 64500, frozenset())


@dataclass
class FakeTokens:
    identities: dict[bytes, Identity] = field(default_factory=dict)
    generation: int = 1
    asked: int = 0

    async def check(self, presented: Presented | None, at: int) -> Identity:
        assert at
        self.asked += 1
        if presented is None:
            return Identity("none", "absent", None, 0, None, None)
        return self.identities.get(presented.secret, Identity("session", "invalid", None, 0, None, None))


@dataclass
class FakeAccounts:
    accounts: dict[str, Account] = field(default_factory=dict)
    generation: int = 1
    heard: bool = True
    broken: bool = False
    asked: int = 0

    changed: dict[str, int] = field(default_factory=dict)
    """Whose change made which generation, where each of them is known; empty, each may have been anybody's."""

    def changed_at(self, uid: str | None) -> int:
        return self.changed.get(uid or "", 0) if self.changed else self.generation

    def fresh(self, at: int) -> bool:
        assert at
        return self.heard

    async def read(self, uid: str) -> Account | None:
        self.asked += 1
        if self.broken:
            raise StoreUnavailable("the store is away")
        return self.accounts.get(uid)

    async def key_owner(self, digest: bytes) -> str | None:
        raise AssertionError(digest)


@dataclass
class FakeJournal:
    records: list[tuple] = field(default_factory=list)
    full: bool = False
    slow: bool = False
    synced: int = -1

    def append(
        self, ruling: Ruling, decision_id: bytes, at: int, auth_age: int | None, took_us: int, request: bytes
    ) -> int:
        if self.full:
            raise JournalUnavailable("the disk is full")
        self.records.append((ruling, decision_id, at, auth_age, took_us, request))
        return len(self.records) - 1

    async def durable(self, position: int) -> None:
        if self.slow:
            raise JournalUnavailable("the disk did not answer")
        self.synced = max(self.synced, position)


def account(uid: str = "alice", status: str = "open") -> Account:
    nothing: frozenset[str] = frozenset()
    return Account(uid, status, nothing, "full", frozenset({"PT"}), "PT", None, nothing)


def identity(uid: str = "alice", *, auth_time: int | None = NOON - SECOND, until: int | None = None) -> Identity:
    return Identity("session", "valid", uid, 2, auth_time, until)


@pytest.fixture
def reader() -> RequestReader:
    return RequestReader(
        headers=HeaderRule(client_header=b"x-forwarded-for", api_key_header=None),
        client_ip=ClientIPRule(
            trusted_proxies=("10.0.0.0/8",),
            header="X-Forwarded-For",
            trusted_hops=None,
            untrusted_peer="use_peer",
            private_clients=(),
            trust_unix_socket=False,
            nat64_prefixes=(),
        ),
        credentials=CredentialRule(cookie="sid", api_key_header=None),
        operations=OperationTable(
            [
                ("withdraw", ["POST"], "/api/v1/withdrawals"),
                ("deposit", ["POST"], "/api/v1/deposits"),
            ]
        ),
        allowed_hosts=("exchange.example",),
    )


@pytest.fixture
def asked() -> Callable[..., AccessRequest]:
    def build(
        method: str = "GET",
        target: str = "/api/v1/balances",
        *,
        at: int = NOON,
        address: str = "8.8.8.8",
        token: str | None = "alice-token",
        more: tuple[tuple[bytes, bytes], ...] = (),
        host: bytes = b"exchange.example",
    ) -> AccessRequest:
        headers = [(b"host", host), (b"x-forwarded-for", address.encode()), (b"user-agent", b"tests/1"), *more]
        if token is not None:
            headers.append((b"authorization", b"Bearer " + token.encode()))
        path, _, query = target.partition("?")
        return AccessRequest(at, "10.0.0.1", method, path.encode(), headers, query.encode())

    return build


@pytest.fixture
def world(reader: RequestReader) -> SimpleNamespace:
    """A line in which Alice is open and was just here, 8.8.8.8 is in Germany, and 9.9.9.9 in the United States."""
    geo = FakeGeo({"8.8.8.8": "DE", "9.9.9.9": "US", "7.7.7.7": "PT"})
    tokens = FakeTokens({b"alice-token": identity(), b"bob-token": identity("bob")})
    accounts = FakeAccounts({"alice": account()})
    journal = FakeJournal()
    clock = FakeClock()
    bundle = load({"house.yaml": POLICY}, sources_configured=None)
    line = Line(
        reader=reader,
        gather=Gather(geo=geo, tokens=tokens, accounts=accounts),
        bundle=bundle,
        journal=journal,
        clock=clock,
    )
    return SimpleNamespace(
        line=line, geo=geo, tokens=tokens, accounts=accounts, journal=journal, clock=clock, bundle=bundle, policy=POLICY
    )
