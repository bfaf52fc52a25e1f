"""From a request to Facts: what the databases, the credential and the store say of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import structlog

from gateway.core.client_ip import ClientIP
from gateway.core.credential import Conflicting, Presented
from gateway.core.errors import StoreUnavailable
from gateway.core.facts import Fact, Facts, OneOf, Unknown
from gateway.core.failing import LONGEST_REMEMBERED_S, Kind, kind_of
from gateway.core.sessions import standing
from gateway.core.terms import Credential, Operation, TokenState, WhyUnknown
from gateway.core.withdrawal_request import Asked
from gateway.policies.bundle import Bundle
from gateway.ports import Account, Accounts, Geo, Identity, Revocation, Revocations, Tokens
from gateway.service.memo import Memo
from gateway.service.risk import Came, Measured, Risk
from gateway.service.withdrawn import WithdrawnToday

log: Any = structlog.get_logger("gateway")

_SECOND = 1_000_000
_ANSWER_HOLDS = 300 * _SECOND
"""How long gathered facts may be used again at most. Editions age and clocks are stepped; nothing repeats for ever."""

_CONFLICTING = Identity(
    credential=Credential.SESSION, token=TokenState.INVALID, account=None, assurance=0, auth_time=None, valid_until=None
)
"""Two credentials at once prove nothing: which of them would the upstream believe?"""
_OVER = _CONFLICTING
"""A session that was ended proves nothing either."""
_CAME = Came()
_NEVER: Mapping[Kind, int] = MappingProxyType({})


_UNASKED = (Unknown(WhyUnknown.OVERLOADED),) * (len(Facts._fields) - 2)


class Snapshots(Protocol):
    """Accounts and revocations as of lately: no older than what this process has heard of changes.

    It stands beside `Revocations` and not on it: the ports may be compiled, and nothing can be built on those.
    """

    async def read(self, uid: str) -> Account | None:
        """Return the account, or None. Raise StoreUnavailable within a bounded time."""

    async def of(self, uid: str) -> tuple[Revocation, ...]:
        """Return the account's revocations. Raise StoreUnavailable within a bounded time."""


class Marks(NamedTuple):
    """How far this process had heard of changes."""

    accounts: int
    """The generation of the accounts."""
    others: int
    """The sum of all others'."""


class Gathered(NamedTuple):
    """Facts, and until when they may be used again."""

    facts: Facts
    editions: tuple[str, ...]
    """The editions that the connection facts came from."""
    auth_time: int | None
    """When the subject proved who it is, where that is known: `facts.auth_age` grows from it."""
    until: int
    """Microseconds since the epoch; the facts hold before it, all generations being equal."""
    measured: Measured | None = None
    """What `signals` and `risk` were measured from; None where nothing measures them."""
    remembered: bool = False
    """Whether the store was silent, and what was remembered of the account was relied on."""


class Gather:
    """Asks the ports. What cannot be learned is Unknown, with the reason; nothing here refuses anybody."""

    def __init__(
        self,
        *,
        geo: Geo,
        tokens: Tokens,
        accounts: Accounts,
        revocations: Revocations | None = None,
        risk: Risk | None = None,
        withdrawn_today: WithdrawnToday | None = None,
        remembered_s: Mapping[Kind, int] = _NEVER,
        snapshots: Snapshots | None = None,
        limit: int = 16_384,
    ) -> None:
        """Build. Without `revocations` no session is ended early; without `risk` nothing is measured.

        Without `withdrawn_today` nothing is added up. `remembered_s`: for how many seconds of the store's silence what
        is remembered of an account is relied on, by kind of operation. Raise ValueError for what moves money.
        `snapshots` are asked in place of the store where a request moves no money, and this process has heard from it
        lately.
        """
        if remembered_s.get(Kind.MONEY) or any(not 0 <= one <= LONGEST_REMEMBERED_S for one in remembered_s.values()):
            raise ValueError(
                f"nothing that moves money relies on memory, and nothing for over {LONGEST_REMEMBERED_S} s"
            )
        self._remembered_us = {kind: seconds * _SECOND for kind, seconds in remembered_s.items()}
        self._geo = geo
        self._tokens = tokens
        self._accounts = accounts
        self.changed_at = accounts.changed_at
        """The port's own method: asked on the path of many requests."""
        self._revocations = revocations
        self._risk = risk
        self._withdrawn_today = withdrawn_today
        self._snapshots = snapshots
        self._known: Memo[str, tuple[int, Account]] = Memo(limit)
        self._revoked: Memo[str, tuple[int, tuple[Revocation, ...]]] = Memo(limit)

    def marks(self) -> Marks:
        """Return numbers that change whenever an edition, a key set, a revocation, an account or a profile does."""
        others = self._geo.generation + self._tokens.generation
        if self._risk is not None:
            others += self._risk.generation
        return Marks(self._accounts.generation, others)

    def reliable(self, at: int) -> bool:
        """Return whether `marks` can be trusted to have heard of every change."""
        return self._accounts.fresh(at)

    async def __call__(
        self,
        at: int,
        operation: Operation,
        client_ip: ClientIP,
        presented: Presented | Conflicting | None,
        *,
        fresh: bool,
        came: Came = _CAME,
        asked: Asked | None = None,
    ) -> Gathered:
        """Return everything that a verdict may depend on. `fresh`: the account is read from the store itself.

        `asked` is what a withdrawal says of itself, and nothing of what is none. None: nothing says where to read it.
        """
        # Taken together, before anything is waited for: no edition can be swapped in between.
        asked_by = _AskedBy(fresh, 0 if fresh else self._remembered_us.get(kind_of(operation), 0))
        editions = self._geo.editions
        connection = self._geo.look_up(client_ip.geo_key, at)
        if isinstance(presented, Conflicting):
            identity = _CONFLICTING
        else:
            identity = await self._tokens.check(presented, at)
            if self._revocations is not None and identity.credential == Credential.SESSION:
                identity = await self._still(identity, self._revocations, at, asked_by)
        account = await self._standing(identity.account, at, asked_by)
        facts = Facts(
            at,
            operation,
            *connection[:-1],
            credential=identity.credential,
            token=identity.token,
            assurance=identity.assurance,
            auth_age=_age(identity.auth_time, at),
            account=account.account,
            status=account.status,
            flags=account.flags,
            verification=account.verification,
            documents=account.documents,
            residence=account.residence,
            nationality=account.nationality,
            holds=account.holds,
        )
        if asked is not None:
            facts = facts._replace(amount_usd=asked.amount_usd)
        if self._withdrawn_today is not None:
            today = await self._withdrawn_today(at, operation, identity.account)
            facts = facts._replace(withdrawn_today_usd=today)
        measured = None
        if self._risk is not None:
            told = Asked() if asked is None else asked
            measured = await self._risk(at, operation, client_ip, connection, identity, came, told)
            facts = facts._replace(signals=measured.signals, risk=measured.risk, destination=measured.destination)
        until = at + _ANSWER_HOLDS
        if identity.valid_until is not None:
            until = min(until, identity.valid_until)
        auth_time = identity.auth_time if isinstance(identity.auth_time, int) else None
        return Gathered(facts, editions, auth_time, until, measured, asked_by.remembered)

    async def _still(self, identity: Identity, revocations: Revocations, at: int, asked_by: "_AskedBy") -> Identity:
        """Return what the session still proves after its account's revocations."""
        uid = identity.account
        if not isinstance(uid, str):
            return identity
        # As with accounts: the generation is taken first, so that a change in between makes this answer old.
        generation = self._accounts.generation
        known = self._revoked.get(uid)
        try:
            relied_on = not asked_by.fresh and self._accounts.fresh(at)
            if known is None or self._accounts.changed_at(uid) > known[0] or not relied_on:
                source = self._snapshots if relied_on and self._snapshots is not None else revocations
                known = self._revoked.keep(uid, (generation, await source.of(uid)))
        except Exception as fault:
            if not isinstance(fault, StoreUnavailable):
                log.exception("revocations:failed")
            if known is None or not self._relies_on(known[0], uid, at, asked_by):
                return _unchecked(identity, uid)
        names = [name for name in (identity.session, identity.token_id) if name is not None]
        # A session begins with the proof: its tokens are renewed without one.
        began = identity.auth_time if isinstance(identity.auth_time, int) else identity.issued_at
        left = standing(known[1], names, began)
        if left.over:
            return _OVER
        if left.level is None or not isinstance(identity.assurance, int):
            return identity
        return identity._replace(assurance=min(identity.assurance, left.level))

    async def _standing(self, uid: Fact[str | None], at: int, asked_by: "_AskedBy") -> "_Standing":
        if uid is None:
            return _NOBODY
        if not isinstance(uid, str):
            return _unknown(uid, uid.why)
        try:
            account = await self._read(uid, at, asked_by)
        except StoreUnavailable:
            return _unknown(uid, WhyUnknown.STORE_UNAVAILABLE)
        except Exception:
            # Whatever else a store can do: the request is decided and recorded, without the account's facts.
            log.exception("store:failed")
            return _unknown(uid, WhyUnknown.STORE_UNAVAILABLE)
        return _unknown(uid, WhyUnknown.NO_ACCOUNT) if account is None else _Standing(*account)

    def _relies_on(self, generation: int, uid: str, at: int, asked_by: "_AskedBy") -> bool:
        """Return whether what was read at that generation may be relied on, though the store does not answer.

        Only where nothing was heard of a change since, and something was heard of the store within the stated time.
        """
        within = asked_by.relied_us
        # The feed vouches for what was so when it last heard: of an earlier instant it says how long ago that was.
        if not within or self._accounts.changed_at(uid) > generation or not self._accounts.fresh(at - within):
            return False
        asked_by.remembered = True
        return True

    async def _read(self, uid: str, at: int, asked_by: "_AskedBy") -> Account | None:
        # The generation is taken before the read: a change that lands in between makes this answer old, not new.
        generation = self._accounts.generation
        known = self._known.get(uid)
        still = known is not None and self._accounts.changed_at(uid) <= known[0]
        relied_on = not asked_by.fresh and self._accounts.fresh(at)
        if known is not None and still and relied_on:
            return known[1]
        source = self._snapshots if relied_on and self._snapshots is not None else self._accounts
        try:
            account = await source.read(uid)
        except StoreUnavailable:
            if known is not None and self._relies_on(known[0], uid, at, asked_by):
                return known[1]
            raise
        if account is not None:
            self._known.keep(uid, (generation, account))
        return account


class _AskedBy:
    """What one request asks of the store, and whether it was answered from memory."""

    __slots__ = ("fresh", "relied_us", "remembered")

    def __init__(self, fresh: bool, relied_us: int) -> None:
        self.fresh = fresh
        """Only the store itself will do."""
        self.relied_us = relied_us
        """For how long of the store's silence its memory will do."""
        self.remembered = False


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


def _unchecked(identity: Identity, uid: str) -> Identity:
    """Return what is left of a session of which nobody can say whether it was ended."""
    unknown = Unknown(WhyUnknown.STORE_UNAVAILABLE)
    account = OneOf(WhyUnknown.STORE_UNAVAILABLE, frozenset({uid, None}))
    return identity._replace(token=unknown, account=account, assurance=unknown, auth_time=unknown)


_NOBODY = _Standing(*(Facts._field_defaults[name] for name in _Standing._fields))


def _unknown(uid: Fact[str | None], why: WhyUnknown) -> _Standing:
    unknown = Unknown(why)
    return _Standing(uid, unknown, unknown, unknown, unknown, unknown, unknown, unknown)


def _age(auth_time: Fact[int | None], at: int) -> Fact[int | None]:
    # A proof from the future is a proof of now: the two clocks differ, and the token's own checks bound by how much.
    return max(0, at - auth_time) // _SECOND if isinstance(auth_time, int) else auth_time


def holds_until(gathered: Gathered, bundle: Bundle) -> int:
    """Return the first instant at which equal requests might be answered differently, microseconds."""
    facts = gathered.facts
    until = gathered.until
    change = bundle.next_change(facts.at)
    if change is not None:
        until = min(until, change)
    if gathered.auth_time is not None and isinstance(facts.auth_age, int):
        threshold = bundle.next_auth_age(facts.auth_age)
        if threshold is not None:
            until = min(until, gathered.auth_time + threshold * _SECOND)
    return until


def unasked(at: int, operation: Operation) -> Facts:
    """Return the facts of a request of which nobody had the time to learn anything but what it attempts."""
    return Facts(at, operation, *_UNASKED)
