"""The demo: a pretend exchange, a few customers, and requests that show each outcome."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import typer
import uvicorn
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateway.adapters.clock import SystemClock
from gateway.app import Gateway, GatewayMiddleware
from gateway.cli.exchange import create_exchange
from gateway.config import load
from gateway.enforce.http_server import run
from gateway.enforce.reverse_proxy import ReverseProxy

_ISSUER = "https://auth.demo.invalid"
_AUDIENCE = "demo-exchange"
_MINT_EVERY_S = 60

LISBON, OHIO, TEHRAN, SEVASTOPOL = "2.80.10.20", "24.95.30.40", "5.160.10.20", "203.0.113.7"

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

[server]
host = "127.0.0.1"
port = {port}
support_url = "https://support.demo.invalid/"

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

_CUSTOMERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("alice", {"status": "open", "verification": "full", "documents": ["PT"], "residence": "PT"}),
    ("bob", {"status": "open", "verification": "full", "documents": ["US"], "residence": "US"}),
    ("carol", {"status": "flagged", "verification": "full", "documents": ["FR"], "residence": "FR"}),
    ("dan", {"status": "archived", "verification": "basic", "documents": ["DE"], "residence": "DE"}),
)


def run_demo(directory: Path, port: int) -> None:
    """Serve until interrupted."""
    directory.mkdir(parents=True, exist_ok=True)
    key = _key(directory)
    with _exchange() as upstream:
        config = directory / "gateway.toml"
        config.write_text(
            _CONFIG.format(issuer=_ISSUER, audience=_AUDIENCE, port=port, upstream=upstream), encoding="utf-8"
        )
        uvloop.run(_serve(directory, key, Gateway(load(config)), upstream, port))


async def _serve(directory: Path, key: Ed25519PrivateKey, gateway: Gateway, upstream: str, port: int) -> None:
    await gateway.start()
    for uid, profile in _CUSTOMERS:
        await gateway.store.put(uid, **profile, who="demo", why="a sample customer")
    minting = asyncio.ensure_future(_mint_for_ever(directory, key))
    try:
        await run(
            GatewayMiddleware(ReverseProxy(upstream), gateway=gateway),
            host="127.0.0.1",
            port=port,
            max_head_bytes=32_768,
            ready=lambda url: typer.echo("\n".join(_to_try(url, directory))),
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
        for uid, _ in _CUSTOMERS:
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

    def curl(says: str, path: str, *, address: str, who: str | None = None, more: str = "") -> str:
        token = f' -H "Authorization: Bearer $(cat {directory}/{who}.jwt)"' if who else ""
        return f"\n# {says}\ncurl -si{more} -H 'X-Forwarded-For: {address}'{token} {url}{path}"

    post = " -X POST"
    yield curl("Anybody may look at the market: 200", "/api/v1/market", address=LISBON)
    yield curl(
        "Alice in Lisbon withdraws, having just proved who she is: 200",
        "/api/v1/withdrawals",
        address=LISBON,
        who="alice",
        more=post,
    )
    yield curl(
        "Alice signed in an hour ago: 401, a fresh proof is asked",
        "/api/v1/withdrawals",
        address=LISBON,
        who="alice-earlier",
        more=post,
    )
    yield curl("Nobody is signed in: 401", "/api/v1/orders", address=LISBON, more=post)
    yield curl(
        "Bob in Ohio trades: 403, his jurisdiction is closed", "/api/v1/orders", address=OHIO, who="bob", more=post
    )
    yield curl(
        "Bob trades from Lisbon: 403 all the same, his documents are American",
        "/api/v1/orders",
        address=LISBON,
        who="bob",
        more=post,
    )
    yield curl("Bob may reach support: 200", "/api/v1/support/messages", address=OHIO, who="bob")
    yield curl("Carol is flagged: she may look, 200 ...", "/api/v1/balances", address=LISBON, who="carol")
    yield curl("... and not withdraw: 403", "/api/v1/withdrawals", address=LISBON, who="carol", more=post)
    yield curl("Dan's account is archived: 403", "/api/v1/balances", address=LISBON, who="dan")
    yield curl("Alice trades from Tehran: 451", "/api/v1/orders", address=TEHRAN, who="alice", more=post)
    yield curl(
        "Alice trades from Sevastopol: 451, the region and not the country",
        "/api/v1/orders",
        address=SEVASTOPOL,
        who="alice",
        more=post,
    )
    yield curl(
        "Tehran claims to be Lisbon: the left of the header is anybody's to write, 451",
        "/api/v1/orders",
        address=f"{LISBON}, {TEHRAN}",
        who="alice",
        more=post,
    )
    yield curl(
        "A withdrawal by another spelling of its path: 400",
        "/api/v1/market/%2e%2e/withdrawals",
        address=LISBON,
        who="alice",
        more=f"{post} --path-as-is",
    )
    yield curl(
        "The ticker, a WebSocket, from Tehran: 451 at the handshake",
        "/api/v1/ticker",
        address=TEHRAN,
        more=" -N -m 2 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13'"
        " -H 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=='",
    )
    config = directory / "gateway.toml"
    yield f"""
Each answer carries its decision's id in the header Gateway-Decision:
  gateway explain ID -c {config}        what was decided, why, what would change it
  gateway replay --since 1h -c {config}  decide everything again from the record alone
  gateway account set carol --status open --why 'tried the demo' -c {config}
Press Ctrl-C to stop."""
