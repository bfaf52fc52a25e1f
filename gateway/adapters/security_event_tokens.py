"""Security Event Tokens that are pushed to us (RFC 8417, RFC 8935): checked, taken once, answered as the RFC says.

A token is read strictly and believed only where its issuer is configured, a published key of that issuer signed it, it
is meant for us, and it says of itself that it is such a token. A session token of the same issuer is none (RFC 8417,
section 4: otherwise either could be passed off as the other).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum, unique
from ssl import SSLContext
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

import structlog

from gateway.adapters.jws import Fault, Rejected, from_base64url, read_object
from gateway.adapters.keys import KeySource, key_source
from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.core.events import TOLERANCE, Event, EventProblem
from gateway.core.security_events import LONGEST_JTI, Transmitter, read_set
from gateway.ports import MICROSECONDS, Clock, Events, Taking

MEDIA_TYPE: Final = "application/secevent+jwt"
MAX_BYTES: Final = 16 * 1024
"""Of a token. The body of a request need not be read further."""
REPLY_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {"Content-Type": "application/json", "Content-Language": "en", "Cache-Control": "no-store"}
)
"""What goes with the document of a refusal (RFC 8935, section 2.3)."""

_TYPES: Final = frozenset({"secevent+jwt", MEDIA_TYPE})
_HEADER_MEMBERS: Final = frozenset({"alg", "kid", "typ"})
_MOST_AUDIENCES: Final = 16
_LEEWAY: Final = 60 * MICROSECONDS
"""How far the clock of an issuer may be from ours where a token ends."""

_log: Any = structlog.get_logger("gateway.security_events")


@unique
class Err(StrEnum):
    """Why a token is not taken: the codes of RFC 8935, section 2.4."""

    INVALID_REQUEST = "invalid_request"
    """It cannot be read, or an event in it does not keep to its definition."""
    INVALID_KEY = "invalid_key"
    """Its key is none that may be used."""
    INVALID_ISSUER = "invalid_issuer"
    INVALID_AUDIENCE = "invalid_audience"
    AUTHENTICATION_FAILED = "authentication_failed"
    """It does not prove who sent it."""
    ACCESS_DENIED = "access_denied"
    """Whoever sent the request may not. Said by who checks the request's own credential."""


class Refused(NamedTuple):
    """A token that changes nothing. It is answered 400."""

    err: Err
    description: str
    """For whoever runs the issuer. Never a value of a key, nor of what the token says."""

    def document(self) -> dict[str, str]:
        """Return the body of the answer."""
        return {"err": str(self.err), "description": self.description}


class Checked(NamedTuple):
    """A token that is believed."""

    issuer: str
    jti: str
    events: tuple[Event, ...]
    repeated: bool
    """It came before, and was taken."""
    until: int
    """From when on it would be refused as stale, so that its `jti` need not be remembered any more."""


class SetIssuer(NamedTuple):
    """One who may send us tokens."""

    transmitter: Transmitter
    audience: str
    """What a token must name as one that it is meant for."""
    keys: KeySource


class SeenOnce(Protocol):
    """Remembers names until an instant. Every call may raise StoreUnavailable."""

    async def seen(self, issuer: str, name: str) -> bool:
        """Return whether an issuer's name came before."""

    async def first(self, issuer: str, name: str, until: int) -> bool:
        """Return whether it comes for the first time; it is remembered until then."""


def issuer_of(
    transmitter: Transmitter,
    *,
    audience: str,
    jwks: str,
    algorithms: Sequence[str],
    clock: Clock,
    tls: SSLContext | None = None,
) -> SetIssuer:
    """Return an issuer whose keys come from a JWKS file or URL. Raise ConfigError where that cannot work."""
    secret = [name for name in algorithms if name.startswith("HS")]
    if secret:
        raise ConfigError(
            f"issuer {transmitter.issuer}: algorithms: {', '.join(secret)}: a shared secret does not prove who sent a "
            "token; use one with a public key, such as RS256"
        )
    if not audience or not transmitter.issuer:
        raise ConfigError("security events: an issuer has a name (`iss`), and an audience that its tokens are for")
    return SetIssuer(transmitter, audience, key_source(algorithms=algorithms, clock=clock, jwks=jwks, tls=tls))


class SetReceiver:
    """Takes tokens of the configured issuers."""

    def __init__(self, issuers: Sequence[SetIssuer], *, events: Events, seen: SeenOnce, clock: Clock) -> None:
        """Build. Raise ConfigError where two issuers have the same name."""
        self._issuers = {one.transmitter.issuer: one for one in issuers}
        if len(self._issuers) < len(issuers):
            raise ConfigError("security events: each issuer is configured once")
        self._events = events
        self._seen = seen
        self._clock = clock

    async def start(self) -> None:
        """Begin to keep the issuers' keys up to date. Raise ConfigError where it is plain that it can never work."""
        for issuer in self._issuers.values():
            await issuer.keys.start()

    async def close(self) -> None:
        """Return once nothing is under way any more."""
        for issuer in self._issuers.values():
            await issuer.keys.close()

    async def receive(self, body: bytes, content_type: str | None) -> Checked | Refused:
        """Return the token, once what it tells is stored; 202 is the answer to it, with nothing in it.

        Raise StoreUnavailable, which is 503: it is to be sent again, and nothing of it is lost.
        """
        checked = await self.check(body, content_type)
        if isinstance(checked, Checked) and not checked.repeated:
            for taken in await self._events.take(checked.events, f"set:{checked.issuer}"):
                if taken.what is Taking.PROBLEM:
                    why = "an event was not taken" if taken.problem is None else taken.problem.message
                    checked = Refused(Err.INVALID_REQUEST, why)
        if isinstance(checked, Refused):
            _log.warning("set:refused", err=str(checked.err), why=checked.description)
        elif not checked.repeated:
            # After they are stored: a process that dies in between gets them again, and their ids tell the repeat.
            await self._seen.first(checked.issuer, checked.jti, checked.until)
            _log.info("set:taken", issuer=checked.issuer, events=len(checked.events))
        return checked

    async def check(self, body: bytes, content_type: str | None) -> Checked | Refused:
        """Return what a token tells, or why it is not believed. Nothing is changed by it. Raise StoreUnavailable."""
        if (content_type or "").partition(";")[0].strip().lower() != MEDIA_TYPE:
            return Refused(Err.INVALID_REQUEST, f"a token is sent as `{MEDIA_TYPE}`")
        read = _read(body)
        if isinstance(read, Refused):
            return read
        name = read.claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            return Refused(Err.INVALID_ISSUER, "`iss` is none of the issuers that are configured")
        now = self._clock.now()
        refused = await _unsigned(read, issuer, now) or _untimely(read.claims, issuer, now)
        return refused or await self._told(read.claims, issuer, now)

    async def _told(self, claims: Mapping[str, Any], issuer: SetIssuer, now: int) -> Checked | Refused:
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_JTI:
            return Refused(Err.INVALID_REQUEST, f"a token is named by its `jti`, 1 to {LONGEST_JTI} characters")
        told = read_set(claims, issuer.transmitter, now=now)
        if isinstance(told, EventProblem):
            return Refused(Err.INVALID_REQUEST, told.message)
        name = issuer.transmitter.issuer
        until = now + issuer.transmitter.max_age + TOLERANCE
        return Checked(name, jti, told, await self._seen.seen(name, jti), until)


class _Read(NamedTuple):
    """A token, taken apart and not yet believed."""

    algorithm: str
    kid: str | None
    claims: Mapping[str, Any]
    signing_input: bytes
    signature: bytes


def _read(body: bytes) -> _Read | Refused:
    if not 0 < len(body) <= MAX_BYTES:
        return Refused(Err.INVALID_REQUEST, f"a token has 1 to {MAX_BYTES} bytes")
    segments = body.split(b".", 3)
    if len(segments) != 3:
        return Refused(Err.INVALID_REQUEST, "a token is three segments with a dot between them; it is not encrypted")
    try:
        header_json, payload, signature = map(from_base64url, segments)
        header, claims = read_object(header_json), read_object(payload)
    except ValueError as why:
        return Refused(Err.INVALID_REQUEST, str(why))
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not (isinstance(kind, str) and kind.lower() in _TYPES):
        return Refused(Err.INVALID_REQUEST, "`typ` must be secevent+jwt: no other token is a security event")
    # `crit`, `b64`, `jku`, `jwk`, `x5u` and their like change what is signed, or bring a key along.
    if not header.keys() <= _HEADER_MEMBERS or not isinstance(algorithm, str) or not isinstance(kid, str | None):
        return Refused(Err.INVALID_REQUEST, "the header holds `alg`, `kid` and `typ`, as strings, and nothing else")
    return _Read(algorithm, kid, claims, body.rpartition(b".")[0], signature)


async def _unsigned(read: _Read, issuer: SetIssuer, now: int) -> Refused | None:
    """Return why no key of the issuer signed it; None where one did."""
    if read.algorithm.startswith("HS"):
        return Refused(Err.INVALID_KEY, "`alg` is of shared secrets; a token is signed with a private key")
    keyset = issuer.keys.current(now)
    key = None if keyset is None else keyset.choose(read.kid, read.algorithm)
    if keyset is None or (isinstance(key, Rejected) and key.fault is Fault.KEY_UNKNOWN):
        await issuer.keys.look_again()
        keyset = issuer.keys.current(now)
        key = None if keyset is None else keyset.choose(read.kid, read.algorithm)
    if key is None:
        raise StoreUnavailable(f"the keys of {issuer.transmitter.issuer} cannot be had")
    if isinstance(key, Rejected):
        return Refused(Err.INVALID_KEY, key.detail)
    if not key.verify(read.signing_input, read.signature):
        return Refused(Err.AUTHENTICATION_FAILED, "the signature is not of the key that the token names")
    return None


def _untimely(claims: Mapping[str, Any], issuer: SetIssuer, now: int) -> Refused | None:
    """Return why a signed token is not for us, or not now; None where it is."""
    audience = claims.get("aud")
    meant = audience if isinstance(audience, list) else [audience]
    if issuer.audience not in meant or len(meant) > _MOST_AUDIENCES:
        return Refused(Err.INVALID_AUDIENCE, "`aud` does not name us")
    # Neither belongs into such a token (RFC 8417, section 2.2), but whoever says it means it.
    for name in ("exp", "nbf"):
        at = claims.get(name, now / MICROSECONDS)
        if not isinstance(at, int | float) or isinstance(at, bool):
            return Refused(Err.INVALID_REQUEST, f"`{name}` is a number of seconds since 1970")
        late = (now - at * MICROSECONDS) * (1 if name == "exp" else -1)
        if late > _LEEWAY:
            return Refused(Err.INVALID_REQUEST, f"the token holds no more, or not yet: `{name}`")
    return None
