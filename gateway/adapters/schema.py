"""The tables of the store. `migrations/` makes them; a test holds the two against each other."""

from typing import Final

import sqlalchemy as sa

REVISION: Final = "0002"
"""The newest migration: what this code reads and writes."""

METADATA: Final = sa.MetaData()

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
)

AUDIT: Final = sa.Table(
    "audit",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
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
