"""What the archive in PostgreSQL asks its indexes, and what it looks at in each ruling that they find."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.postgres_conditions import Condition, condition_of
from gateway.core.search import AddressDigest, Search
from tests.contract.stretches import BUNDLES, decision, ruling, stretch
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

ONE = ip_network("81.20.30.40/32")
MANY = ip_network("81.0.0.0/8")
DIGEST = "hmac:" + "0a" * 16


@pytest.fixture
async def archive(postgres_database: str) -> AsyncIterator[PostgresArchive]:
    """An archive with a refusal of one account from one address."""
    opened = PostgresArchive(postgres_database)
    await opened.start()
    document = ruling()
    await opened.take(stretch([decision(1, document)], [document]))
    yield opened
    await opened.close()


async def condition(archive: PostgresArchive, search: Search) -> Condition | None:
    async with archive._reading("search") as connection:
        return await condition_of(connection, search)


@pytest.mark.parametrize(
    ("search", "asked", "looked_at"),
    [
        (Search(), "", ""),
        (Search(asn=64500), "terms", ""),
        (Search(operation="withdraw"), "kind", ""),
        (Search(operation="withdraw", asn=64500, address=MANY), "kind terms address", ""),
        (Search(account="alice"), "terms", ""),
        (Search(account="alice", operation="withdraw"), "terms", "kind"),
        (Search(ticket="T-1", outcome="deny", address=MANY), "terms", "kind address"),
        (Search(address=ONE), "address", ""),
        (Search(address=ONE, country="PT"), "address", "kind terms"),
        (Search(address=AddressDigest(DIGEST), bundle=BUNDLES[0][:6]), "address", "kind"),
        (Search(address=ONE, account="alice", outcome="deny"), "terms address", "kind"),
    ],
)
async def test_where_few_rulings_can_fit_the_indexes_are_asked_for_those_alone(
    archive: PostgresArchive, search: Search, asked: str, looked_at: str
) -> None:
    found = await condition(archive, search)
    assert found is not None
    assert [part.split()[0] for part in found.parts] == [f"r.{column}" for column in asked.split()]
    assert [part.split()[0] for part in found.rest] == [f"r.{column}" for column in looked_at.split()]
    assert found.narrow == (
        search.account is not None or search.ticket is not None or search.address not in {None, MANY}
    )


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search(account="alice"), 1),
        (Search(account="alice", operation="withdraw", address=MANY, rule="us-exit/us-closed"), 1),
        (Search(account="alice", address=ip_network("82.0.0.0/8")), 0),
        (Search(account="bob", outcome="deny"), 0),
        (Search(address=ONE, asn=64501), 0),
        (Search(outcome="deny", asn=64500), 1),
    ],
)
async def test_both_ways_of_asking_find_the_same_rulings(archive: PostgresArchive, search: Search, found: int) -> None:
    async with archive._reading("search") as connection:
        asked = await condition_of(connection, search)
        assert asked is not None
        epoch = await connection.fetchval("SELECT epoch FROM rulings")
        for bounds in ((None, epoch), (epoch, epoch), (epoch - 1, epoch + 1)):
            assert len(await connection.fetch(asked.rulings_sql(), *bounds, *asked.values)) == found
        for bounds in ((None, epoch - 1), (epoch + 1, epoch + 9)):
            assert await connection.fetch(asked.rulings_sql(), *bounds, *asked.values) == []
        plain = f"SELECT FROM rulings r WHERE {asked.sql(0)}"
        assert len(await connection.fetch(plain, *asked.values)) == found


async def test_a_kind_that_was_never_decided_asks_nothing(archive: PostgresArchive) -> None:
    assert await condition(archive, Search(operation="login")) is None
    assert await condition(archive, Search(account="alice", bundle="ffffff")) is None
