"""What is known of an account, each read in one statement with the store's count of changes at that moment."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import sqlalchemy as sa

from gateway.adapters.account_rows import WHOLE, account_of
from gateway.adapters.revocations import MOST, told
from gateway.adapters.schema import ACCOUNTS, GENERATIONS, HOLDS, REVOKED_SESSIONS
from gateway.adapters.sql import AccountStore
from gateway.core.account import Account, is_uid
from gateway.ports import Revocation

T = TypeVar("T")


class Ask(Protocol):
    """Asks the store, or says at once that it is away: what stands before every other read of it, too."""

    async def __call__(self, asked: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:  # noqa: ANN401 - whatever is asked takes
        """Return what `asked` does. Raise StoreUnavailable."""


class Numbered(NamedTuple, Generic[T]):
    """What was read, and of when it is."""

    what: T
    number: int
    """Every change that the store had counted by then is in it, and none that it counted later."""
    read_at: int
    """Microseconds since the epoch, before it was read: a hold that had ended by then is not in it."""
    ends: int | None = None
    """When a hold in it ends by itself."""


_UID: Final = sa.bindparam("uid", type_=sa.String)
_NOW: Final = sa.bindparam("now", type_=sa.BigInteger)
_NUMBER: Final = sa.select(GENERATIONS.c.number).where(GENERATIONS.c.name == "accounts").scalar_subquery()
_ENDS: Final = sa.select(sa.func.min(HOLDS.c.until)).where(HOLDS.c.account == _UID, HOLDS.c.until > _NOW)
# One statement sees one moment, in SQLite as in PostgreSQL; two would let a change in between them.
_ACCOUNT: Final = WHOLE.add_columns(_NUMBER, _ENDS.scalar_subquery()).where(ACCOUNTS.c.uid == _UID)
_REVOKED: Final = sa.and_(REVOKED_SESSIONS.c.account == _UID, REVOKED_SESSIONS.c.until > _NOW)
_SESSIONS: Final = (
    sa.select(GENERATIONS.c.number, REVOKED_SESSIONS.c.session, REVOKED_SESSIONS.c.at, REVOKED_SESSIONS.c.level)
    .select_from(GENERATIONS.outerjoin(REVOKED_SESSIONS, _REVOKED))
    .where(GENERATIONS.c.name == "accounts")
    .order_by(REVOKED_SESSIONS.c.session != "", REVOKED_SESSIONS.c.at.desc(), REVOKED_SESSIONS.c.session)
    .limit(MOST + 1)
)


class NumberedReads:
    """Reads of one store, each asked by way of `ask`: what it raises in place of asking is raised here."""

    def __init__(self, store: AccountStore, ask: Ask) -> None:
        self._store = store
        self._ask = ask

    async def account(self, uid: str) -> Numbered[Account] | None:
        """Return the account; None where there is none. Raise StoreUnavailable within a bounded time."""
        rows, now = await self._rows("read an account", _ACCOUNT, uid)
        if not rows:
            return None
        *columns, number, ends = rows[0]
        return Numbered(account_of(columns, self._store.name), number, now, ends)

    async def sessions(self, uid: str) -> Numbered[tuple[Revocation, ...]] | None:
        """Return the account's revocations. Raise StoreUnavailable within a bounded time."""
        rows, now = await self._rows("read which sessions are over", _SESSIONS, uid)
        if not rows:
            return None
        found = tuple(Revocation(*row[1:]) for row in rows if row[1] is not None)
        return Numbered(told(found), rows[0][0], now)

    async def _rows(self, what: str, query: sa.Select[Any], uid: str) -> tuple[list[Any], int]:
        now = self._store.clock.now()
        if not is_uid(uid):
            return [], now
        return await self._ask(self._read, what, query, {"uid": uid, "now": now}), now

    async def _read(self, what: str, query: sa.Select[Any], values: dict[str, Any]) -> list[Any]:
        async with self._store.reading(what) as connection:
            return list(await connection.execute(query, values))
