"""From a request to Facts: what the databases, the credential and the store say of it."""

from typing import Any, NamedTuple

import structlog

from gateway.core.client_ip import ClientIP
from gateway.core.credential import Conflicting, Presented
from gateway.core.errors import StoreUnavailable
from gateway.core.facts import Fact, Facts, Unknown
from gateway.core.terms import Credential, Operation, TokenState, WhyUnknown
from gateway.ports import Account, Accounts, Geo, Identity, Tokens
from gateway.service.memo import Memo

log: Any = structlog.get_logger("gateway")

_SECOND = 1_000_000
_ANSWER_HOLDS = 300 * _SECOND
"""How long gathered facts may be used again at most. Editions age and clocks are stepped; nothing repeats for ever."""

_CONFLICTING = Identity(
    credential=Credential.SESSION, token=TokenState.INVALID, account=None, assurance=0, auth_time=None, valid_until=None
)
"""Two credentials at once prove nothing: which of them would the upstream believe?"""


class Gathered(NamedTuple):
    """Facts, and until when they may be used again."""

    facts: Facts
    editions: tuple[str, ...]
    """The editions that the connection facts came from."""
    auth_time: int | None
    """When the subject proved who it is, where that is known: `facts.auth_age` grows from it."""
    until: int
    """Microseconds since the epoch; the facts hold before it, all generations being equal."""


class Gather:
    """Asks the ports. What cannot be learned is Unknown, with the reason; nothing here refuses anybody."""

    def __init__(self, *, geo: Geo, tokens: Tokens, accounts: Accounts, limit: int = 16_384) -> None:
        self._geo = geo
        self._tokens = tokens
        self._accounts = accounts
        self._known: Memo[str, tuple[int, Account]] = Memo(limit)

    def generation(self) -> int:
        """A number that changes whenever an edition, a key set, a revocation or an account does."""
        return self._geo.generation + self._tokens.generation + self._accounts.generation

    def reliable(self, at: int) -> bool:
        """Return whether `generation` can be trusted to have heard of every change."""
        return self._accounts.fresh(at)

    async def __call__(
        self,
        at: int,
        operation: Operation,
        client_ip: ClientIP,
        presented: Presented | Conflicting | None,
        *,
        fresh: bool,
    ) -> Gathered:
        """Return everything that a verdict may depend on. `fresh`: the account is read from the store itself."""
        # Taken together, before anything is waited for: no edition can be swapped in between.
        editions = self._geo.editions
        connection = self._geo.look_up(client_ip.geo_key, at)
        if isinstance(presented, Conflicting):
            identity = _CONFLICTING
        else:
            identity = await self._tokens.check(presented, at)
        standing = await self._standing(identity.account, at, fresh=fresh)
        facts = Facts(
            at,
            operation,
            *connection,
            credential=identity.credential,
            token=identity.token,
            assurance=identity.assurance,
            auth_age=_age(identity.auth_time, at),
            account=standing.account,
            status=standing.status,
            flags=standing.flags,
            verification=standing.verification,
            documents=standing.documents,
            residence=standing.residence,
            nationality=standing.nationality,
            holds=standing.holds,
        )
        until = at + _ANSWER_HOLDS
        if identity.valid_until is not None:
            until = min(until, identity.valid_until)
        return Gathered(facts, editions, identity.auth_time if isinstance(identity.auth_time, int) else None, until)

    async def _standing(self, uid: Fact[str | None], at: int, *, fresh: bool) -> "_Standing":
        if uid is None:
            return _NOBODY
        if not isinstance(uid, str):
            return _unknown(uid, uid.why)
        try:
            account = await self._read(uid, at, fresh=fresh)
        except StoreUnavailable:
            return _unknown(uid, WhyUnknown.STORE_UNAVAILABLE)
        except Exception:
            # Whatever else a store can do: the request is decided and recorded, without the account's facts.
            log.exception("store:failed")
            return _unknown(uid, WhyUnknown.STORE_UNAVAILABLE)
        return _unknown(uid, WhyUnknown.NO_ACCOUNT) if account is None else _Standing(*account)

    async def _read(self, uid: str, at: int, *, fresh: bool) -> Account | None:
        # The generation is taken before the read: a change that lands in between makes this answer old, not new.
        generation = self._accounts.generation
        known = self._known.get(uid)
        if known is not None and known[0] == generation and not fresh and self._accounts.fresh(at):
            return known[1]
        account = await self._accounts.read(uid)
        if account is not None:
            self._known.keep(uid, (generation, account))
        return account


class _Standing(NamedTuple):
    """The account facts, in the order of `Account`."""

    account: Fact[str | None]
    status: Fact[str]
    flags: Fact[frozenset[str]]
    verification: Fact[str]
    documents: Fact[frozenset[str]]
    residence: Fact[str | None]
    nationality: Fact[str | None]
    holds: Fact[frozenset[str]]


_NOBODY = _Standing(*(Facts._field_defaults[name] for name in _Standing._fields))


def _unknown(uid: Fact[str | None], why: WhyUnknown) -> _Standing:
    unknown = Unknown(why)
    return _Standing(uid, unknown, unknown, unknown, unknown, unknown, unknown, unknown)


def _age(auth_time: Fact[int | None], at: int) -> Fact[int | None]:
    # A proof from the future is a proof of now: the two clocks differ, and the token's own checks bound by how much.
    return max(0, at - auth_time) // _SECOND if isinstance(auth_time, int) else auth_time
