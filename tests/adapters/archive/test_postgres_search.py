"""Searches of the archive in PostgreSQL, compared with what looking at everything finds."""

import random
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest

from gateway.adapters.archive import postgres_search
from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.postgres_schema import EPOCH_MS
from gateway.adapters.archive.postgres_search import search_page
from gateway.core.errors import StoreUnavailable
from gateway.core.search import Search
from tests.contract.stretches import AT, BUNDLES, decision, ruling, stretch, text_of
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

DAY = 86_400_000_000
RULES = ("us-exit/us-closed", "base/customers", "risk/travel")


@pytest.fixture
async def archive(postgres_database: str) -> AsyncIterator[PostgresArchive]:
    archive = PostgresArchive(postgres_database)
    await archive.start()
    yield archive
    await archive.close()


@pytest.fixture
async def both(archive: PostgresArchive) -> tuple[PostgresArchive, MemoryArchive]:
    """Two archives with the same decisions of four days, in hours that differ in what they have."""
    memory = MemoryArchive()
    draw = random.Random(7)
    documents = [
        ruling(
            account=draw.choice([None, "alice", "bob", f"u{n}"]),
            address=draw.choice([None, "81.20.30.40", f"81.20.{n % 3}.{n}", "2001:db8::7"]),
            country=draw.choice([None, "PT", "US", ["CA", "US"]]),
            asn=draw.choice([None, 64500, [64500, 64501], n]),
            operation=draw.choice([None, "withdraw", "view"]),
            outcome=draw.choice(["allow", "deny"]),
            reason=draw.choice([None, "jurisdiction-blocked", "sanctioned-country"]),
            rules=draw.sample(RULES, draw.randrange(3)),
            bundle=BUNDLES[n % 2],
        )
        for n in range(60)
    ]
    for part in range(8):
        decisions = [
            decision(part * 1000 + n, document, AT + (part // 2) * DAY + draw.randrange(DAY // 2000) * 1000)
            for n in range(100)
            for document in [draw.choice(documents[part * 6 : part * 6 + 18])]
        ]
        piece = stretch(decisions, documents, segment=part)
        assert await archive.take(piece) == await memory.take(piece) == 100
    return archive, memory


def searches() -> list[Search]:
    conditions: list[dict[str, Any]] = [
        {},
        {"account": "alice"},
        {"account": "u7"},
        {"account": "nobody"},
        {"address": ip_network("81.20.30.40/32")},
        {"address": ip_network("81.20.0.0/16")},
        {"address": ip_network("2001:db8::/32")},
        {"address": ip_network("::/0")},
        {"country": "PT"},
        {"country": "CA"},
        {"country": "DE"},
        {"asn": 64501},
        {"asn": 64500},
        {"operation": "withdraw"},
        {"operation": "ambiguous"},
        {"operation": "login"},
        {"outcome": "deny"},
        {"reason": "sanctioned-country"},
        {"reason": "ambiguous-request"},
        {"rule": RULES[0]},
        {"rule": "base/none"},
        {"bundle": BUNDLES[0][:6]},
        {"bundle": "ab12cdff"},
        {"since": AT + DAY},
        {"until": AT + 2 * DAY},
        {"since": AT + DAY // 3 + 1, "until": AT + 2 * DAY + 77_001},
        {"since": AT + 2 * DAY, "until": AT + DAY},
        {"since": AT - 900 * DAY, "until": AT - 800 * DAY},
    ]
    draw = random.Random(11)
    pairs = [{**draw.choice(conditions), **draw.choice(conditions)} for _ in range(25)]
    return [Search(**one) for one in conditions + pairs]


async def agree(archive: PostgresArchive, memory: MemoryArchive, limit: int) -> int:
    """Go through every page of every search; return how many decisions were found in all."""
    found = 0
    for search in searches():
        cursor = None
        while True:
            expected = await memory.search(search, limit=limit, cursor=cursor)
            page = await archive.search(search, limit=limit, cursor=cursor)
            assert [one["id"] for one in page.documents] == [one["id"] for one in expected.documents], search
            assert page == expected, search
            found += len(page.documents)
            cursor = page.cursor
            if cursor is None:
                break
    return found


@pytest.mark.parametrize(
    ("glance", "window", "rulings", "at_once"),
    [(1500, 4000, 2000, 64), (30, 3, 4, 3), (1, 7, 1000, 2), (100, 1, 0, 1), (20, 30, 3, 64)],
)
async def test_every_way_of_searching_finds_what_looking_at_everything_finds(
    both: tuple[PostgresArchive, MemoryArchive],
    monkeypatch: pytest.MonkeyPatch,
    glance: int,
    window: int,
    rulings: int,
    at_once: int,
) -> None:
    names = ("_GLANCE", "_WINDOW", "_LONGEST_WINDOW", "_RULINGS", "_AT_ONCE")
    for name, value in zip(names, (glance, window, window * 16, rulings, at_once), strict=True):
        monkeypatch.setattr(postgres_search, name, value)
    assert await agree(*both, limit=201) > 4000


async def test_clocks_that_were_off_hide_nothing(both: tuple[PostgresArchive, MemoryArchive]) -> None:
    archive, memory = both
    document = ruling()
    odd = [
        decision(9001, document, AT + DAY, id=decision(1, document, AT - 40 * DAY).id),
        decision(9002, document, AT - 3 * DAY, id=decision(2, document, AT + 9 * DAY).id),
        decision(9003, document, -5),
        decision(9004, document, AT, id=bytes(16)),
        decision(9005, document, AT + DAY, id=b"\xfe" * 16),
        decision(9006, document, AT + 60 * 366 * DAY),
        decision(9007, document, AT + 300 * 366 * DAY),
    ]
    piece = stretch(odd, [document], segment=99)
    assert await archive.take(piece) == await memory.take(piece) == len(odd)
    assert await agree(archive, memory, limit=201) > 4000
    for one in odd:
        text = str(one.id.hex())
        assert await archive.find(text) == await memory.find(text) is not None


async def test_a_decision_whose_ruling_is_damaged_is_named(archive: PostgresArchive) -> None:
    document = ruling()
    await archive.take(stretch([decision(1, document)], [document]))
    pool = archive._pool
    assert pool is not None
    await pool.execute("UPDATE rulings SET document = '\\x01ff'")
    with pytest.raises(StoreUnavailable, match=r"decision [0-9a-f-]{36}: a ruling is damaged"):
        await archive.search(Search())


async def test_nothing_is_looked_for_before_the_first_decision_that_fits(
    archive: PostgresArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_search, "_GLANCE", 1)
    early, late = ruling(outcome="allow", reason=None), ruling()
    made = [decision(1, early, AT), decision(2, early, AT + DAY), decision(3, late, AT + 3 * DAY)]
    await archive.take(stretch(made, [early, late]))
    page = await archive.search(Search(outcome="deny"))
    assert [one["id"] for one in page.documents] == [text_of(made[2].id)]


class Explained:
    """A connection that notes how the statement that ends a window is planned, where and as it is sent."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.plans: list[str] = []
        self.sorted: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetchval(self, query: str, *values: object) -> Any:
        self.plans.append(await self._plan(query, *values))
        await self._connection.execute("SET LOCAL enable_sort = on")
        self.sorted.append(await self._plan(query, *values))
        await self._connection.execute("SET LOCAL enable_sort = off")
        return await self._connection.fetchval(query, *values)

    async def _plan(self, query: str, *values: object) -> str:
        return "\n".join(row[0] for row in await self._connection.fetch(f"EXPLAIN {query}", *values))


async def test_where_a_window_ends_is_read_from_the_index_though_there_are_no_statistics(
    archive: PostgresArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert archive._pool is not None
    # More decisions than are glanced at, and more rulings than a window has.
    monkeypatch.setattr(postgres_search, "_GLANCE", 1)
    monkeypatch.setattr(postgres_search, "_WINDOW", 2000)
    document = ruling(rules=(), outcome="allow", reason=None)
    epoch = AT // 1000 // EPOCH_MS
    await archive.take(stretch([decision(n, document, AT + 3 * DAY + n) for n in range(3)], [document]))
    async with archive._pool.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE rulings SET (autovacuum_enabled = off)")
        await connection.execute(
            """
            INSERT INTO rulings (epoch, kind, erased, digest, terms, document)
            SELECT $1 + n / 50, 1, false, decode(md5(n::text), 'hex'), '{}', '' FROM generate_series(1, 3000) AS n
            """,
            epoch,
        )
        explained = Explained(connection)
        page = await search_page(explained, Search(rule=RULES[0]), 50, None)
    assert page.documents == ()
    assert explained.plans
    assert "Sort" in explained.sorted[0], "else this shows nothing: a plan that sorts them all must be tempting"
    assert "Sort" not in explained.plans[0]
    assert "Index Only Scan Backward using rulings_epoch_digest_key" in explained.plans[0]
