"""Sessions that are over, or count for less than they did: kept until none of them could be valid any more."""

from typing import Final

import sqlalchemy as sa

from gateway.adapters.dialects import insert_into
from gateway.adapters.schema import REVOKED_SESSIONS
from gateway.adapters.sql import AccountStore
from gateway.core.account import is_uid
from gateway.core.events import AssuranceChanged, SessionRevoked
from gateway.core.sessions import session_digest
from gateway.ports import MICROSECONDS, Revocation

KEPT_US: Final = 400 * 86_400 * MICROSECONDS
"""Longer than any session lives: a browser keeps no cookie for more (RFC 6265bis, section 5.5)."""
MOST: Final = 1000
"""Revocations that are told of one account. Where there are more, every session before the oldest of them is over."""
_REVOKED: Final = "revoked"
_ASSURANCE: Final = "assurance"


def revoke(connection: sa.Connection, event: SessionRevoked | AssuranceChanged) -> bool:
    """Write down what an event says of sessions, inside a transaction; return whether that was news.

    Of two about the same sessions the later one counts, in whatever order they come.
    """
    ended = isinstance(event, SessionRevoked)
    row = {
        "account": event.account,
        "session": "" if event.session is None else session_digest(event.session),
        "what": _REVOKED if ended else _ASSURANCE,
        "at": event.at,
        "level": None if isinstance(event, SessionRevoked) else event.level,
        "until": event.at + KEPT_US,
    }
    new = insert_into(connection, REVOKED_SESSIONS).values(row)
    later = {name: new.excluded[name] for name in ("at", "level", "until")}
    # At the same instant the lower level counts: who cannot tell which was last trusts less.
    newer = sa.or_(
        REVOKED_SESSIONS.c.at < new.excluded.at,
        sa.and_(REVOKED_SESSIONS.c.at == new.excluded.at, REVOKED_SESSIONS.c.level > new.excluded.level),
    )
    keys = [REVOKED_SESSIONS.c.account, REVOKED_SESSIONS.c.session, REVOKED_SESSIONS.c.what]
    return connection.execute(new.on_conflict_do_update(index_elements=keys, set_=later, where=newer)).rowcount > 0


def told(found: tuple[Revocation, ...]) -> tuple[Revocation, ...]:
    """Return what is told of an account's revocations, of which at most one more than `MOST` were found."""
    # What does not fit must not come back to life by that.
    return found if len(found) <= MOST else (Revocation("", found[-1].before, None), *found[:-1])


class RevocationStore:
    """The `Revocations` port. What it answered holds while `AccountStore.generation` does."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def of(self, uid: str) -> tuple[Revocation, ...]:
        """Return the account's revocations, those of all its sessions first. Raise StoreUnavailable."""
        if not is_uid(uid):
            return ()
        columns = REVOKED_SESSIONS.c
        query = (
            sa.select(columns.session, columns.at, columns.level)
            .where(columns.account == uid, columns.until > self._store.clock.now())
            .order_by(columns.session != "", columns.at.desc(), columns.session)
            .limit(MOST + 1)
        )
        async with self._store.reading("read which sessions are over") as connection:
            return told(tuple(Revocation(*row) for row in await connection.execute(query)))

    async def forget(self) -> int:
        """Remove what says nothing of any session that could still be valid; return how many."""
        over = sa.delete(REVOKED_SESSIONS).where(REVOKED_SESSIONS.c.until <= self._store.clock.now())
        async with self._store.writing("forget revoked sessions") as connection:
            return (await connection.execute(over)).rowcount
