"""The tables of the store. `migrations/` makes them; a test holds the two against each other."""

from typing import Final

import sqlalchemy as sa

REVISION: Final = "0006"
"""The newest migration: what this code reads and writes."""

METADATA: Final = sa.MetaData()

NUMBER: Final = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
"""A number that the database gives. SQLite's integers have 64 bits by themselves, and it numbers no other type."""

# Instants are microseconds since the epoch, as everywhere in the gateway.

ACCOUNTS: Final = sa.Table(
    "accounts",
    METADATA,
    sa.Column("uid", sa.String(255), primary_key=True),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("verification", sa.String(32), nullable=False),
    # Country codes, sorted, separated by spaces.
    sa.Column("documents", sa.Text, nullable=False),
    sa.Column("residence", sa.String(2)),
    sa.Column("nationality", sa.String(2)),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
)

FLAGS: Final = sa.Table(
    "account_flags",
    METADATA,
    sa.Column("account", sa.ForeignKey("accounts.uid"), primary_key=True),
    sa.Column("flag", sa.String(64), primary_key=True),
    sa.Column("set_by", sa.Text, nullable=False),
    sa.Column("set_at", sa.BigInteger, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

HOLDS: Final = sa.Table(
    "account_holds",
    METADATA,
    sa.Column("account", sa.ForeignKey("accounts.uid"), primary_key=True),
    sa.Column("operation", sa.String(32), primary_key=True),
    sa.Column("cause", sa.Text, primary_key=True),
    # None where people must lift it.
    sa.Column("until", sa.BigInteger, index=True),
)

API_KEYS: Final = sa.Table(
    "api_keys",
    METADATA,
    # SHA-256 of the whole secret, which is 256 random bits: nothing slower is needed against guessing.
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("key_id", sa.String(16), nullable=False, unique=True),
    sa.Column("account", sa.ForeignKey("accounts.uid"), nullable=False, index=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)

SERVICE_TOKENS: Final = sa.Table(
    "service_tokens",
    METADATA,
    sa.Column("token_id", sa.String(12), primary_key=True),
    # SHA-256 of the secret, which is 256 random bits: nothing slower is needed against guessing.
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    # Sorted, separated by spaces.
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
    # Whose personal token it is, and what that person is to the gateway (sorted, separated by spaces); None: a program.
    sa.Column("person", sa.Text),
    sa.Column("roles", sa.Text),
)

AUDIT: Final = sa.Table(
    "audit",
    METADATA,
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
"""Append-only: triggers of the database refuse to change or remove an entry."""

EVENTS: Final = sa.Table(
    "events",
    METADATA,
    sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(128), nullable=False, unique=True),
    # No foreign key: an exchange tells of logins to accounts that the gateway has not heard of.
    sa.Column("account", sa.String(255), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    # What the databases said of the address when it was taken, so that a profile can be made again the same.
    sa.Column("geo", sa.JSON),
    sa.Index("events_of_account", "account", "at"),
    sqlite_autoincrement=True,
)
"""Append-only by triggers. What is older than any profile looks back (200 days) may be removed."""

PROFILES: Final = sa.Table(
    "profiles",
    METADATA,
    sa.Column("account", sa.String(255), primary_key=True),
    # The latest event in it, by the event's own time: one from before it is out of order.
    sa.Column("last_at", sa.BigInteger, nullable=False),
    sa.Column("last_id", sa.String(128), nullable=False),
    sa.Column("changes", sa.JSON, nullable=False),
    sa.Column("blob", sa.LargeBinary, nullable=False),
)

EVERYONE: Final = sa.Table(
    "everyone",
    METADATA,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("blob", sa.LargeBinary, nullable=False),
)

TICKETS: Final = sa.Table(
    "tickets",
    METADATA,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("account", sa.String(255), nullable=False, index=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("cause", sa.Text, nullable=False, index=True),
    # The cause while it is open, None afterwards: so one cause has one open ticket, whoever opens it.
    sa.Column("open_cause", sa.Text, unique=True),
    # When it ends by itself, None where people must end it, or have proposed to uphold it.
    sa.Column("until", sa.BigInteger, index=True),
    sa.Column("opened_at", sa.BigInteger, nullable=False),
    sa.Column("closed_at", sa.BigInteger),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Index("tickets_by_age", "opened_at", "id"),
)

TICKET_LOG: Final = sa.Table(
    "ticket_log",
    METADATA,
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

EVIDENCE: Final = sa.Table(
    "evidence",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("ticket", sa.ForeignKey("tickets.id"), nullable=False, index=True),
    sa.Column("account", sa.String(255), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("kept_as", sa.Text),
    sa.Column("document", sa.JSON, nullable=False),
)

FILES_BEGUN: Final = sa.Table(
    "files_begun",
    METADATA,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
)
"""Files of evidence from before they are written until a ticket names them: what stays is what a fault left."""

BUNDLES: Final = sa.Table(
    "bundles",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    # The texts by name.
    sa.Column("sources", sa.JSON, nullable=False),
)
"""What was ever proposed. Never changed, by triggers."""

REVISIONS: Final = sa.Table(
    "revisions",
    METADATA,
    sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.ForeignKey("bundles.digest"), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    # The digest while it waits or is active, None afterwards: so the same texts are open once.
    sa.Column("open_digest", sa.String(64), unique=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    # What was found when it was proposed: difference, checks, tests, simulation. Apart, since lists do without.
    sa.Column("examined", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)

REVISION_LOG: Final = sa.Table(
    "revision_log",
    METADATA,
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
"""Append-only by triggers."""

POLICY_RUNS: Final = sa.Table(
    "policy_runs",
    METADATA,
    sa.Column("worker", sa.String(128), primary_key=True),
    sa.Column("machine", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("seen_at", sa.BigInteger, nullable=False, index=True),
    # What it cannot run, and why; None where it runs what it should.
    sa.Column("refused", sa.String(64)),
    sa.Column("why", sa.Text),
)
"""Which policies each process decides by, as it says itself."""

OUTBOX: Final = sa.Table(
    "outbox",
    METADATA,
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

LEASES: Final = sa.Table(
    "leases",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(128), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
)

SIGHTINGS: Final = sa.Table(
    "sightings",
    METADATA,
    sa.Column("account", sa.String(255), primary_key=True),
    sa.Column("cause", sa.Text, primary_key=True),
    sa.Column("days", sa.String(128), nullable=False),
    sa.Column("seen_at", sa.BigInteger, nullable=False, index=True),
)

REVOKED_SESSIONS: Final = sa.Table(
    "revoked_sessions",
    METADATA,
    sa.Column("account", sa.String(255), primary_key=True),
    # SHA-256 of the session's name, in hexadecimal; empty: every session of the account.
    sa.Column("session", sa.String(64), primary_key=True),
    # `revoked`, or `assurance`: then `level` is the most that the session counts for.
    sa.Column("what", sa.String(16), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("level", sa.Integer),
    # From when on no such session is valid any more in any case.
    sa.Column("until", sa.BigInteger, nullable=False, index=True),
)

SEEN_ONCE: Final = sa.Table(
    "seen_jti",
    METADATA,
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("until", sa.BigInteger, nullable=False, index=True),
)

ANSWERS: Final = sa.Table(
    "answers",
    METADATA,
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("request", sa.LargeBinary(32), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False, index=True),
)

GENERATIONS: Final = sa.Table(
    "generations",
    METADATA,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)
"""`accounts` counts, by triggers, every change of what a gateway remembers of accounts: not every login taken."""

CHANGED_ACCOUNTS: Final = sa.Table(
    "changed_accounts",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("account", sa.String(255), nullable=False),
)
"""Whose each of the latest of these changes was, written by the same triggers; the oldest are removed by them."""
