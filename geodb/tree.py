"""Writes ranges of addresses as a MaxMind-format file: the same ranges, always the same bytes."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from mmdb_writer import SearchTreeLeaf, SearchTreeNode, TreeWriter

_WHOLE: Final = 1 << 128
Node = SearchTreeNode | SearchTreeLeaf | None


class Span(NamedTuple):
    """A range of addresses that have the same value. IPv4 stands below 2**32, as in the files themselves (::/96)."""

    first: int
    last: int
    value: Hashable


class Overlap(ValueError):
    """Two spans claim the same addresses, all of them, with different values."""


class Joined(NamedTuple):
    """Spans in ascending order that neither overlap nor could be fewer."""

    spans: list[Span]
    contested: int
    """Spans given that overlapped another of a different value; the narrower had its way."""


def joined(spans: Iterable[Span]) -> Joined:
    """Return the spans in order, neighbours of one value as one, the narrowest winning where several claim an address.

    That is how routing reads an overlap: the more specific announcement. Raise Overlap where neither is.
    """
    ordered = sorted(spans, key=lambda one: (one.first, one.last))
    waiting: list[tuple[int, int, int]] = []
    result: list[Span] = []
    contested = index = at = 0
    while index < len(ordered) or waiting:
        if not waiting:
            at = max(at, ordered[index].first)
        while index < len(ordered) and ordered[index].first <= at:
            span = ordered[index]
            if index and ordered[index - 1][:2] == span[:2] and ordered[index - 1].value != span.value:
                raise Overlap(f"{span.value!r:.60} and {ordered[index - 1].value!r:.60} claim the same addresses")
            contested += any(last >= span.first and ordered[of].value != span.value for _, last, of in waiting)
            heappush(waiting, (span.last - span.first, span.last, index))
            index += 1
        while waiting and waiting[0][1] < at:
            heappop(waiting)
        if not waiting:
            continue
        _, last, of = waiting[0]
        if index < len(ordered):
            last = min(last, ordered[index].first - 1)
        _append(result, Span(at, last, ordered[of].value))
        at = last + 1
    return Joined(result, contested)


def _append(result: list[Span], span: Span) -> None:
    if result and result[-1].last + 1 == span.first and result[-1].value == span.value:
        result[-1] = Span(result[-1].first, span.last, span.value)
    else:
        result.append(span)


def write(
    path: str, spans: Sequence[Span], records: Mapping[Hashable, Any], *, database_type: str, built_at: int
) -> None:
    """Write ascending, disjoint `spans` to a file whose records are `records[span.value]`."""
    tree = _Tree(spans, records)
    root = tree.root()
    TreeWriter(
        root,
        {
            "ip_version": 6,
            "database_type": database_type,
            "languages": ["en"],
            "binary_format_major_version": 2,
            "binary_format_minor_version": 0,
            "description": {"en": database_type},
            # Not the time of building: the date of the data, so that the same input gives the same bytes.
            "build_epoch": built_at,
        },
        int_type="u32",
    ).write(path)


class _Tree:
    """The search tree, with every subtree that occurs twice stored once."""

    def __init__(self, spans: Sequence[Span], records: Mapping[Hashable, Any]) -> None:
        self._spans = spans
        self._leaves = {value: SearchTreeLeaf(record) for value, record in records.items()}
        self._known: dict[tuple[int, int], SearchTreeNode] = {}

    def root(self) -> SearchTreeNode:
        built = self._node(0, _WHOLE, 0, len(self._spans))
        return built if isinstance(built, SearchTreeNode) else SearchTreeNode(built, built)

    def _node(self, start: int, end: int, low: int, high: int) -> Node:
        """Return the tree of [start, end), which spans[low:high] touch."""
        if low == high:
            return None
        first = self._spans[low]
        if high - low == 1 and first.first <= start and first.last >= end - 1:
            return self._leaves[first.value]
        middle = (start + end) >> 1
        cut = self._cut(middle, low, high)
        # The span before the cut may reach over the middle; then it belongs to both halves.
        right_low = cut - 1 if cut > low and self._spans[cut - 1].last >= middle else cut
        left = self._node(start, middle, low, cut)
        right = self._node(middle, end, right_low, high)
        key = (id(left), id(right))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = SearchTreeNode(left, right)
        return known

    def _cut(self, middle: int, low: int, high: int) -> int:
        """Return the index of the first span that begins at `middle` or later."""
        while low < high:
            probe = (low + high) >> 1
            if self._spans[probe].first < middle:
                low = probe + 1
            else:
                high = probe
        return low
