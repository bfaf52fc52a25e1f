import errno
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.segment import (
    HEADER_BYTES,
    PADS,
    RULING,
    WORD,
    Header,
    HeaderFault,
    Link,
    Segment,
    finish,
    frame,
    pack_header,
    trim,
    unpack_header,
)

HEADER = Header("w0", 7, 1_700_000_000_000_000, 0xDEADBEEF, 4096, 1_700_000_000_000_001)

headers = st.builds(
    Header,
    worker=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", fullmatch=True),
    number=st.integers(0, 2**64 - 1),
    begun_at=st.integers(-(2**63), 2**63 - 1),
    nonce=st.integers(0, 2**32 - 1),
    synced=st.integers(0, 2**64 - 1),
    latest_at=st.integers(-(2**63), 2**63 - 1),
    link=st.builds(Link, line=st.integers(0, 2**32 - 1), digest=st.binary(min_size=32, max_size=32)),
)


@given(headers)
def test_a_header_reads_back_as_it_was_written(header: Header) -> None:
    raw = pack_header(header)
    assert len(raw) == HEADER_BYTES
    assert unpack_header(raw) == header


@pytest.mark.parametrize("raw", [b"", b"\0" * 4, b"\0" * HEADER_BYTES, b"\0" * 8 + pack_header(HEADER)[8:]])
def test_a_segment_without_its_first_word_was_never_begun(raw: bytes) -> None:
    assert unpack_header(raw) is None


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"SQLite format 3\0" * 8, "does not begin as"),
        (pack_header(HEADER)[:4] + b"\2" + pack_header(HEADER)[5:], "format 2, written by a newer gateway"),
        (pack_header(HEADER)[:100], "ends inside its header"),
    ],
)
def test_a_header_that_cannot_be_read_says_why(raw: bytes, why: str) -> None:
    with pytest.raises(HeaderFault, match=why):
        unpack_header(raw)


@pytest.mark.parametrize("offset", range(100))
def test_a_flipped_bit_in_the_lasting_part_of_a_header_is_noticed(offset: int) -> None:
    raw = bytearray(pack_header(HEADER))
    raw[offset] ^= 1
    with pytest.raises(HeaderFault):
        unpack_header(bytes(raw))


@given(st.binary(min_size=1, max_size=300), st.integers(0, 2**32 - 1))
def test_a_record_fills_whole_words_and_ends_in_a_byte_that_is_not_zero(body: bytes, nonce: int) -> None:
    word, padded = frame(RULING, body, nonce)
    mark, _ = WORD.unpack(word)
    assert (mark >> 24, mark & 0xFFFFFF) == (RULING, len(body))
    assert len(padded) % 8 == 0
    assert padded.startswith(body)
    assert padded[-1] != 0
    assert padded[len(body) :] == PADS[len(body) % 8]


def test_a_segment_is_private_allocated_whole_and_never_overwrites_another(tmp_path: Path) -> None:
    segment = Segment(tmp_path, "w0", 3, 64 * 1024)
    status = segment.path.stat()
    assert segment.path.name == "w0-00000003.gwj"
    assert status.st_mode & 0o777 == 0o600
    assert (status.st_size, status.st_blocks * 512 >= 64 * 1024) == (64 * 1024, True)
    with pytest.raises(FileExistsError):
        Segment(tmp_path, "w0", 3, 64 * 1024)
    segment.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_refuses_the_segment_and_keeps_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int, _offset: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left on device"):
        Segment(tmp_path, "w0", 1, 64 * 1024)
    assert list(tmp_path.iterdir()) == []


def test_a_sealed_segment_keeps_what_was_written_and_says_that_it_is_whole(tmp_path: Path) -> None:
    segment = Segment(tmp_path, "w0", 1, 64 * 1024)
    segment.begin(HEADER)
    segment.map[HEADER_BYTES : HEADER_BYTES + 8] = b"eight by"
    segment.seal(HEADER_BYTES + 8, 99)
    raw = segment.path.read_bytes()
    assert raw[HEADER_BYTES:] == b"eight by"
    assert unpack_header(raw) == HEADER._replace(synced=len(raw), latest_at=99)


def test_closing_a_segment_twice_closes_no_other_file(tmp_path: Path) -> None:
    segment = Segment(tmp_path, "w0", 1, 64 * 1024)
    segment.abandon()
    with (tmp_path / "other").open("wb") as other:
        segment.abandon()
        other.write(b"still open")
    assert (tmp_path / "other").read_bytes() == b"still open"


@given(content=st.binary(max_size=200), tail=st.integers(0, 3000))
def test_trimming_takes_only_zeros_from_the_end(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, tail: int
) -> None:
    path = tmp_path_factory.mktemp("trim") / "w0-1.gwj"
    path.write_bytes(content + b"\0" * tail)
    trim(path)
    written = content.rstrip(b"\0")
    if not written:
        assert not path.exists()
        return
    left = path.read_bytes()
    assert left.startswith(written)
    assert left.strip(b"\0") == content.strip(b"\0")
    assert len(left) - len(written) < 8 or len(left) == len(content) + tail


def test_trimming_reads_a_long_empty_tail_backwards(tmp_path: Path) -> None:
    path = tmp_path / "w0-1.gwj"
    path.write_bytes(struct.pack("<Q", 1) + b"\0" * (3 << 20))
    trim(path)
    assert path.read_bytes() == struct.pack("<Q", 1)


def test_a_dead_writers_segment_is_closed_where_its_records_end(tmp_path: Path) -> None:
    path = tmp_path / "w0-1.gwj"
    path.write_bytes(pack_header(HEADER._replace(synced=0)) + b"recorded" + b"torn" + b"\0" * 4096)
    finish(path, HEADER_BYTES + 8, 77)
    raw = path.read_bytes()
    assert raw[HEADER_BYTES:] == b"recorded"
    assert unpack_header(raw) == HEADER._replace(synced=len(raw), latest_at=77)
