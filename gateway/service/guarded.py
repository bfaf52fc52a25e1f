"""The ports that the store stands behind, asked through one breaker: a store that is silent for one is so for all."""

from gateway.core.everyone import Global
from gateway.core.obligations import Errands
from gateway.core.profile import Profile
from gateway.core.stuffing import Networks
from gateway.desk.record import Ticket
from gateway.ports import Account, Accounts, Carried, Desk, Profiles, Revocation, Revocations
from gateway.service.breaker import Breaker
from gateway.service.withdrawn import Withdrawals


class GuardedAccounts:
    """The `Accounts` port."""

    def __init__(self, accounts: Accounts, breaker: Breaker) -> None:
        self._accounts = accounts
        self._breaker = breaker
        self.fresh = accounts.fresh
        self.changed_at = accounts.changed_at
        """The port's own methods: asked on the path of many requests, and they wait for nothing."""

    @property
    def generation(self) -> int:
        """A number that changes whenever any account changed, as far as this process has heard."""
        return self._accounts.generation

    async def read(self, uid: str) -> Account | None:
        """Return the account as it is now, or None. Raise StoreUnavailable within a bounded time."""
        return await self._breaker.ask(self._accounts.read, uid)

    async def key_owner(self, digest: bytes) -> str | None:
        """Return the uid that owns the API key with this SHA-256 digest, or None. Raise StoreUnavailable."""
        return await self._breaker.ask(self._accounts.key_owner, digest)


class GuardedRevocations:
    """The `Revocations` port."""

    def __init__(self, revocations: Revocations, breaker: Breaker) -> None:
        self._revocations = revocations
        self._breaker = breaker

    async def of(self, uid: str) -> tuple[Revocation, ...]:
        """Return the account's revocations, those of all its sessions first. Raise StoreUnavailable."""
        return await self._breaker.ask(self._revocations.of, uid)


class GuardedProfiles:
    """The `Profiles` port."""

    def __init__(self, profiles: Profiles, breaker: Breaker) -> None:
        self._profiles = profiles
        self._breaker = breaker

    @property
    def generation(self) -> int:
        """A number that changes whenever a profile did that was read here lately, as far as is known."""
        return self._profiles.generation

    @property
    def everyone(self) -> Global:
        """The counts over all accounts. Only to be read."""
        return self._profiles.everyone

    @property
    def networks(self) -> Networks:
        """Who tries how many accounts, and from where. Only to be read."""
        return self._profiles.networks

    async def read(self, uid: str) -> Profile | None:
        """Return the account's profile, or None where it has none. Raise StoreUnavailable."""
        return await self._breaker.ask(self._profiles.read, uid)


class GuardedWithdrawals:
    """What was withdrawn."""

    def __init__(self, withdrawals: Withdrawals, breaker: Breaker) -> None:
        self._withdrawals = withdrawals
        self._breaker = breaker

    async def amount_usd(self, uid: str, after: int, until: int) -> float | None:
        """Return the sum of the account's withdrawals in `(after, until]`; None where one does not say its amount."""
        return await self._breaker.ask(self._withdrawals.amount_usd, uid, after, until)


class GuardedDesk:
    """The `Desk` port."""

    def __init__(self, desk: Desk, breaker: Breaker) -> None:
        self._desk = desk
        self._breaker = breaker

    async def carry_out(self, errands: Errands) -> tuple[Carried, ...]:
        """Return what became of each errand of a decision. Raise StoreUnavailable: then nothing was done."""
        return await self._breaker.ask(self._desk.carry_out, errands)

    async def open_ticket_for(self, uid: str, operation: str) -> Ticket | None:
        """Return the open ticket that holds an operation of the account; of several the one that lasts longest."""
        return await self._breaker.ask(self._desk.open_ticket_for, uid, operation)
