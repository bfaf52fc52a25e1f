"""What a credential proves: a signed token or an API key, checked once and remembered."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import structlog

from gateway.adapters.claims import ClaimRules, Claims, read_claims
from gateway.adapters.jwks import check_algorithms
from gateway.adapters.jws import (
    BAD_SIGNATURE,
    MAX_NAME,
    MAX_TOKEN_BYTES,
    Compact,
    Fault,
    KeySet,
    Rejected,
    read_compact,
)
from gateway.adapters.keys import FixedKeys, KeySource
from gateway.core.errors import ConfigError, GatewayError, StoreUnavailable
from gateway.core.facts import Unknown
from gateway.core.terms import Credential, TokenState, WhyUnknown
from gateway.ports import MICROSECONDS, Identity, Presented

MAX_API_KEY_BYTES: Final = 512

KeyOwner = Callable[[bytes], Awaitable[str | None]]
"""The SHA-256 digest of an API key → the uid that owns it, or None. Raises StoreUnavailable."""

_log: Any = structlog.get_logger("gateway.tokens")

_NOBODY = Identity(Credential.NONE, TokenState.ABSENT, account=None, assurance=0, auth_time=None, valid_until=None)
# Nobody is signed in by a credential that proves nothing: that is knowledge, so nothing of these is Unknown.
_SESSION = _NOBODY._replace(credential=Credential.SESSION, token=TokenState.INVALID)
_EXPIRED = _NOBODY._replace(credential=Credential.SESSION, token=TokenState.EXPIRED)
_API_KEY = _NOBODY._replace(credential=Credential.API_KEY, token=TokenState.INVALID)
_BRIEF = frozenset({Fault.KEY_UNKNOWN, Fault.NOT_YET, Fault.INTERNAL})
"""Faults that may be gone a moment later: nobody remembers them."""


class _Known(NamedTuple):
    """An answer that was given before, and the instants between which it holds."""

    identity: Identity
    since: int
    until: int
    jti: str | None = None


class TokenChecker:
    """Checks credentials; implements `gateway.ports.Tokens`.

    What it remembers is keyed by a digest of the credential's bytes, bounded, dropped whole when it is full or the
    key set changes, and looked at again on each use: time, key set, revocation.
    """

    def __init__(
        self,
        *,
        keys: KeySource,
        algorithms: Sequence[str],
        issuer: str,
        audience: str,
        account_claim: str = "sub",
        leeway_s: int = 30,
        max_lifetime_s: int = 86_400,
        remember_s: int = 300,
        assurance: Mapping[str, int] = MappingProxyType({}),
        key_owner: KeyOwner | None = None,
        refused_s: int = 30,
        api_key_s: int = 1,
        store_wait_s: float = 2,
        limit: int = 65_536,
        revoked_limit: int = 500_000,
    ) -> None:
        """Build. Raise ConfigError where the values cannot work.

        Args:
            keys: where the keys are; to be started and closed by its owner.
            algorithms: those that tokens may use: of one kind, shared secret or public key.
            issuer: the `iss` that tokens must have, exactly.
            audience: the `aud` that they must name.
            account_claim: which claim names the account.
            leeway_s: how far the issuer's clock may be off.
            max_lifetime_s: how long a token may be valid from its `iat` to its `exp`.
            remember_s: how long a verified token is not verified again.
            assurance: the level, 1 to 3, that an `acr` or `amr` value stands for.
            key_owner: finds the owner of an API key; None where none are taken.
            refused_s: how long a token that was refused is not looked at again.
            api_key_s: the same for API keys, good or bad: how long a revoked one may still work.
            store_wait_s: how long the store may take to say who owns a key.
            limit: how many good answers are remembered, and how many bad ones.
            revoked_limit: how many unexpired tokens may be revoked at a time.
        """
        if remember_s < 0:
            raise ConfigError(f"[identity] remember_s: {remember_s} is less than 0; 0 verifies every time")
        self._rules = ClaimRules.checked(
            issuer=issuer,
            audience=audience,
            account_claim=account_claim,
            leeway_s=leeway_s,
            max_lifetime_s=max_lifetime_s,
            assurance=assurance,
        )
        self._keys = keys
        self._algorithms = frozenset(check_algorithms(algorithms))
        self._key_owner = key_owner
        self._leeway = leeway_s * MICROSECONDS
        self._remember = remember_s * MICROSECONDS
        self._remember_bad = refused_s * MICROSECONDS
        self._remember_api_key = api_key_s * MICROSECONDS
        self._store_wait_s = store_wait_s
        self._limit = limit
        self._revoked_limit = revoked_limit
        # Two memories: a flood of forged tokens must not push out the good ones.
        self._good: dict[bytes, _Known] = {}
        self._bad: dict[bytes, _Known] = {}
        self._of_generation = keys.generation
        self._revoked: dict[str, int] = {}
        self._revocations = 0
        self._latest = 0
        self.refusals: Counter[Fault] = Counter()
        """How often each fault was found. Repeats that were answered from memory are not counted."""
        self.details: dict[Fault, str] = {}
        """What was wrong the last time, for whoever sets the gateway up."""

    @classmethod
    def without_keys(cls, *, key_owner: KeyOwner | None) -> "TokenChecker":
        """Return a checker for a gateway without `[identity]`: every session token is invalid."""
        # There is no key, so nothing that a token says can make it valid.
        return cls(
            keys=FixedKeys(KeySet()), algorithms=("EdDSA",), issuer="nobody", audience="nobody", key_owner=key_owner
        )

    @property
    def generation(self) -> int:
        """A number that grows whenever the key set changes or a token is revoked."""
        return self._keys.generation + self._revocations

    def revoke(self, jti: str, until: int) -> None:
        """Refuse the tokens with this id from now on. `until`: the latest `exp` among them, microseconds.

        By id, never by text: one token can have several texts (an ECDSA signature has two), and only one would be
        refused. Raise GatewayError where it cannot be done; it is never done by forgetting another revocation.
        """
        if not 0 < len(jti) <= MAX_NAME:
            raise GatewayError(f"a `jti` has 1 to {MAX_NAME} characters, this one {len(jti)}")
        if jti not in self._revoked and len(self._revoked) >= self._revoked_limit:
            over = [one for one, end in self._revoked.items() if end < self._latest]
            for one in over:
                del self._revoked[one]
            if not over:
                raise GatewayError(f"{self._revoked_limit} unexpired tokens are revoked already (revoked_limit)")
        self._revoked[jti] = max(until + self._leeway, self._revoked.get(jti, 0))
        self._revocations += 1

    async def check(self, presented: Presented | None, at: int) -> Identity:
        """Return what the credential proves at `at`. Never raises: a failure is a fact."""
        if presented is None:
            return _NOBODY
        secret = presented.secret
        by_key = presented.kind == Credential.API_KEY
        if not 0 < len(secret) <= (MAX_API_KEY_BYTES if by_key else MAX_TOKEN_BYTES):
            # Not even hashed: what is this long was not issued by anybody.
            too_long = Rejected(Fault.SIZE, f"{len(secret)} bytes were sent")
            return self._refused(None, too_long, at, _API_KEY if by_key else _SESSION)
        self._follow_keys()
        digest = hashlib.sha256(secret).digest()
        mark = b"key" + digest if by_key else digest
        known = self._good.get(mark) or self._bad.get(mark)
        if known is not None and known.since <= at <= known.until and known.jti not in self._revoked:
            return known.identity
        self._latest = max(self._latest, at)
        try:
            return await (self._check_api_key(mark, digest, at) if by_key else self._check_token(mark, secret, at))
        except Exception as error:  # noqa: BLE001 - a fault of ours is no reason to let anybody in, nor to break the line
            _log.error("tokens:check_failed", error=type(error).__name__)
            if by_key:
                return _unavailable(Credential.API_KEY, WhyUnknown.STORE_UNAVAILABLE, at)
            return self._refused(mark, Rejected(Fault.INTERNAL, type(error).__name__), at)

    async def _check_token(self, mark: bytes, token: bytes, at: int) -> Identity:
        """Return what the token proves. What costs least is asked first; only what is left costs a signature."""
        compact = read_compact(token)
        if isinstance(compact, Rejected):
            return self._refused(mark, compact, at)
        if compact.algorithm not in self._algorithms:
            return self._refused(mark, Rejected(Fault.ALGORITHM, "`alg` is not among the configured algorithms"), at)
        claims = read_claims(compact.payload, self._rules)
        if isinstance(claims, Rejected):
            return self._refused(mark, claims, at)
        if at < claims.begins:
            return self._refused(mark, Rejected(Fault.NOT_YET, "`iat`, `nbf` or `auth_time` is in the future"), at)
        keyset = self._keys.current(at)
        if keyset is None or (at <= claims.ends and _unknown(keyset, compact)):
            await self._keys.look_again()
            keyset = self._keys.current(at)
            self._follow_keys()
        if keyset is None:
            return _unavailable(Credential.SESSION, WhyUnknown.KEYS_UNAVAILABLE, at)
        return self._judge(mark, compact, claims, keyset, at)

    def _judge(self, mark: bytes, compact: Compact, claims: Claims, keyset: KeySet, at: int) -> Identity:
        key = keyset.choose(compact.kid, compact.algorithm)
        if isinstance(key, Rejected):
            return self._refused(mark, key, at)
        if not key.verify(compact.signing_input, compact.signature):
            return self._refused(mark, BAD_SIGNATURE, at)
        if claims.jti in self._revoked:
            return self._refused(mark, Rejected(Fault.REVOKED, "its `jti` is revoked"), at)
        if at > claims.ends:
            # Only now: "expired" says that all else was right, which a forged token must not be able to say.
            return self._refused(mark, Rejected(Fault.EXPIRED, "`exp` is past"), at, _EXPIRED)
        until = min(claims.ends, at + self._remember)
        if self._keys.good_until is not None:
            until = min(until, self._keys.good_until)
        identity = Identity(
            Credential.SESSION, TokenState.VALID, claims.account, claims.assurance, claims.auth_time, until,
            claims.sid or claims.jti, claims.jti, claims.issued,
        )  # fmt: skip
        self._remember_as(self._good, mark, _Known(identity, claims.begins, until, claims.jti))
        return identity

    async def _check_api_key(self, mark: bytes, digest: bytes, at: int) -> Identity:
        """Return whose key it is. The store is asked for a digest, so no comparison can be timed."""
        if self._key_owner is None:
            return self._refused(mark, Rejected(Fault.API_KEY, "no API keys are taken here"), at, _API_KEY)
        try:
            async with asyncio.timeout(self._store_wait_s):
                owner = await self._key_owner(digest)
        except (StoreUnavailable, TimeoutError):
            return _unavailable(Credential.API_KEY, WhyUnknown.STORE_UNAVAILABLE, at)
        if owner is None:
            return self._refused(mark, Rejected(Fault.API_KEY, "the store knows no such key"), at, _API_KEY)
        until = at + self._remember_api_key
        identity = Identity(Credential.API_KEY, TokenState.VALID, owner, 1, auth_time=None, valid_until=until)
        self._remember_as(self._good, mark, _Known(identity, at, until))
        return identity

    def _refused(self, mark: bytes | None, why: Rejected, at: int, refusal: Identity = _SESSION) -> Identity:
        self.refusals[why.fault] += 1
        self.details[why.fault] = why.detail
        if mark is None or why.fault in _BRIEF:
            return refusal._replace(valid_until=at)
        until = at + (self._remember_api_key if refusal is _API_KEY else self._remember_bad)
        identity = refusal._replace(valid_until=until)
        self._good.pop(mark, None)
        self._remember_as(self._bad, mark, _Known(identity, at, until))
        return identity

    def _follow_keys(self) -> None:
        """Forget what was answered under another key set."""
        if self._of_generation != self._keys.generation:
            self._of_generation = self._keys.generation
            self._good.clear()
            self._bad.clear()

    def _remember_as(self, memory: dict[bytes, _Known], mark: bytes, known: _Known) -> None:
        if len(memory) >= self._limit:
            memory.clear()
        memory[mark] = known


def _unknown(keyset: KeySet, compact: Compact) -> bool:
    key = keyset.choose(compact.kid, compact.algorithm)
    return isinstance(key, Rejected) and key.fault is Fault.KEY_UNKNOWN


def _unavailable(credential: Credential, why: WhyUnknown, at: int) -> Identity:
    unknown = Unknown(why)
    return Identity(credential, unknown, unknown, unknown, unknown, valid_until=at)
