"""How much a search of the archive in PostgreSQL reads, whatever the planner knows of the tables."""

import json
import random
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from typing import Any, Final

import pytest

from gateway.adapters.archive import postgres_search
from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.postgres_search import search_page
from gateway.core.search import Search
from gateway.ports import RecordedDecision
from tests.contract.stretches import AT, decision, ruling, stretch
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

EPOCHS: Final = 40
"""Quarters of an hour, ten hours of one day."""
EPOCH_US: Final = 900_000_000
RULINGS: Final = 100
DECISIONS: Final = 400
"""In each epoch."""
COMMON: Final = "us-exit/us-closed"
RARE: Final = "risk/travel"
GLANCE: Final = 200
WINDOW: Final = 250


def epoch_of_traffic(number: int) -> tuple[list[RecordedDecision], list[bytes]]:
    """Return what was decided in a quarter of an hour."""
    draw = random.Random(number)
    documents = [
        ruling(
            account=f"c{number * RULINGS + n}",
            address=f"81.{n % 7}.{number}.{n}",
            country=draw.choice(["PT", "DE", "FR"]),
            asn=64_500 + n % 5,
            operation=draw.choice(["view", "view", "view", "withdraw"]),
            outcome="deny" if n % 10 == 0 else "allow",
            reason="jurisdiction-blocked" if n % 10 == 0 else None,
            rules=[RARE] if number < 2 and n == 1 else [COMMON] if n % 10 == 0 else [],
            ticket=f"T-{n}" if n % 10 == 0 else None,
        )
        for n in range(RULINGS)
    ]
    begin = AT - AT % EPOCH_US + number * EPOCH_US
    made = [
        decision(number * DECISIONS + n, draw.choice(documents), begin + n * EPOCH_US // DECISIONS // 1000 * 1000)
        for n in range(DECISIONS)
    ]
    return made, documents


async def fill(archive: PostgresArchive, first: int, last: int) -> None:
    parts = [epoch_of_traffic(number) for number in range(first, last)]
    made = [one for decisions, _ in parts for one in decisions]
    documents = [one for _, some in parts for one in some]
    assert await archive.take(stretch(made, documents, segment=last)) == len(made)


async def say(archive: PostgresArchive, statement: str) -> None:
    async with archive._reading("prepare a test") as connection:
        await connection.execute(statement)


@pytest.fixture(params=["never", "long ago", "just now"])
async def archive(
    request: pytest.FixtureRequest, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostgresArchive]:
    """An archive of ten hours, whose tables were analysed then."""
    for name, value in {"_GLANCE": GLANCE, "_WINDOW": WINDOW, "_LONGEST_WINDOW": 4 * WINDOW}.items():
        monkeypatch.setattr(postgres_search, name, value)
    opened = PostgresArchive(postgres_database)
    await opened.start()
    await say(opened, "ALTER TABLE rulings SET (autovacuum_enabled = off)")
    await fill(opened, 0, 4)
    if request.param == "long ago":
        await say(opened, "ANALYZE")
    await fill(opened, 4, EPOCHS)
    if request.param == "just now":
        await say(opened, "ANALYZE")
    yield opened
    await opened.close()


class Reading:
    """A connection that notes, of each statement, how many rows of decisions and of rulings it reads."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.decisions: list[float] = []
        self.rulings: list[float] = []
        self.sorted: list[float] = []

    async def execute(self, statement: str) -> None:
        await self._connection.execute(statement)

    async def fetch(self, statement: str, *values: object) -> Any:
        await self._look(statement, values)
        return await self._connection.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: object) -> Any:
        await self._look(statement, values)
        return await self._connection.fetchrow(statement, *values)

    async def fetchval(self, statement: str, *values: object) -> Any:
        await self._look(statement, values)
        return await self._connection.fetchval(statement, *values)

    async def _look(self, statement: str, values: tuple[object, ...]) -> None:
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
        (plan,) = json.loads(await self._connection.fetchval(explain, *values))
        nodes = list(nodes_of(plan["Plan"]))
        for rows, table in ((self.decisions, "decisions"), (self.rulings, "rulings")):
            rows.append(sum(rows_read(node) for node in nodes if table in index_or_table(node)))
        self.sorted += [node["Actual Rows"] * node["Actual Loops"] for node in nodes if node["Node Type"] == "Sort"]


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes_of(below)


def index_or_table(node: dict[str, Any]) -> str:
    return str(node.get("Index Name") or node.get("Relation Name") or "")


def rows_read(node: dict[str, Any]) -> float:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])


async def read_by(archive: PostgresArchive, search: Search) -> Reading:
    async with (
        archive._reading("search") as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        reading = Reading(connection)
        await search_page(reading, search, 50, None)
        return reading


WIDE = [
    Search(),
    Search(asn=64_501),
    Search(asn=64_999),
    Search(operation="withdraw"),
    Search(outcome="deny"),
    Search(country="PT", outcome="deny"),
    Search(rule=RARE),
    Search(rule=COMMON, outcome="allow"),
    Search(address=ip_network("81.0.0.0/12")),
    Search(until=AT + EPOCHS * EPOCH_US // 2, rule=COMMON),
]
NARROW = [
    Search(account="c105"),
    Search(account="c105", operation="view"),
    Search(account="c105", country="PT"),
    Search(address=ip_network("81.3.30.3/32")),
    Search(address=ip_network("81.3.30.0/28"), outcome="allow"),
    Search(account="c3990", until=AT + EPOCHS * EPOCH_US // 2),
]


async def test_a_search_reads_no_more_than_it_may(archive: PostgresArchive) -> None:
    for search in WIDE:
        reading = await read_by(archive, search)
        # The walk reads as many as it is told to, look-ups read fewer. The day has 16,000.
        assert 0 < max(reading.decisions) <= 4 * GLANCE + 51, search
        assert max(reading.sorted, default=0) <= 4 * WINDOW, search
    for search in NARROW:
        reading = await read_by(archive, search)
        # Those that fit, by the index and then in the table, and their documents. All of them are four thousand.
        assert max(reading.rulings) <= 20, search
        assert max(reading.decisions) <= 60, search


@pytest.mark.parametrize("archive", ["never"], indirect=True)
async def test_no_order_of_conditions_changes_what_is_found(archive: PostgresArchive) -> None:
    memory = MemoryArchive()
    for number in range(EPOCHS):
        made, documents = epoch_of_traffic(number)
        await memory.take(stretch(made, documents, segment=number))
    conditions: list[dict[str, Any]] = [
        {},
        {"account": "c105"},
        {"account": "c3990"},
        {"ticket": "T-30"},
        {"address": ip_network("81.3.30.0/24")},
        {"address": ip_network("81.0.0.0/9")},
        {"country": "PT"},
        {"asn": 64_501},
        {"asn": 64_500},
        {"operation": "withdraw"},
        {"outcome": "allow"},
        {"outcome": "deny"},
        {"rule": COMMON},
        {"rule": RARE},
        {"since": AT + 3 * EPOCH_US},
        {"until": AT + 30 * EPOCH_US + 1},
        {"since": AT + 7 * EPOCH_US + 5, "until": AT + 9 * EPOCH_US},
    ]
    draw = random.Random(3)
    found = 0
    for _ in range(40):
        search = Search(**{name: value for one in draw.sample(conditions, 3) for name, value in one.items()})
        expected = await memory.search(search, limit=20)
        assert await archive.search(search, limit=20) == expected, search
        found += len(expected.documents)
        if expected.cursor is not None:
            further = await memory.search(search, limit=20, cursor=expected.cursor)
            assert await archive.search(search, limit=20, cursor=expected.cursor) == further, search
    assert found > 100
