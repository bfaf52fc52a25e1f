import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.segment import (
    BODY,
    DECISION,
    HEADER_BYTES,
    NO_AGE,
    PADS,
    RULING,
    WORD,
    Header,
    frame,
    pack_header,
)
from gateway.adapters.segment_reader import (
    Damage,
    DecisionEntry,
    JournalDamaged,
    RulingEntry,
    SegmentReader,
    end_of,
    read_segment,
)
from gateway.adapters.tail import Tail
from gateway.ports import Ruling

NONCE = 0x1234ABCD
Builder = Callable[..., Path]


def body_of(n: int, ruling: int, request: bytes) -> bytes:
    return BODY.pack(n, n.to_bytes(16, "big"), ruling, 7, NO_AGE) + request


def record(kind: int, body: bytes) -> bytes:
    word, padded = frame(kind, body, NONCE)
    return word + padded


RULE = record(RULING, b'{"facts":null}')
FIRST = record(DECISION, body_of(1, HEADER_BYTES, b"GET\0/a\0h\0u"))
LAST = record(DECISION, body_of(2, HEADER_BYTES, b"POST\0/b\0host\0agent"))
WHOLE = RULE + FIRST + LAST


@pytest.fixture
def segment(tmp_path: Path) -> Builder:
    def build(content: bytes, *, synced: int = 0, spare: int = 0) -> Path:
        path = tmp_path / "w0-00000001.gwj"
        path.write_bytes(pack_header(Header("w0", 1, 1, NONCE, synced, 2)) + content + b"\0" * spare)
        return path

    return build


def ids_of(path: Path, damage: list[Damage] | None = None) -> list[int]:
    entries = read_segment(path) if damage is None else read_segment(path, damage.append)
    return [int.from_bytes(entry.decision_id, "big") for entry in entries if isinstance(entry, DecisionEntry)]


def test_entries_come_back_as_they_were_appended(segment: Builder) -> None:
    first = HEADER_BYTES + len(RULE)
    assert list(read_segment(segment(WHOLE))) == [
        RulingEntry(HEADER_BYTES, b'{"facts":null}'),
        DecisionEntry(first, 1, (1).to_bytes(16, "big"), HEADER_BYTES, 7, None, b"GET\0/a\0h\0u"),
        DecisionEntry(first + len(FIRST), 2, (2).to_bytes(16, "big"), HEADER_BYTES, 7, None, b"POST\0/b\0host\0agent"),
    ]


def test_reading_begins_where_it_is_told_to_and_each_entry_says_where_it_ends(segment: Builder) -> None:
    path = segment(WHOLE, spare=4096)
    entries = list(read_segment(path))
    assert [end_of(entry) for entry in entries[:-1]] == [entry.offset for entry in entries[1:]]
    assert end_of(entries[-1]) == HEADER_BYTES + len(WHOLE)
    with SegmentReader(path) as reader:
        for n, entry in enumerate(entries):
            assert list(reader.entries(start=entry.offset)) == entries[n:]
        assert list(reader.entries(start=0)) == entries


def test_a_segment_that_was_not_begun_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w0-00000001.gwj"
    path.write_bytes(b"\0" * 4096)
    assert list(read_segment(path)) == []


@pytest.mark.parametrize("spare", [0, 4096], ids=["cut short", "allocated room behind it"])
@pytest.mark.parametrize("kept", range(len(LAST)))
def test_a_tail_torn_at_any_byte_is_left_out(segment: Builder, kept: int, spare: int) -> None:
    torn = LAST[:kept].ljust(len(LAST), b"\0") if spare else LAST[:kept]
    assert ids_of(segment(RULE + FIRST + torn, spare=spare)) == [1]


@pytest.mark.parametrize("kept", range(8, len(LAST)))
def test_a_kill_between_body_and_word_leaves_nothing_that_looks_whole(segment: Builder, kept: int) -> None:
    torn = (b"\0" * 8 + LAST[8:kept]).ljust(len(LAST), b"\0")
    assert ids_of(segment(RULE + FIRST + torn, spare=4096)) == [1]


@pytest.mark.parametrize("offset", range(len(RULE), len(RULE) + len(FIRST)))
@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_flipped_byte_before_the_tail_is_reported_with_file_and_offset(
    segment: Builder, offset: int, flip: int
) -> None:
    content = bytearray(WHOLE)
    content[offset] ^= flip
    path = segment(bytes(content), spare=4096)
    damage: list[Damage] = []
    assert ids_of(path, damage) == [2]
    start = HEADER_BYTES + len(RULE)
    assert damage == [Damage(path, start, len(FIRST), "the record does not agree with its checksum")]
    with pytest.raises(JournalDamaged, match=f"{path}, offset {start}, {len(FIRST)} bytes: .*restore the file"):
        ids_of(path)


@pytest.mark.parametrize("offset", range(len(LAST)))
def test_a_flipped_byte_in_the_last_record_is_reported_where_the_disk_once_had_it(
    segment: Builder, offset: int
) -> None:
    content = bytearray(WHOLE)
    content[len(RULE) + len(FIRST) + offset] ^= 0x20
    path = segment(bytes(content), synced=HEADER_BYTES + len(WHOLE))
    damage: list[Damage] = []
    assert ids_of(path, damage) == [1]
    start = HEADER_BYTES + len(RULE) + len(FIRST)
    assert damage == [Damage(path, start, len(LAST), "what was once on the disk is gone or altered, to the end")]


@pytest.mark.parametrize("missing", range(1, len(LAST) + 1))
def test_a_sealed_segment_cut_short_is_noticed(segment: Builder, missing: int) -> None:
    path = segment(WHOLE[:-missing], synced=HEADER_BYTES + len(WHOLE))
    with pytest.raises(JournalDamaged, match="gone or altered"):
        ids_of(path)


def test_a_lost_page_in_the_middle_hides_nothing_after_it(segment: Builder) -> None:
    records = [record(DECISION, body_of(n, HEADER_BYTES, b"x" * 500)) for n in range(1, 40)]
    content = bytearray(RULE + b"".join(records))
    content[4096:8192] = b"\0" * 4096
    damage: list[Damage] = []
    found = ids_of(segment(bytes(content)), damage)
    assert len(damage) == 1
    assert found == [n for n in range(1, 40) if n in found]
    lost = set(range(1, 40)) - set(found)
    begin = {n: len(RULE) + sum(map(len, records[: n - 1])) for n in range(1, 41)}
    assert lost == {n for n in range(1, 40) if begin[n] < 8192 and begin[n + 1] > 4096}


def test_garbage_as_long_as_several_reads_is_one_damage(segment: Builder) -> None:
    garbage = bytes(range(1, 256)) * 16_448
    garbage = garbage[: len(garbage) & ~7]
    path = segment(RULE + garbage + FIRST)
    damage: list[Damage] = []
    assert ids_of(path, damage) == [1]
    assert [(one.offset, one.length) for one in damage] == [(HEADER_BYTES + len(RULE), len(garbage))]


def test_records_are_read_across_the_boundaries_of_reads(segment: Builder) -> None:
    count = 700
    content = RULE + b"".join(record(DECISION, body_of(n, HEADER_BYTES, b"y" * 8000)) for n in range(count))
    assert ids_of(segment(content, spare=64)) == list(range(count))


def test_a_record_inside_request_bytes_is_never_taken_for_one(segment: Builder) -> None:
    """Whoever writes a request does not know the segment's nonce, so a record in it cannot have the right checksum."""
    inner = body_of(66, HEADER_BYTES, b"forged")
    forged = WORD.pack(len(inner) | DECISION << 24, crc32(inner)) + inner + PADS[len(inner) & 7]
    evil = record(DECISION, body_of(3, HEADER_BYTES, forged))
    content = bytearray(RULE + evil + LAST)
    content[len(RULE) + 12] ^= 1
    damage: list[Damage] = []
    assert ids_of(segment(bytes(content)), damage) == [2]
    assert len(damage) == 1


def test_search_finds_a_decision_by_its_id_and_nothing_else(segment: Builder) -> None:
    with SegmentReader(segment(WHOLE, spare=4096)) as reader:
        found = reader.search((2).to_bytes(16, "big"))
        assert found is not None
        assert found.request == b"POST\0/b\0host\0agent"
        assert reader.ruling(found.ruling) == b'{"facts":null}'
        assert reader.search((3).to_bytes(16, "big")) is None


@pytest.mark.parametrize("shift", range(9))
def test_search_is_not_led_astray_by_an_id_inside_a_request(segment: Builder, shift: int) -> None:
    wanted = (2).to_bytes(16, "big")
    bait = record(DECISION, body_of(9, HEADER_BYTES, b"z" * (16 + shift) + wanted + b"tail"))
    with SegmentReader(segment(RULE + bait + LAST)) as reader:
        found = reader.search(wanted)
        assert found is not None
        assert found.request == b"POST\0/b\0host\0agent"


def test_search_works_across_the_boundaries_of_reads(segment: Builder) -> None:
    fill = b"".join(record(DECISION, body_of(n, HEADER_BYTES, b"y" * 8000)) for n in range(1000, 1000 + 300))
    with SegmentReader(segment(RULE + fill)) as reader:
        for n in range(1000, 1300):
            found = reader.search(n.to_bytes(16, "big"))
            assert found is not None
            assert found.at == n


def test_search_tells_a_damaged_decision_from_one_that_was_never_recorded(segment: Builder) -> None:
    content = bytearray(WHOLE)
    content[-9] ^= 1
    with SegmentReader(segment(bytes(content))) as reader, pytest.raises(JournalDamaged, match="does not agree"):
        reader.search((2).to_bytes(16, "big"))


def test_search_does_not_report_a_torn_tail(segment: Builder) -> None:
    with SegmentReader(segment(RULE + FIRST + b"\0" * 8 + LAST[8:], spare=64)) as reader:
        assert reader.search((2).to_bytes(16, "big")) is None


def test_a_ruling_is_only_ever_a_ruling(segment: Builder) -> None:
    with SegmentReader(segment(WHOLE)) as reader:
        assert reader.ruling(HEADER_BYTES) == b'{"facts":null}'
        assert reader.ruling(HEADER_BYTES + len(RULE)) is None
        assert reader.ruling(1 << 40) is None


def test_a_file_that_is_no_segment_is_named(tmp_path: Path) -> None:
    path = tmp_path / "w0-00000001.gwj"
    path.write_bytes(b"PK\3\4" + b"\0" * 200)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(JournalDamaged, match=r"w0-00000001\.gwj, offset 0: it does not begin as"):
        SegmentReader(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_a_reader_beside_a_live_writer_sees_a_growing_prefix_and_no_damage(
    tail: Tail,
    tmp_path: Path,
    append: Callable[..., bytes],
    ruling: Callable[..., Ruling],
    ids: Callable[[Path], list[bytes]],
) -> None:
    shared = ruling()
    told = []
    for n in range(300):
        told.append(append(tail, shared, n))
        if n % 50 == 0:
            assert ids(tmp_path) == told


def test_a_record_that_lands_while_it_is_read_is_not_damage(segment: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer commits two records between the reader's look at the first and its look behind it."""
    path = segment(RULE, spare=4096)
    real = os.pread
    late: Iterator[bytes] = iter([FIRST + LAST])

    def pread(fd: int, length: int, offset: int) -> bytes:
        chunk = real(fd, length, offset)
        if offset == HEADER_BYTES + len(RULE):
            for content in late:
                with path.open("r+b") as file:
                    file.seek(offset)
                    file.write(content)
        return chunk

    monkeypatch.setattr(os, "pread", pread)
    assert ids_of(path) == [1, 2]


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_no_bytes_whatever_make_the_reader_fail_otherwise_than_by_reporting(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "w0-00000001.gwj"
    path.write_bytes(pack_header(Header("w0", 1, 1, NONCE, 0, 2)) + content)
    damage: list[Damage] = []
    list(read_segment(path, damage.append))
    path.write_bytes(content)
    with suppress(JournalDamaged):
        list(read_segment(path, damage.append))
