"""The archive in PostgreSQL, when the server goes away, hangs, is killed, or wants a password."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.archive.postgres import PostgresArchive
from gateway.core.errors import SearchError, StoreUnavailable
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import Search
from gateway.ports import Archive, Erasing, Stretch
from tests.contract.stretches import decision, ruling, stretch, text_of
from tests.postgres_server import PostgresServer, fresh_database, postgres, postgres_database, running

__all__ = ["postgres", "postgres_database"]

DOCUMENTS = [ruling(account=f"u{n}") for n in range(50)]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of the test's own, that keeps what it said it would."""
    with running(durable=True) as one:
        yield one


def pieces(number: int, size: int) -> list[Stretch]:
    return [
        stretch(
            [decision(part * size + n, DOCUMENTS[(part * 3 + n) % 50]) for n in range(size)],
            DOCUMENTS,
            segment=part // 8,
            start=part % 8 * 100,
            end=part % 8 * 100 + 100,
        )
        for part in range(number)
    ]


async def test_a_server_that_is_killed_while_it_takes_has_everything_once(server: PostgresServer) -> None:
    archive: Archive = PostgresArchive(server.url(), take_within_s=20)
    await archive.start()
    work = pieces(40, 500)
    draw = random.Random(3)
    done = asyncio.Event()
    failures = 0

    async def ship() -> None:
        """Take piece after piece, each until it is said to be there, as shipping does: from where the store is."""
        nonlocal failures
        at = 0
        while at < len(work):
            try:
                reached = (await archive.taken()).get("w0", (0, 0))
                at = next((n for n, piece in enumerate(work) if (piece.segment, piece.end) > reached), len(work))
                if at < len(work):
                    await archive.take(work[at])
            except StoreUnavailable:
                failures += 1
                await asyncio.sleep(0.005)
        done.set()

    async def kill() -> None:
        for _ in range(6):
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), draw.uniform(0.005, 0.15))
            server.kill()
            await asyncio.to_thread(server.start)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ship())
        tasks.create_task(kill())
    assert failures, "no kill came while it took"
    memory = MemoryArchive()
    for piece in work:
        await memory.take(piece)
    assert await archive.taken() == await memory.taken()
    assert sum(count.decisions for count in await archive.counts(0, 1 << 62)) == 40 * 500
    cursor, seen = None, 0
    while seen == 0 or cursor is not None:
        page = await archive.search(Search(), limit=1000, cursor=cursor)
        expected = await memory.search(Search(), limit=1000, cursor=cursor)
        assert page == expected
        seen, cursor = seen + len(page.documents), page.cursor
    assert seen == 40 * 500
    await archive.close()


async def test_a_server_that_is_away_is_said_to_be_and_found_again_when_it_is_back(server: PostgresServer) -> None:
    archive = PostgresArchive(server.url())
    await archive.start()
    document = ruling()
    piece = stretch([decision(1, document)], [document])
    server.kill()
    asked: list[Callable[[], Awaitable[object]]] = [
        archive.taken,
        lambda: archive.search(Search()),
        lambda: archive.take(piece),
        lambda: archive.find(text_of(bytes(16))),
        lambda: archive.counts(0, 1),
        lambda: archive.forget({}),
        lambda: archive.erase(Erasing(before=0), Pseudonyms(bytes(32))),
        lambda: archive.forget_workers([]),
    ]
    for ask in asked:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"^archive at .*: could not "):
            await ask()
        assert time.monotonic() - began < 5
    server.start()
    assert await archive.take(piece) == 1
    assert len((await archive.search(Search())).documents) == 1
    await archive.close()


async def test_a_server_that_hangs_is_waited_for_no_longer_than_was_said(server: PostgresServer) -> None:
    archive = PostgresArchive(server.url(), connections=1, read_within_s=0.3)
    await archive.start()
    assert await archive.taken() == {}
    backends = _children(server)
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"within 0\.3 s|could not"):
                await archive.taken()
        assert time.monotonic() - began < 5
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
    for _ in range(100):
        with suppress(StoreUnavailable):
            assert await archive.taken() == {}
            break
    else:
        pytest.fail("it did not come back")
    await archive.close()


def _children(server: PostgresServer) -> list[int]:
    assert server._process is not None
    pid = server._process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [pid, *map(int, children.split())]


async def test_nobody_at_the_address_is_said_within_a_moment_and_without_the_password(tmp_path: Path) -> None:
    began = time.monotonic()
    for url in (f"postgresql://ann:hunter2@/db?host={tmp_path}", "postgresql://ann:hunter2@127.0.0.1:1/db"):
        archive = PostgresArchive(url)
        with pytest.raises(StoreUnavailable, match=r"^archive at .*/db: could not start: ") as fault:
            await archive.start()
        assert "hunter2" not in f"{fault.value} {archive!r}"
        with pytest.raises(StoreUnavailable, match="it is not started"):
            await archive.taken()
        await archive.close()
    assert time.monotonic() - began < 5


async def test_the_password_comes_from_its_file_each_time_it_is_needed(server: PostgresServer, tmp_path: Path) -> None:
    archive = PostgresArchive(server.url())
    await archive.start()
    assert archive._pool is not None
    await archive._pool.execute("CREATE ROLE keeper LOGIN PASSWORD 'first'")
    await archive._pool.execute("GRANT CREATE ON DATABASE postgres TO keeper")
    await archive.close()
    server.kill()
    server.demand_password("keeper")
    server.start()
    file = tmp_path / "password"
    file.write_text("first\n")
    keeper = PostgresArchive(server.url().replace("postgres@", "keeper@"), password_file=file, schema="kept")
    await keeper.start()
    assert await keeper.taken() == {}
    file.write_text("second")
    assert keeper._pool is not None
    await keeper._pool.execute("ALTER ROLE keeper PASSWORD 'second'")
    await keeper._pool.expire_connections()
    assert await keeper.taken() == {}
    file.write_text("wrong")
    await keeper._pool.expire_connections()
    with pytest.raises(StoreUnavailable, match="password authentication failed") as fault:
        await keeper.taken()
    assert "wrong" not in str(fault.value)
    file.unlink()
    with pytest.raises(StoreUnavailable, match="No such file"):
        await keeper.taken()
    await keeper.close()


async def test_no_more_connections_are_made_than_were_said(postgres: str) -> None:
    async with fresh_database(postgres) as url:
        archive = PostgresArchive(url, connections=2)
        await archive.start()
        await asyncio.gather(*(archive.search(Search()) for _ in range(20)))
        assert archive._pool is not None
        there = await archive._pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
        )
        assert there <= 2
        await archive.close()


async def test_questions_that_are_none_are_refused(postgres_database: str) -> None:
    archive = PostgresArchive(postgres_database)
    await archive.start()
    with pytest.raises(SearchError, match="cursor"):
        await archive.search(Search(), cursor="!")
    assert await archive.find("not an id") is None
    assert await archive.find(text_of(bytes(16))) is None
    document = ruling()
    piece = stretch([decision(n, document) for n in range(3)], [document])
    with pytest.raises(StoreUnavailable, match="a ruling that the stretch does not bring"):
        await archive.take(piece._replace(rulings={}))
    await archive.take(piece)
    assert len((await archive.search(Search(), limit=-4)).documents) == 1
    assert len((await archive.search(Search(), limit=10**9)).documents) == 3
    await archive.close()
