"""Counting by rule in PostgreSQL, where several count the same rules at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.adapters.archive.documents import read_ruling
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.postgres_rules import Rule, rules_of
from gateway.core.errors import StoreUnavailable
from gateway.ports import RuleCount
from tests.contract.stretches import AT, BUNDLES, decision, ruling, stretch
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

HOUR = 3_600_000_000
START = AT - AT % HOUR


@pytest.fixture
async def archive(postgres_database: str) -> AsyncIterator[PostgresArchive]:
    archive = PostgresArchive(postgres_database)
    await archive.start()
    yield archive
    await archive.close()


async def test_those_that_count_the_same_new_rules_at_once_lose_nothing(archive: PostgresArchive) -> None:
    names = [f"p/{n:02}" for n in range(30)]

    async def take(taker: int) -> None:
        # Each in an order of its own: they must not wait for each other in a circle.
        order = names[taker:] + names[:taker]
        documents = [ruling(account=f"u{taker}", rules=[name, "all/all"]) for name in order]
        for part in range(3):
            made = [
                decision(taker * 1000 + part * 100 + n, document, START + (n + part) % 2 * HOUR + n)
                for n, document in enumerate(documents)
            ]
            await archive.take(stretch(made, documents, worker=f"w{taker}", end=part + 1))

    await asyncio.gather(*(take(taker) for taker in range(8)))
    found = await archive.rule_counts(START, START + 2 * HOUR)
    assert sum(one.decisions for one in found if one.rule == "all/all") == 8 * 3 * 30
    by_name = {name: sum(one.decisions for one in found if one.rule == name) for name in names}
    assert by_name == dict.fromkeys(names, 8 * 3)
    assert {one.start for one in found} == {START, START + HOUR}


async def test_a_stretch_that_is_given_up_leaves_no_rule_counted(archive: PostgresArchive) -> None:
    document = ruling(rules=["us/closed"])
    pool = archive._pool
    assert pool is not None
    # What comes after counting by rule fails, once.
    await pool.execute("ALTER TABLE progress RENAME TO gone")
    one = stretch([decision(1, document, START)], [document])
    with pytest.raises(StoreUnavailable, match="progress"):
        await archive.take(one)
    await pool.execute("ALTER TABLE gone RENAME TO progress")
    assert await archive.rule_counts(0, 1 << 60) == []
    assert await archive.take(one) == 1
    assert await archive.rule_counts(0, 1 << 60) == [RuleCount(START, "us/closed", BUNDLES[0], 1)]


def test_only_refusals_have_rules_to_be_counted_by() -> None:
    assert rules_of(read_ruling(ruling(rules=["a/b", "a/a", "a/b"]))) == (
        Rule("a/a", BUNDLES[0]),
        Rule("a/b", BUNDLES[0]),
    )
    for outcome in ("allow", "challenge", "nobody knows"):
        assert rules_of(read_ruling(ruling(outcome=outcome))) == ()
    assert rules_of(read_ruling(b"{}")) == ()
    assert rules_of(read_ruling(ruling(bundle="x\0y", rules=["a/\0"]))) == (Rule("a/\ufffd", "x\ufffdy"),)
