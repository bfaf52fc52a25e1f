"""What SQLite and PostgreSQL say differently. Each function asks the connection which of them it is."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def insert_into(connection: sa.Connection | AsyncConnection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insertion that can say what becomes of a row that is there already."""
    return postgresql.insert(table) if _is_postgresql(connection) else sqlite.insert(table)


def is_member(
    connection: sa.Connection | AsyncConnection, text: str, document: sa.Column[Any], key: str
) -> sa.ColumnElement[bool]:
    """Return whether a list of texts inside a JSON document has this one."""
    if _is_postgresql(connection):
        each = sa.func.json_array_elements_text(document[key]).table_valued("value")
    else:
        each = sa.func.json_each(document, f"$.{key}").table_valued("value")
    return sa.exists(sa.select(each.c.value).where(each.c.value == text))


def _is_postgresql(connection: sa.Connection | AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"
