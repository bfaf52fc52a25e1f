import sqlite3

import pytest

from gateway.adapters.archive.sqlite_taking import Taker
from tests.contract.stretches import AT, decision, ruling, stretch

EPOCH = (1 << 20) * 1000
DOCUMENTS = [ruling(account=f"c{n}", asn=[n, n + 1]) for n in range(20)]


def count(database: sqlite3.Connection, table: str) -> int:
    return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_ruling_is_kept_once_in_each_epoch(database: sqlite3.Connection) -> None:
    taker = Taker(database)
    document = ruling()
    ones = [decision(n, document, AT + n // 5 * EPOCH) for n in range(15)]
    assert taker.take(stretch(ones[:7], [document])) == 7
    assert taker.take(stretch(ones, [document])) == 8
    assert count(database, "rulings") == count(database, "ruling_asns") == 3
    assert count(database, "shapes") == count(database, "kinds") == 1


def test_what_repeats_is_kept_once_and_a_path_like_no_other_with_its_decision(database: sqlite3.Connection) -> None:
    requests = [
        b"GET\0/api/v1/market\0h\0Fox/1",
        b"GET\0/api/v1/orders/81234567\0h\0Fox/1",
        b"GET\0/api/v1/market\0h\0",
    ]
    document = ruling()
    ones = [decision(n, document, request=requests[n % 3]) for n in range(9)]
    Taker(database).take(stretch(ones, [document]))
    texts = {text for (text,) in database.execute("SELECT text FROM texts")}
    assert texts == {b"GET\0/api/v1/market", b"h\0Fox/1", b"h\0"}
    kept = [asked for (asked,) in database.execute("SELECT asked FROM decisions ORDER BY id")]
    assert kept[1] == b"GET\0/api/v1/orders/81234567"
    assert kept[0] == kept[2] == kept[3]


def test_a_text_knows_until_when_it_was_used(database: sqlite3.Connection) -> None:
    taker = Taker(database)
    document = ruling()
    day = 86_400_000_000
    for n, at in enumerate((AT, AT + 3 * day, AT + day)):
        taker.take(stretch([decision(n, document, at)], [document]))
    seen = {until for (until,) in database.execute("SELECT seen FROM texts")}
    assert seen == {((AT + 3 * day) // day + 1) * day}


@pytest.mark.parametrize("table", ["decisions", "counts", "progress", "rulings", "texts"])
def test_a_stretch_is_taken_whole_or_not_at_all(database: sqlite3.Connection, table: str) -> None:
    taker = Taker(database)
    taken = stretch([decision(n, DOCUMENTS[n % 20]) for n in range(60)], DOCUMENTS)
    database.execute(f"CREATE TEMP TRIGGER fail BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'no'); END")
    with pytest.raises(sqlite3.IntegrityError, match="no"):
        taker.take(taken)
    tables = ("decisions", "rulings", "ruling_asns", "texts", "counts", "kinds", "shapes", "progress", "dictionaries")
    assert [count(database, one) for one in tables] == [0] * len(tables)
    database.execute("DROP TRIGGER fail")
    assert taker.take(taken) == 60
    assert database.execute("SELECT DISTINCT dictionary FROM rulings").fetchall() == [(1,)]


def test_how_far_clocks_were_set_is_known(database: sqlite3.Connection) -> None:
    taker = Taker(database)
    document = ruling()
    ones = [decision(n, document) for n in range(3)]
    taker.take(stretch(ones[:1], [document]))
    assert database.execute("SELECT * FROM skew").fetchone() == (0, 999)
    ones = [one._replace(at=one.at + skew) for one, skew in zip(ones, (0, -7, 5000), strict=True)]
    taker.take(stretch(ones, [document]))
    assert database.execute("SELECT * FROM skew").fetchone() == (-7, 5000)
