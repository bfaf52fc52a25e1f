import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from gateway.adapters.archive import sqlite_forgetting
from gateway.adapters.archive.sqlite_forgetting import (
    KEEP_OF,
    Forgetting,
    forget_texts,
    forget_workers,
    give_back,
    limits_of,
)
from gateway.adapters.archive.sqlite_reading import taken
from gateway.adapters.archive.sqlite_taking import Taker
from gateway.core.keeping import Keep, keep_of
from gateway.core.terms import Operation, Outcome
from tests.contract.stretches import AT, decision, ruling, stretch

DAY = 86_400_000_000
DOCUMENTS = [ruling(account=f"c{n}", asn=[n, n + 1], country=["US", "CA"]) for n in range(500)]


class At(NamedTuple):
    """A clock that stands."""

    at: int

    def now(self) -> int:
        return self.at


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


def forget_all(database: sqlite3.Connection, before: Mapping[Keep, int]) -> list[int]:
    gone = []
    for limit in limits_of(before):
        forgetting = Forgetting(limit)
        while (some := forgetting.some(database)) is not None:
            gone.append(some)
    forget_texts(database, before)
    return gone


def test_what_nothing_names_any_more_goes_too(filled: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_forgetting, "_AT_ONCE", 300)
    counted = filled.execute("SELECT * FROM counts").fetchall()
    gone = forget_all(filled, dict.fromkeys(Keep, AT + 2 * DAY))
    assert sum(gone) == 2000
    assert max(gone) <= 300
    named = "SELECT count(*) FROM rulings WHERE id NOT IN (SELECT ruling FROM decisions)"
    assert filled.execute(named).fetchone() == (0,)
    assert count(filled, "ruling_asns") == 2 * count(filled, "rulings")
    assert filled.execute("SELECT * FROM counts").fetchall() == counted
    forget_all(filled, dict.fromkeys(Keep, 1 << 80))
    assert [count(filled, table) for table in ("decisions", "rulings", "ruling_asns", "texts")] == [0, 0, 0, 0]
    assert filled.execute("SELECT * FROM counts").fetchall() == counted


def test_what_stays_of_one_class_is_not_looked_at_for_another(database: sqlite3.Connection) -> None:
    kept, goes = ruling(operation="withdraw"), ruling(operation="view", outcome="allow")
    ones = [decision(n, goes if n == 1500 else kept, AT + n * DAY // 100) for n in range(2000)]
    Taker(database).take(stretch(ones, [kept, goes]))
    (limit,) = limits_of({Keep.REST: AT + 90 * DAY})
    forgetting = Forgetting(limit)
    steps = [forgetting.some(database) for _ in range(3)]
    assert steps == [1, None, None]
    assert count(database, "decisions") == 1999


def test_classes_of_kinds_are_those_of_the_words(database: sqlite3.Connection) -> None:
    outcomes = [*map(str, Outcome), ""]
    kinds = [(operation, outcome) for operation in (*map(str, Operation), "ambiguous", "") for outcome in outcomes]
    database.executemany("INSERT INTO kinds (operation, outcome, bundle) VALUES (?, ?, '')", kinds)
    found = database.execute(f"SELECT operation, outcome, {KEEP_OF} FROM kinds").fetchall()
    assert found == [(operation, outcome, str(keep_of(operation, outcome))) for operation, outcome in kinds]


def test_a_worker_is_forgotten_that_nobody_named_and_nothing_was_taken_from(
    database: sqlite3.Connection,
) -> None:
    for worker, at in (("old", 10), ("kept", 10), ("new", 20)):
        Taker(database, At(at)).take(stretch([], [], worker=worker))
    forget_workers(database, {"kept"}, 25, 20)
    assert sorted(taken(database)) == ["kept", "new"]
    forget_workers(database, (), 40, 25)
    assert sorted(taken(database)) == ["kept"]
    Taker(database, At(30)).take(stretch([], [], worker="kept", end=1))
    forget_workers(database, (), 50, 30)
    assert taken(database) == {"kept": (1, 1000)}


def test_a_text_goes_after_the_last_day_on_which_it_was_used(filled: sqlite3.Connection) -> None:
    texts = count(filled, "texts")
    forget_all(filled, dict.fromkeys(Keep, AT - AT % DAY + 2 * DAY))
    assert count(filled, "texts") == texts - 1
    asked = "SELECT count(*) FROM decisions WHERE asked NOT IN (SELECT id FROM texts)"
    assert filled.execute(asked).fetchone() == (0,)
    forget_all(filled, {Keep.MONEY: 1 << 80})
    assert count(filled, "texts") == texts - 1, "what is kept for ever may be of any day"


def test_room_is_given_back_until_little_is_free(filled: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_forgetting, "_PAGES", 20)
    assert not give_back(filled)
    (before,) = filled.execute("PRAGMA page_count").fetchone()
    forget_all(filled, dict.fromkeys(Keep, 1 << 80))
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
        forget_all(filled, dict.fromkeys(Keep, 1 << 80))
    assert count(filled, "decisions") == 3000
