"""The straightforward implementation: what a competent engineer writes in an afternoon, without its mistakes.

Everything that can be made once is made once: the key object, both database readers, the SQLite connection, the
rules. SQLite is read on the event loop, because a look-up by primary key is faster than a hop to a thread. Rules that
cannot close the operation are skipped before their condition is looked at.
"""

import json
import logging
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import geoip2.database
import geoip2.errors
import jwt
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from benchmarks.apps.market import exchange
from benchmarks.rules import RULES, Context
from benchmarks.world import AUDIENCE, HEADER, ISSUER, World

TRUSTED = frozenset({"127.0.0.1"})
OPERATIONS = {
    ("GET", "/api/v1/market"): "view",
    ("POST", "/api/v1/orders"): "trade.spot",
    ("POST", "/api/v1/futures/orders"): "trade.futures",
    ("POST", "/api/v1/transfers"): "transfer",
    ("POST", "/api/v1/withdrawals"): "withdraw",
}


class Decided(NamedTuple):
    """The answer to one request."""

    allowed: bool
    closed_by: list[str]
    uid: str | None


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with the fields that it was given."""
        fields = {"at": record.created, "level": record.levelname, "event": record.getMessage()}
        return json.dumps(fields | getattr(record, "fields", {}))


class GeoFence(BaseHTTPMiddleware):
    """Looks up, verifies, reads, asks every rule, logs, and lets through or answers 403."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        super().__init__(app)
        keys = jwt.PyJWKSet.from_json(world.jwks.read_text())
        self._keys = {key.key_id: key.key for key in keys.keys}
        self._countries = geoip2.database.Reader(str(world.country_db))
        self._asns = geoip2.database.Reader(str(world.asn_db))
        self._accounts = sqlite3.connect(f"file:{world.accounts}?mode=ro", uri=True)
        self._grants = [rule for rule in RULES if rule.effect == "grant"]
        self._limits = [rule for rule in RULES if rule.effect != "grant"]
        self._log = _log_to(world.folder / "straightforward.log")

    def close(self) -> None:
        """Close what was opened once."""
        self._countries.close()
        self._asns.close()
        self._accounts.close()
        self._log.handlers[0].close()

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Return the app's response, or the refusal."""
        decided = self.decide(request)
        if not decided.allowed:
            body = {"detail": "Not available", "rules": decided.closed_by}
            return JSONResponse(body, status_code=403 if decided.uid else 401)
        response = await call_next(request)
        response.headers["X-Access"] = "full"
        return response

    def decide(self, request: Request) -> Decided:
        """Return what is allowed, logged."""
        address = self._client_address(request)
        operation = OPERATIONS.get((request.method, request.url.path), "unclassified")
        uid = self._account_id(request)
        seen = self.gather(address, uid)
        granted = any(operation in rule.closes and rule.matches(seen) for rule in self._grants)
        closed_by = [rule.id for rule in self._limits if operation in rule.closes and rule.matches(seen)]
        allowed = granted and not closed_by
        fields = {
            "address": address,
            "country": seen.country,
            "asn": seen.asn,
            "account": uid,
            "operation": operation,
            "allowed": allowed,
            "rules": closed_by,
        }
        self._log.info("decided", extra={"fields": fields})
        return Decided(allowed, closed_by, uid)

    def gather(self, address: str, uid: str | None) -> Context:
        """Return what the rules may look at."""
        seen = Context(country=self._country(address), asn=self._asn(address), status="none")
        return seen if uid is None else self._with_account(seen, uid)

    def _client_address(self, request: Request) -> str:
        peer = request.client.host if request.client else ""
        if peer in TRUSTED:
            forwarded = request.headers.get(HEADER)
            if forwarded:
                return forwarded.rsplit(",", 1)[-1].strip()
        return peer

    def _country(self, address: str) -> str | None:
        try:
            return self._countries.country(address).country.iso_code
        except (geoip2.errors.AddressNotFoundError, ValueError):
            return None

    def _asn(self, address: str) -> int | None:
        try:
            return self._asns.asn(address).autonomous_system_number
        except (geoip2.errors.AddressNotFoundError, ValueError):
            return None

    def _account_id(self, request: Request) -> str | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.verify(token) if scheme.lower() == "bearer" else None

    def verify(self, token: str) -> str | None:
        """Return the account that a token proves, or None."""
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER)
        except (jwt.PyJWTError, KeyError):
            return None
        return str(claims["sub"])

    def _with_account(self, seen: Context, uid: str) -> Context:
        row = self._accounts.execute(
            "SELECT status, verification, documents, residence, nationality, flags FROM accounts WHERE uid = ?", (uid,)
        ).fetchone()
        if row is None:
            return seen
        status, verification, documents, residence, nationality, flags = row
        return replace(
            seen,
            status=status,
            verification=verification,
            documents=frozenset(filter(None, documents.split(","))),
            residence=residence,
            nationality=nationality,
            flags=frozenset(filter(None, flags.split(","))),
        )


def _log_to(path: Path) -> logging.Logger:
    log = logging.getLogger("straightforward")
    log.setLevel(logging.INFO)
    log.propagate = False
    target = logging.FileHandler(path)
    target.setFormatter(JsonLines())
    log.handlers[:] = [target]
    return log


def create(world: World) -> GeoFence:
    """Return the app behind the straightforward implementation."""
    return GeoFence(exchange(), world)
