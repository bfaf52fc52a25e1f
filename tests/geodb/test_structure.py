"""What is proved of a file before a library in C reads it."""

import random
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import maxminddb
import pytest

from geodb.datasets import SHIPPED, datasets
from geodb.structure import About, Malformed, prove

Make = Callable[..., Path]
MARK = b"\xab\xcd\xefMaxMind.com"


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return bytes([0x40 | len(raw)]) + raw if len(raw) < 29 else bytes([0x5D, len(raw) - 29]) + raw


def number(value: int, size: int = 4) -> bytes:
    return bytes([0xC0 | size]) + value.to_bytes(size, "big")


def table(*entries: bytes) -> bytes:
    return bytes([0xE0 | len(entries) // 2]) + b"".join(entries)


def pointer(target: int) -> bytes:
    return bytes([0x20 | target >> 8, target & 255])


METADATA = {
    "binary_format_major_version": number(2),
    "build_epoch": number(1_780_272_000),
    "database_type": text("Test-Country"),
    "ip_version": number(4),
    "node_count": number(1),
    "record_size": number(24),
}


def database(data: bytes, *, tree: bytes | None = None, **metadata: bytes) -> bytes:
    """Return a file of one node, both of whose records are the value at the beginning of `data`."""
    entries = {**METADATA, **metadata}
    both = (1 + 16).to_bytes(3, "big") * 2 if tree is None else tree
    described = table(*(part for name, value in entries.items() for part in (text(name), value)))
    return both + bytes(16) + data + MARK + described


GOOD = database(table(text("country"), table(text("iso_code"), text("DE"))))
ABOUT = About("Test-Country", 1_780_272_000, 4, 1, 24)


def test_a_sound_file_is_described() -> None:
    assert prove(GOOD) == ABOUT


EVERY_TYPE = table(
    text("pointer"), pointer(0x0F0),
    text("double"), b"\x68" + bytes(8),
    text("bytes"), b"\x83abc",
    text("uint16"), b"\xa2\xff\xff",
    text("int32"), b"\x04\x01\xff\xff\xff\xff",
    text("uint64"), b"\x08\x02" + bytes(8),
    text("uint128"), b"\x10\x03" + bytes(16),
    text("array"), b"\x02\x04" + text("a") + number(1),
    text("true"), b"\x01\x07",
    text("float"), b"\x04\x08" + bytes(4),
    text("long"), text("x" * 40),
    text("empty"), table(),
)  # fmt: skip


def test_every_type_of_the_format_is_known() -> None:
    padded = EVERY_TYPE + bytes([0x40] * (0x0F0 - len(EVERY_TYPE))) + text("there")
    assert prove(database(padded)) == ABOUT


@pytest.mark.parametrize("bits", [24, 28, 32])
def test_every_width_of_record_is_read(bits: int) -> None:
    left, right = 2 + 16, 2 + 16 + 5
    wide = {
        24: left.to_bytes(3, "big") + right.to_bytes(3, "big"),
        28: left.to_bytes(3, "big") + b"\x00" + right.to_bytes(3, "big"),
        32: struct.pack(">II", left, right),
    }[bits]
    data = table(text("a"), text("b")) + table(text("a"), pointer(0x7FF))
    with pytest.raises(Malformed, match="points to 2047"):
        prove(database(data, tree=wide * 2, record_size=number(bits, 1), node_count=number(2)))
    sound = database(
        data[:5] + table(text("c"), text("d")), tree=wide * 2, record_size=number(bits), node_count=number(2)
    )
    assert prove(sound).record_bits == bits


def test_the_highest_bits_of_28_belong_to_their_own_record() -> None:
    tree = b"\x00\x00\x11" + b"\x10" + b"\x00\x00\x11"
    with pytest.raises(Malformed, match=f"points to {1 << 24}, outside"):
        prove(database(table(), tree=tree, record_size=number(28)))
    with pytest.raises(Malformed, match=f"points to {1 << 24}, outside"):
        prove(database(table(), tree=tree[:3] + b"\x01" + tree[4:], record_size=number(28)))


def nested(levels: int, end: bytes) -> bytes:
    """Return a table in a table in a table."""
    return (bytes([0xE1]) + text("a")) * levels + end


MALFORMED = [
    ("a key that is a number", table(number(5), text("x")),
     "byte 1 .* is the name of an entry and of type 6, not text"),
    ("a key that points to a number", table(pointer(8), text("x")) + b"\x40" * 3 + number(5), "of type 6, not text"),
    ("a key that is a map", table(table(), text("x")), "is the name of an entry and of type 7"),
    ("a pointer outside", table(text("a"), pointer(0x7FF)),
     "byte 3 of its data, a value points to 2047, outside the 5 bytes"),
    ("a pointer to a pointer", table(text("a"), pointer(3)), "points to a pointer"),
    ("a pointer cut short", table(text("a"), b"\x38\x00"), "goes on after the end"),
    ("a map that contains itself", table(text("a"), pointer(0)), "byte 0 of its data, a value contains itself"),
    ("an array longer than the data", b"\x1f\x04\xff\xff\xff", "goes on after the end"),
    ("a text longer than the data", b"\x45abc", "goes on after the end"),
    ("a longer text longer than the data", b"\x5d\xff", "goes on after the end"),
    ("bytes longer than the data", b"\x85abc", "goes on after the end"),
    ("a size cut short", b"\x5f\x01", "goes on after the end"),
    ("a type cut short", b"\x01", "goes on after the end"),
    ("text that is not UTF-8", table(text("a"), text(b"\xff")), "is text that is not UTF-8"),
    ("a long text that is not UTF-8", table(text("a"), text(b"\xff" * 40)), "is text that is not UTF-8"),
    ("a name that is not UTF-8", table(text(b"\xff"), text("a")), "is text that is not UTF-8"),
    ("a double of four bytes", b"\x64" + bytes(4), "is of type 3 with 4 bytes, which is nothing"),
    ("a type that is none", b"\x00\x05", "is of type 12 with 0 bytes, which is nothing"),
    ("a whole number too long", b"\xc5" + bytes(5), "is a whole number of type 6 with 5 bytes"),
    ("a truth value of two", b"\x02\x07", "is a truth value of 2"),
    ("nested too deep", nested(30, text("x")), "is nested deeper than 24"),
    ("nothing at all", b"", "points to 0, outside the 0 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "why"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_what_could_lead_a_look_up_astray_is_refused_and_says_where(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        prove(database(data))


def test_depth_is_counted_through_pointers() -> None:
    inner = nested(20, text("x"))
    assert prove(database(inner))
    by_pointer = nested(6, pointer(19)) + inner
    assert by_pointer.index(inner) == 20
    with pytest.raises(Malformed, match="is nested deeper than 24"):
        prove(database(nested(6, pointer(20)) + inner))


def test_a_small_file_that_unfolds_to_a_huge_record_is_refused() -> None:
    data = bytearray(text("x"))
    inner = 0
    for _ in range(12):
        start = len(data)
        data += b"\x04\x04" + pointer(inner) * 4
        inner = start
    tree = (1 + 16 + inner).to_bytes(3, "big") * 2
    with pytest.raises(Malformed, match="comes to over 65536 values"):
        prove(database(bytes(data), tree=tree))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no metadata at its end"),
        (b"x" * 1000, "no metadata at its end"),
        (MARK, "byte 0 of its metadata, a value goes on after the end"),
        (MARK + text("x"), "its metadata is not a map"),
        (database(table(), node_count=number(1000)), "cut short: its 1000 nodes do not fit"),
        (database(table(), node_count=number(0)), "0 nodes of 24 bits for IP version 4 is no search tree"),
        (database(table(), record_size=number(20)), "1 nodes of 20 bits"),
        (database(table(), ip_version=number(5)), "for IP version 5"),
        (database(table(), ip_version=text("4")), "no ip_version that could be one"),
        (database(table(), database_type=number(4)), "no database_type that could be one"),
        (database(table(), binary_format_major_version=number(3)), "format version 3, where 2 is known"),
        (GOOD + MARK + table(text("a"), text("b"), text("a"), text("c")), "has `a` twice"),
        (database(table(), tree=b"\x00\x00\x05" * 2), "points to -12, outside"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        prove(content)


def test_metadata_may_hold_what_we_do_not_ask_for() -> None:
    more = {"description": table(text("en"), text("x")), "languages": b"\x02\x04" + text("en") + pointer(1),
            "odd": b"\x83abc", "sum": b"\x68" + bytes(8)}  # fmt: skip
    assert prove(database(table(text("a"), text("b")), **more)) == ABOUT


def test_the_shipped_editions_are_sound() -> None:
    for one in datasets():
        assert prove((SHIPPED / one.file).read_bytes()).build_epoch == one.built_at


def test_what_is_proved_never_harms_the_library_in_c(make: Make, tmp_path: Path) -> None:
    """Were a proof wrong, this process would be gone: the library follows keys of maps without looking."""
    records: dict[str, Any] = {
        f"{first}.0.0.0/10": {"country": {"iso_code": code, "names": {"en": code * 20}}, "n": [first, {"x": True}]}
        for first, code in zip(range(16, 60), ["DE", "US", "PT"] * 20, strict=False)
    }
    whole = make(records).read_bytes()
    path, chance, proved = tmp_path / "broken.mmdb", random.Random(7), 0
    for _ in range(400):
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            prove(bytes(broken))
        except Malformed:
            continue
        proved += 1
        path.write_bytes(broken)
        with suppress(maxminddb.InvalidDatabaseError), maxminddb.open_database(path) as reader:
            for first in range(14, 62):
                reader.get(f"{first}.0.0.1")
    assert proved > 40
