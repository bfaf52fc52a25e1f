"""What is particular to PostgreSQL; the rest is in `tests/contract`, and in the tests of what a store keeps."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import asyncpg  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa

from gateway.adapters.backend import Bounds
from gateway.adapters.postgres_backend import PostgresBackend
from gateway.adapters.schema import LEASES
from gateway.adapters.sql import AccountStore
from gateway.core.account import Account
from gateway.core.errors import StoreUnavailable
from tests.postgres_server import PostgresServer, running
from tests.stores import BY, empty_database

ROW = {"name": "n", "owner": "o", "until": 1}


@pytest.fixture
async def url() -> str:
    return await empty_database()


@pytest.fixture
async def backend(url: str) -> AsyncIterator[PostgresBackend]:
    backend = PostgresBackend(url, Bounds(5, 10))
    yield backend
    await backend.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that a test may kill."""
    with running() as server:
        yield server


async def test_a_transaction_is_whole_or_not_at_all_and_readers_cannot_write(backend: PostgresBackend) -> None:
    with suppress(ZeroDivisionError):
        async with backend.writing() as connection:
            await connection.execute(sa.insert(LEASES), ROW)
            raise ZeroDivisionError
    async with backend.writing() as connection:
        await connection.execute(sa.insert(LEASES), {**ROW, "name": "kept"})
    async with backend.reading() as connection:
        assert (await connection.execute(sa.select(LEASES.c.name))).scalars().all() == ["kept"]
    with pytest.raises(backend.faults, match="read-only"):
        async with backend.reading() as connection:
            await connection.execute(sa.insert(LEASES), ROW)


async def test_one_writes_at_a_time_and_sees_what_the_one_before_wrote(url: str, backend: PostgresBackend) -> None:
    other = PostgresBackend(url, Bounds(5, 10))
    until = sa.select(LEASES.c.until)

    async def add(one: PostgresBackend) -> None:
        for _ in range(20):
            async with one.writing() as connection:
                read = (await connection.execute(until)).scalar_one()
                await asyncio.sleep(0)
                await connection.execute(sa.update(LEASES).values(until=read + 1))

    async with backend.writing() as connection:
        await connection.execute(sa.insert(LEASES), ROW)
    await asyncio.gather(*(add(one) for one in (backend, other) for _ in range(3)))
    async with backend.reading() as connection:
        assert (await connection.execute(until)).scalar_one() == 1 + 2 * 3 * 20
    await other.close()


async def test_who_stops_in_the_middle_of_a_change_keeps_the_others_waiting_for_a_bounded_time(url: str) -> None:
    stalled, other = PostgresBackend(url, Bounds(5, 0.3)), PostgresBackend(url, Bounds(5, 10))
    async with asyncio.timeout(20):
        with suppress(*stalled.faults):
            async with stalled.writing() as connection:
                await connection.execute(sa.insert(LEASES), ROW)
                async with other.writing() as second:
                    assert (await second.execute(sa.select(LEASES.c.name))).all() == []
                    await second.execute(sa.insert(LEASES), {**ROW, "name": "kept"})
    async with other.reading() as reader:
        assert (await reader.execute(sa.select(LEASES.c.name))).scalars().all() == ["kept"]
    await stalled.close()
    await other.close()


async def test_a_store_without_its_count_of_changes_is_not_written_to(url: str, backend: PostgresBackend) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("DELETE FROM gateway.generations")
    await connection.close()
    with pytest.raises(StoreUnavailable, match="count of changes is gone"):
        async with backend.writing():
            pass


async def test_a_server_that_was_killed_is_found_again_and_nothing_false_was_said(server: PostgresServer) -> None:
    store = AccountStore(server.url(), read_within_s=5, write_within_s=10, look_every_s=0.02)
    await store.start()
    await store.put("alice", **BY)
    await store.place_hold("alice", "withdraw", cause="c", **BY)
    await asyncio.to_thread(server.kill)
    for ask in (store.read("alice"), store.key_owner(b"k" * 32), store.add_flag("alice", "vip", **BY)):
        with pytest.raises(StoreUnavailable):
            await ask
    await asyncio.to_thread(server.start)
    # The connections that broke are known to have broken: the first question is answered.
    account = await store.read("alice")
    assert isinstance(account, Account)
    assert account.holds == {"withdraw"}
    assert isinstance(await store.add_flag("alice", "vip", **BY), Account)
    async with asyncio.timeout(20):
        while not store.fresh(store.clock.now()):  # noqa: ASYNC110 - the feed tells nobody
            await asyncio.sleep(0.001)
    await store.close()


async def test_a_server_that_does_not_answer_is_given_up_on_in_time_and_asked_again(server: PostgresServer) -> None:
    store = AccountStore(server.url(), read_within_s=0.2, write_within_s=0.3, look_every_s=60)
    patient = AccountStore(server.url(), read_within_s=10, write_within_s=20, look_every_s=60)
    await store.start()
    await patient.put("alice", **BY)
    with stopped(server):
        for ask in (store.read("alice"), store.read("alice"), store.add_flag("alice", "vip", **BY)):
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable, match="within 0"):
                await ask
            assert time.monotonic() - begun < 1.5
        begun = time.monotonic()
        await store.close()
        assert time.monotonic() - begun < 5
    assert isinstance(await patient.read("alice"), Account)
    assert isinstance(await patient.add_flag("alice", "vip", **BY), Account)
    await patient.close()


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    """Have every process of the server stand still."""
    main = server.pid
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(main)], capture_output=True, text=True, check=True)
    pids = [main, *map(int, listed.stdout.split())]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def test_no_fault_and_no_name_repeats_the_password() -> None:
    store = AccountStore("postgresql://gw:hunter2@127.0.0.1:1/gateway")
    assert store.name == "127.0.0.1:1/gateway"
    assert store.is_there()
    with pytest.raises(StoreUnavailable, match=r"store 127\.0\.0\.1:1/gateway: could not read") as fault:
        await store.read("alice")
    assert "hunter2" not in str(fault.value)
    with pytest.raises(StoreUnavailable) as fault:
        await store.start()
    assert "hunter2" not in str(fault.value)
    await store.close()
