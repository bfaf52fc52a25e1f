import os
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.adapters.sqlite_file import SqliteFile, begin_immediate, engine_of, path_of, uri_of
from gateway.core.errors import ConfigError, StoreUnavailable


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/gateway.db", "var/gateway.db"),
        ("sqlite:////var/lib/gateway.db", "/var/lib/gateway.db"),
        ("sqlite:///a b?c#d%e.db", "a b?c#d%e.db"),
    ],
)
def test_a_url_names_a_file(url: str, path: str) -> None:
    assert path_of(url) == Path(path)


@pytest.mark.parametrize(
    "url", ["", "gateway.db", "sqlite://", "sqlite:///", "sqlite://host/x", "sqlite:///:memory:", "mysql:///x"]
)
def test_a_url_that_names_no_file_is_refused_with_one_that_does(url: str) -> None:
    with pytest.raises(ConfigError, match=r"write sqlite:///PATH, such as sqlite:///var/gateway\.db"):
        path_of(url)


def test_the_refusal_of_a_url_repeats_no_password() -> None:
    with pytest.raises(ConfigError) as refused:
        path_of("postgresql://gateway:hunter2@db/gateway")
    assert "hunter2" not in str(refused.value)
    assert "postgresql:" in str(refused.value)


def test_a_file_is_told_from_another_that_takes_its_name(tmp_path: Path) -> None:
    file, other = SqliteFile(tmp_path / "a"), tmp_path / "b"
    with pytest.raises(StoreUnavailable, match=f"store {file.path}: No such file or directory"):
        file.check()
    file.path.touch()
    other.touch()
    file.check()
    away = file.path.rename(tmp_path / "away")
    with pytest.raises(StoreUnavailable, match="No such file"):
        file.check()
    shutil.copy(other, file.path)
    with pytest.raises(
        StoreUnavailable, match="another file was put in its place; stop every gateway, remove a-wal and"
    ):
        file.check()
    away.rename(file.path)
    file.check()
    other.rename(file.path)
    file.forget()
    file.check()


async def test_an_engine_opens_the_very_file_whatever_its_name_and_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=memory#x%41.db"
    assert uri_of(path).startswith("file:///")
    engine = engine_of(path, 1, 1.0, "PRAGMA query_only=OFF")
    with pytest.raises(sa.exc.OperationalError, match="unable to open database file"):
        await engine.connect()
    os.close(os.open(path, os.O_CREAT | os.O_RDWR))
    sa.event.listen(engine.sync_engine, "begin", begin_immediate)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE here (id INTEGER)")
    async with engine.connect() as connection:
        for pragma, value in (("foreign_keys", 1), ("cell_size_check", 1), ("query_only", 0)):
            assert (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar_one() == value
    await engine.dispose()
    assert path.stat().st_size > 0


async def test_a_transaction_that_raises_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.touch()
    engine = engine_of(path, 1, 1.0, "PRAGMA synchronous=FULL")
    sa.event.listen(engine.sync_engine, "begin", begin_immediate)

    async def half_of_it() -> None:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await half_of_it()
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")).scalar_one() == 0
    await engine.dispose()
