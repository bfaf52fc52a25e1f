"""What is forgotten in PostgreSQL is written as Parquet before, whole, or stays."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from pyarrow import parquet  # type: ignore[import-untyped]  # pyarrow brings no types

from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.postgres_export import DayExport
from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.core.keeping import Keep
from gateway.core.search import Search
from tests.contract.stretches import AT, decision, ruling, stretch, text_of
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

HOUR = 3_600_000_000
DAY = 24 * HOUR
MIDNIGHT = AT // DAY * DAY
DATES = [str(datetime.fromtimestamp(MIDNIGHT // 1_000_000 + n * 86_400, UTC).date()) for n in range(3)]
DOCUMENTS = [ruling(operation="view", outcome="allow", reason=None, rules=()), ruling(country=["US", "CA"], asn=None)]


@pytest.fixture
async def archive(postgres_database: str, tmp_path: Path) -> AsyncIterator[PostgresArchive]:
    """An archive with two days of eight decisions, of two classes."""
    archive = PostgresArchive(postgres_database, export=tmp_path / "out" / "days")
    await archive.start()
    made = [decision(n, DOCUMENTS[n % 2], MIDNIGHT + n * 3 * HOUR) for n in range(16)]
    await archive.take(stretch(made, DOCUMENTS))
    yield archive
    await archive.close()


def all_before(days: float) -> dict[Keep, int]:
    return dict.fromkeys(Keep, MIDNIGHT + int(days * DAY))


def written(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each file; there are no others."""
    days = folder / "out" / "days"
    if not days.exists():
        return {}
    assert all(file.suffix == ".parquet" for file in days.iterdir() if not file.name.startswith("."))
    return {file.stem: parquet.read_table(file).to_pylist() for file in days.glob("[!.]*.parquet")}


async def documents(archive: PostgresArchive) -> dict[str, Any]:
    return {one["id"]: one for one in (await archive.search(Search(), limit=1000)).documents}


async def test_each_day_is_a_file_with_every_decision_whole(archive: PostgresArchive, tmp_path: Path) -> None:
    expected = await documents(archive)
    assert await archive.forget(all_before(1.9)) == 8
    files = written(tmp_path)
    assert set(files) == {f"decisions-{DATES[0]}"}
    rows = files[f"decisions-{DATES[0]}"]
    assert [row["id"] for row in rows] == sorted(expected)[:8]
    for row in rows:
        document = expected[row["id"]]
        assert orjson.loads(row["document"]) == document
        assert row["at"] == datetime.fromisoformat(document["at"])
        assert (row["operation"], row["outcome"]) == (document["operation"], document["verdict"]["outcome"])
    assert sorted(await documents(archive)) == sorted(expected)[8:], "the day that is not over stays whole"
    file = tmp_path / "out" / "days" / f"decisions-{DATES[0]}.parquet"
    assert file.stat().st_mode & 0o077 == file.parent.stat().st_mode & 0o077 == 0
    assert parquet.ParquetFile(file).metadata.row_group(0).column(0).compression == "ZSTD"


async def test_what_came_late_to_a_day_that_went_gets_a_file_of_its_own(
    archive: PostgresArchive, tmp_path: Path
) -> None:
    assert await archive.forget(all_before(1)) == 8
    late = decision(999, DOCUMENTS[0], MIDNIGHT + 7)
    await archive.take(stretch([late], DOCUMENTS, worker="late"))
    assert await archive.forget(all_before(1)) == 1
    files = written(tmp_path)
    assert {name: len(rows) for name, rows in files.items()} == {
        f"decisions-{DATES[0]}": 8,
        f"decisions-{DATES[0]}.2": 1,
    }


async def test_a_class_that_goes_before_the_others_has_its_own_file(archive: PostgresArchive, tmp_path: Path) -> None:
    expected = await documents(archive)
    rest = {Keep.REST: MIDNIGHT + DAY, Keep.MONEY: MIDNIGHT, Keep.REFUSED: MIDNIGHT}
    assert await archive.forget({Keep.MONEY: MIDNIGHT - DAY}) == 0
    assert await archive.forget(rest) == 4
    assert await archive.forget(rest) == 0
    assert {name: len(rows) for name, rows in written(tmp_path).items()} == {f"decisions-{DATES[0]}-rest": 4}
    assert await archive.forget(all_before(9)) == 12
    files = written(tmp_path)
    assert {name: len(rows) for name, rows in files.items()} == {
        f"decisions-{DATES[0]}-rest": 4,
        f"decisions-{DATES[0]}": 4,
        f"decisions-{DATES[1]}": 8,
    }
    assert sorted(row["id"] for rows in files.values() for row in rows) == sorted(expected)


@pytest.mark.parametrize("before", [all_before(1), {Keep.REST: MIDNIGHT + DAY}], ids=["the day", "a class of it"])
async def test_what_cannot_be_written_stays(archive: PostgresArchive, tmp_path: Path, before: dict[Keep, int]) -> None:
    (tmp_path / "out").write_text("no folder")
    with pytest.raises(StoreUnavailable, match=f"export of {DATES[0]} to .*; nothing of it was removed"):
        await archive.forget(before)
    assert len(await documents(archive)) == 16
    (tmp_path / "out").unlink()
    assert await archive.forget(before) in {4, 8}


@pytest.mark.parametrize("before", [all_before(1), {Keep.REST: MIDNIGHT + DAY}], ids=["the day", "a class of it"])
async def test_what_is_added_to_while_it_is_written_stays(
    archive: PostgresArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: dict[Keep, int]
) -> None:
    late = stretch([decision(777, DOCUMENTS[0], MIDNIGHT + 9)], DOCUMENTS, worker="late")
    write = DayExport.write

    async def and_meanwhile(self: DayExport, *arguments: Any) -> int:
        number = await write(self, *arguments)
        await archive.take(late)
        return number

    monkeypatch.setattr(DayExport, "write", and_meanwhile)
    assert await archive.forget(before) == 0
    assert written(tmp_path) == {}
    assert await archive.forget(before) in {5, 9}
    assert sum(len(rows) for rows in written(tmp_path).values()) in {5, 9}


async def test_what_cannot_be_read_leaves_as_it_lies_and_holds_up_nothing(
    archive: PostgresArchive, tmp_path: Path
) -> None:
    odd = decision(5, b"[]", MIDNIGHT + 5, request=b"GET\0/x\0h\0u")
    await archive.take(stretch([odd], [b"[]"], end=2000))
    assert await archive.forget(all_before(1)) == 9
    (row,) = [row for row in written(tmp_path)[f"decisions-{DATES[0]}"] if row["id"] == text_of(odd.id)]
    raw = orjson.loads(row["document"])
    assert bytes.fromhex(raw["request"]) == odd.request
    assert "does not know the format" in raw["unreadable"]


def test_an_export_without_its_library_is_refused_when_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="`pyarrow` is missing"):
        PostgresArchive("postgresql:///x", export=tmp_path)
