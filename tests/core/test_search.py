from ipaddress import IPv4Address, IPv6Address, ip_network
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import SearchError
from gateway.core.search import (
    Page,
    Search,
    cursor_of,
    findable,
    merged,
    packed,
    packed_range,
    read_cursor,
    read_search,
)

NOW = 1_763_700_000_000_000
RULING = {
    "client_ip": {"address": "81.20.30.40", "reason": None, "how": "peer", "chain": []},
    "operation": "withdraw",
    "facts": {"account": "alice", "asn": 64500},
    "unknown": {"country": {"why": "sources-disagree", "one_of": ["US", "CA"]}},
    "bundle": "ab" * 32,
    "verdict": {
        "outcome": "deny",
        "by": [{"policy": "us-exit", "rule": "us-closed"}, {"policy": "us-exit", "rule": "us-closed"}],
        "reason": "jurisdiction-blocked",
    },
    "reply": {"status": 403, "reason": "jurisdiction-blocked"},
}


def test_everything_that_can_be_asked_is_read_from_text() -> None:
    asked = {
        "account": "alice",
        "address": "203.0.113.9/24",
        "country": "pt",
        "asn": "AS64500",
        "operation": "ambiguous",
        "outcome": "deny",
        "reason": "jurisdiction-blocked",
        "rule": "us-exit/us-closed",
        "bundle": "ABCDEF",
        "ticket": "T-17",
        "trace": "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "since": "24h",
        "until": "2026-11-01T00:00:00Z",
    }
    assert set(asked) == set(Search._fields)
    assert read_search(asked, NOW) == Search(
        account="alice",
        address=ip_network("203.0.113.0/24"),
        country="PT",
        asn=64500,
        operation="ambiguous",
        outcome="deny",
        reason="jurisdiction-blocked",
        rule="us-exit/us-closed",
        bundle="abcdef",
        ticket="T-17",
        trace="4bf92f3577b34da6a3ce929d0e0e4736",
        since=NOW - 86_400_000_000,
        until=1_793_491_200_000_000,
    )
    assert read_search({}, NOW) == Search()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("acount", "alice", "is not something to search by"),
        ("account", "", "1 to 256 characters"),
        ("trace", "4bf92f3577b34da6", "32 hexadecimal digits"),
        ("trace", "é" * 32, "32 hexadecimal digits"),
        ("account", "a" * 257, "1 to 256 characters"),
        ("address", "alice", "neither an address nor a network"),
        ("country", "XX", "not a country code"),
        ("asn", "AS4294967296", "not the number of an autonomous system"),
        ("asn", "²", "not the number of an autonomous system"),
        ("operation", "withdrawal", "is none of"),
        ("outcome", "denied", "is none of"),
        ("reason", "blocked", "is none of"),
        ("rule", "us-closed", "not a policy and a rule of it"),
        ("bundle", "abc", "not the beginning of a digest"),
        ("since", "yesterday", "write an instant"),
        ("until", "2026-11-01T00:00:00", "names no time zone"),
    ],
)
def test_what_cannot_be_asked_is_named(name: str, text: str, says: str) -> None:
    with pytest.raises(SearchError, match=says):
        read_search({name: text}, NOW)


def test_a_ruling_is_found_by_every_country_that_it_may_have_been() -> None:
    found = findable(RULING)
    assert found.countries == ("CA", "US")
    assert found.asns == (64500,)
    assert (found.account, found.operation, found.outcome) == ("alice", "withdraw", "deny")
    assert (found.reason, found.rules) == ("jurisdiction-blocked", ("us-exit/us-closed",))
    assert found.ticket is None
    assert findable({**RULING, "reply": {"status": 403, "reason": None, "ticket_id": "T-17"}}).ticket == "T-17"


def test_pages_are_merged_into_the_newest_of_them_each_once() -> None:
    ids = [str(UUID(int=n)) for n in range(6)]
    one, other = ([{"id": ids[n], "of": name} for n in which] for name, which in (("1", (5, 3)), ("2", (4, 3, 1))))
    whole = merged((Page(tuple(one), None), Page(tuple(other), None)), 10)
    assert [document["id"] for document in whole.documents] == [ids[5], ids[4], ids[3], ids[1]]
    assert whole.documents[2]["of"] == "2", "of two that are the same, the later page's"
    assert whole.cursor is None
    first = merged((Page(tuple(one), "more"), Page(tuple(other), None)), 3)
    assert [document["id"] for document in first.documents] == [ids[5], ids[4], ids[3]]
    assert first.cursor == cursor_of(UUID(int=3).bytes)
    assert merged((Page((), None), Page((), None)), 3) == Page((), None)


def test_a_request_that_could_not_be_read_is_found_as_that() -> None:
    document = {
        **RULING,
        "operation": None,
        "facts": None,
        "unknown": None,
        "verdict": None,
        "reply": {"status": 400, "reason": "ambiguous-request"},
    }
    found = findable(document)
    assert (found.operation, found.outcome, found.reason) == ("ambiguous", "deny", "ambiguous-request")
    assert (found.account, found.countries, found.asns, found.rules) == (None, (), (), ())


def test_all_addresses_have_one_order() -> None:
    assert packed("0.0.0.0") == bytes(10) + b"\xff\xff" + bytes(4)
    assert packed("2001:db8::1")[:4] == b"\x20\x01\x0d\xb8"
    first, last = packed_range(ip_network("203.0.113.0/24"))
    assert first < packed("203.0.113.7") < last
    assert not first <= packed("203.0.114.0") <= last


def test_a_cursor_goes_there_and_back() -> None:
    one = bytes(range(16))
    assert read_cursor(cursor_of(one)) == one


@pytest.mark.parametrize("text", ["", "AAAA", "é", "A" * 40, "!!!!"])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SearchError, match="cursor"):
        read_cursor(text)


@given(st.ip_addresses())
def test_an_address_is_packed_as_the_standard_library_says(address: IPv4Address | IPv6Address) -> None:
    mapped = address if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}")
    assert packed(str(address)) == packed(f"{address}%0") == packed(mapped.exploded) == mapped.packed


@pytest.mark.parametrize("text", ["", "%", "1.2.3.04", "1.2.3.256", "1.2.3.4 ", "\u0661.1.1.1", ":::", "a" * 99])
def test_what_is_no_address_is_not_packed(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address such as"):
        packed(text)
