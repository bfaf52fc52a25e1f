"""Policy files in one layout: fields in the order of the language, two blanks a level, double quotes. Comments stay.

Lines are moved and indented, not written anew, so what people laid out by hand within a value stays as it is. The
result is read again and must say the same, or the file is refused.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gateway.policies.document import Leaf, Node, Row, Table, read
from gateway.policies.examples import EXPECT_FIELDS, TEST_FIELDS
from gateway.policies.exceptions import ENTRY_FIELDS, EXCEPTIONS_FIELDS
from gateway.policies.findings import Finding, Place, Rejected
from gateway.policies.lists import LIST_FIELDS
from gateway.policies.syntax import POLICY_FIELDS, RULE_FIELDS

_STEP: Final = 2
_COMMENT: Final = re.compile(r"\s*#")
_OTHER_BREAKS: Final = re.compile("\r(?!\n)|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
"""What some take for the end of a line, and others do not."""
_BLANK_OR_COMMENT: Final = re.compile(r"\s*(#.*)?")

_INNER: Final[Mapping[str, tuple[str, ...]]] = {
    "rules": RULE_FIELDS,
    "tests": TEST_FIELDS,
    "entries": ENTRY_FIELDS,
    "expect": EXPECT_FIELDS,
    "in_force": ("from", "until"),
}
"""The order of the fields in a mapping that stands below a field, or in its items."""


def formatted(name: str, text: str) -> str:
    """Return the text of a policy, list or exceptions in the one layout. Raise Rejected where it cannot be read.

    Formatting what is formatted changes nothing.
    """
    before = read(name, text)
    written = None
    if isinstance(before, Table) and _OTHER_BREAKS.search(text) is None:
        lines = _Lines(_plain_quotes(before, text.replace("\r\n", "\n").split("\n")), before)
        written = "\n".join(lines.laid_out()) + "\n"
    if written is None or not _same(name, text, written):
        message = "cannot be laid out without changing what it says: write it more plainly, without anchors"
        raise Rejected([Finding(Place(name, 1, 1), message, "unreadable")])
    return written


def _same(name: str, text: str, written: str) -> bool:
    """Return whether what is written says the same as the text, and holds all its comments."""
    try:
        return _said(read(name, text)) == _said(read(name, written)) and _comments(text) <= _comments(written)
    except Rejected:
        return False


class _Lines:
    """The lines of one file, and what stands in them."""

    def __init__(self, lines: list[str], root: Table) -> None:
        self._lines = lines
        self._root = root
        self._fixed: set[int] = set()
        """Lines within a text of several lines, where blanks mean something."""
        for leaf in _leaves(root):
            last = leaf.place.line + leaf.raw.rstrip("\n").count("\n")
            self._fixed.update(range(leaf.place.line + 1, last + 1))

    def laid_out(self) -> Iterator[str]:
        """Yield the lines in their new places; of several empty ones between values, one."""
        empty = True
        kind = next(iter(self._root.keys), "")
        order = {"list": LIST_FIELDS, "exceptions": EXCEPTIONS_FIELDS}.get(kind, POLICY_FIELDS)
        header = min(place.line for place in self._root.keys.values())
        end = len(self._lines) + 1
        # Comments at the end that begin where the fields of the file do are about the file.
        tail = next((at for at in range(self._lead(end, header), end) if self._lines[at - 1][:1] == "#"), end)
        lines = [
            *self._moved(range(1, header), None, 0),
            *self._table(self._root, header, tail - 1, 0, order),
            *self._moved(range(tail, end), None, 0),
        ]
        while lines and not lines[-1][1]:
            lines.pop()
        for fixed, line in lines:
            if line or fixed or not empty:
                yield line
            empty = not line

    def _table(
        self, table: Table, first: int, last: int, indent: int, order: tuple[str, ...]
    ) -> Iterator[tuple[bool, str]]:
        """Yield the lines of a block mapping that stands in the lines `first` to `last`."""
        starts = [place.line for place in table.keys.values()]
        leads = [self._lead(start, starts[at - 1] if at else first - 1) for at, start in enumerate(starts)]
        ends = [*(lead - 1 for lead in leads[1:]), last]
        keys = list(table.keys)
        rank = -1
        ranks = []
        for key in keys:  # what nobody knows stays behind what it stood behind
            rank = order.index(key) if key in order else rank
            ranks.append(rank)
        yield from self._moved(range(first, leads[0]), None, indent)
        for at in sorted(range(len(keys)), key=ranks.__getitem__):
            key = keys[at]
            yield from self._moved(range(leads[at], starts[at]), None, indent)
            yield from self._field(key, table.keys[key], table.entries[key], ends[at], indent)

    def _field(self, name: str, key: Place, value: Node, end: int, indent: int) -> Iterator[tuple[bool, str]]:
        """Yield the lines of one field: its name at `key`, its value up to the line `end`."""
        shift = indent - (key.column - 1)
        below = isinstance(value, Table | Row) and value.place.line > key.line and self._is_block(value)
        over = key.line + 1 if below else self._lead(end + 1, key.line)
        yield from self._moved(range(key.line, over), shift, indent, key.column - 1)
        if not below:
            yield from self._moved(range(over, end + 1), None, indent)
        if below and isinstance(value, Table):
            yield from self._table(value, key.line + 1, end, indent + _STEP, _INNER.get(name, ()))
        elif below and isinstance(value, Row):
            yield from self._row(value, key.line + 1, end, indent + _STEP, _INNER.get(name, ()))

    def _row(self, row: Row, first: int, last: int, indent: int, order: tuple[str, ...]) -> Iterator[tuple[bool, str]]:
        """Yield the lines of a block sequence."""
        dash = row.place.column - 1
        starts = [self._dash(item.place.line, dash) for item in row.items]
        leads = [self._lead(start, starts[at - 1] if at else first - 1) for at, start in enumerate(starts)]
        yield from self._moved(range(first, leads[0]), None, indent)
        for at, item in enumerate(row.items):
            end = leads[at + 1] - 1 if at + 1 < len(leads) else last
            yield from self._moved(range(leads[at], starts[at]), None, indent)
            if isinstance(item, Table) and self._is_block(item):
                alone = item.place.line > starts[at]  # the dash has a line of its own, at most with a comment
                if alone and (comment := self._lines[starts[at] - 1][dash + 1 :].strip()):
                    yield False, f"{' ' * indent}{comment}"
                lines = list(self._table(item, starts[at] + alone, end, indent + _STEP, order))
                begun = next(number for number, (_, line) in enumerate(lines) if not _BLANK_OR_COMMENT.fullmatch(line))
                yield from ((fixed, line[_STEP:]) for fixed, line in lines[:begun])
                fixed, line = lines[begun]
                yield fixed, f"{' ' * indent}- {line[indent + _STEP :]}"
                yield from lines[begun + 1 :]
            else:
                text = self._lines[starts[at] - 1]
                after = len(text) - len(text[dash + 1 :].lstrip())
                yield False, f"{' ' * indent}- {text[after:].rstrip()}".rstrip()
                over = self._lead(end + 1, starts[at])
                yield from self._moved(range(starts[at] + 1, over), indent + _STEP - after, indent)
                yield from self._moved(range(over, end + 1), None, indent)

    def _moved(
        self, numbers: Iterable[int], shift: int | None, indent: int, cut: int | None = None
    ) -> Iterator[tuple[bool, str]]:
        """Yield lines moved right by `shift`, or to `indent` if that is None; of the first what `cut` leaves."""
        for at, number in enumerate(numbers):
            line = self._lines[number - 1]
            fixed = number in self._fixed
            if at == 0 and cut is not None:
                line = f"{' ' * indent}{line[cut:]}"
            elif not line.strip():
                line = ""
            elif shift is None:
                line = f"{' ' * indent}{line.lstrip()}"
            else:
                own = len(line) - len(line.lstrip(" "))
                line = f"{' ' * max(0, own + shift)}{line.lstrip(' ')}"
            yield fixed, line if fixed else line.rstrip()

    def _lead(self, start: int, floor: int) -> int:
        """Return the first of the comments and empty lines that stand directly above a line, above `floor`."""
        lead = start
        while lead - 1 > floor and lead - 1 not in self._fixed and _BLANK_OR_COMMENT.fullmatch(self._lines[lead - 2]):
            lead -= 1
        return lead

    def _dash(self, line: int, column: int) -> int:
        while self._lines[line - 1][column : column + 1] != "-":
            line -= 1
        return line

    def _is_block(self, node: Node) -> bool:
        """Return whether a mapping or sequence is written in lines, not in braces or brackets."""
        first = self._lines[node.place.line - 1][node.place.column - 1 :][:1]
        return (isinstance(node, Table) and first != "{") or (isinstance(node, Row) and first == "-")


def _plain_quotes(root: Node, lines: list[str]) -> list[str]:
    """Return the lines with double quotes for single ones, where that changes nothing but the quotes."""
    for leaf in _leaves(root):
        raw = leaf.raw
        if raw[:1] == "'" and "\n" not in raw and not re.search(r"""["\\]|''""", raw[1:-1]):
            line, at = lines[leaf.place.line - 1], leaf.place.column - 1
            lines[leaf.place.line - 1] = f'{line[:at]}"{raw[1:-1]}"{line[at + len(raw) :]}'
    return lines


def _leaves(node: Node) -> Iterator[Leaf]:
    match node:
        case Leaf():
            yield node
        case Row(items):
            for item in items:
                yield from _leaves(item)
        case Table(entries):
            for value in entries.values():
                yield from _leaves(value)


def _said(node: Node) -> Any:  # noqa: ANN401 - nested as deep as the document
    """Return what a document says, without where and in which order."""
    match node:
        case Leaf(value, text):
            return value, text
        case Row(items):
            return [_said(item) for item in items]
        case Table(entries):
            return {key: _said(value) for key, value in entries.items()}


def _comments(text: str) -> Counter[str]:
    return Counter(line.strip() for line in text.splitlines() if _COMMENT.match(line))
