"""The gateway's own store, filled with the world's customers."""

from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa

from gateway.adapters.migration import migrate
from gateway.adapters.schema import ACCOUNTS

Row = tuple[str, str, str, list[str], str, str]
"""uid, status, verification, documents, residence, nationality."""


def fill(path: Path, rows: Iterable[Row], at: int) -> None:
    """Return when the file holds all rows: made by the store's own migrations, filled in one transaction.

    Through `AccountStore.put`, each would be a transaction of its own that waits for the disk.
    """
    migrate(path)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as transaction:
        transaction.execute(
            sa.insert(ACCOUNTS),
            [
                {
                    "uid": uid,
                    "status": status,
                    "verification": verification,
                    "documents": " ".join(sorted(documents)),
                    "residence": residence,
                    "nationality": nationality,
                    "created_at": at,
                    "changed_at": at,
                }
                for uid, status, verification, documents, residence, nationality in rows
            ],
        )
    engine.dispose()
