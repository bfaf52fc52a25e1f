import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.adapters import migration
from gateway.adapters.migration import migrate, revision_of
from gateway.adapters.schema import METADATA, REVISION
from gateway.core.errors import StoreUnavailable


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_new_file_gets_the_schema_is_private_and_writes_ahead(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "gateway.db"
    migrate(path)
    assert tables(path) >= set(METADATA.tables)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert revision_of(database) == REVISION


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    migrate(path)
    before = path.read_bytes()
    migrate(path)
    assert path.read_bytes() == before


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    migrate(path)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_that_the_code_names() -> None:
    config = Config()
    config.set_main_option("script_location", str(migration._FOLDER))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_the_way_back_leaves_no_table(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    migrate(path)
    engine = sa.create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(migration._FOLDER))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    engine.dispose()
    assert tables(path) - {"sqlite_sequence"} == {"alembic_version"}


def test_a_file_of_a_newer_gateway_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    migrate(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = '0042'")
        database.commit()
    with pytest.raises(
        StoreUnavailable, match=r"at revision 0042, written by a newer gateway; .* up to 0006\. Run that"
    ):
        migrate(path)
    with closing(sqlite3.connect(path)) as database:
        assert revision_of(database) == "0042"


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE orders (id INTEGER)")
    with pytest.raises(StoreUnavailable, match=r"tables of something else \(orders\); name a file of its own"):
        migrate(path)
    assert tables(path) == {"orders"}


@pytest.mark.parametrize("content", [b"this is no database, whatever its name says", b"\xff" * 8192])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gateway.db"
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=f"store {path}: file is not a database"):
        migrate(path)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        migrate(tmp_path / "file" / "gateway.db")


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text((migration._FOLDER / "env.py").read_text())
    (folder / "versions" / "r1.py").write_text(
        "from alembic import op\nrevision = '1'\ndown_revision = None\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (id INTEGER)')\n    op.execute('CREATE NONSENSE')\n"
    )
    monkeypatch.setattr(migration, "_FOLDER", folder)
    path = tmp_path / "gateway.db"
    with pytest.raises(StoreUnavailable, match=r"the migration failed and changed nothing: .*NONSENSE"):
        migrate(path)
    assert tables(path) == set()


AT_ONCE = """
import os, sys
from pathlib import Path
import alembic.command, alembic.config, alembic.script, sqlalchemy
from gateway.adapters.migration import migrate

def child():
    if pid := os.fork():
        return pid
    migrate(Path(sys.argv[1]))
    os._exit(0)

print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in [child() for _ in range(4)]])
"""


def test_many_processes_may_migrate_at_once(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 0, 0, 0]\n", "")
    assert tables(path) >= set(METADATA.tables)


@pytest.mark.parametrize("change", ["UPDATE audit SET why = 'another'", "DELETE FROM audit"])
def test_the_audit_can_only_grow(tmp_path: Path, change: str) -> None:
    path = tmp_path / "gateway.db"
    migrate(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("INSERT INTO audit VALUES (1, 1, 'ann', 'x', 'alice', '{}', '{}', 'because')")
        with pytest.raises(sqlite3.IntegrityError, match="audit entries are never changed or removed"):
            database.execute(change)
        assert database.execute("SELECT count(*), min(why) FROM audit").fetchone() == (1, "because")
