import sqlite3
import zlib

import pytest

from gateway.adapters.archive.documents import archived_document
from gateway.adapters.archive.sqlite_reading import counts_of, find, page_of, taken
from gateway.adapters.archive.sqlite_taking import Taker
from gateway.core.search import Search
from gateway.ports import Count
from tests.contract.stretches import AT, BUNDLES, decision, ruling, stretch

HOUR = 3_600_000_000
BEGIN = AT - AT % HOUR
DOCUMENTS = [ruling(account=f"c{n}") for n in range(20)]
ONES = [decision(n, DOCUMENTS[n], AT + n * HOUR // 10) for n in range(20)]


@pytest.fixture
def filled(database: sqlite3.Connection) -> sqlite3.Connection:
    Taker(database).take(stretch(ONES, DOCUMENTS, worker="w3", segment=4, end=77))
    return database


def test_documents_are_whole_with_and_without_a_dictionary(filled: sqlite3.Connection) -> None:
    late = decision(99, ruling(bundle=BUNDLES[1]), AT + 9 * HOUR)
    Taker(filled).take(stretch([late], [ruling(bundle=BUNDLES[1])], worker="w3", segment=4, end=99))
    assert find(filled, ONES[3].id) == archived_document(DOCUMENTS[3], ONES[3])
    assert find(filled, late.id) == archived_document(ruling(bundle=BUNDLES[1]), late)
    assert find(filled, bytes(16)) is None
    assert taken(filled) == {"w3": (4, 99)}


def test_a_page_ends_its_transaction_whatever_happens(filled: sqlite3.Connection) -> None:
    assert len(page_of(filled, Search(), 7, None).documents) == 7
    assert page_of(filled, Search(account="\ud800"), 7, None) == ((), None)
    filled.execute("UPDATE rulings SET document = x'00'")
    with pytest.raises(zlib.error):
        page_of(filled, Search(), 7, None)
    assert not filled.in_transaction


def test_counts_are_of_whole_hours_in_their_order(filled: sqlite3.Connection) -> None:
    kind = ("withdraw", "deny", "jurisdiction-blocked", "PT", BUNDLES[0])
    all_hours = counts_of(filled, 0, 1 << 90)
    assert [count.start for count in all_hours] == [BEGIN, BEGIN + HOUR, BEGIN + 2 * HOUR]
    assert sum(count.decisions for count in all_hours) == 20
    (second,) = counts_of(filled, BEGIN + 1, BEGIN + 2 * HOUR)
    assert second == Count(BEGIN + HOUR, *kind, 10)
    assert counts_of(filled, BEGIN + 1, BEGIN + HOUR) == []
