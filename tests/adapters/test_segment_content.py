import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters import segment_content
from gateway.adapters.compress import compress
from gateway.adapters.live_segment import Bounds, LiveSegment
from gateway.adapters.proof import check
from gateway.adapters.segment import HEADER_BYTES, HeaderFault
from gateway.adapters.segment_content import BLOCK, blocks_of, open_content, read_begun
from gateway.adapters.segment_files import segment_files
from gateway.adapters.segment_reader import DecisionEntry, JournalDamaged, SegmentReader, read_segment

Write = Callable[..., list[bytes]]
ALL = {"w0": (99, 0)}
FIRST = "w0-00000001.gwj"


@pytest.fixture
def journal(tmp_path: Path, write_sealed: Write) -> Path:
    """A folder of one worker with several sealed segments."""
    directory = tmp_path / "journal"
    directory.mkdir()
    write_sealed(directory, "w0")
    return directory


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that a segment has many."""
    monkeypatch.setattr(segment_content, "BLOCK", 4096)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_altered_byte_of_a_compressed_segment_is_found_and_named(
    journal: Path, small_blocks: None, data: st.DataObject
) -> None:
    path = compress(journal / FIRST)
    raw = path.read_bytes()
    place = data.draw(st.integers(0, len(raw) - 1), label="place")
    altered = bytearray(raw)
    altered[place] ^= data.draw(st.integers(1, 255), label="bits")
    try:
        path.write_bytes(altered)
        proof = check(journal)
        assert not proof.ok
        assert {one.file for one in proof.findings} == {path.name}
        if place >= 2:  # else it does not look compressed any more
            named = [one.what for one in proof.findings if "of the compressed file" in one.what]
            assert len(named) == 1, proof.text()
            begins = [fault for fault in range(len(raw)) if f"byte {fault} of the compressed" in named[0]]
            assert begins
            assert begins[0] <= place
    finally:
        path.write_bytes(raw)


def test_a_faulty_block_hides_its_own_decisions_and_no_others(journal: Path, small_blocks: None) -> None:
    path = journal / FIRST
    whole = [one.decision_id for one in read_segment(path) if isinstance(one, DecisionEntry)]
    compress(path)
    raw = bytearray(path.read_bytes())
    middle = raw.find(b"\x1f\x8b\x08\x04", len(raw) // 2) + 60
    raw[middle] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(JournalDamaged, match="gzip member"):
        list(read_segment(path))
    damages: list[Any] = []
    kept = [one.decision_id for one in read_segment(path, damages.append) if isinstance(one, DecisionEntry)]
    assert len(damages) == 1
    assert "of the compressed file: this gzip member" in damages[0].text()
    assert set(kept) < set(whole)
    assert len(kept) > len(whole) / 2
    assert kept[-1] == whole[-1]
    followed: list[Any] = []
    with LiveSegment(path) as segment:
        offset, more, found = 0, True, 0
        while more:
            piece = segment.read(offset, finished=True, report=followed.append, bounds=Bounds())
            offset, more, found = piece.end, piece.more, found + len(piece.decisions)
    assert found == len(kept)
    assert [one.what for one in followed] == [one.what for one in damages]
    (finding,) = check(journal).findings
    assert "altered here after it was sealed" in finding.what
    assert finding.hides


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda raw: raw[:-1], "the gzip members end here before the file does"),
        (lambda raw: raw[: len(raw) // 2], "the gzip members end here before the file does"),
        (lambda raw: raw + b"more", "no gzip member begins here"),
        (lambda raw: raw + raw[-300:], "no gzip member begins here"),
        (lambda raw: raw + segment_content.pack_block(b"more", 4), "the gzip members end here before the file does"),
    ],
)
def test_a_compressed_file_that_was_cut_or_added_to_is_found(
    journal: Path, small_blocks: None, change: Callable[[bytes], bytes], what: str
) -> None:
    path = compress(journal / FIRST)
    path.write_bytes(change(path.read_bytes()))
    (found,) = check(journal).findings
    assert what in found.what
    assert found.file == path.name


def test_another_encoding_of_the_same_content_is_found_and_hides_nothing(journal: Path) -> None:
    path = compress(journal / FIRST)
    with open_content(path) as content:
        plain = content.read(1 << 30, 0)
    path.write_bytes(b"".join(segment_content.pack_block(plain[at : at + n], 9) for at, n in blocks_of(len(plain))))
    assert check(journal).ok, "the same content, compressed by somebody else as it should be"
    raw = bytearray(path.read_bytes())
    raw[24] ^= 1  # the checksum of the deflated bytes
    path.write_bytes(raw)
    assert len(list(read_segment(path))) > 100
    (found,) = check(journal).findings
    assert "holds the same all the same" in found.what
    assert found.hides == 0


def test_a_header_that_cannot_be_unpacked_is_damage_for_every_reader(journal: Path) -> None:
    path = compress(journal / FIRST)
    raw = bytearray(path.read_bytes())
    raw[40] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(HeaderFault, match="gzip member"):
        read_begun(path)
    with pytest.raises(JournalDamaged, match="gzip member"):
        SegmentReader(path)
    with pytest.raises(HeaderFault, match="gzip member"):
        LiveSegment(path)
    damages: list[Any] = []
    assert len(segment_files(journal, {}, damages.append)) == 2
    assert len(damages) == 1
    path.write_bytes(b"\x1f\x8b")
    with pytest.raises(HeaderFault, match="no gzip member"):
        read_begun(path)
    with pytest.raises(JournalDamaged, match="compressed file"):
        SegmentReader(path)


def test_a_member_that_would_unpack_to_more_than_it_says_is_not_unpacked(tmp_path: Path, journal: Path) -> None:
    path = compress(journal / FIRST)
    raw = path.read_bytes()
    begins = raw.find(b"\x1f\x8b\x08\x04", 20)
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = bomb.compress(bytes(100 << 20)) + bomb.flush()
    sizes = len(deflated).to_bytes(4, "little") + (BLOCK).to_bytes(4, "little")
    sizes += zlib.crc32(deflated).to_bytes(4, "little")
    path.write_bytes(raw[: begins + 16] + sizes + deflated + bytes(8))
    with open_content(path) as content:
        assert content.read(1 << 30, HEADER_BYTES) == bytes(BLOCK) * bool(len(deflated) <= BLOCK + 326)
        assert content.faults


@settings(max_examples=50, deadline=None)
@given(
    size=st.integers(HEADER_BYTES, 40_000),
    reads=st.lists(st.tuples(st.integers(0, 41_000), st.integers(0, 41_000)), max_size=20),
    seed=st.integers(0, 1000),
)
def test_reading_a_compressed_file_anywhere_is_reading_the_plain_one(
    tmp_path_factory: pytest.TempPathFactory, size: int, reads: list[tuple[int, int]], seed: int
) -> None:
    chance = random.Random(seed)
    plain = bytes(chance.choices(b"abcdefgh", k=size))
    path = tmp_path_factory.mktemp("any") / "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment_content, "BLOCK", 1024)
        path.write_bytes(b"".join(segment_content.pack_block(plain[at : at + n], 4) for at, n in blocks_of(size)))
        with open_content(path) as content:
            assert content.size() == size
            for offset, length in reads:
                assert content.read(length, offset) == plain[offset : offset + length]
            assert not content.faults


def test_closing_twice_is_nothing_and_reading_on_a_changed_file_is_no_crash(journal: Path) -> None:
    path = compress(journal / FIRST)
    with open_content(path) as content:
        os.truncate(path, 500)
        assert len(content.read(1 << 30, 0)) == content.size()
        assert content.faults
        content.close()
