"""Decisions into ClickHouse, over its HTTP interface."""

import asyncio
import re
from collections.abc import Sequence
from hashlib import sha256
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from ssl import SSLContext
from typing import Final

import orjson

from gateway.adapters.sinks.columns import row_of
from gateway.adapters.sinks.post import Poster, halved, parcels, shown, zipped
from gateway.core.decision import Document
from gateway.core.errors import ConfigError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
_ID_AT: Final = slice(7, 43)
"""Where the id stands in a line that begins with `{"id":"`."""

COLUMNS: Final = """\
    id UUID,
    at DateTime64(6, 'UTC'),
    operation LowCardinality(String),
    outcome LowCardinality(String),
    reason LowCardinality(Nullable(String)),
    rules Array(LowCardinality(String)),
    country LowCardinality(Nullable(String)),
    account Nullable(String),
    address Nullable(IPv6),
    asn Nullable(UInt32),
    bundle LowCardinality(String),
    status UInt16,
    method LowCardinality(String),
    host LowCardinality(String),
    path String,
    took_us UInt32,
    document String CODEC(ZSTD(3))"""


class ClickHouse:
    """Inserts batches; one that is repeated at once is dropped by its token, one repeated later by its ids."""

    def __init__(
        self,
        url: str,
        *,
        database: str = "default",
        table: str = "decisions",
        user: str = "default",
        password_file: Path | None = None,
        most_bytes: int = 16 << 20,
        timeout_s: float = 60,
        tls: SSLContext | None = None,
    ) -> None:
        """Build, without connecting. Raise ConfigError where it cannot work.

        Args:
            url: of the HTTP interface, such as https://HOST:8443/.
            database: where the table is.
            table: what `create_table` makes.
            user: may insert into the table.
            password_file: holds the user's password.
            most_bytes: of one insert before it is compressed.
            timeout_s: for one insert.
            tls: what to trust in place of the system's certificate authorities.
        """
        for what, name in (("database", database), ("table", table), ("user", user)):
            if not _NAME.match(name):
                raise ConfigError(f"sink {shown(url)}: {what} `{name}`: letters, digits and `_`, at most 64")
        self._table = f"{database}.{table}"
        self._most_bytes = most_bytes
        self._user = {"X-ClickHouse-User": user}
        self._poster = Poster(
            url,
            name=f"sink {shown(url)}",
            secret_file=password_file,
            authorize=lambda password: {"X-ClickHouse-Key": password},
            timeout_s=timeout_s,
            tls=tls,
        )

    def create_table(self) -> str:
        """Return the statement that makes the table.

        ReplacingMergeTree drops rows with one `(at, id)` when it merges, so a batch that came twice is one in the end;
        `SELECT … FINAL` counts it once before that, too. The window lets a table that is not replicated know tokens.
        """
        return (
            f"CREATE TABLE IF NOT EXISTS {self._table}\n(\n{COLUMNS}\n)\n"
            "ENGINE = ReplacingMergeTree\n"
            "PARTITION BY toYYYYMM(at)\n"
            "ORDER BY (at, id)\n"
            "SETTINGS non_replicated_deduplication_window = 1000"
        )

    async def prepare(self) -> None:
        """Make the table where there is none. Raise SinkUnavailable."""
        await self._poster.post(self.create_table().encode(), self._user)

    async def send(self, batch: Sequence[Document]) -> None:
        """Return once everything is inserted. Raise SinkUnavailable."""
        for parcel in await asyncio.to_thread(self._parcels, batch):
            await halved(parcel, self._insert)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    def _parcels(self, batch: Sequence[Document]) -> list[list[bytes]]:
        return list(parcels(map(line, batch), self._most_bytes))

    async def _insert(self, lines: Sequence[bytes]) -> None:
        body = await asyncio.to_thread(zipped, b"\n".join(lines) + b"\n")
        await self._poster.post(
            body,
            {**self._user, "Content-Encoding": "gzip"},
            {
                "query": f"INSERT INTO {self._table} FORMAT JSONEachRow",
                "insert_deduplication_token": sha256(b"".join(one[_ID_AT] for one in lines)).hexdigest(),
                # Answered when the rows are in the table, not in a buffer that a crash forgets.
                "async_insert": "0",
                # The answer's status is that of the whole insert.
                "wait_end_of_query": "1",
                "date_time_input_format": "best_effort",
            },
        )


def line(document: Document) -> bytes:
    """Return a decision as a line of JSONEachRow."""
    row = row_of(document)._asdict()
    row["at"] = document["at"]
    if row["address"] is not None:
        row["address"] = _as_ipv6(row["address"])
    return orjson.dumps(row)


def _as_ipv6(address: str) -> str | None:
    """Return an address as the column takes it; None for the digest of one, which the document has."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return f"::ffff:{parsed}" if isinstance(parsed, IPv4Address) else str(parsed)
