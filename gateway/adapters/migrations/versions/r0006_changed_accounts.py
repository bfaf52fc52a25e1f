"""Whose account each change was, so that what is remembered of all others holds on."""

import sqlalchemy as sa
from alembic import op

from gateway.adapters import triggers

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


def upgrade() -> None:
    """Make the table, and have the triggers that count name the account as well."""
    op.create_table(
        "changed_accounts",
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("account", sa.String(255), nullable=False),
    )
    for table, column in _REMEMBERED.items():
        if not triggers.is_postgresql():
            triggers.forget_changes(table)
        triggers.name_changes(table, column)


def downgrade() -> None:
    """Have the triggers count alone, and remove the table."""
    for table in _REMEMBERED:
        triggers.forget_changes(table)
        if not triggers.is_postgresql():
            triggers.count_changes(table)
    op.drop_table("changed_accounts")
