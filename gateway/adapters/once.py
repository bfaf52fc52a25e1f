"""What is taken once: names of signed tokens, and what was answered under an idempotency key."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa

from gateway.adapters.dialects import insert_into
from gateway.adapters.schema import ANSWERS, SEEN_ONCE
from gateway.adapters.sql import AccountStore


class Answer(NamedTuple):
    """What a request was answered."""

    request: bytes
    """SHA-256 of what was asked."""
    status: int
    body: bytes


Keep = Callable[[sa.Connection, bytes], None]
"""Keeps the body of an answer inside the transaction of what it answers. Raises KeptBefore."""


class KeptBefore(Exception):
    """Somebody was answered under the key in the meantime: whoever raised it lets the whole transaction go."""


class OnceStore:
    """Names and keys that are remembered until an instant. Every wait is bounded: StoreUnavailable after that."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def first(self, issuer: str, name: str, until: int) -> bool:
        """Return whether an issuer's name (`jti`, id) comes for the first time; it is remembered until then."""
        row = {"digest": _digest(issuer, name), "until": until}
        async with self._store.writing("remember a name") as connection:
            new = insert_into(connection, SEEN_ONCE).values(row)
            return (await connection.execute(new.on_conflict_do_nothing())).rowcount > 0

    async def seen(self, issuer: str, name: str) -> bool:
        """Return whether an issuer's name came before."""
        query = sa.select(SEEN_ONCE.c.until).where(SEEN_ONCE.c.digest == _digest(issuer, name))
        async with self._store.reading("look up a name") as connection:
            return (await connection.execute(query)).one_or_none() is not None

    async def answer(self, caller: str, key: str) -> Answer | None:
        """Return what a caller was answered under a key; None where nothing was, or long ago."""
        columns = ANSWERS.c
        mine = sa.and_(columns.digest == _digest(caller, key), columns.until > self._store.clock.now())
        query = sa.select(columns.request, columns.status, columns.body).where(mine)
        async with self._store.reading("look up an answer") as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Answer(*row)

    def keeping(self, caller: str, key: str, request: bytes, until: int) -> Keep:
        """Return what keeps the answer to a request beside what it did. The first one stays while it lasts."""

        def keep(connection: sa.Connection, body: bytes) -> None:
            new = insert_into(connection, ANSWERS).values(
                digest=_digest(caller, key), until=until, **Answer(request, 200, body)._asdict()
            )
            values = {name: new.excluded[name] for name in ("request", "status", "body", "until")}
            over = ANSWERS.c.until <= self._store.clock.now()
            kept = new.on_conflict_do_update(index_elements=[ANSWERS.c.digest], set_=values, where=over)
            if connection.execute(kept).rowcount == 0:
                raise KeptBefore

        return keep

    async def forget(self) -> int:
        """Remove names and answers whose time is over; return how many."""
        now = self._store.clock.now()
        async with self._store.writing("forget names and answers") as connection:
            gone = [await connection.execute(sa.delete(one).where(one.c.until <= now)) for one in (SEEN_ONCE, ANSWERS)]
            return sum(one.rowcount for one in gone)


def _digest(*parts: str) -> bytes:
    # The lengths are in it, so that no two pairs read as one.
    named = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()
