"""A configured gateway in a folder of its own: embedded store, own keys, shipped editions, library policies."""

import json
from pathlib import Path
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.adapters.clock import SystemClock

LISBON, OHIO, TEHRAN = "2.80.10.20", "65.24.10.20", "2.176.0.1"

CONFIG = """
[client_ip]
trusted_proxies = ["10.0.0.0/8", "127.0.0.0/8"]

[identity]
algorithms = ["EdDSA"]
issuer = "https://auth.example"
audience = "exchange-api"
jwks = "jwks.json"

[policies]
paths = ["library:account-status", "library:credentials", "library:holds", "library:us-exit", "policies/"]

[geodb]
check_every = "1s"

[store]
url = "sqlite:///gateway.db"

[journal]
directory = "journal"
segment_bytes = "1MiB"

[archive]
ship = "off"

[server]
support_url = "https://help.example/"

[[operations]]
operation = "withdraw"
methods = ["POST"]
path = "/api/v1/withdrawals"

[[operations]]
operation = "trade.spot"
methods = ["POST"]
path = "/api/v1/orders"

[[operations]]
operation = "support"
path = "/api/v1/support/{rest:path}"
"""

POLICY = """\
policy: closed
title: A country that is closed
owner: tests
rules:
  - id: closed-country
    limit: support_only
    when: country == "IR"
    reason: sanctioned-region
    basis: The tests
tests:
  - name: The country is closed
    facts: {country: IR, status: open}
    operation: view
    at: 2023-05-01
    expect: {outcome: deny, by: [closed-country]}
"""


@pytest.fixture
def site(tmp_path: Path) -> SimpleNamespace:
    """A folder with everything that a gateway needs, and a way to sign in."""
    key = Ed25519PrivateKey.generate()
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key()))
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [{**jwk, "kid": "k1", "alg": "EdDSA", "use": "sig"}]}))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "closed.yaml").write_text(POLICY)
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG)

    def token(uid: str = "alice", *, ago: int = 5, amr: tuple[str, ...] = ("pwd", "mfa"), **changes: object) -> str:
        now = SystemClock().now() // 1_000_000
        claims = {
            "iss": "https://auth.example",
            "aud": "exchange-api",
            "sub": uid,
            "iat": now - ago,
            "exp": now + 600,
            "auth_time": now - ago,
            "amr": list(amr),
        }
        return jwt.encode(claims | changes, key, algorithm="EdDSA", headers={"kid": "k1"})

    def headers(uid: str | None = "alice", address: str = LISBON, **changes: object) -> dict[str, str]:
        found = {"host": "exchange.example", "x-forwarded-for": address}
        return found if uid is None else found | {"authorization": f"Bearer {token(uid, **changes)}"}

    async def fill(store) -> None:
        for uid, status, documents in (
            ("alice", "open", ["PT"]),
            ("bob", "open", ["US"]),
            ("carol", "flagged", ["FR"]),
            ("dan", "archived", ["DE"]),
        ):
            await store.put(uid, status=status, verification="full", documents=documents, who="tests", why="the cast")

    return SimpleNamespace(folder=tmp_path, config=config, token=token, headers=headers, fill=fill, policy=POLICY)
