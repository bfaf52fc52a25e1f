"""Bringing the store to the schema that this code knows, or refusing to: a file of SQLite, and what all have alike."""

import os
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.adapters.schema import REVISION
from gateway.adapters.write_ahead import log_ahead
from gateway.core.errors import StoreUnavailable

if TYPE_CHECKING:
    import sqlalchemy as sa

_PATIENCE_S: Final = 10.0
"""How long one process waits for another that is migrating the same file."""
_FOLDER: Final = Path(__file__).parent / "migrations"


def migrate(path: Path) -> None:
    """Make or upgrade the file, in one transaction. Raise StoreUnavailable where it is not ours or newer than us."""
    try:
        _make_private(path)
        with closing(sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)) as database:
            log_ahead(database, _PATIENCE_S)
            if revision_of(database) != REVISION:
                _upgrade(database, path)
    except (sqlite3.Error, OSError) as fault:
        raise StoreUnavailable(f"store {path}: {fault}") from fault


def revision_of(database: sqlite3.Connection) -> str | None:
    """Return the newest migration that the file has seen; None where it has seen none."""
    row = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    if row is None:
        return None
    versions = database.execute("SELECT version_num FROM alembic_version").fetchall()
    return versions[0][0] if versions else None


def _make_private(path: Path) -> None:
    """Make the file and its folder, which nobody else may read; SQLite gives its side files the same mode."""
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _upgrade(database: sqlite3.Connection, path: Path) -> None:
    # Imported here, and what it imports: they take a third of a second, and a file that is up to date needs neither.
    import sqlalchemy as sa  # noqa: PLC0415 - slow, and rarely needed

    steps = Steps()
    engine = sa.create_engine("sqlite://", creator=lambda: database, poolclass=sa.StaticPool)
    try:
        with engine.connect() as connection:
            # All or nothing, and one process at a time: SQLite's schema changes are part of the transaction.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            steps.check(f"store {path}", revision_of(database), tables, "name a file of its own in [store] url")
            steps.take(connection)
            connection.commit()
    except sa.exc.SQLAlchemyError as fault:
        raise StoreUnavailable(f"store {path}: the migration failed and changed nothing: {fault}") from fault


class Steps:
    """The migrations that this code knows, the same for every database. Making it imports alembic, which is slow."""

    def __init__(self) -> None:
        from alembic.config import Config  # noqa: PLC0415 - slow, and rarely needed
        from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow, and rarely needed

        self._config = Config()
        self._config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
        self._known = {script.revision for script in ScriptDirectory.from_config(self._config).walk_revisions()}

    def check(self, store: str, found: str | None, tables: Collection[str], otherwise: str) -> None:
        """Raise StoreUnavailable where what lies there is not ours to upgrade."""
        if found is not None and found not in self._known:
            raise StoreUnavailable(
                f"{store}: it is at revision {found}, written by a newer gateway; this one knows revisions up to "
                f"{REVISION}. Run that gateway, or {otherwise}"
            )
        if found is None and tables:
            names = ", ".join(sorted(tables)[:3])
            raise StoreUnavailable(f"{store}: it holds tables of something else ({names}); {otherwise}")

    def take(self, connection: "sa.Connection") -> None:
        """Bring what the connection leads to up to the newest revision, inside the transaction that it is in."""
        from alembic import command  # noqa: PLC0415 - slow, and rarely needed

        self._config.attributes["connection"] = connection
        command.upgrade(self._config, "head")
