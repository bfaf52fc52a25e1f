"""What accounts withdrew, from the events that the exchange told."""

from math import fsum
from typing import Final

import sqlalchemy as sa

from gateway.adapters.schema import EVENTS
from gateway.adapters.sql import AccountStore
from gateway.core.account import is_uid
from gateway.core.events import WithdrawalCompleted

MOST: Final = 1_000
"""Withdrawals that are added up; nobody makes so many in a day but a program, which has other limits."""


class WithdrawnStore:
    """The `Withdrawals` of `service.withdrawn`: read from the store each time, never remembered."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def amount_usd(self, uid: str, after: int, until: int) -> float | None:
        """Return the sum of the account's withdrawals in `(after, until]`; None where it is not known.

        It is not where one of them does not say its amount, or they are more than `MOST`. Raise StoreUnavailable.
        """
        if not is_uid(uid):
            return 0.0
        columns = EVENTS.c
        query = (
            sa.select(columns.body)
            .where(columns.account == uid, columns.at > after, columns.at <= until)
            .where(columns.type == WithdrawalCompleted.type)
            .limit(MOST + 1)
        )
        async with self._store.reading("add up withdrawals") as connection:
            bodies = (await connection.execute(query)).scalars().all()
        amounts = [body.get("amount_usd") for body in bodies]
        if len(amounts) > MOST or not all(isinstance(one, int | float) for one in amounts):
            return None
        return fsum(amounts)
