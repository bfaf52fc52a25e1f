"""What is particular to the embedded store; the rest is in `tests/contract/test_accounts.py`, on every backend."""

import asyncio
import hashlib
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.adapters.account_book import NewKey
from gateway.adapters.migration import migrate
from gateway.adapters.sql import AccountStore
from gateway.core.account import Account, Author, Refused
from gateway.core.errors import StoreUnavailable
from tests.stores import file_of

PATIENT = {"read_within_s": 10.0, "write_within_s": 10.0}
"""Deadlines that a busy machine keeps; what the deadlines do has tests of its own."""
BY = {"who": "ann", "why": "as the ticket says"}


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "gateway.db"
    migrate(path)
    return path


@pytest.fixture
def path(tmp_path: Path, empty_file: Path) -> Path:
    return Path(shutil.copy(empty_file, tmp_path / "gateway.db"))


@pytest.fixture
async def store(path: Path) -> AsyncIterator[AccountStore]:
    store = AccountStore(f"sqlite:///{path}", **PATIENT)
    await store.start()
    await store.put("alice", documents=["PT"], flags=["staff"], **BY)
    yield store
    await store.close()


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def replace(path: Path, by: Path) -> None:
    """Put a copy of another file in its place."""
    Path(shutil.copy(by, path.with_suffix(".new"))).rename(path)


def remove(path: Path) -> None:
    path.unlink()


def corrupt(path: Path) -> None:
    """Overwrite all but the first page."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(os.urandom(size - 4096))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the feed looks on a timer and tells nobody
            await asyncio.sleep(0.001)


async def everything(store: AccountStore) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "read an account": lambda: store.read("alice"),
        "list accounts": store.accounts,
        "look up a key": lambda: store.key_owner(b"k" * 32),
        "list keys": lambda: store.keys("alice"),
        "read the history": lambda: store.history("alice"),
        "change an account": lambda: store.add_flag("alice", "us-ip", **BY),
        "place a hold": lambda: store.place_hold("alice", "withdraw", cause="c", **BY),
        "add a key": lambda: store.add_key("alice", label="bot", **BY),
        "revoke a key": lambda: store.revoke_key("0" * 16, **BY),
    }


async def test_a_store_starts_from_nothing_and_finds_its_accounts_again(tmp_path: Path) -> None:
    for run in range(2):
        store = AccountStore(f"sqlite:///{tmp_path}/var/gateway.db", **PATIENT)
        await store.start()
        account = await store.create("alice", **BY) if run == 0 else await store.read("alice")
        assert isinstance(account, Account)
        await store.close()
    assert [entry.name for entry in os.scandir(tmp_path / "var")] == ["gateway.db"]


async def test_side_files_are_as_private_as_the_file(store: AccountStore, path: Path) -> None:
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in os.scandir(path.parent)}
    assert modes == dict.fromkeys(("gateway.db", "gateway.db-wal", "gateway.db-shm"), 0o600)


async def test_a_store_may_be_asked_without_being_started(path: Path) -> None:
    store = AccountStore(f"sqlite:///{path}", **PATIENT)
    await store.create("alice", **BY)
    assert isinstance(await store.read("alice"), Account)
    assert not store.fresh(store.clock.now())
    await store.close()


async def test_a_store_without_its_file_is_unavailable_and_makes_none(tmp_path: Path) -> None:
    store = AccountStore(f"sqlite:///{tmp_path}/gateway.db", **PATIENT)
    for ask in (await everything(store)).values():
        with pytest.raises(StoreUnavailable, match="No such file or directory"):
            await ask()
    await store.close()
    assert list(os.scandir(tmp_path)) == []


async def test_a_change_by_another_process_is_noticed_and_read(store: AccountStore, path: Path) -> None:
    """Stated: within 0.1 s and a look, on a machine that is not overloaded. Measured in docs/store.md."""
    script = f"""
import asyncio
from gateway.adapters.sql import AccountStore
from gateway.core.account import Author
async def main():
    store = AccountStore("sqlite:///{path}")
    await store.set_status("alice", "flagged", by=Author.SUPPORT, who="ben", why="elsewhere")
    await store.close()
asyncio.run(main())
"""
    generation = store.generation
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await other.wait() == 0
    await until(lambda: store.generation != generation)
    account = await store.read("alice")
    assert account is not None
    assert account.status == "flagged"
    assert store.fresh(store.clock.now())


async def test_a_locked_file_is_unavailable_within_the_deadline_and_available_after(path: Path) -> None:
    patient = AccountStore(f"sqlite:///{path}", **PATIENT)
    await patient.create("alice", **BY)
    await patient.close()
    store = AccountStore(f"sqlite:///{path}", read_within_s=0.05, write_within_s=0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        for what, ask in (await everything(store)).items():
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match=f"could not {what}"):
                await ask()
            assert time.monotonic() - began < 2
    await store.close()
    assert isinstance(await patient.read("alice"), Account)
    await patient.close()


async def test_a_writer_waits_for_another_and_readers_for_none(store: AccountStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE accounts SET status = 'archived'")
        writing = asyncio.ensure_future(store.add_flag("alice", "us-ip", **BY))
        account = await store.read("alice")
        assert account is not None
        assert (account.status, account.flags, writing.done()) == ("open", {"staff"}, False)
        other.execute("COMMIT")
    changed = await writing
    assert isinstance(changed, Account)
    assert (changed.status, changed.flags) == ("archived", {"staff", "us-ip"})


async def test_a_disk_that_does_not_answer_is_given_up_on_and_asked_again(
    store: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that takes longer than the deadline: SQLite itself keeps counting until we let go of it."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*) FROM n"
    monkeypatch.setattr(store, "_read_within_s", 0.02)

    async def slow(connection: object, uid: str) -> Account | None:
        await connection.exec_driver_sql(endless)
        return None

    with monkeypatch.context() as disk:
        disk.setattr(store, "_account", slow)
        with pytest.raises(StoreUnavailable, match=r"could not read an account within 0\.02 s"):
            await store.read("alice")
    monkeypatch.undo()
    assert isinstance(await store.read("alice"), Account)


async def test_more_readers_than_connections_all_get_their_answer(store: AccountStore) -> None:
    answers = await asyncio.gather(*(store.read("alice") for _ in range(50)))
    assert {account.uid for account in answers if account is not None} == {"alice"}


async def test_changes_at_once_are_all_made_each_on_what_the_last_one_left(store: AccountStore) -> None:
    other = AccountStore(f"sqlite:///{file_of(store)}", **PATIENT)
    flags = [f"f{n}" for n in range(20)]
    await asyncio.gather(*((store, other)[n % 2].add_flag("alice", flag, **BY) for n, flag in enumerate(flags)))
    account = await store.read("alice")
    assert account is not None
    assert account.flags == {"staff", *flags}
    entries = await store.history("alice")
    assert len(entries) == 21
    for later, earlier in pairwise(entries[:-1]):
        assert set(later.before["flags"]) == set(earlier.after["flags"])
    await other.close()


async def test_of_two_who_decide_on_the_same_account_the_second_sees_what_the_first_did(store: AccountStore) -> None:
    first, second = await asyncio.gather(
        store.set_status("alice", "archived", by=Author.COMPLIANCE, evidence="T-1", **BY),
        store.set_status("alice", "flagged", by=Author.POLICY, **BY),
    )
    account = await store.read("alice")
    assert account is not None
    # Whichever came first, nobody flags an archived account: `archived` leads only to `restricted`.
    assert account.status == "archived"
    assert isinstance(first, Account)
    assert isinstance(second, Refused) or (await store.history("alice"))[1].action == "status.set"


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
async def test_a_file_that_is_gone_answers_nothing(path: Path, empty_file: Path, replaced: bool) -> None:
    """SQLite would go on answering from the removed file for ever."""
    store = AccountStore(f"sqlite:///{path}", look_every_s=3600, **PATIENT)
    await store.start()
    await store.create("alice", **BY)
    assert isinstance(await store.read("alice"), Account)
    why = "No such file or directory"
    if replaced:
        replace(path, empty_file)
        why = "another file was put in its place"
    else:
        remove(path)
    for ask in (await everything(store)).values():
        with pytest.raises(StoreUnavailable, match=why):
            await ask()
    await store.close()


async def test_a_store_that_was_closed_takes_the_file_that_is_there_when_it_is_used_again(
    store: AccountStore, empty_file: Path
) -> None:
    await store.close()
    replace(file_of(store), empty_file)
    assert await store.read("alice") is None
    await store.start()
    assert store.fresh(store.clock.now())


async def test_a_corrupted_file_answers_nothing(path: Path) -> None:
    store = AccountStore(f"sqlite:///{path}", **PATIENT)
    row = "INSERT INTO accounts VALUES ('u{:03d}', 'open', 'none', '', NULL, NULL, 1, 1)"
    execute(path, "BEGIN", *map(row.format, range(300)), "COMMIT", "PRAGMA wal_checkpoint(TRUNCATE)")
    corrupt(path)
    for n in range(0, 300, 7):
        with pytest.raises(StoreUnavailable, match=r"could not read an account: .*(malformed|not a database|disk I/O)"):
            await store.read(f"u{n:03d}")
    await store.close()


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("status", "opan", "`opan` is no status"),
        ("status", "none", "`none` is no status"),
        ("verification", "FULL", "`FULL` is no verification"),
        ("documents", "PT XX", "documents: `XX`"),
        ("residence", "pt", "residence: `pt`"),
        ("nationality", "", "nationality: ``"),
    ],
)
async def test_a_value_that_no_change_could_have_written_is_no_answer(
    store: AccountStore, path: Path, column: str, value: str, why: str
) -> None:
    execute(path, f"UPDATE accounts SET {column} = '{value}'")
    with pytest.raises(StoreUnavailable, match=f"account `alice` is damaged: {why}"):
        await store.read("alice")


async def test_a_change_without_its_entry_is_not_made(store: AccountStore, path: Path) -> None:
    account = await store.read("alice")
    key = await store.add_key("alice", label="bot", **BY)
    assert isinstance(key, NewKey)
    generation = store.generation
    execute(
        path, "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the audit cannot be written'); END"
    )
    for change in (
        store.add_flag("alice", "us-ip", **BY),
        store.set_status("alice", "flagged", by=Author.POLICY, **BY),
        store.create("bob", **BY),
        store.place_hold("alice", "withdraw", cause="c", **BY),
        store.add_key("alice", label="second", **BY),
        store.revoke_key(key.key.key_id, **BY),
    ):
        with pytest.raises(StoreUnavailable, match="the audit cannot be written"):
            await change
    execute(path, "DROP TRIGGER full")
    await store.look()
    assert await store.read("alice") == account
    assert await store.read("bob") is None
    assert await store.keys("alice") == [key.key]
    assert await store.key_owner(hashlib.sha256(key.secret.encode()).digest()) == "alice"
    assert generation <= store.generation


async def test_reading_connections_cannot_write(store: AccountStore) -> None:
    async with store.reading("write") as connection:
        with pytest.raises(Exception, match="readonly database"):
            await connection.exec_driver_sql("DELETE FROM accounts")


async def test_a_file_of_a_newer_gateway_stops_the_start(path: Path) -> None:
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    store = AccountStore(f"sqlite:///{path}", **PATIENT)
    with pytest.raises(StoreUnavailable, match="written by a newer gateway"):
        await store.start()
    await store.close()
    await store.close()
