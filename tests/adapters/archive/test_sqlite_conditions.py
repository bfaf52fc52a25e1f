import sqlite3
from ipaddress import ip_network

import pytest

from gateway.adapters.archive.sqlite_conditions import Condition, bounds_of, joined, take_apart
from gateway.adapters.archive.sqlite_schema import first_id
from gateway.core.search import Search, packed
from tests.contract.stretches import AT

MS = AT // 1000


def test_conditions_are_joined_with_their_values_in_order() -> None:
    assert joined() == Condition()
    assert joined(Condition(" AND a = ?", (1,)), Condition(), Condition(" AND b = ?", ("x",))) == Condition(
        " AND a = ? AND b = ?", (1, "x")
    )


def test_nothing_asked_is_no_condition() -> None:
    asked = take_apart(Search(since=1, until=2))
    assert asked.ruling == Condition()
    assert asked.in_shapes("a.shape") == Condition()


def test_every_value_is_a_parameter_and_none_is_sql() -> None:
    text = "x' OR 1=1 --"
    search = Search(text, ip_network("10.0.0.0/8"), text, 7, text, text, text, text, text)
    asked = take_apart(search)
    assert text not in asked.ruling.sql
    assert asked.ruling.sql.count("?") == len(asked.ruling.values)
    assert asked.ruling.values.count(text) == 7
    assert packed("10.255.255.255") in asked.ruling.values


@pytest.mark.parametrize(
    ("search", "first", "end"),
    [
        (Search(), b"", b"\xff" * 17),
        (Search(since=AT), first_id(MS - 1), b"\xff" * 17),
        (Search(since=AT + 999), first_id(MS), b"\xff" * 17),
        (Search(until=AT), b"", first_id(MS)),
        (Search(until=AT + 1), b"", first_id(MS + 1)),
        (Search(until=0), b"", b""),
        (Search(since=-(1 << 90), until=1 << 90), bytes(16), b"\xff" * 17),
    ],
)
def test_ids_are_bounded_by_their_time(database: sqlite3.Connection, search: Search, first: bytes, end: bytes) -> None:
    bounds = bounds_of(database, search, None)
    assert (bounds.first, bounds.end) == (first, end)
    assert len(bounds.at.values) == (search.since is not None) + (search.until is not None)


def test_a_clock_that_was_set_back_widens_the_bounds_by_as_much(database: sqlite3.Connection) -> None:
    database.execute("UPDATE skew SET low = -5000, high = 7999")
    bounds = bounds_of(database, Search(since=AT, until=AT), None)
    assert (bounds.first, bounds.end) == (first_id(MS - 8), first_id(MS + 5))


def test_a_page_ends_before_the_cursor(database: sqlite3.Connection) -> None:
    assert bounds_of(database, Search(until=AT), first_id(5)).end == first_id(5)
    assert bounds_of(database, Search(until=AT), first_id(MS + 5)).end == first_id(MS)
