import sqlite3
from ipaddress import ip_network
from typing import Any

import pytest

from gateway.adapters.archive import sqlite_candidates
from gateway.adapters.archive.sqlite_candidates import Candidates
from gateway.adapters.archive.sqlite_schema import epoch_of
from gateway.adapters.archive.sqlite_taking import Taker
from gateway.core.search import Search
from tests.contract.stretches import AT, decision, decision_id, ruling, stretch

EPOCH = (1 << 20) * 1000
LAST = epoch_of(decision_id(0, AT)) + 9
DOCUMENTS = [
    ruling(account=f"c{n % 3}", address=f"81.20.30.{n % 4}", asn=64500 + n % 2, operation=["view", "login"][n % 5 > 0])
    for n in range(10)
]


@pytest.fixture
def filled(database: sqlite3.Connection) -> sqlite3.Connection:
    """Return an archive with ten rulings, each in an epoch of its own."""
    ones = [decision(n, DOCUMENTS[n], AT + n * EPOCH) for n in range(10)]
    Taker(database).take(stretch(ones, DOCUMENTS))
    return database


def back(database: sqlite3.Connection, newest: int = LAST, **asked: Any) -> list[int] | None:
    """Return which of the ten rulings come, in the order in which they come."""
    stream = Candidates(database, Search(**asked)).back_from(newest)
    return None if stream is None else [epoch - LAST + 9 for epoch, _ in stream]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"account": "c0"}, [9, 6, 3, 0]),
        ({"account": "c0", "asn": 64500}, [6, 0]),
        ({"account": "c0", "operation": "view"}, [0]),
        ({"address": ip_network("81.20.30.1")}, [9, 5, 1]),
        ({"address": ip_network("81.20.30.2/31")}, [7, 6, 3, 2]),
        ({"address": ip_network("81.20.30.2/31"), "asn": 64501}, [7, 3]),
        ({"asn": 64501}, [9, 7, 5, 3, 1]),
        ({"asn": 64501, "operation": "view"}, [5]),
        ({"operation": "view"}, [5, 0]),
        ({"country": "PT"}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ({"country": "DE"}, []),
        ({}, None),
    ],
)
def test_rulings_come_from_the_newest_epoch_back(
    filled: sqlite3.Connection, asked: dict[str, Any], found: list[int] | None
) -> None:
    assert back(filled, **asked) == found
    earlier = None if found is None else [n for n in found if n <= 4]
    assert back(filled, LAST - 5, **asked) == earlier


def test_a_large_network_is_no_place_to_begin(filled: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_candidates, "_IN_NETWORK", 9)
    assert back(filled, address=ip_network("81.0.0.0/8")) is None
    assert back(filled, address=ip_network("81.20.30.0/31"), operation="view") == [5, 0]
    assert back(filled, address=ip_network("81.0.0.0/8"), asn=64500) == [8, 6, 4, 2, 0]
    assert back(filled, address=ip_network("81.0.0.0/8"), operation="view") == [5, 0]


def test_what_fits_nothing_that_was_recorded_is_known_at_once(filled: sqlite3.Connection) -> None:
    assert Candidates(filled, Search(country="DE")).none()
    assert Candidates(filled, Search(operation="view", rule="us-exit/us")).none()
    assert not Candidates(filled, Search(operation="view", country="PT")).none()
    assert not Candidates(filled, Search(account="nobody")).none()


def test_one_account_and_one_address_are_few(filled: sqlite3.Connection) -> None:
    assert Candidates(filled, Search(account="c0")).few
    assert Candidates(filled, Search(address=ip_network("::1"))).few
    assert not Candidates(filled, Search(address=ip_network("::/64"), asn=1, outcome="deny")).few
