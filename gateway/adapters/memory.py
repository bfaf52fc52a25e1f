"""Accounts in memory: for tests, and for applications that keep their own."""

from collections.abc import Iterable

from gateway.adapters.account_book import AccountBook, ApiKey, AuditEntry, Hold, absent, absent_key
from gateway.adapters.clock import SystemClock
from gateway.core.account import Account, Refused, Step, difference
from gateway.ports import Clock


class MemoryAccounts(AccountBook):
    """The `Accounts` port without a store. What it was given it knows at once, so it is always fresh."""

    def __init__(self, accounts: Iterable[Account] = (), *, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self._accounts = {account.uid: account for account in accounts}
        self._holds: dict[str, list[Hold]] = {
            account.uid: [Hold(operation, "given", None) for operation in sorted(account.holds)]
            for account in self._accounts.values()
        }
        self._keys: dict[bytes, ApiKey] = {}
        self._audit: list[AuditEntry] = []
        self._changes = 0
        self._held_until: int | None = None

    @property
    def generation(self) -> int:
        """A number that changes whenever any account changed, or a hold ended."""
        now = self.clock.now()
        if self._held_until is not None and now >= self._held_until:
            self._changed()
        return self._changes

    def changed_at(self, uid: str | None) -> int:  # noqa: ARG002 - the port's
        """Return `generation`: whose account changed is not kept."""
        return self.generation

    def fresh(self, at: int) -> bool:  # noqa: ARG002 - the port's
        """Return True: nobody else can change what is in this memory."""
        return True

    async def read(self, uid: str) -> Account | None:
        """Return the account as it is now, or None."""
        account = self._accounts.get(uid)
        if account is None:
            return None
        now = self.clock.now()
        held = (hold.operation for hold in self._holds.get(uid, ()) if hold.until is None or hold.until > now)
        return account._replace(holds=frozenset(held))

    async def accounts(self, after: str = "", limit: int = 100) -> list[Account]:
        """Return at most `limit` accounts whose uid comes after `after`, in the order of their uids."""
        uids = sorted(uid for uid in self._accounts if uid > after)[:limit]
        return [account for account in [await self.read(uid) for uid in uids] if account is not None]

    async def key_owner(self, digest: bytes) -> str | None:
        """Return the uid that owns the API key with this SHA-256 digest, or None."""
        key = self._keys.get(digest)
        return None if key is None or key.revoked_at is not None else key.account

    async def keys(self, uid: str) -> list[ApiKey]:
        """Return the account's API keys, revoked ones too, oldest first."""
        return [key for key in self._keys.values() if key.account == uid]

    async def history(self, uid: str, limit: int = 100) -> list[AuditEntry]:
        """Return the latest changes of the account, newest first."""
        return [entry for entry in reversed(self._audit) if entry.account == uid][:limit]

    async def write_change(self, uid: str, step: Step, entry: AuditEntry) -> Account | Refused:
        """Return what `step` made of the account, noted with the entry."""
        before = await self.read(uid)
        after = step(before)
        if isinstance(after, Refused) or after == before:
            return after
        self._accounts[uid] = after
        old, new = difference(before, after)
        self._audit.append(entry._replace(before=old, after={**new, **entry.after}))
        self._changed()
        return after

    async def write_hold(self, uid: str, hold: Hold, entry: AuditEntry) -> Account | Refused:
        """Return the account with the hold on it; of two with the same cause the one that ends later."""
        account = await self.read(uid)
        if account is None:
            return absent(uid)
        holds = self._holds.setdefault(uid, [])
        known = next((one for one in holds if (one.operation, one.cause) == (hold.operation, hold.cause)), None)
        if known is not None:
            if not hold.outlasts(known.until):
                return account
            holds.remove(known)
            entry = entry._replace(before={"until": known.until})
        holds.append(hold)
        self._audit.append(entry._replace(after={"operation": hold.operation, **entry.after}))
        self._changed()
        return await self.read(uid) or account

    async def write_key(self, digest: bytes, key: ApiKey, entry: AuditEntry) -> Refused | None:
        """Keep the key; None where that is done."""
        if key.account not in self._accounts:
            return absent(key.account)
        self._keys[digest] = key
        self._audit.append(entry)
        self._changed()
        return None

    async def write_revocation(self, key_id: str, entry: AuditEntry) -> ApiKey | Refused:
        """Return the key, revoked."""
        found = next(((digest, key) for digest, key in self._keys.items() if key.key_id == key_id), None)
        if found is None:
            return absent_key(key_id)
        digest, key = found
        if key.revoked_at is None:
            key = self._keys[digest] = key._replace(revoked_at=entry.at)
            self._audit.append(entry._replace(account=key.account))
            self._changed()
        return key

    def _changed(self) -> None:
        self._changes += 1
        now = self.clock.now()
        ends = [hold.until for holds in self._holds.values() for hold in holds if hold.until and hold.until > now]
        self._held_until = min(ends, default=None)
