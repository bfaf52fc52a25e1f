"""Writing messages into the Outbox, inside the transaction of what they tell."""

import secrets
from collections.abc import Iterable
from enum import StrEnum, unique
from typing import Final

import sqlalchemy as sa

from gateway.adapters.dialects import insert_into
from gateway.adapters.schema import OUTBOX
from gateway.core.messages import Message

_RANDOM_BYTES: Final = 14


@unique
class Sending(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"


def tell(connection: sa.Connection, messages: Iterable[Message], at: int, *, row_id: str | None = None) -> None:
    """Owe these messages from now on. `row_id` names one that may be told already: then it is not told again."""
    rows = [
        {
            "id": row_id or f"msg_{secrets.token_hex(_RANDOM_BYTES)}",
            "account": message.account,
            "type": str(message.type),
            "body": dict(message.data),
            "created_at": at,
            "state": str(Sending.PENDING),
            "next_try_at": at,
            "tries": 0,
        }
        for message in messages
    ]
    if rows:
        connection.execute(insert_into(connection, OUTBOX).on_conflict_do_nothing(index_elements=[OUTBOX.c.id]), rows)
