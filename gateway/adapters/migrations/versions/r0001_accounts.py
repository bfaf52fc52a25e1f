"""Accounts with their flags, holds and keys, and the audit of every change."""

import sqlalchemy as sa
from alembic import op

from gateway.adapters import triggers
from gateway.adapters.schema import NUMBER

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "accounts",
        sa.Column("uid", sa.String(255), primary_key=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("verification", sa.String(32), nullable=False),
        sa.Column("documents", sa.Text, nullable=False),
        sa.Column("residence", sa.String(2)),
        sa.Column("nationality", sa.String(2)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "account_flags",
        sa.Column("account", sa.String(255), sa.ForeignKey("accounts.uid"), primary_key=True),
        sa.Column("flag", sa.String(64), primary_key=True),
        sa.Column("set_by", sa.Text, nullable=False),
        sa.Column("set_at", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "account_holds",
        sa.Column("account", sa.String(255), sa.ForeignKey("accounts.uid"), primary_key=True),
        sa.Column("operation", sa.String(32), primary_key=True),
        sa.Column("cause", sa.Text, primary_key=True),
        sa.Column("until", sa.BigInteger, index=True),
    )
    op.create_table(
        "api_keys",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("key_id", sa.String(16), nullable=False, unique=True),
        sa.Column("account", sa.String(255), sa.ForeignKey("accounts.uid"), nullable=False, index=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_table(
        "audit",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("account", sa.String(255), nullable=False, index=True),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("after", sa.JSON, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    triggers.make_functions()
    for change in ("UPDATE", "DELETE"):
        name = f"audit_refuses_{change.lower()}"
        triggers.refuse(name, change, "audit", "audit entries are never changed or removed")


def downgrade() -> None:
    """Remove the tables and all that is in them."""
    for table in ("audit", "api_keys", "account_holds", "account_flags", "accounts"):
        op.drop_table(table)
    triggers.remove_functions()
