"""Revisions of the policies: their texts, their life, and who runs which."""

import sqlalchemy as sa
from alembic import op

from gateway.adapters import triggers
from gateway.adapters.schema import NUMBER

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "bundles",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("sources", sa.JSON, nullable=False),
    )
    op.create_table(
        "revisions",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(64), sa.ForeignKey("bundles.digest"), nullable=False, index=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("open_digest", sa.String(64), unique=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("examined", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "revision_log",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("revision", sa.Integer, nullable=False, index=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("before", sa.String(16)),
        sa.Column("after", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "policy_runs",
        sa.Column("worker", sa.String(128), primary_key=True),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False, index=True),
        sa.Column("refused", sa.String(64)),
        sa.Column("why", sa.Text),
    )
    for table in ("bundles", "revision_log"):
        for change in ("UPDATE", "DELETE"):
            name = f"{table}_refuses_{change.lower()}"
            triggers.refuse(name, change, table, "what was published is never changed or removed")
    # What was examined and by whom is part of what was approved: a step changes where a revision stands alone.
    triggers.refuse_rewriting("revisions_keep_what_they_say", "revisions", "what a revision says is never changed")
    triggers.refuse("revisions_refuse_delete", "DELETE", "revisions", "revisions are never removed")


def downgrade() -> None:
    """Remove the tables and all that is in them."""
    for table in ("policy_runs", "revision_log", "revisions", "bundles"):
        op.drop_table(table)
