"""Decisions and counts as aligned text, for people."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.core.decision import Document
from gateway.core.exports import CSV_COLUMNS, csv_row

_SHOWN: Final = ("at", "outcome", "operation", "reason", "account", "address", "country", "rules", "id")
_WIDTHS: Final = {"at": 24, "outcome": 9, "operation": 13, "reason": 21, "account": 16, "address": 19, "country": 7}
"""How wide a column is where its cells are not known yet."""
_WIDEST: Final = 48


def decisions_table(documents: Sequence[Document]) -> Iterator[str]:
    """Yield a heading and a line for each decision, in columns as wide as their cells."""
    rows = [[name.upper() for name in _SHOWN], *(_cells(document) for document in documents)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_SHOWN))]
    for row in rows:
        yield _line(row, widths)


def decisions_lines() -> Callable[[Document], str]:
    """Return what makes a line of each decision that comes, in columns that only ever grow."""
    widths = [_WIDTHS.get(name, 0) for name in _SHOWN]

    def line(document: Document) -> str:
        cells = _cells(document)
        widths[:] = [max(width, len(cell)) for width, cell in zip(widths, cells, strict=True)]
        return _line(cells, widths)

    return line


def counts_table(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield an overview as text: all, then each group with its share."""
    total = document["decisions"]
    yield f"{total} decisions from {document['since']} until {document['until']}"
    for group, counts in document["by"].items():
        if counts:
            yield ""
            yield f"by {group}"
            name_width = max(map(len, counts))
            width = max(len(str(count)) for count in counts.values())
            for name, count in counts.items():
                yield f"  {name:<{name_width}}  {count:>{width}}  {100 * count / total:5.1f} %"


def _cells(document: Document) -> list[str]:
    row = dict(zip(CSV_COLUMNS, csv_row(document), strict=True))
    row["at"] = f"{row['at'][:23]}Z"
    return [
        cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…" for cell in (row[name] or "-" for name in _SHOWN)
    ]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
