"""Taking stretches into PostgreSQL: whatever comes twice, at once, or oddly."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.archive.postgres_schema import EPOCH_MS
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import Search
from gateway.ports import Erasing, Stretch
from tests.contract.stretches import AT, decision, ruling, stretch, text_of
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

HOUR = 3_600_000_000


@pytest.fixture
async def archive(postgres_database: str) -> AsyncIterator[PostgresArchive]:
    archive = PostgresArchive(postgres_database)
    await archive.start()
    yield archive
    await archive.close()


async def rows(archive: PostgresArchive, query: str) -> list[tuple[Any, ...]]:
    assert archive._pool is not None
    return [tuple(row) for row in await archive._pool.fetch(query)]


async def total(archive: PostgresArchive) -> int:
    return sum(count.decisions for count in await archive.counts(-(1 << 62), 1 << 62))


async def test_a_stretch_taken_again_in_parts_adds_only_what_is_new(archive: PostgresArchive) -> None:
    memory = MemoryArchive()
    document = ruling()
    made = [decision(n, document) for n in range(10)]
    for first, last, expected in ((0, 4, 4), (0, 4, 0), (2, 7, 3), (9, 10, 1), (0, 10, 2)):
        piece = stretch(made[first:last], [document], start=first * 10, end=last * 10)
        assert await archive.take(piece) == await memory.take(piece) == expected
        assert await archive.taken() == await memory.taken()
        assert await archive.counts(0, 1 << 62) == await memory.counts(0, 1 << 62)
    assert await rows(archive, "SELECT count(*) FROM decisions") == [(10,)]


async def test_a_decision_that_stands_twice_in_a_stretch_is_one(archive: PostgresArchive) -> None:
    document = ruling()
    one = decision(1, document)
    twice = stretch([one, one._replace(took_us=99), decision(2, document)], [document])
    assert await archive.take(twice) == 2
    found = await archive.find(text_of(one.id))
    assert found is not None
    assert found["took_us"] == one.took_us
    assert await total(archive) == 2


async def test_progress_never_moves_back_and_an_empty_stretch_moves_it(archive: PostgresArchive) -> None:
    for segment, end, reached in ((2, 50, (2, 50)), (2, 30, (2, 50)), (1, 900, (2, 50)), (3, 10, (3, 10))):
        assert await archive.take(stretch([], [], segment=segment, end=end)) == 0
        assert await archive.taken() == {"w0": reached}


async def test_rulings_are_kept_once_in_each_epoch(archive: PostgresArchive) -> None:
    document, other = ruling(), ruling(account="bob")
    epoch = AT // 1000 // EPOCH_MS
    begun = epoch * EPOCH_MS * 1000
    for n, at in enumerate((begun, begun + 5 * HOUR, begun + EPOCH_MS * 1000 - 1, begun)):
        piece = stretch([decision(n, document, at), decision(10 + n, other, begun)], [document, other], segment=n)
        assert await archive.take(piece) == 2
    found = await rows(archive, "SELECT epoch, count(*) FROM rulings GROUP BY epoch ORDER BY epoch")
    assert found == [(epoch, 2), (epoch + 20, 1)]


async def test_what_is_taken_again_brings_no_ruling_back(archive: PostgresArchive) -> None:
    document = ruling()
    made = [decision(n, document) for n in range(4)]
    piece = stretch(made, [document])
    assert await archive.take(piece) == 4
    assert await archive.erase(Erasing(account="alice"), Pseudonyms(bytes(32))) == 4
    for again in (piece, piece._replace(worker="other"), piece._replace(start=5000, end=6000)):
        assert await archive.take(again) == 0
    assert (await archive.search(Search(account="alice"))).documents == ()
    assert await rows(archive, "SELECT erased FROM rulings") == [(True,)]


async def test_everything_of_a_decision_comes_back(archive: PostgresArchive) -> None:
    memory = MemoryArchive()
    document, unread = ruling(account="b\x00b\ud7ff\u2028é"), ruling(operation=None)
    made = [
        decision(1, document, auth_age=None),
        decision(2, document, auth_age=(1 << 63) - 1, took_us=(1 << 32) - 1),
        decision(3, unread, request=b""),
        decision(4, unread, request=b"GET\0/\xff\0\0" + b"x" * 8000),
    ]
    piece = stretch(made, [document, unread])
    assert await archive.take(piece) == await memory.take(piece) == 4
    for one in made:
        assert await archive.find(text_of(one.id)) == await memory.find(text_of(one.id)) is not None
    found = await archive.search(Search(account="b\x00b\ud7ff\u2028é"))
    assert [one["id"] for one in found.documents] == [text_of(made[1].id), text_of(made[0].id)]


@pytest.mark.parametrize("document", [b"not json", b"[]", ruling(reason="a\x00b", bundle="\x00" * 8)])
async def test_a_ruling_that_something_else_wrote_does_not_stop_the_taking(
    archive: PostgresArchive, document: bytes
) -> None:
    good = ruling()
    assert await archive.take(stretch([decision(1, document), decision(2, good)], [document, good])) == 2
    assert await total(archive) == 2
    assert len((await archive.search(Search(account="alice", bundle="ab12cd"))).documents) == 1


async def test_several_that_take_the_same_journals_at_once_double_nothing(postgres_database: str) -> None:
    archives = [PostgresArchive(postgres_database) for _ in range(3)]
    for archive in archives:
        await archive.start()
    documents = [ruling(account=f"u{n}") for n in range(20)]

    def pieces(worker: str, base: int) -> list[Stretch]:
        return [
            stretch(
                [decision(base + part * 50 + n, documents[(part * 7 + n) % 20]) for n in range(50)],
                documents,
                worker=worker,
                start=part * 100,
                end=part * 100 + 100,
            )
            for part in range(6)
        ]

    async def take(archive: PostgresArchive, all_pieces: list[Stretch]) -> int:
        return sum([await archive.take(piece) for piece in all_pieces])

    first, second = pieces("w1", 0), pieces("w2", 1000)
    new = await asyncio.gather(*(take(archive, work) for archive in archives for work in (first, second, first[::-1])))
    assert sum(new) == 600 == await total(archives[0])
    assert await archives[1].taken() == {"w1": (1, 600), "w2": (1, 600)}
    assert await rows(archives[2], "SELECT count(*), count(DISTINCT id) FROM decisions") == [(600, 600)]
    assert await rows(archives[2], "SELECT count(*) FROM rulings") == [(20,)]
    for archive in archives:
        await archive.close()
