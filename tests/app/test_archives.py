from pathlib import Path

import pytest

from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.app.archives import archive_at
from gateway.core.errors import ConfigError


def test_the_address_says_which_archive_it_is() -> None:
    embedded = archive_at("sqlite:////srv/decisions.db")
    assert isinstance(embedded, SqliteArchive)
    assert embedded.path == Path("/srv/decisions.db")
    assert isinstance(archive_at("postgresql://gateway@127.0.0.1/decisions"), PostgresArchive)


def test_an_address_of_another_kind_is_refused_without_what_it_holds() -> None:
    with pytest.raises(ConfigError, match="`mysql`") as refused:
        archive_at("mysql://gateway:secret@127.0.0.1/decisions")
    assert "secret" not in str(refused.value)


def test_days_are_exported_where_it_was_said(tmp_path: Path) -> None:
    archive = archive_at("postgresql://gateway@127.0.0.1/decisions", export=tmp_path)
    assert isinstance(archive, PostgresArchive)
    assert archive._export is not None
    assert archive_at("postgresql://gateway@127.0.0.1/decisions")._export is None
