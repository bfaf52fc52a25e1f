"""Erasing in PostgreSQL: what one transaction cannot do goes on in the next, and what was erased stays so."""

import random
from collections.abc import AsyncIterator

import pytest
from typing_extensions import override

from gateway.adapters.archive import postgres_erasing
from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.core.errors import StoreUnavailable
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import Search
from gateway.ports import Erasing
from tests.contract.stretches import AT, decision, ruling, stretch, text_of
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

HOUR = 3_600_000_000
KEY = Pseudonyms(b"k" * 32)


@pytest.fixture
async def archive(postgres_database: str) -> AsyncIterator[PostgresArchive]:
    archive = PostgresArchive(postgres_database)
    await archive.start()
    yield archive
    await archive.close()


async def filled(archive: PostgresArchive) -> MemoryArchive:
    """Give both archives two days of what three customers did from two addresses."""
    memory, draw = MemoryArchive(), random.Random(8)
    documents = [
        ruling(account=account, address=address, operation=operation)
        for account in ("alice", "bob", None)
        for address in ("81.20.30.40", "2001:db8::7")
        for operation in ("view", "withdraw", None)
    ]
    made = [decision(n, draw.choice(documents), AT + n * HOUR // 8) for n in range(400)]
    for one in (archive, memory):
        assert await one.take(stretch(made, documents)) == 400
    return memory


async def texts(archive: PostgresArchive) -> str:
    """Return everything that rows hold."""
    assert archive._pool is not None
    found = await archive._pool.fetch("SELECT d::text AS one FROM decisions d UNION ALL SELECT r::text FROM rulings r")
    documents = (await archive.search(Search(), limit=1000)).documents
    return "".join(row["one"] for row in found) + repr(documents)


@pytest.mark.parametrize(("rulings", "decisions", "walked"), [(500, 5000, 10_000), (3, 7, 5), (1, 1, 1)])
@pytest.mark.parametrize(
    "erasing",
    [Erasing(account="alice"), Erasing(address="2001:db8::7"), Erasing(before=AT + 20 * HOUR + 1), Erasing(before=0)],
)
async def test_however_small_the_steps_the_same_is_erased(
    archive: PostgresArchive,
    monkeypatch: pytest.MonkeyPatch,
    erasing: Erasing,
    rulings: int,
    decisions: int,
    walked: int,
) -> None:
    memory = await filled(archive)
    for name, value in (("_RULINGS", rulings), ("_DECISIONS", decisions), ("_WALKED", walked)):
        monkeypatch.setattr(postgres_erasing, name, value)
    for expected in (True, False):
        changed = await archive.erase(erasing, KEY)
        assert changed == await memory.erase(erasing, KEY)
        assert bool(changed) == (expected and erasing.before != 0)
        for search in (
            Search(),
            KEY.of_search(Search(account="alice")),
            Search(account="alice"),
            Search(outcome="deny"),
        ):
            found = await archive.search(search, limit=1000)
            assert found == await memory.search(search, limit=1000)
            assert len(found.documents) or search.account
    if erasing.account:
        assert "alice" not in await texts(archive)
        assert (await archive.search(KEY.of_search(Search(account="alice")))).documents


async def test_erasing_that_is_cut_short_is_done_by_the_next(
    archive: PostgresArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = await filled(archive)
    monkeypatch.setattr(postgres_erasing, "_RULINGS", 2)
    left = 8

    class Failing(Pseudonyms):
        @override
        def of_ruling(self, document: bytes) -> bytes:
            nonlocal left
            left -= 1
            if not left:
                raise OSError("the key went away")
            return super().of_ruling(document)

    with pytest.raises(StoreUnavailable, match="could not erase: the key went away"):
        await archive.erase(Erasing(account="bob"), Failing(b"k" * 32))
    rest = await archive.erase(Erasing(account="bob"), KEY)
    assert 0 < rest < await memory.erase(Erasing(account="bob"), KEY)
    assert await archive.search(Search(), limit=1000) == await memory.search(Search(), limit=1000)


async def test_what_cannot_be_read_is_erased_whole(archive: PostgresArchive) -> None:
    document, odd = ruling(), b"alice was here"
    made = [decision(1, document), decision(2, odd)]
    await archive.take(stretch(made, [document, odd]))
    pool = archive._pool
    assert pool is not None
    await pool.execute("UPDATE rulings SET document = '\\x01ff' WHERE terms <> '{}'")
    assert await archive.erase(Erasing(before=AT + HOUR), KEY) == 2
    assert await archive.erase(Erasing(before=AT + HOUR), KEY) == 0
    assert (await pool.fetchval("SELECT count(*) FROM rulings WHERE erased")) == 1
    for one in made:
        with pytest.raises(StoreUnavailable, match="does not know the format"):
            await archive.find(text_of(one.id))
