import asyncio
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.adapters import migration
from gateway.adapters.postgres_address import PostgresAddress
from gateway.adapters.postgres_migration import SCHEMA, migrate, revision_of
from gateway.adapters.schema import METADATA, REVISION
from gateway.core.errors import StoreUnavailable
from tests.postgres_server import say, within

_PATH = "SET search_path = gateway;"


async def asked(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def on(url: str, step) -> object:
    """Return what `step` returns of a connection in the store's schema."""
    address = PostgresAddress.of(url)
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: address.connect(search_path=SCHEMA))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(step)
    finally:
        await engine.dispose()


async def test_the_migrations_make_the_tables_that_the_code_uses_and_the_way_back_leaves_none(
    postgres_database: str,
) -> None:
    address = PostgresAddress.of(postgres_database)
    await asyncio.gather(*(migrate(address) for _ in range(4)))
    await migrate(address)

    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        # SQLite numbers the rows of every table by itself; here one table has a column for that.
        return [one for one in compare_metadata(context, METADATA) if "rowid" not in repr(one)]

    def back(connection: sa.Connection) -> list[str]:
        config = Config()
        config.set_main_option("script_location", str(migration._FOLDER))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'gateway'::regnamespace"
        return [*sa.inspect(connection).get_table_names(), *connection.execute(sa.text(functions)).scalars()]

    assert await on(postgres_database, differences) == []
    assert await on(postgres_database, back) == ["alembic_version"]


async def test_texts_are_ordered_by_code_whatever_the_databases_order(postgres_database: str) -> None:
    await migrate(PostgresAddress.of(postgres_database))
    others = f"""
        SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = '{SCHEMA}'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
            AND a.attcollation NOT IN (0, 'pg_catalog."C"'::regcollation)
    """
    assert await asked(postgres_database, others) == 0


async def test_a_schema_of_a_newer_gateway_is_refused_and_left_alone(postgres_database: str) -> None:
    address = PostgresAddress.of(postgres_database)
    await migrate(address)
    await say(postgres_database, f"{_PATH} UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreUnavailable, match="at revision 9999, written by a newer gateway"):
        await migrate(address)
    connection = await address.connect()
    assert await revision_of(connection) == "9999"
    await connection.close()


async def test_a_schema_of_something_else_is_refused_and_left_alone(postgres_database: str) -> None:
    await say(postgres_database, "CREATE SCHEMA gateway; CREATE TABLE gateway.orders (id int)")
    with pytest.raises(StoreUnavailable, match=r"tables of something else \(orders\)"):
        await migrate(PostgresAddress.of(postgres_database))
    tables = "SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'gateway'"
    assert await asked(postgres_database, tables) == "orders"


async def test_a_migration_that_fails_leaves_nothing_behind(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = migration.Steps.take

    def fail(steps: migration.Steps, connection: sa.Connection) -> None:
        take(steps, connection)
        connection.execute(sa.text("SELECT 1 / 0"))

    monkeypatch.setattr(migration.Steps, "take", fail)
    with pytest.raises(StoreUnavailable, match=r"the migration failed and changed nothing: .*division by zero"):
        await migrate(PostgresAddress.of(postgres_database))
    assert await asked(postgres_database, "SELECT to_regnamespace('gateway')") is None


async def test_a_schema_that_an_operator_made_is_used_with_no_right_but_to_that(postgres_database: str) -> None:
    await say(
        postgres_database,
        "DO $$ BEGIN CREATE ROLE narrow LOGIN PASSWORD 'narrow'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        "CREATE SCHEMA gateway AUTHORIZATION narrow",
    )
    address = PostgresAddress.of(within(postgres_database, urlsplit(postgres_database).path[1:], "narrow"))
    await migrate(address)
    connection = await address.connect()
    assert await revision_of(connection) == REVISION
    await connection.close()


async def test_an_encoding_that_cannot_hold_every_text_is_refused(postgres: str) -> None:
    await say(postgres, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(StoreUnavailable, match="its encoding is LATIN1"):
            await migrate(PostgresAddress.of(within(postgres, "latin")))
    finally:
        await say(postgres, "DROP DATABASE latin WITH (FORCE)")
