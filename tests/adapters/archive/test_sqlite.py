import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.adapters.archive import sqlite as module
from gateway.adapters.archive import sqlite_schema
from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.core.decision import instant_text
from gateway.core.errors import StoreUnavailable
from gateway.core.search import Search
from gateway.ports import Archive
from tests.contract.stretches import AT, decision, ruling, stretch, text_of

DOCUMENTS = [ruling(account=f"c{n}") for n in range(5)]


def contents(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that writers take, as another process would."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def test_what_was_taken_is_there_when_it_is_opened_again(opened: SqliteArchive, path: Path) -> None:
    port: Archive = opened
    ones = [decision(n, DOCUMENTS[n]) for n in range(5)]
    assert await port.take(stretch(ones, DOCUMENTS)) == 5
    await port.close()
    await port.start()
    await port.start()
    assert await port.find(text_of(ones[2].id)) is not None
    assert await port.take(stretch(ones, DOCUMENTS)) == 0
    await port.close()
    await port.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["decisions.db"]


async def test_before_its_start_and_after_its_end_it_is_unavailable(path: Path) -> None:
    archive = SqliteArchive(path)
    with pytest.raises(StoreUnavailable, match="not open"):
        await archive.taken()
    await archive.start()
    await archive.close()
    with pytest.raises(StoreUnavailable, match="not open"):
        await archive.take(stretch([], []))


async def test_two_processes_take_one_after_the_other_and_all_read(opened: SqliteArchive, path: Path) -> None:
    second = SqliteArchive(path)
    await second.start()
    ones = [decision(n, DOCUMENTS[n % 5]) for n in range(100)]
    parts = [stretch(ones[n : n + 20], DOCUMENTS, start=n, end=n + 20) for n in range(0, 90, 10)]
    new = await asyncio.gather(*(archive.take(part) for part in parts for archive in (opened, second)))
    assert sum(new) == 100
    for archive in (opened, second):
        assert len((await archive.search(Search(), limit=1000)).documents) == 100
        assert sum(count.decisions for count in await archive.counts(0, 1 << 60)) == 100
    await second.close()


async def test_a_writer_that_stays_is_waited_for_and_then_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_schema, "BUSY_S", 0.05)
    archive = SqliteArchive(path)
    await archive.start()
    taken = stretch([decision(1, DOCUMENTS[1])], DOCUMENTS)
    with locked(path):
        with pytest.raises(StoreUnavailable, match="could not take a stretch: database is locked"):
            await archive.take(taken)
        assert await archive.search(Search()) == ((), None)
    assert await archive.take(taken) == 1
    await archive.close()


async def test_a_question_that_takes_too_long_is_given_up_and_the_next_is_answered(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = SqliteArchive(path, read_within_s=0.1)
    await archive.start()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    monkeypatch.setattr(module, "find", lambda reader, _: reader.execute(endless).fetchone())
    begun = time.monotonic()
    faults = await asyncio.gather(*(archive.find(text_of(bytes(16))) for _ in range(9)), return_exceptions=True)
    assert [isinstance(fault, StoreUnavailable) for fault in faults] == [True] * 9
    assert "could not find a decision within 0.1 s" in str(faults[0])
    assert time.monotonic() - begun < 5
    for _ in range(9):
        # Each connection is back, as good as new; a machine that is busy may need another moment.
        with contextlib.suppress(StoreUnavailable):
            assert await archive.search(Search()) == ((), None)
            break
    assert await archive.search(Search()) == ((), None)
    await archive.close()


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to look at" * 40, b"SQLite format 3\0" * 90]
)
async def test_a_file_of_something_else_is_one_clear_fault(path: Path, content: bytes) -> None:
    write(path, content)
    archive = SqliteArchive(path)
    with pytest.raises(StoreUnavailable, match=r"archive .*decisions\.db: could not open it: "):
        await archive.start()
    assert contents(path) == content
    with pytest.raises(StoreUnavailable, match="not open"):
        await archive.taken()


async def test_a_damaged_file_is_one_clear_fault(opened: SqliteArchive, path: Path) -> None:
    ones = [decision(n, DOCUMENTS[n % 5]) for n in range(3000)]
    await opened.take(stretch(ones, DOCUMENTS))
    await opened.close()
    raw = bytearray(contents(path))
    for page in range(2, len(raw) // 4096):
        raw[page * 4096 : page * 4096 + 100] = os.urandom(100)
    write(path, bytes(raw))
    await opened.start()
    with pytest.raises(StoreUnavailable, match="malformed"):
        await opened.search(Search())


async def test_a_file_that_was_replaced_is_not_used(opened: SqliteArchive, path: Path) -> None:
    await asyncio.to_thread(path.rename, path.with_suffix(".old"))
    with pytest.raises(StoreUnavailable, match="No such file"):
        await opened.taken()
    write(path, b"")
    with pytest.raises(StoreUnavailable, match="another file was put in its place"):
        await opened.take(stretch([], []))


async def test_a_folder_that_cannot_be_is_one_clear_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="could not open it"):
        await SqliteArchive(tmp_path / "file" / "decisions.db").start()


TAKING = """
import asyncio, sys
from pathlib import Path
from gateway.adapters.archive.sqlite import SqliteArchive
from tests.contract.stretches import AT, decision, ruling, stretch

async def take(path, parts, in_one):
    archive = SqliteArchive(path)
    await archive.start()
    _, reached = (await archive.taken()).get("w0", (1, 0))
    documents = [ruling(account=f"c{n}") for n in range(50)]
    print("ready", flush=True)
    for start in range(reached, parts * in_one, in_one):
        ones = [decision(n, documents[n % 50], AT + n * 1_000_000) for n in range(start, start + in_one)]
        await archive.take(stretch(ones, documents, start=start, end=start + in_one))
        print(start + in_one, flush=True)
    await archive.close()

asyncio.run(take(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
"""
PARTS, IN_ONE = 100, 300


def take_and_die(path: Path, root: Path, after_parts: int, after_s: float) -> int:
    """Return how far a process said it had come before it was killed, somewhere in the middle of what comes next."""
    told = 0
    arguments = [sys.executable, "-c", TAKING, str(path), str(PARTS), str(IN_ONE)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(after_parts):
            told = int(process.stdout.readline())
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after_s)
        process.kill()
    return told


async def test_a_taker_that_is_killed_and_begins_again_takes_everything_once(path: Path, root: Path) -> None:
    for n in range(5):
        told = await asyncio.to_thread(take_and_die, path, root, 4 * n, 0.003 * n)
        archive = SqliteArchive(path)
        await archive.start()
        reached = (await archive.taken()).get("w0", (1, 0))[1]
        assert reached >= told
        assert reached % IN_ONE == 0
        assert sum(count.decisions for count in await archive.counts(0, 1 << 60)) == reached
        newest = (await archive.search(Search(), limit=1)).documents
        assert [document["at"] for document in newest] == [instant_text(AT + (reached - 1) * 1_000_000)] * (reached > 0)
        await archive.close()
    arguments = [sys.executable, "-c", TAKING, str(path), str(PARTS), str(IN_ONE)]
    await asyncio.to_thread(subprocess.run, arguments, capture_output=True, cwd=root, check=True)
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM decisions").fetchone() == (PARTS * IN_ONE,)
    assert database.execute("SELECT sum(decisions) FROM counts").fetchone() == (PARTS * IN_ONE,)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
