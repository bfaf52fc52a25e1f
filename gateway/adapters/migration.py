"""Bringing the store's file to the schema that this code knows, or refusing to."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.adapters.schema import REVISION
from gateway.adapters.write_ahead import log_ahead
from gateway.core.errors import StoreUnavailable

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
    # Imported here: they take a third of a second, and a file that is up to date needs neither.
    import sqlalchemy as sa  # noqa: PLC0415 - slow, and rarely needed
    from alembic import command  # noqa: PLC0415 - slow, and rarely needed
    from alembic.config import Config  # noqa: PLC0415 - slow, and rarely needed
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow, and rarely needed

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    engine = sa.create_engine("sqlite://", creator=lambda: database, poolclass=sa.StaticPool)
    try:
        with engine.connect() as connection:
            # All or nothing, and one process at a time: SQLite's schema changes are part of the transaction.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _check(database, path, known)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except sa.exc.SQLAlchemyError as fault:
        raise StoreUnavailable(f"store {path}: the migration failed and changed nothing: {fault}") from fault


def _check(database: sqlite3.Connection, path: Path, known: set[str]) -> None:
    """Raise StoreUnavailable where the file is not ours to upgrade."""
    found = revision_of(database)
    if found is not None and found not in known:
        raise StoreUnavailable(
            f"store {path}: it is at revision {found}, written by a newer gateway; this one knows revisions up to "
            f"{REVISION}. Run that gateway, or name another file in [store] url"
        )
    strangers = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if found is None and strangers:
        raise StoreUnavailable(
            f"store {path}: it holds tables of something else ({', '.join(sorted(strangers)[:3])}); "
            "name a file of its own in [store] url"
        )
