"""Whose account each change was, so that what is remembered of all others holds on."""

from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import op

if TYPE_CHECKING:
    from collections.abc import Callable

    _Step = Callable[[str, str], str]

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_REMEMBERED = {
    "accounts": "uid",
    "account_flags": "account",
    "account_holds": "account",
    "api_keys": "account",
    "revoked_sessions": "account",
}
"""What a gateway remembers of accounts, and the column that says whose it is."""
_KEPT = 10_000
_COUNT = "UPDATE generations SET number = number + 1 WHERE name = 'accounts';"


def upgrade() -> None:
    """Make the table, and have the triggers that count name the account as well."""
    op.create_table(
        "changed_accounts",
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("account", sa.String(255), nullable=False),
    )
    _replace_triggers(_named)


def downgrade() -> None:
    """Have the triggers count alone, and remove the table."""
    _replace_triggers(lambda _row, _column: _COUNT)
    op.drop_table("changed_accounts")


def _named(row: str, column: str) -> str:
    number = "(SELECT number FROM generations WHERE name = 'accounts')"
    return (
        f"{_COUNT} INSERT INTO changed_accounts VALUES ({number}, {row}.{column}); "  # noqa: S608 - our names
        f"DELETE FROM changed_accounts WHERE number <= {number} - {_KEPT};"
    )


def _replace_triggers(step: "_Step") -> None:
    for table, column in _REMEMBERED.items():
        for change, rows in (("insert", ("NEW",)), ("update", ("OLD", "NEW")), ("delete", ("OLD",))):
            # An update may give what was one account's to another.
            steps = " ".join(step(row, column) for row in rows)
            op.execute(f"DROP TRIGGER {table}_count_{change}")
            op.execute(f"CREATE TRIGGER {table}_count_{change} AFTER {change} ON {table} BEGIN {steps} END")
