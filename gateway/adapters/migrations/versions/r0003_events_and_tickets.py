"""Events and profiles, tickets with their evidence, the Outbox, revoked sessions, and whose a token is."""

import sqlalchemy as sa
from alembic import op

from gateway.adapters import triggers
from gateway.adapters.schema import NUMBER

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_REMEMBERED = ("accounts", "account_flags", "account_holds", "api_keys", "revoked_sessions")
"""The tables that gateways remember rows of: a change of any of them ends what they remember."""


def upgrade() -> None:
    """Make the tables."""
    with op.batch_alter_table("service_tokens") as batch:
        batch.add_column(sa.Column("person", sa.Text))
        batch.add_column(sa.Column("roles", sa.Text))
    _events()
    _tickets()
    _outbox()
    _sessions()
    _triggers()


def downgrade() -> None:
    """Remove the tables and all that is in them."""
    for table in _REMEMBERED[:-1] if not triggers.is_postgresql() else ():
        triggers.forget_changes(table)
    for table in (
        *("generations", "answers", "seen_jti", "revoked_sessions", "sightings", "leases", "outbox"),
        *("evidence", "ticket_log", "tickets", "everyone", "profiles", "events"),
    ):
        op.drop_table(table)
    for column in ("roles", "person"):
        op.execute(f"ALTER TABLE service_tokens DROP COLUMN {column}")


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(128), nullable=False, unique=True),
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("geo", sa.JSON),
        sa.Index("events_of_account", "account", "at"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "profiles",
        sa.Column("account", sa.String(255), primary_key=True),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("last_id", sa.String(128), nullable=False),
        sa.Column("changes", sa.JSON, nullable=False),
        sa.Column("blob", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "everyone",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("blob", sa.LargeBinary, nullable=False),
    )


def _tickets() -> None:
    op.create_table(
        "tickets",
        sa.Column("id", sa.String(12), primary_key=True),
        sa.Column("account", sa.String(255), nullable=False, index=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cause", sa.Text, nullable=False, index=True),
        sa.Column("open_cause", sa.Text, unique=True),
        sa.Column("until", sa.BigInteger, index=True),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Index("tickets_by_age", "opened_at", "id"),
    )
    op.create_table(
        "ticket_log",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("ticket", sa.String(12), nullable=False, index=True),
        sa.Column("account", sa.String(255), nullable=False, index=True),
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
        "evidence",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("ticket", sa.String(12), sa.ForeignKey("tickets.id"), nullable=False, index=True),
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kept_as", sa.Text),
        sa.Column("document", sa.JSON, nullable=False),
        # SQLite numbers the rows of every table under this name.
        *([sa.Column("rowid", sa.BigInteger, sa.Identity())] if triggers.is_postgresql() else []),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(40), nullable=False, unique=True),
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("next_try_at", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("delivered_at", sa.BigInteger),
        sa.Index("outbox_due", "state", "next_try_at"),
        sa.Index("outbox_of_account", "account", "state", "number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sightings",
        sa.Column("account", sa.String(255), primary_key=True),
        sa.Column("cause", sa.Text, primary_key=True),
        sa.Column("days", sa.String(128), nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False, index=True),
    )


def _sessions() -> None:
    op.create_table(
        "revoked_sessions",
        sa.Column("account", sa.String(255), primary_key=True),
        sa.Column("session", sa.String(64), primary_key=True),
        sa.Column("what", sa.String(16), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("level", sa.Integer),
        sa.Column("until", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "seen_jti",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "answers",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("request", sa.LargeBinary(32), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "generations",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO generations VALUES ('accounts', 0)")
    if triggers.is_postgresql():
        # Counted by whoever writes, who holds its row until the commit: one writes at a time.
        op.execute("INSERT INTO generations VALUES ('commits', 0)")


def _triggers() -> None:
    for change in ("UPDATE", "DELETE"):
        name = f"ticket_log_refuses_{change.lower()}"
        triggers.refuse(name, change, "ticket_log", "entries of the ticket log are never changed or removed")
    triggers.refuse("events_refuses_update", "UPDATE", "events", "events are never changed")
    triggers.refuse_young("events_refuses_delete", "events", "events are kept for 200 days")
    for table in _REMEMBERED if not triggers.is_postgresql() else ():
        # PostgreSQL names whose they are from the beginning on: see 0006.
        triggers.count_changes(table)
