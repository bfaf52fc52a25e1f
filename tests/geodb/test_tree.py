"""Spans in order, and the file that is made of them."""

import tempfile
from pathlib import Path

import maxminddb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodb.tree import Joined, Overlap, Span, joined, write


@pytest.mark.parametrize(
    ("given_spans", "expected"),
    [
        ([], Joined([], 0)),
        ([Span(5, 9, "a"), Span(0, 4, "a")], Joined([Span(0, 9, "a")], 0)),
        ([Span(0, 4, "a"), Span(5, 9, "b")], Joined([Span(0, 4, "a"), Span(5, 9, "b")], 0)),
        ([Span(0, 4, "a"), Span(6, 9, "a")], Joined([Span(0, 4, "a"), Span(6, 9, "a")], 0)),
        ([Span(0, 9, "a"), Span(0, 9, "a"), Span(3, 4, "a")], Joined([Span(0, 9, "a")], 0)),
        ([Span(0, 9, "a"), Span(3, 4, "b")], Joined([Span(0, 2, "a"), Span(3, 4, "b"), Span(5, 9, "a")], 1)),
        ([Span(0, 9, "wide"), Span(8, 11, "narrow")], Joined([Span(0, 7, "wide"), Span(8, 11, "narrow")], 1)),
        ([Span(0, 3, "narrow"), Span(2, 20, "wide")], Joined([Span(0, 3, "narrow"), Span(4, 20, "wide")], 1)),
    ],
)
def test_neighbours_become_one_and_the_narrower_has_its_way(given_spans: list[Span], expected: Joined) -> None:
    assert joined(given_spans) == expected


def test_two_values_for_exactly_the_same_addresses_are_refused() -> None:
    with pytest.raises(Overlap, match="'b' and 'a' claim the same addresses"):
        joined([Span(0, 4, "a"), Span(0, 4, "b")])


_SPANS = st.lists(
    st.builds(lambda first, size, value: Span(first, first + size, value), st.integers(0, 60), st.integers(0, 30),
              st.sampled_from("abc")),
    max_size=8,
)  # fmt: skip


@given(_SPANS)
def test_joining_gives_each_address_the_value_of_the_narrowest_span_that_holds_it(spans: list[Span]) -> None:
    try:
        result = joined(spans).spans
    except Overlap:
        return
    for address in range(95):
        holding = [span for span in spans if span.first <= address <= span.last]
        found = [span.value for span in result if span.first <= address <= span.last]
        assert len(found) == bool(holding)
        narrowest = min((span.last - span.first for span in holding), default=0)
        assert not holding or found[0] in {span.value for span in holding if span.last - span.first == narrowest}


_V4 = st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, 1 << 20), st.sampled_from("abc"))
_V6 = st.tuples(st.integers(1 << 100, (1 << 128) - 1), st.integers(0, 1 << 90), st.sampled_from("abc"))


@settings(deadline=None, max_examples=60)
@given(st.lists(_V4 | _V6, max_size=12), st.data())
def test_what_is_written_is_what_another_library_reads(drawn: list[tuple[int, int, str]], data: st.DataObject) -> None:
    top = {True: (1 << 32) - 1, False: (1 << 128) - 1}
    try:
        spans = joined(
            Span(first, min(first + size, top[first < 1 << 32]), value) for first, size, value in drawn
        ).spans
    except Overlap:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.mmdb"
        write(str(path), spans, {value: {"v": value} for value in "abc"}, database_type="T", built_at=1)
        with maxminddb.open_database(path, maxminddb.MODE_MEMORY) as database:
            edges = {edge for span in spans for edge in (span.first - 1, span.first, span.last, span.last + 1)}
            inside = [data.draw(st.integers(span.first, span.last)) for span in spans]
            for number in {*edges, *inside}:
                if not 0 <= number < 1 << 128:
                    continue
                expected = next((span.value for span in spans if span.first <= number <= span.last), None)
                found = database.get(_text(number))
                assert (found or {}).get("v") == expected  # type: ignore[union-attr]


def _text(number: int) -> str:
    from ipaddress import IPv4Address, IPv6Address

    return str(IPv4Address(number) if number < 1 << 32 else IPv6Address(number))


def test_a_value_for_everything_is_a_tree_too(tmp_path: Path) -> None:
    path = tmp_path / "all.mmdb"
    write(str(path), [Span(0, (1 << 128) - 1, "a")], {"a": {"v": "a"}}, database_type="T", built_at=1)
    with maxminddb.open_database(path) as database:
        assert database.get("1.2.3.4") == database.get("ffff::") == {"v": "a"}


def test_a_subtree_that_occurs_twice_is_stored_once(tmp_path: Path) -> None:
    once = [Span(0x0A000001, 0x0A000001, "a")]
    many = [Span(block << 24 | 1, block << 24 | 1, "a") for block in range(10, 42)]
    sizes = []
    for spans in (once, many):
        path = tmp_path / f"{len(spans)}.mmdb"
        write(str(path), spans, {"a": {"v": "a"}}, database_type="T", built_at=1)
        sizes.append(path.stat().st_size)
    assert sizes[1] < 1.3 * sizes[0]
