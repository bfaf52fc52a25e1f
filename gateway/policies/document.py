"""YAML text as a tree of values that know where they stand. Bounded in size, depth and expansion.

Values are read by the core schema of YAML 1.2 and only as far as policies need it: `NO` is Norway, `1:20` is text, a
date is text until a field asks for a date. The tree is built from the parser's events, without recursion, so that no
nesting however deep can exhaust the stack.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from gateway.policies.findings import Finding, Place, Rejected, quoted
from gateway.policies.slips import in_yaml

MAX_CHARACTERS: Final = 256 * 1024
MAX_DEPTH: Final = 24
MAX_VALUES: Final = 60_000
"""Values in one file, each alias counted with all that it stands for."""

_BLOCK: Final = frozenset("|>")
_OPENING: Final = frozenset("[{'\"")
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One plain value."""

    value: str | int | float | bool | None
    text: str
    """As written, without quotes."""
    place: Place
    raw: str = ""
    """The source from the first character to the last, quotes and line breaks included."""
    behind: str = ""
    """What stands behind it on its last line, as far as a reader looks; nothing behind a block."""

    def place_at(self, offset: int) -> Place:
        """Return where the character of `text` at `offset` stands in the file.

        Folding a long text over lines changes blanks only, so the place is found by counting what is not blank.
        """
        skipped = 1 if self.raw[:1] in {'"', "'"} else 0
        if self.raw[:1] in {"|", ">"}:
            skipped = self.raw.find("\n") + 1
        ignored = " \t\n\r\\" if self.raw[:1] == '"' else " \t\n\r"
        before = sum(character not in ignored for character in self.text[:offset])
        line, column = self.place.line, self.place.column
        for number, character in enumerate(self.raw):
            if number >= skipped and character not in ignored:
                if before == 0:
                    break
                before -= 1
            line, column = (line + 1, 1) if character == "\n" else (line, column + 1)
        return self.place._replace(line=line, column=column)


@dataclass(frozen=True, slots=True)
class Row:
    """A sequence of values."""

    items: "tuple[Node, ...]"
    place: Place


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping of names to values, in the order written."""

    entries: "dict[str, Node]"
    keys: dict[str, Place]
    place: Place


Node: TypeAlias = Leaf | Row | Table


def read(name: str, text: str) -> Node:
    """Return the one document in `text`. Raise Rejected with the place of whatever cannot be read."""
    start = Place(name, 1, 1)
    if len(text) > MAX_CHARACTERS:
        _reject(start, f"the file is longer than {MAX_CHARACTERS // 1024} KiB", "too-large")
    builder = _Builder(name, text)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except MarkedYAMLError as error:
        _reject(*_unreadable(error, start, builder.running_text, text))
    except (YAMLError, ValueError, OverflowError) as error:
        _reject(start, f"not readable as YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    if builder.root is None:
        _reject(start, "the file is empty: it would begin with `policy: NAME` or `list: NAME`")
    return builder.root


@dataclass(slots=True)
class _Open:
    """A sequence or mapping whose end has not been seen."""

    place: Place
    is_table: bool
    anchor: str | None
    items: list[Node] = field(default_factory=list)
    key: str | None = None
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    size: int = 1


class _Builder:
    """Builds the tree from the parser's events."""

    def __init__(self, name: str, text: str) -> None:
        self.root: Node | None = None
        self._name = name
        self._text = text
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._documents = 0
        self._values = 0
        self.running_text: Leaf | None = None
        """The last text in quotes that ran over the end of its line."""

    def take(self, event: Any) -> None:  # noqa: ANN401 - the parser's events are untyped
        place = Place(self._name, event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case ScalarEvent():
                self._no_tag(event, place)
                start, end = event.start_mark.index, event.end_mark.index
                behind = (
                    self._text[end : end + 200].partition("\n")[0]
                    if self._text[start : start + 1] not in _BLOCK
                    else ""
                )
                leaf = Leaf(_value(event), event.value, place, self._text[start:end], behind)
                if leaf.raw[:1] in {'"', "'"} and "\n" in leaf.raw:
                    self.running_text = leaf
                self._put(leaf, 1, event.anchor)
            case SequenceStartEvent() | MappingStartEvent():
                self._no_tag(event, place)
                if len(self._open) >= MAX_DEPTH:
                    _reject(place, f"nested deeper than {MAX_DEPTH} levels", "too-large")
                self._open.append(_Open(place, isinstance(event, MappingStartEvent), event.anchor))
            case SequenceEndEvent() | MappingEndEvent():
                done = self._open.pop()
                finished: Node = Row(tuple(done.items), done.place)
                if done.is_table:
                    finished = Table(done.entries, done.keys, done.place)
                self._put(finished, done.size, done.anchor)
            case AliasEvent():
                if event.anchor not in self._anchors:
                    _reject(place, f"the alias {quoted('*' + str(event.anchor))} stands for nothing written before it")
                node, size = self._anchors[event.anchor]
                self._put(node, size, None, place)
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    _reject(place, "a second document begins here: one file holds one policy or one list")
            case _:
                pass

    def _put(self, node: Node, size: int, anchor: str | None, place: Place | None = None) -> None:
        """Add a finished value to what is open. `size` counts it and all within it; `place` is that of an alias."""
        self._values += 1 if place is None else size  # what is within a sequence or mapping was counted already
        if self._values > MAX_VALUES:
            message = f"more than {MAX_VALUES} values, aliases counted with what they stand for"
            _reject(place or node.place, message, "too-large")
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.size += size
        if not parent.is_table:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = self._key(parent, node, place or node.place)
        else:
            parent.entries[parent.key] = node
            parent.key = None

    @staticmethod
    def _key(parent: _Open, node: Node, place: Place) -> str:
        if not isinstance(node, Leaf):
            _reject(place, "a key must be a plain word")
        if node.text == "<<":
            _reject(place, "merging with `<<` is not part of the language: write the fields out")
        if node.text in parent.keys:
            first = parent.keys[node.text].line
            message = f"{quoted(node.text)} stands here a second time: it was given in line {first}"
            _reject(place, message, "duplicate-key")
        parent.keys[node.text] = place
        return node.text

    @staticmethod
    def _no_tag(event: Any, place: Place) -> None:  # noqa: ANN401 - the parser's events are untyped
        if event.tag is not None:
            meant = "a condition denies by `not`, and a text stands in quotes" if "(" in event.tag else "leave it out"
            _reject(place, f"the tag {quoted(event.tag)} is not part of the language: {meant}")


def _value(event: ScalarEvent) -> str | int | float | bool | None:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block: text, whatever it looks like
        return text
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _unreadable(error: MarkedYAMLError, start: Place, running: Leaf | None, text: str) -> tuple[Place, str]:
    """Return where the parser gave up, and why: or where that began, if it is known."""
    mark = error.problem_mark or error.context_mark
    said = f"not readable as YAML: {error.problem or error.context}"
    if mark is None:
        return start, said
    place = start._replace(line=mark.line + 1, column=mark.column + 1)
    opened = error.context_mark
    if opened is not None and text[opened.index : opened.index + 1] in _OPENING:
        there = start._replace(line=opened.line + 1, column=opened.column + 1)
        if "quoted scalar" in (error.context or ""):
            return there, "not readable as YAML: the quote that is opened here is never closed"
        if re.search("flow (sequence|mapping)", error.context or ""):
            bracket = f"the `{text[opened.index]}` that is opened here is not closed as it must be"
            return there, f"not readable as YAML: {bracket}"
    if running is not None and running.place.line + running.raw.count("\n") == place.line:
        ended = f"a text in quotes begins here and ends in line {place.line}: is a quote missing in this line?"
        return running.place, f"not readable as YAML: {ended}"
    lines = text.splitlines()
    return place, said + in_yaml(said, lines[mark.line] if mark.line < len(lines) else "", mark.column)


def _reject(place: Place, message: str, code: str = "unreadable") -> NoReturn:
    raise Rejected([Finding(place, message, code)])
