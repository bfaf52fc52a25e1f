"""That nothing of what was erased is in the files: they are read byte by byte."""

import random
import sqlite3
import zlib
from pathlib import Path

import orjson
import pytest

from gateway.adapters.archive import sqlite, sqlite_erasing
from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.archive.sqlite_erasing import Eraser, is_owed
from gateway.adapters.archive.sqlite_packing import LONGEST, nobodys, unpack
from gateway.adapters.archive.sqlite_schema import open_reader
from gateway.adapters.archive.sqlite_taking import Taker
from gateway.core.errors import StoreUnavailable
from gateway.core.keeping import Keep
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import Search, packed
from gateway.ports import Erasing, RecordedDecision
from tests.contract.stretches import AT, decision, ruling, stretch

STEP = 6_000_000
ONES = Pseudonyms(b"a key of thirty-two bytes, or so.")
WHO = ("customer-4711-alice", "81.20.30.40", b"/users/customer-4711-alice/orders", b"AliceFox/17")


def traces(path: Path) -> list[str]:
    """Return what of the customer is found in the files of an archive, compressed pieces in any page among them."""
    database = open_reader(path)
    dictionaries = [bytes(row[0]) for row in database.execute("SELECT bytes FROM dictionaries")]
    rulings = database.execute(
        "SELECT r.document, y.bytes FROM rulings r LEFT JOIN dictionaries y ON y.id = dictionary"
    )
    pieces = {f"a ruling: {unpack(common, document, LONGEST)!r}" for document, common in rulings}
    database.close()
    for file in sorted(path.parent.glob(f"{path.name}*")):
        pieces.add(f"{file.name}: {file.read_bytes()!r}")
    pieces.update(f"a dictionary: {common!r}" for common in dictionaries)
    account, address, asked, agent = WHO
    sought = (account, address, asked.decode(), agent.decode(), repr(packed(address))[2:-1])
    return [f"{one} in {piece[:60]}" for one in sought for piece in pieces if one in piece]


def of_many(rulings: int) -> tuple[list[RecordedDecision], list[bytes]]:
    """Return decisions of customers in random order, so that pages of their indexes are split and moved."""
    # With these, SQLite 3.40 leaves the account in the file, though it is told to overwrite what it deletes.
    chance = random.Random(0)
    account, address, asked, agent = WHO
    ones, documents = [], []
    for n in range(rulings):
        hers = chance.random() < 0.03
        uid = account if hers else f"customer-{chance.randrange(10000)}-{'x' * chance.randrange(40)}"
        where = address if hers else f"{chance.randrange(1, 220)}.{chance.randrange(255)}.3.4"
        documents.append(ruling(account=uid, address=where, extra=n))
        lines = (b"GET\0%s\0api.example\0%s" % (asked, agent)) if hers else b"GET\0/\0api.example\0Fox/1"
        number = n // 300 * 1000 + n % 300
        ones.append(decision(number, documents[n], AT + number * STEP, request=lines))
    return ones, documents


@pytest.fixture
async def filled(opened: SqliteArchive) -> SqliteArchive:
    ones, documents = of_many(3000)
    for start in range(0, len(ones), 300):
        await opened.take(stretch(ones[start : start + 300], documents, start=start, end=start + 300))
    await opened.forget(dict.fromkeys(Keep, AT + 1500 * STEP))
    return opened


@pytest.mark.parametrize(
    "erasing", [Erasing(account=WHO[0]), Erasing(address=WHO[1]), Erasing(before=1 << 60)], ids=repr
)
async def test_nothing_of_what_was_erased_is_in_the_files(
    filled: SqliteArchive, path: Path, erasing: Erasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_erasing, "_AT_ONCE", 100)
    hers = len((await filled.search(Search(account=WHO[0]), limit=1000)).documents)
    assert hers > 30
    assert len(traces(path)) > 4
    assert await filled.erase(erasing, ONES) == (2400 if erasing.before else hers)
    assert traces(path) == []
    assert not any(await _again(filled, erasing))
    assert len((await filled.search(ONES.of_search(Search(account=WHO[0])), limit=1000)).documents) == hers


async def _again(archive: SqliteArchive, erasing: Erasing) -> tuple[int, int]:
    return await archive.erase(erasing, ONES), len((await archive.search(Search(account=WHO[0]))).documents)


async def test_an_erasing_that_was_cut_short_is_finished_by_the_next(
    filled: SqliteArchive, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(database: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "write_anew", fail)
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await filled.erase(Erasing(account=WHO[0]), ONES)
    assert (await filled.search(Search(account=WHO[0]))).documents == ()
    assert await filled.erase(Erasing(account=WHO[0]), ONES) == 0
    assert traces(path) == []


async def test_a_reader_of_what_was_before_is_waited_for_and_then_named(filled: SqliteArchive, path: Path) -> None:
    reader = open_reader(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM decisions").fetchone()
    filled._writer.execute("PRAGMA busy_timeout=50")
    with pytest.raises(StoreUnavailable, match="somebody reads what was there before"):
        await filled.erase(Erasing(account=WHO[0]), ONES)
    reader.close()
    assert await filled.erase(Erasing(account=WHO[0]), ONES) == 0
    assert traces(path) == []


def test_only_what_is_older_is_erased_of_a_ruling_that_goes_on(database: sqlite3.Connection) -> None:
    document = ruling()
    taker = Taker(database)
    taker.take(stretch([decision(n, document) for n in range(10)], [document]))
    eraser = Eraser(Erasing(before=AT + 4000), ONES, taker)
    assert [eraser.some(database) for _ in range(2)] == [4, None]
    assert is_owed(database)
    rows = database.execute(
        "SELECT personal, count(*) FROM rulings r JOIN decisions d ON d.ruling = r.id GROUP BY r.id ORDER BY personal"
    )
    assert rows.fetchall() == [(0, 4), (1, 6)]


def test_a_dictionary_holds_nobodys_data_and_still_what_rulings_have_in_common() -> None:
    document = ruling(account=WHO[0], address=WHO[1], ticket="T-4711", network="x")
    common = nobodys(document)
    assert not any(one in common for one in (WHO[0].encode(), WHO[1].encode(), b"T-4711"))
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -14, zdict=common)
    assert len(squeeze.compress(document) + squeeze.flush()) < len(document) / 4
    for strange in (b"[]", b"\xff", orjson.dumps({"client_ip": "alice"})):
        assert nobodys(strange) == b""
