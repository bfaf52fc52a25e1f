import asyncio
import random
import sqlite3
from ipaddress import ip_network
from itertools import combinations
from typing import Any

import pytest

from gateway.adapters.archive import sqlite_candidates, sqlite_search
from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.sqlite_search import newest_ids
from gateway.adapters.archive.sqlite_taking import Taker
from gateway.core.search import Search
from gateway.ports import Stretch
from tests.contract.stretches import AT, BUNDLES, decision, ruling, stretch, text_of

MINUTE = 60_000_000
CONDITIONS: list[dict[str, Any]] = [
    {},
    {"account": "c1"},
    {"address": ip_network("81.20.30.3")},
    {"address": ip_network("81.20.30.0/29")},
    {"address": ip_network("81.20.0.0/16")},
    {"country": "PT"},
    {"country": "NU"},
    {"asn": 64502},
    {"asn": 64999},
    {"operation": "view"},
    {"rule": "old/rule"},
    {"bundle": BUNDLES[0][:8]},
    {"since": AT + 100 * MINUTE, "until": AT + 150 * MINUTE},
]


SEARCHES = [Search(**one, **other) for one, other in combinations(CONDITIONS, 2) if not set(one) & set(other)]


@pytest.fixture(scope="module")
def four_hours() -> Stretch:
    """Return decisions of four hours, of which the first has what the others lack."""
    rng = random.Random(3)
    documents, decisions = [], []
    for n in range(1000):
        old = n < 300
        countries: list[str | list[str]] = ["PT", "DE", ["PT", "US"]]
        document = ruling(
            account=f"c{rng.randrange(60)}",
            address=f"81.20.30.{rng.randrange(40)}",
            country="NU" if n in {7, 250, 700} else rng.choice(countries),
            asn=64999 if n in {9, 701} else 64500 + rng.randrange(5),
            operation="withdraw" if old else rng.choice(["view", "trade.spot"]),
            rules=["old/rule"] if old and n % 3 else [],
            bundle=BUNDLES[0] if old else BUNDLES[1],
        )
        documents.append(document)
        at = AT + n * MINUTE // 4
        decisions += [
            decision(3 * n + m, document, at + m * 5000)._replace(at=at + m * 5000 + rng.choice([0, 0, 0, -MINUTE]))
            for m in range(rng.randrange(1, 4))
        ]
    return stretch(decisions, documents)


@pytest.fixture(scope="module")
def expected(four_hours: Stretch) -> list[list[str]]:
    """Return what each search finds."""

    async def ask() -> list[list[str]]:
        model = MemoryArchive()
        await model.take(four_hours)
        pages = [await model.search(search, limit=150) for search in SEARCHES]
        return [[document["id"] for document in page.documents] for page in pages]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("walked", "gathered", "in_network", "compared"),
    [
        ((2000, 6000), 256, 10_000, 5000),
        ((5, 10), 256, 10_000, 5000),
        ((5, 10), 3, 10_000, 5000),
        ((5, 10), 3, 20, 50),
        ((1, 1), 1, 1, 1),
        ((1, 1), 10_000, 300, 300),
    ],
)
def test_every_way_to_what_is_sought_finds_the_same(
    database: sqlite3.Connection,
    monkeypatch: pytest.MonkeyPatch,
    four_hours: Stretch,
    expected: list[list[str]],
    walked: tuple[int, int],
    gathered: int,
    in_network: int,
    compared: int,
) -> None:
    Taker(database).take(four_hours)
    monkeypatch.setattr(sqlite_search, "_WALKED", walked)
    monkeypatch.setattr(sqlite_search, "_GATHERED", gathered)
    monkeypatch.setattr(sqlite_candidates, "_IN_NETWORK", in_network)
    monkeypatch.setattr(sqlite_candidates, "_COMPARED", compared)
    for search, ids in zip(SEARCHES, expected, strict=True):
        first = newest_ids(database, search, 100, None)
        rest = newest_ids(database, search, 50, first[-1]) if first else []
        assert [text_of(found) for found in first + rest] == ids, search


def test_what_was_never_recorded_is_not_looked_for(database: sqlite3.Connection, four_hours: Stretch) -> None:
    Taker(database).take(four_hours)
    asked: list[str] = []
    database.set_trace_callback(asked.append)
    assert newest_ids(database, Search(country="AQ"), 50, None) == []
    assert newest_ids(database, Search(country="PT", rule="no/rule"), 50, None) == []
    assert newest_ids(database, Search(since=AT, until=AT - 2 * MINUTE), 50, None) == []
    database.set_trace_callback(None)
    assert [statement for statement in asked if "FROM decisions" in statement] == []
