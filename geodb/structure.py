"""Proof that a MaxMind-format file is well-formed, before a library in C is let near it.

`maxminddb` 3.2.0 takes the key of every map for text without looking: a key of another type, one flipped bit away, is
followed as a pointer, and the process is gone. So everything that a look-up can reach is walked here first, each value
once. The format: https://maxmind.github.io/MaxMind-DB/
"""

from array import array
from mmap import mmap
from sys import byteorder
from typing import Any, Final, NamedTuple

Content = bytes | mmap
"""The whole file."""

_MARK: Final = b"\xab\xcd\xefMaxMind.com"
_TAIL: Final = 128 << 10
"""The metadata begins in the last 128 KiB."""
_GAP: Final = 16
"""Zero bytes between the tree and the data."""
_DEEPEST: Final = 24
"""Levels of nesting. The databases in use have five."""
_HEAVIEST: Final = 1 << 16
"""Values that one record may come to, pointers followed; a full commercial record comes to two hundred."""

_TOO_MUCH: Final = f"is nested deeper than {_DEEPEST}, or comes to over {_HEAVIEST} values"

_POINTER, _TEXT, _DOUBLE, _BYTES, _MAP, _ARRAY, _BOOLEAN, _FLOAT = 1, 2, 3, 4, 7, 11, 14, 15
_INTEGERS: Final = {5: 2, 6: 4, 8: 4, 9: 8, 10: 16}
"""Types of whole numbers, and how many bytes each has at most."""
_BEING_CHECKED: Final = -1
_POINTER_BASE: Final = (0, 2_048, 526_336, 0)


class Malformed(ValueError):
    """The file is not what it says it is. The message says what, and where."""


class About(NamedTuple):
    """What the metadata says."""

    database_type: str
    build_epoch: int
    ip_version: int
    nodes: int
    record_bits: int


Checked = tuple[int, int, int]
"""Of a value that is well-formed: where it ends, and how deep and how heavy it is, pointers followed."""


def prove(content: Content) -> About:
    """Return what the metadata says of a file in which no look-up can go astray. Raise Malformed for any other."""
    start = content.rfind(_MARK, max(0, len(content) - _TAIL))
    if start < 0:
        raise Malformed("no metadata at its end; is it a MaxMind-format database, unpacked and whole?")
    about = _about(_Section(content, start + len(_MARK), len(content), "metadata").value(0))
    tree_size = about.nodes * about.record_bits // 4
    data = _Section(content, tree_size + _GAP, start, "data")
    if data.size < 0:
        raise Malformed(f"cut short: its {about.nodes} nodes do not fit into {len(content)} bytes")
    for offset in sorted(_leaves(content[:tree_size], about, data.size)):
        data.check(offset)
    return about


def _about(metadata: Any) -> About:  # noqa: ANN401 - whatever was decoded
    if not isinstance(metadata, dict):
        raise Malformed("its metadata is not a map")
    about = About(
        *(
            _entry(metadata, name, kind)
            for name, kind in (
                ("database_type", str),
                ("build_epoch", int),
                ("ip_version", int),
                ("node_count", int),
                ("record_size", int),
            )
        )
    )
    if _entry(metadata, "binary_format_major_version", int) != 2:
        raise Malformed(f"format version {metadata['binary_format_major_version']}, where 2 is known")
    if about.record_bits not in {24, 28, 32} or about.ip_version not in {4, 6} or about.nodes == 0:
        raise Malformed(
            f"{about.nodes} nodes of {about.record_bits} bits for IP version {about.ip_version} is no search tree"
        )
    return about


def _entry(metadata: dict[str, Any], name: str, kind: type) -> Any:  # noqa: ANN401 - of the kind asked for
    value = metadata.get(name)
    if type(value) is not kind:
        raise Malformed(f"its metadata has no {name} that could be one")
    return value


def _leaves(tree: bytes, about: About, data_size: int) -> set[int]:
    """Return where in the data section the tree points. Raise Malformed where it points elsewhere."""
    nodes = about.nodes
    found = {value for value in _records(tree, about.record_bits) if value > nodes}
    lowest = nodes + _GAP
    for value in (min(found, default=lowest), max(found, default=lowest)):
        if found and not lowest <= value < lowest + data_size:
            raise Malformed(f"its search tree points to {value - lowest}, outside the {data_size} bytes of data")
    return {value - lowest for value in found}


def _records(tree: bytes, bits: int) -> "array[int]":
    """Return both records of every node, widened to 32 bits by whole slices rather than one by one."""
    if bits == 32:
        wide = bytearray(tree)
    elif bits == 24:
        wide = bytearray(len(tree) // 3 * 4)
        for byte in range(3):
            wide[byte + 1 :: 4] = tree[byte::3]
    else:
        # Seven bytes: three of the left record, the highest four bits of each, three of the right.
        wide = bytearray(len(tree) // 7 * 8)
        wide[0::8] = tree[3::7].translate(bytes(value >> 4 for value in range(256)))
        wide[4::8] = tree[3::7].translate(bytes(value & 15 for value in range(256)))
        for byte in range(3):
            wide[byte + 1 :: 8] = tree[byte::7]
            wide[byte + 5 :: 8] = tree[byte + 4 :: 7]
    records = array("I", bytes(wide))
    if byteorder == "little":
        records.byteswap()
    return records


class _Section:
    """A part of the file that holds values and pointers among them."""

    def __init__(self, content: Content, start: int, end: int, name: str) -> None:
        self._bytes = content[start:end]
        self.size = end - start
        self._name = name
        self._containers: dict[int, Checked] = {}
        self._keys: set[int] = set()
        self._level = 0

    def check(self, offset: int) -> Checked:
        """Return how far, deep and heavy the value at `offset` is, pointers followed. Raise Malformed."""
        data = self._bytes
        first = data[offset] if offset < self.size else 0
        if 0x40 <= first < 0x5D:
            # A text of up to 28 bytes, which is most of what there is.
            end = offset + 1 + (first & 31)
            if end > self.size:
                raise self._malformed(offset, "goes on after the end")
            self._text(data[offset + 1 : end], offset)
            return end, 1, 1
        kind, size, at = self._control(offset)
        if kind == _POINTER:
            _, depth, weight = self.check(self._target(size, at - offset, offset, at))
            return at, depth, weight
        if kind in {_MAP, _ARRAY}:
            return self._container(kind, size, offset, at)
        if kind == _BOOLEAN:
            if size > 1:
                raise self._malformed(offset, f"is a truth value of {size}")
            return at, 1, 1
        self._plain(kind, size, offset, at)
        return at + size, 1, 1

    def _container(self, kind: int, size: int, offset: int, at: int) -> Checked:
        known = self._containers.get(offset)
        if known is not None:
            if known[0] == _BEING_CHECKED:
                raise self._malformed(offset, "contains itself")
            return known
        self._containers[offset] = (_BEING_CHECKED, 0, 0)
        self._level += 1
        if self._level > _DEEPEST:
            raise self._malformed(offset, _TOO_MUCH)
        depth = weight = 1
        for _ in range(size):
            if kind == _MAP:
                at = self._key(at)
                weight += 1
            at, inner, heavy = self.check(at)
            depth = max(depth, inner + 1)
            weight += heavy
            if depth > _DEEPEST or weight > _HEAVIEST:
                raise self._malformed(offset, _TOO_MUCH)
        self._level -= 1
        self._containers[offset] = at, depth, weight
        return at, depth, weight

    def value(self, offset: int) -> Any:  # noqa: ANN401 - whatever stands there
        """Return the value at `offset`, decoded; for the metadata, which is small. Raise Malformed."""
        self.check(offset)
        kind, size, at = self._control(offset)
        if kind == _POINTER:
            return self.value(self._target(size, at - offset, offset, at))
        if kind == _MAP:
            table: dict[str, Any] = {}
            for _ in range(size):
                name, at = self.value(at), self._key(at)
                if name in table:
                    raise self._malformed(offset, f"has `{name[:40]}` twice")
                table[name], at = self.value(at), self.check(at)[0]
            return table
        if kind == _ARRAY:
            found = []
            for _ in range(size):
                found.append(self.value(at))
                at = self.check(at)[0]
            return found
        raw = self._bytes[at : at + size]
        if kind in _INTEGERS:
            return int.from_bytes(raw, "big")
        return raw.decode() if kind == _TEXT else raw

    def _control(self, offset: int) -> tuple[int, int, int]:
        """Return type and size of the value at `offset`, and where its content begins."""
        data, at = self._bytes, offset
        try:
            first = data[at]
            at += 1
            kind, size = first >> 5, first & 31
            if kind == _POINTER:
                return kind, first & 31, at + (first >> 3 & 3) + 1
            if kind == 0:
                kind = data[at] + 7
                at += 1
            if size > 28:
                extra = size - 28
                base = (29, 285, 65_821)[extra - 1]
                if at + extra > self.size:
                    raise self._malformed(offset, "goes on after the end")
                size = base + int.from_bytes(data[at : at + extra], "big")
                at += extra
        except IndexError:
            raise self._malformed(offset, "goes on after the end") from None
        return kind, size, at

    def _target(self, control: int, length: int, offset: int, end: int) -> int:
        """Return where the pointer at `offset` points: never to another pointer, and never outside."""
        if end > self.size:
            raise self._malformed(offset, "goes on after the end")
        width = length - 1
        low = int.from_bytes(self._bytes[offset + 1 : end], "big")
        target = low if width == 4 else ((control & 7) << 8 * width | low) + _POINTER_BASE[width - 1]
        if target >= self.size:
            raise self._malformed(offset, f"points to {target}, outside the {self.size} bytes")
        if self._bytes[target] >> 5 == _POINTER:
            raise self._malformed(offset, "points to a pointer")
        return target

    def _key(self, offset: int) -> int:
        """Return where the name of an entry ends: a text, or a pointer to one."""
        kind, size, at = self._control(offset)
        end, target = at + size, offset
        if kind == _POINTER:
            end, target = at, self._target(size, at - offset, offset, at)
            if target in self._keys:
                return end
            kind, size, at = self._control(target)
        if kind != _TEXT:
            raise self._malformed(offset, f"is the name of an entry and of type {kind}, not text")
        self.check(target)
        self._keys.add(target)
        return end

    def _plain(self, kind: int, size: int, offset: int, at: int) -> None:
        if at + size > self.size:
            raise self._malformed(offset, "goes on after the end")
        if kind == _TEXT:
            self._text(self._bytes[at : at + size], offset)
        elif kind in _INTEGERS:
            if size > _INTEGERS[kind]:
                raise self._malformed(offset, f"is a whole number of type {kind} with {size} bytes")
        elif (kind, size) not in {(_DOUBLE, 8), (_FLOAT, 4)} and kind != _BYTES:
            raise self._malformed(offset, f"is of type {kind} with {size} bytes, which is nothing")

    def _text(self, raw: bytes, offset: int) -> None:
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise self._malformed(offset, "is text that is not UTF-8") from None

    def _malformed(self, offset: int, what: str) -> Malformed:
        return Malformed(f"at byte {offset} of its {self._name}, a value {what}")
