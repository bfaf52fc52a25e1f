import sqlite3

import pytest

from gateway.adapters.archive import sqlite_forgetting
from gateway.adapters.archive.sqlite_forgetting import forget_some, give_back
from gateway.adapters.archive.sqlite_taking import Taker
from tests.contract.stretches import AT, decision, ruling, stretch

DAY = 86_400_000_000
DOCUMENTS = [ruling(account=f"c{n}", asn=[n, n + 1], country=["US", "CA"]) for n in range(500)]


@pytest.fixture
def filled(database: sqlite3.Connection) -> sqlite3.Connection:
    ones = [
        decision(n, DOCUMENTS[n % 500], AT + n * DAY // 1000, request=b"GET\0/%s\0h\0u" % (b"ab" * (n // 1000)))
        for n in range(3000)
    ]
    Taker(database).take(stretch(ones, DOCUMENTS))
    return database


def count(database: sqlite3.Connection, table: str) -> int:
    return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_what_nothing_names_any_more_goes_too(filled: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_forgetting, "_AT_ONCE", 300)
    counted = filled.execute("SELECT * FROM counts").fetchall()
    gone = []
    while some := forget_some(filled, AT + 2 * DAY):
        gone.append(some)
    assert gone == [300] * 6 + [200]
    named = "SELECT count(*) FROM rulings WHERE id NOT IN (SELECT ruling FROM decisions)"
    assert filled.execute(named).fetchone() == (0,)
    assert count(filled, "ruling_asns") == 2 * count(filled, "rulings")
    assert filled.execute("SELECT * FROM counts").fetchall() == counted
    while forget_some(filled, 1 << 80):
        pass
    assert [count(filled, table) for table in ("decisions", "rulings", "ruling_asns", "texts")] == [0, 0, 0, 0]
    assert filled.execute("SELECT * FROM counts").fetchall() == counted


def test_a_text_goes_after_the_last_day_on_which_it_was_used(filled: sqlite3.Connection) -> None:
    texts = count(filled, "texts")
    while forget_some(filled, AT - AT % DAY + 2 * DAY):
        pass
    assert count(filled, "texts") == texts - 1
    asked = "SELECT count(*) FROM decisions WHERE asked NOT IN (SELECT id FROM texts)"
    assert filled.execute(asked).fetchone() == (0,)


def test_room_is_given_back_until_little_is_free(filled: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_forgetting, "_PAGES", 20)
    assert not give_back(filled)
    (before,) = filled.execute("PRAGMA page_count").fetchone()
    while forget_some(filled, 1 << 80):
        pass
    rounds = 0
    while give_back(filled):
        rounds += 1
    (after,) = filled.execute("PRAGMA page_count").fetchone()
    assert rounds > 1
    assert after < before / 2
    assert filled.execute("PRAGMA freelist_count").fetchone()[0] <= max(after // 10, 20)


def test_a_batch_that_fails_changes_nothing(filled: sqlite3.Connection) -> None:
    filled.execute("CREATE TEMP TRIGGER fail BEFORE DELETE ON rulings BEGIN SELECT RAISE(FAIL, 'no'); END")
    with pytest.raises(sqlite3.IntegrityError, match="no"):
        forget_some(filled, 1 << 80)
    assert count(filled, "decisions") == 3000
