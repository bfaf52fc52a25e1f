"""What the tests of the embedded archive share."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.archive.sqlite_schema import make, open_writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the archive lies."""
    return tmp_path / "decisions.db"


@pytest.fixture
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """A writer's connection to an empty archive."""
    make(path)
    connection = open_writer(path)
    yield connection
    connection.close()


@pytest.fixture
async def opened(path: Path) -> AsyncIterator[SqliteArchive]:
    """An archive, started and empty."""
    archive = SqliteArchive(path)
    await archive.start()
    yield archive
    await archive.close()
