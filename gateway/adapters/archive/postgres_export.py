"""What is about to be forgotten, written as Parquet: one file a day, complete and on the disk before anything goes."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.adapters.archive.postgres_schema import Connection, day_start
from gateway.adapters.archive.postgres_search import document_of, row_of
from gateway.adapters.sinks import columns
from gateway.core.decision import instant_text
from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.core.keeping import Keep

_AT_ONCE: Final = 2000
_LARGEST: Final = 1 << 20
"""Rows of a group, and bytes of documents: what is held in memory of a day."""
_DAY_S: Final = 86_400
_OF_DAY: Final = """
    SELECT d.*, r.document FROM decisions d CROSS JOIN LATERAL (
        SELECT document, kind FROM rulings WHERE number = d.ruling OFFSET 0
    ) AS r
    WHERE d.id >= $1 AND d.id < $2 AND ($3::integer[] IS NULL OR r.kind = ANY($3)) ORDER BY d.id
"""


class DayExport:
    """Writes days to a folder: `decisions-2026-11-21.parquet`, its columns those of `sinks.columns.Row`.

    Where only some classes of a day are forgotten, the name says which: `decisions-2026-11-21-rest.parquet`. A file
    that is there is never written over: what came late to a day that went before gets a number.
    """

    def __init__(self, folder: Path) -> None:
        """Raise ConfigError where pyarrow is not installed."""
        self._folder = folder
        self._name = ""
        try:
            self._arrow, self._files = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError:
            raise ConfigError(
                f"export {folder}: `pyarrow` is missing; the extra has it: pip install 'geofence-gateway[object-store]'"
            ) from None

    async def write(
        self, connection: Connection, day: int, keeps: Sequence[Keep] = (), kinds: Sequence[int] | None = None
    ) -> int:
        """Write a day, or the classes of it that these kinds are; return how many decisions. Raise StoreUnavailable.

        The file is on the disk then, but not under its name: that is for `keep`.
        """
        date = datetime.fromtimestamp(day * _DAY_S, UTC).date()
        self._name = "-".join(["decisions", str(date), *keeps])
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                cursor = connection.cursor(_OF_DAY, day_start(day), day_start(day + 1), kinds, prefetch=_AT_ONCE)
                return await self._write(cursor)
        except (OSError, ValueError, self._arrow.ArrowException) as fault:
            raise StoreUnavailable(f"export of {date} to {self._folder}: {fault}; nothing of it was removed") from fault

    async def keep(self) -> None:
        """Give what was written last its name. Raise StoreUnavailable."""
        try:
            await asyncio.to_thread(self._keep)
        except OSError as fault:
            raise StoreUnavailable(f"export {self._folder}: {fault}; nothing of it was removed") from fault

    async def _write(self, rows: AsyncIterator[Any]) -> int:
        schema = columns.parquet_schema(self._arrow)
        written = 0
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with self._files.ParquetWriter(file, schema, compression="zstd") as writer:
                async for group in _groups(rows):
                    written += len(group)
                    table = self._arrow.Table.from_pylist([row._asdict() for row in group], schema=schema)
                    await asyncio.to_thread(writer.write_table, table)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        if not written:
            self._part.unlink()
        return written

    @property
    def _part(self) -> Path:
        return self._folder / f".{self._name}.part"

    def _keep(self) -> None:
        number = 1
        while (name := self._folder / f"{self._name}{f'.{number}' if number > 1 else ''}.parquet").exists():
            number += 1
        self._part.rename(name)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


async def _groups(rows: AsyncIterator[Any]) -> AsyncIterator[list[columns.Row]]:
    """Yield rows as Parquet has them, no more at once than fit in little memory."""
    group: list[columns.Row] = []
    size = 0
    async for row in rows:
        group.append(_exported(row))
        size += len(group[-1].document)
        if len(group) >= _AT_ONCE or size >= _LARGEST:
            yield group
            group, size = [], 0
    if group:
        yield group


def _exported(row: Any) -> columns.Row:  # noqa: ANN401 - asyncpg's record
    try:
        return columns.row_of(document_of(row_of(row), row["document"]))
    except StoreUnavailable as fault:
        # Something else wrote it, or it is damaged: it leaves as it lies here, and holds up nothing.
        at = min(max(row["at"], -62_135_596_800_000_000), 253_402_300_799_999_999)
        raw = {
            "id": str(row["id"]),
            "at": instant_text(at),
            "request": row["request"].hex(),
            "ruling": row["document"].hex(),
            "unreadable": str(fault),
        }
        return columns.Row(
            *(raw["id"], at, "", "", None, (), None, None, None, None, "", 0, "", "", ""),
            took_us=row["took_us"] & 0xFFFF_FFFF,
            document=orjson.dumps(raw).decode(),
        )
