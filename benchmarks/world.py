"""The synthetic world of one run: addresses, customers, tokens, policies, databases and configuration in one folder."""

import base64
import json
import random
import secrets
import socket
import sqlite3
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jwt
import maxminddb
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks import store
from benchmarks.rules import CLOSED, RESIDENCES, RESTRICTED, policy_files

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "geodb" / "data"

ISSUER = "https://auth.exchange.example"
AUDIENCE = "exchange-api"
KEY_ID = "bench-1"
HEADER = "X-Forwarded-For"

ROUTES = (
    ("login", ("POST",), "/api/v1/login"),
    ("view", ("GET",), "/api/v1/market"),
    ("trade.spot", ("POST",), "/api/v1/orders"),
    ("trade.futures", ("POST",), "/api/v1/futures/orders"),
    ("deposit", ("POST",), "/api/v1/deposits"),
    ("transfer", ("POST",), "/api/v1/transfers"),
    ("withdraw", ("POST",), "/api/v1/withdrawals"),
    ("security", (), "/api/v1/security/{rest:path}"),
    ("support", (), "/api/v1/support/{rest:path}"),
)


class Customer(NamedTuple):
    """Somebody who sends requests: from one address, with one token."""

    uid: str
    address: str
    token: str


@dataclass(frozen=True)
class World:
    """Where everything lies. Server processes read it back from the folder."""

    folder: Path
    country_db: Path
    asn_db: Path
    customers: tuple[Customer, ...]
    """Their requests are all allowed: the timed traffic."""
    closed_out: tuple[Customer, ...]
    """The same kind of customer from a country that is not served: their requests are refused."""

    @property
    def config(self) -> Path:
        """The gateway's configuration."""
        return self.folder / "gateway.toml"

    @property
    def jwks(self) -> Path:
        """The public key that signs the tokens."""
        return self.folder / "jwks.json"

    @property
    def store(self) -> Path:
        """The gateway's store."""
        return self.folder / "gateway.db"

    @property
    def accounts(self) -> Path:
        """SQLite with the same customers, for the implementations that are not the gateway."""
        return self.folder / "accounts.db"

    @property
    def key(self) -> Path:
        """The private key, for those who need tokens that nobody has seen yet."""
        return self.folder / "signing.key"


def addresses(country_db: Path, asn_db: Path, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield (address, country) without end: random global addresses that both databases know, one of eight IPv6.

    Only known ones: what is not known of an address narrows what the gateway allows, and the timed requests are all
    to be allowed.
    """
    with maxminddb.open_database(str(country_db)) as countries, maxminddb.open_database(str(asn_db)) as asns:
        while True:
            if rng.random() < 0.125:
                raw = struct.pack(
                    ">HH", rng.choice((0x2A00, 0x2A01, 0x2A02, 0x2600, 0x2800, 0x2400)), rng.getrandbits(16)
                )
                address = socket.inet_ntop(socket.AF_INET6, raw + rng.randbytes(12))
            else:
                first = rng.choice([n for n in range(1, 224) if n not in {10, 100, 127, 169, 172, 192, 198, 203}])
                address = f"{first}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
            code = _code(countries.get(address))
            if code is not None and asns.get(address) is not None:
                yield address, code


def on_disk() -> str | None:
    """Return where temporary files are on a disk; /tmp is often memory, and a journal there would be too cheap."""
    return "/var/tmp" if Path("/var/tmp").is_dir() else None


def build(
    folder: Path,
    *,
    customers: int = 4_000,
    country_db: Path = SHIPPED / "country.mmdb",
    asn_db: Path = SHIPPED / "asn.mmdb",
    segment: str = "64MiB",
) -> World:
    """Return a new world in `folder`. Every run has the same addresses; keys and tokens are new each time."""
    for database in (country_db, asn_db):
        if not database.is_file():
            msg = f"no GeoIP edition at {database}: the benchmark measures on the shipped ones (gateway geodb build)"
            raise SystemExit(msg)
    rng = random.Random(20_230_401)
    private = Ed25519PrivateKey.generate()
    (folder / "signing.key").write_bytes(private.private_bytes_raw())
    (folder / "jwks.json").write_text(json.dumps({"keys": [_jwk(private)]}))
    now = int(time.time())  # noqa: TID251 - a token needs the real time
    served: list[Customer] = []
    refused: list[Customer] = []
    for address, country in addresses(country_db, asn_db, rng):
        group, limit = (refused, max(20, customers // 50)) if country in CLOSED else (served, customers)
        if len(group) < limit:
            uid = f"{'R' if group is refused else 'C'}{len(group):08d}"
            group.append(Customer(uid, address, sign(private, uid, now)))
        elif len(served) == customers and len(refused) >= 20:
            break
    world = World(folder, country_db, asn_db, tuple(served), tuple(refused))
    _write_policies(folder / "policies")
    _write_accounts(world.accounts, [*served, *refused])
    store.fill(world.store, ((one.uid, *account_of(one.uid)) for one in [*served, *refused]), now * 1_000_000)
    world.config.write_text(_config(segment))
    (folder / "world.json").write_text(
        json.dumps(
            {
                "country_db": str(country_db),
                "asn_db": str(asn_db),
                "customers": served,
                "closed_out": refused,
            }
        )
    )
    return world


def load(folder: Path) -> World:
    """Return the world that `build` left in `folder`."""
    kept = json.loads((folder / "world.json").read_text())
    return World(
        folder,
        Path(kept["country_db"]),
        Path(kept["asn_db"]),
        tuple(Customer(*one) for one in kept["customers"]),
        tuple(Customer(*one) for one in kept["closed_out"]),
    )


def sign(private: Ed25519PrivateKey, uid: str, now: int) -> str:
    """Return a token of eight hours for `uid`, as the exchange's sign-in would issue it."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": uid,
        "iat": now,
        "nbf": now,
        "exp": now + 28_800,
        "auth_time": now,
        "acr": "mfa",
        "jti": secrets.token_urlsafe(12),
    }
    return jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": KEY_ID})


def account_of(uid: str) -> tuple[str, str, list[str], str, str]:
    """Return (status, verification, documents, residence, nationality) of a customer: open, verified, served."""
    number = int(uid[1:])
    residence = RESIDENCES[number % len(RESIDENCES)]
    nationality = RESTRICTED[number % 40]
    return "open", "full", [nationality], residence, nationality


def _code(record: object) -> str | None:
    """Return the country of a record of our own schema, or of a native one."""
    if not isinstance(record, dict):
        return None
    country = record.get("country")
    return country.get("iso_code") if isinstance(country, dict) else None


def _jwk(private: Ed25519PrivateKey) -> dict[str, str]:
    public = private.public_key().public_bytes_raw()
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "kid": KEY_ID, "alg": "EdDSA", "use": "sig", "x": x}


def _write_policies(folder: Path) -> None:
    folder.mkdir()
    for name, text in policy_files().items():
        (folder / name).write_text(text)


def _write_accounts(path: Path, customers: list[Customer]) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(
            "CREATE TABLE accounts (uid TEXT PRIMARY KEY, status TEXT, verification TEXT, documents TEXT, "
            "residence TEXT, nationality TEXT, flags TEXT)"
        )
        rows = ((one.uid, *account_of(one.uid)) for one in customers)
        database.executemany(
            "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, '')",
            ((uid, status, level, ",".join(papers), home, nation) for uid, status, level, papers, home, nation in rows),
        )
    database.close()


def _config(segment: str) -> str:
    routes = "\n".join(
        f'[[operations]]\noperation = "{name}"\nmethods = {json.dumps(methods)}\npath = "{path}"\n'
        for name, methods, path in ROUTES
    )
    return f"""\
[client_ip]
trusted_proxies = ["127.0.0.1/32"]
header = "{HEADER}"

[identity]
algorithms = ["EdDSA"]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
jwks = "jwks.json"
assurance = {{ mfa = 2 }}

{routes}
[policies]
paths = ["policies/"]

[geodb]
country = ["shipped"]
asn = ["shipped"]

[store]
url = "sqlite:///gateway.db"

[archive]
ship = "off"

[journal]
directory = "journal"
segment_bytes = "{segment}"
"""
