"""The demo: a pretend exchange, a few customers, and requests that show each outcome."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jwt
import typer
import uvicorn
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateway.adapters.clock import SystemClock
from gateway.app import Gateway, GatewayMiddleware
from gateway.app.admin import admin_beside
from gateway.cli.exchange import create_exchange
from gateway.config import load
from gateway.enforce.http_server import run
from gateway.enforce.reverse_proxy import ReverseProxy

_ISSUER = "https://auth.demo.invalid"
_AUDIENCE = "demo-exchange"
_MINT_EVERY_S = 60

LISBON, OHIO, TEHRAN, SEVASTOPOL = "2.80.10.20", "65.24.10.20", "2.176.0.1", "203.0.113.7"

_CONFIG = """\
# Written by `gateway demo` at each start.
[client_ip]
trusted_proxies = ["127.0.0.0/8", "::1/128"]   # so that the X-Forwarded-For of your curl is believed
private_clients = ["203.0.113.0/24"]           # documentation addresses play customers whom no database knows

[identity]
algorithms = ["EdDSA"]
issuer = "{issuer}"
audience = "{audience}"
jwks = "jwks.json"

[policies]
source = "store"                               # published with four eyes: docs/change-a-policy.md
paths = [
    "library:account-status", "library:credentials", "library:holds",
    "library:embargoed-regions", "library:us-exit",
]

[geodb]
country = ["shipped", "rir"]
asn = ["shipped"]

[geodb.overrides]
"203.0.113.0/28" = {{ country = "UA", subdivision = "UA-40" }}

[store]
url = "sqlite:///gateway.db"

[journal]
directory = "journal"
segment_bytes = "4MiB"

[server]
host = "127.0.0.1"
port = {port}
support_url = "https://support.demo.invalid/"

[admin]
port = {admin}

[upstream]
url = "{upstream}"

[[operations]]
operation = "login"
methods = ["POST"]
path = "/api/v1/login"

[[operations]]
operation = "trade.spot"
methods = ["POST"]
path = "/api/v1/orders"

[[operations]]
operation = "trade.futures"
methods = ["POST"]
path = "/api/v1/futures/orders"

[[operations]]
operation = "withdraw"
methods = ["POST"]
path = "/api/v1/withdrawals"

[[operations]]
operation = "security"
path = "/api/v1/security/{{rest:path}}"

[[operations]]
operation = "support"
path = "/api/v1/support/{{rest:path}}"
"""

_CUSTOMERS = {
    "alice": ("open", "PT"),
    "bob": ("open", "US"),
    "carol": ("flagged", "FR"),
    "dan": ("archived", "DE"),
}
"""Who they are: status, and the country of their documents."""


class _Request(NamedTuple):
    says: str
    path: str
    address: str
    who: str | None = None
    more: str = ""


_ORDER = """ -d '{"pair": "BTC-USD", "side": "buy", "amount": "0.01"}'"""
_PAYOUT = """ -d '{"asset": "BTC", "amount": "0.01", "address": "bc1q-demo"}'"""
_HANDSHAKE = (
    " -N -m 2 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13'"
    " -H 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=='"
)
_REQUESTS = (
    _Request("Anybody may look at the market: 200", "market", LISBON),
    _Request("Alice in Lisbon withdraws, having just proved who she is: 201", "withdrawals", LISBON, "alice", _PAYOUT),
    _Request("Alice signed in an hour ago: 401, fresh proof is asked", "withdrawals", LISBON, "alice-earlier", _PAYOUT),
    _Request("Nobody is signed in: 401", "orders", LISBON, None, _ORDER),
    _Request("Bob in Ohio trades: 403, his jurisdiction is closed", "orders", OHIO, "bob", _ORDER),
    _Request("Bob trades from Lisbon: 403 all the same, his documents are American", "orders", LISBON, "bob", _ORDER),
    _Request("Bob may reach support: 200", "support/messages", OHIO, "bob"),
    _Request("Carol is flagged: she may look, 200 ...", "balances", LISBON, "carol"),
    _Request("... and not withdraw: 403", "withdrawals", LISBON, "carol", _PAYOUT),
    _Request("Dan's account is archived: 403", "balances", LISBON, "dan"),
    _Request("Alice trades from Tehran: 451", "orders", TEHRAN, "alice", _ORDER),
    _Request(
        "Alice trades from Sevastopol: 451, the region and not the country", "orders", SEVASTOPOL, "alice", _ORDER
    ),
    _Request(
        "Tehran claims to be Lisbon: 451, anybody can write the left of the header",
        "orders",
        f"{LISBON}, {TEHRAN}",
        "alice",
        _ORDER,
    ),
    _Request(
        "A withdrawal by another spelling of its path: 400",
        "market/%2e%2e/withdrawals",
        LISBON,
        "alice",
        f" --path-as-is{_PAYOUT}",
    ),
    _Request("The ticker, a WebSocket, from Tehran: 451 at the handshake", "ticker", TEHRAN, None, _HANDSHAKE),
)


def run_demo(directory: Path, port: int) -> None:
    """Serve until interrupted."""
    directory.mkdir(parents=True, exist_ok=True)
    key = _key(directory)
    with _exchange() as upstream:
        config = directory / "gateway.toml"
        config.write_text(
            _CONFIG.format(issuer=_ISSUER, audience=_AUDIENCE, port=port, admin=port and port + 1, upstream=upstream),
            encoding="utf-8",
        )
        uvloop.run(_serve(directory, key, Gateway(load(config)), upstream, port))


async def _serve(directory: Path, key: Ed25519PrivateKey, gateway: Gateway, upstream: str, port: int) -> None:
    await gateway.start()
    for uid, (status, country) in _CUSTOMERS.items():
        await gateway.store.put(
            uid,
            status=status,
            verification="full",
            documents=[country],
            residence=country,
            who="demo",
            why="a sample customer",
        )
    minting = asyncio.ensure_future(_mint_for_ever(directory, key))
    try:
        serving = run(
            GatewayMiddleware(ReverseProxy(upstream), gateway=gateway),
            host="127.0.0.1",
            port=port,
            max_head_bytes=32_768,
            ready=lambda url: typer.echo("\n".join(_to_try(url, directory))),
        )
        await admin_beside(
            serving, gateway, ready=lambda url: typer.echo(f"gateway: admin API on {url}/api/v1", err=True)
        )
    finally:
        minting.cancel()


def _key(directory: Path) -> Ed25519PrivateKey:
    """Return the demo's signing key, made on the first start, and publish its public half."""
    path = directory / "signing-key.pem"
    if not path.exists():
        fresh = Ed25519PrivateKey.generate()
        path.touch(mode=0o600)
        path.write_bytes(fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key()))
    published = {"keys": [{**jwk, "kid": "demo", "alg": "EdDSA", "use": "sig"}]}
    (directory / "jwks.json").write_text(json.dumps(published), encoding="utf-8")
    return key


async def _mint_for_ever(directory: Path, key: Ed25519PrivateKey) -> None:
    """Keep the token files fresh: whoever reads one has just proved who they are, except `alice-earlier`."""
    clock = SystemClock()
    while True:
        now = clock.now() // 1_000_000
        for uid in _CUSTOMERS:
            _mint(directory / f"{uid}.jwt", key, uid, now, auth_time=now)
        _mint(directory / "alice-earlier.jwt", key, "alice", now, auth_time=now - 3600)
        await asyncio.sleep(_MINT_EVERY_S)


def _mint(path: Path, key: Ed25519PrivateKey, uid: str, now: int, *, auth_time: int) -> None:
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": uid,
        "iat": now,
        "exp": now + 3600,
        "auth_time": auth_time,
        "amr": ["pwd", "otp", "mfa"],
    }
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": "demo"}), encoding="ascii")
    temporary.replace(path)


@contextlib.contextmanager
def _exchange() -> Iterator[str]:
    """Serve the pretend exchange on a free port in a thread of its own; give its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_exchange(), log_level="warning", lifespan="off", ws="websockets-sansio")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=5)


def _to_try(url: str, directory: Path) -> Iterator[str]:
    """Yield what the demo prints: where it is, and a request for each outcome."""
    yield f"The gateway listens on {url} in front of a pretend exchange. Try, in another terminal:"
    for says, path, address, who, more in _REQUESTS:
        token = f' -H "Authorization: Bearer $(cat {directory}/{who}.jwt)"' if who else ""
        yield f"\n# {says}\ncurl -si -H 'X-Forwarded-For: {address}'{token}{more} {url}/api/v1/{path}"
    config = directory / "gateway.toml"
    yield f"""
Each answer carries its decision's id in the header Gateway-Decision:
  gateway explain ID -c {config}        what was decided, why, what would change it
  gateway decisions search --outcome deny --since 1h -c {config}
  gateway replay --since 1h -c {config}  decide everything again from the record alone
  gateway account set alice --status flagged --why 'a call from her bank' -c {config}
                                         and she may only look; the way back takes a ticket and two people
Press Ctrl-C to stop."""
