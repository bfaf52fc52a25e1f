"""The store of accounts, through SQLAlchemy Core, wherever it lies."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.adapters.account_book import AccountBook, ApiKey, AuditEntry, Hold, absent, absent_key
from gateway.adapters.account_rows import WHOLE, account_of, read_account, write_account
from gateway.adapters.backend import Bounds, backend_of
from gateway.adapters.clock import SystemClock
from gateway.adapters.feed import ChangeFeed, Heard
from gateway.adapters.schema import ACCOUNTS, API_KEYS, AUDIT, HOLDS
from gateway.core.account import Account, Refused, Step, is_uid
from gateway.core.errors import StoreUnavailable
from gateway.ports import Clock

READ_WITHIN_S: Final = 0.25
WRITE_WITHIN_S: Final = 2.0
START_WITHIN_S: Final = 30.0
LOOK_EVERY_S: Final = 0.1

_SOME: Final = WHOLE.where(ACCOUNTS.c.uid > sa.bindparam("after")).order_by(ACCOUNTS.c.uid).limit(sa.bindparam("most"))
_OWNER: Final = sa.select(API_KEYS.c.account).where(
    API_KEYS.c.digest == sa.bindparam("digest"), API_KEYS.c.revoked_at.is_(None)
)


class AccountStore(AccountBook):
    """The `Accounts` port on a database. `start` migrates it and begins to notice what others change.

    `url` names an SQLite file (`sqlite:///PATH`) or a database of PostgreSQL (`postgresql://USER@HOST/DATABASE`).
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        read_within_s: float = READ_WITHIN_S,
        write_within_s: float = WRITE_WITHIN_S,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self._read_within_s = read_within_s
        self.write_within_s = write_within_s
        self._backend = backend_of(url, Bounds(read_within_s, write_within_s))
        self.name = self._backend.name
        """What people call the store: its file, or its server and database."""
        self._feed = ChangeFeed(self._backend.watch(), self.clock, look_every_s)
        self.fresh = self._feed.fresh
        self.changed_at = self._feed.changed_at
        """The feed's own methods: asked on the path of many requests."""

    @property
    def generation(self) -> int:
        """A number that changes whenever any account changed, as far as this process has heard."""
        return self._feed.generation

    @property
    def commits(self) -> int:
        """A number that changes whenever anything in the store did, as far as this process has heard."""
        return self._feed.commits

    def bump(self, uid: str | None = None, *, accounts: bool = True) -> None:
        """Count a change that was made through `writing`, without waiting to see it. No `uid`: of any account."""
        if accounts:
            self._feed.bump(uid)
        else:
            self._feed.bump_commits()

    def attend(self, *, look: Callable[[Heard], object], own_change: Callable[[], object]) -> None:
        """Have `look` told what each look at the store vouches for, and `own_change` of each commit made here."""
        self._feed.on_look, self._feed.on_own_change = look, own_change

    async def look(self) -> None:
        """Look for changes now rather than at the next time. Raise StoreUnavailable."""
        await self._feed.look()

    def is_there(self) -> bool:
        """Return whether there is a store to read: who only looks makes none. Asks nobody."""
        return self._backend.is_there()

    async def migrate(self) -> None:
        """Bring the store to the schema of this code, making it where there is none. Raise StoreUnavailable."""
        async with self._within(START_WITHIN_S, "migrate"):
            await self._backend.migrate()

    async def start(self) -> None:
        """Migrate, and begin to notice changes. Raise StoreUnavailable where the store cannot be used."""
        async with self._within(START_WITHIN_S, "start"):
            await self._backend.migrate()
            await self._backend.connect()
            await self._feed.start()

    async def close(self) -> None:
        """Let go of the store."""
        await self._feed.close()
        await self._backend.close()

    async def read(self, uid: str) -> Account | None:
        """Return the account as it is now, or None. Raise StoreUnavailable within a bounded time."""
        if not is_uid(uid):
            return None
        async with self.reading("read an account") as connection:
            return await self._account(connection, uid)

    async def accounts(self, after: str = "", limit: int = 100) -> list[Account]:
        """Return at most `limit` accounts whose uid comes after `after`, in the order of their uids."""
        async with self.reading("list accounts", self.write_within_s) as connection:
            rows = await connection.execute(_SOME, {"after": after, "most": limit, "now": self.clock.now()})
            return [account_of(row, self.name) for row in rows]

    async def key_owner(self, digest: bytes) -> str | None:
        """Return the uid that owns the API key with this SHA-256 digest, or None. Raise StoreUnavailable."""
        async with self.reading("look up a key") as connection:
            return (await connection.execute(_OWNER, {"digest": digest})).scalar_one_or_none()

    async def keys(self, uid: str) -> list[ApiKey]:
        """Return the account's API keys, revoked ones too, oldest first."""
        if not is_uid(uid):
            return []
        query = _KEYS.where(API_KEYS.c.account == uid).order_by(API_KEYS.c.created_at, API_KEYS.c.key_id)
        async with self.reading("list keys", self.write_within_s) as connection:
            return [ApiKey(*row) for row in await connection.execute(query)]

    async def history(self, uid: str, limit: int = 100) -> list[AuditEntry]:
        """Return the latest changes of the account, newest first."""
        if not is_uid(uid):
            return []
        query = _HISTORY.where(AUDIT.c.account == uid).order_by(AUDIT.c.number.desc()).limit(limit)
        async with self.reading("read the history", self.write_within_s) as connection:
            return [AuditEntry(*row) for row in await connection.execute(query)]

    async def write_change(self, uid: str, step: Step, entry: AuditEntry) -> Account | Refused:
        """Return what `step` made of the account, stored with the entry in one transaction."""
        async with self.writing("change an account") as connection:
            before = await self._account(connection, uid) if is_uid(uid) else None
            after = step(before)
            if isinstance(after, Refused) or after == before:
                return after
            await connection.run_sync(write_account, before, after, entry)
        self._feed.bump(uid)
        return after

    async def write_hold(self, uid: str, hold: Hold, entry: AuditEntry) -> Account | Refused:
        """Return the account with the hold on it; of two with the same cause the one that ends later."""
        async with self.writing("place a hold") as connection:
            account = await self._account(connection, uid) if is_uid(uid) else None
            if account is None:
                return absent(uid)
            same = sa.and_(HOLDS.c.account == uid, HOLDS.c.operation == hold.operation, HOLDS.c.cause == hold.cause)
            known = (await connection.execute(sa.select(HOLDS.c.until).where(same))).one_or_none()
            if known is None:
                await connection.execute(sa.insert(HOLDS), {"account": uid, **hold._asdict()})
            elif hold.outlasts(known.until):
                await connection.execute(sa.update(HOLDS).where(same).values(until=hold.until))
                entry = entry._replace(before={"until": known.until})
            else:
                return account
            await note(connection, entry._replace(after={"operation": hold.operation, **entry.after}))
            account = await self._account(connection, uid)
            assert account is not None
        self._feed.bump(uid)
        return account

    async def write_key(self, digest: bytes, key: ApiKey, entry: AuditEntry) -> Refused | None:
        """Keep the key; None where that is done."""
        async with self.writing("add a key") as connection:
            if not is_uid(key.account) or await self._account(connection, key.account) is None:
                return absent(key.account)
            await connection.execute(sa.insert(API_KEYS), {"digest": digest, **key._asdict()})
            await note(connection, entry)
        self._feed.bump(key.account)
        return None

    async def write_revocation(self, key_id: str, entry: AuditEntry) -> ApiKey | Refused:
        """Return the key, revoked at the entry's instant; as it was where it was revoked before."""
        if not key_id.isascii():
            return absent_key(key_id)
        async with self.writing("revoke a key") as connection:
            row = (await connection.execute(_KEYS.where(API_KEYS.c.key_id == key_id))).one_or_none()
            if row is None:
                return absent_key(key_id)
            key = ApiKey(*row)
            if key.revoked_at is not None:
                return key
            mine = API_KEYS.c.key_id == key_id
            await connection.execute(sa.update(API_KEYS).where(mine).values(revoked_at=entry.at))
            await note(connection, entry._replace(account=key.account))
        self._feed.bump(key.account)
        return key._replace(revoked_at=entry.at)

    @asynccontextmanager
    async def _within(self, seconds: float, what: str) -> AsyncIterator[None]:
        """Bound the wait, and say StoreUnavailable for whatever goes wrong."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise StoreUnavailable(f"store {self.name}: could not {what} within {seconds} s") from None
        except self._backend.faults as fault:
            why = getattr(fault, "orig", None) or fault
            raise StoreUnavailable(f"store {self.name}: could not {what}: {why}") from fault

    @asynccontextmanager
    async def reading(self, what: str, within_s: float | None = None) -> AsyncIterator[AsyncConnection]:
        """Give a connection that can only read, for a bounded time. `what` says in a fault what could not be done."""
        async with self._within(within_s or self._read_within_s, what), self._backend.reading() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, what: str) -> AsyncIterator[AsyncConnection]:
        """Give one transaction. Where it raises, the change was made only if it failed at the very end."""
        async with self._within(self.write_within_s, what), self._backend.writing() as connection:
            yield connection

    async def _account(self, connection: AsyncConnection, uid: str) -> Account | None:
        return await connection.run_sync(read_account, uid, self.clock.now())


_KEYS: Final = sa.select(
    API_KEYS.c.key_id, API_KEYS.c.account, API_KEYS.c.label, API_KEYS.c.created_at, API_KEYS.c.revoked_at
)
_HISTORY: Final = sa.select(
    AUDIT.c.at, AUDIT.c.who, AUDIT.c.action, AUDIT.c.account, AUDIT.c.before, AUDIT.c.after, AUDIT.c.why
)


async def note(connection: AsyncConnection, *entries: AuditEntry) -> None:
    """Write entries into the audit, inside the transaction of what they are about."""
    await connection.execute(sa.insert(AUDIT), [entry._asdict() for entry in entries])
