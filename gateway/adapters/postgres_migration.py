"""Bringing a database of PostgreSQL to the schema that this code knows, or refusing to."""

from typing import Final

import sqlalchemy as sa
from asyncpg import PostgresError, UndefinedTableError  # type: ignore[import-untyped]  # asyncpg brings no types
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.adapters.migration import Steps
from gateway.adapters.postgres_address import Connection, PostgresAddress
from gateway.adapters.schema import REVISION
from gateway.core.errors import StoreUnavailable

SCHEMA: Final = "gateway"
"""Of the store's own: the archive may have another one in the same database, and so may something else."""
_MIGRATING: Final = 0x6761_7465_0005
"""The advisory lock of who migrates: see `archive.postgres_schema` for the others."""
_OTHERWISE: Final = "name a database of its own in [store] url"

# As Python and SQLite order them, whatever the database's own order: what is decided by it must not depend on that.
_ORDER_BY_CODE: Final = sa.text(
    """
    DO $$ DECLARE one record; BEGIN
        FOR one IN
            SELECT c.oid::regclass AS name, string_agg(format(
                'ALTER COLUMN %I TYPE %s COLLATE "C"', a.attname, format_type(a.atttypid, a.atttypmod)
            ), ', ') AS changes
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
                AND a.attcollation <> 0 AND a.attcollation <> 'pg_catalog."C"'::regcollation
            GROUP BY c.oid
        LOOP
            EXECUTE format('ALTER TABLE %s %s', one.name, one.changes);
        END LOOP;
    END $$
    """
)


async def migrate(address: PostgresAddress) -> None:
    """Make or upgrade the schema, in one transaction. Raise StoreUnavailable where it is not ours or newer than us."""
    connection = await address.connect(search_path=SCHEMA)
    try:
        if await revision_of(connection) == REVISION:
            return
        if (encoding := await connection.fetchval("SHOW server_encoding")) != "UTF8":
            raise StoreUnavailable(f"store {address.name}: its encoding is {encoding}; make a database with UTF8")
    finally:
        await connection.close()
    await _upgrade(address)


async def revision_of(connection: Connection) -> str | None:
    """Return the newest migration that the schema has seen; None where it has seen none."""
    try:
        found: str | None = await connection.fetchval(f"SELECT version_num FROM {SCHEMA}.alembic_version")  # noqa: S608 - our own name
    except UndefinedTableError:
        return None
    return found


async def _upgrade(address: PostgresAddress) -> None:
    steps = Steps()
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: address.connect(search_path=SCHEMA), poolclass=sa.NullPool
    )
    try:
        async with engine.begin() as connection:
            # One process at a time; and all or nothing, since changes of the schema are part of the transaction.
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))
            await connection.run_sync(_take, steps, address.name)
    except (SQLAlchemyError, PostgresError) as fault:
        why = getattr(fault, "orig", None) or fault
        raise StoreUnavailable(f"store {address.name}: the migration failed and changed nothing: {why}") from fault
    finally:
        await engine.dispose()


def _take(connection: sa.Connection, steps: Steps, name: str) -> None:
    inspector = sa.inspect(connection)
    # Asked first, so that an operator may make the schema and grant no more than its use.
    if not inspector.has_schema(SCHEMA):
        connection.execute(sa.schema.CreateSchema(SCHEMA))
    tables = inspector.get_table_names(SCHEMA)
    ours = "alembic_version" in tables
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() if ours else None
    steps.check(f"store {name}", found, tables, _OTHERWISE)
    steps.take(connection)
    connection.execute(_ORDER_BY_CODE)
