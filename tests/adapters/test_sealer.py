import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.proof import check
from gateway.adapters.publisher import FilePublisher
from gateway.adapters.seal_lines import ABANDONED, SEALED, read_seal
from gateway.adapters.sealer import BESIDE_EVERY_US, Piece, Sealer
from gateway.adapters.seals import last_line, read_lines, seals_path
from gateway.adapters.segment import HEADER_BYTES, Header, frame, pack_header
from gateway.adapters.segment_reader import SegmentReader
from gateway.adapters.signing import signer_of

Write = Callable[..., list[bytes]]
Read = Callable[[Path], list[bytes]]


def sealer(directory: Path, worker: str = "w0", now: Callable[[], int] = lambda: 1) -> Sealer:
    return Sealer(directory, worker, signer=signer_of(directory), now=now)


def newest(path: Path) -> Path:
    return max(path.glob("w0-*.gwj"))


def test_what_a_killed_writer_left_is_sealed_and_says_by_whom(tmp_path: Path, write_sealed: Write, ids: Read) -> None:
    told = write_sealed(tmp_path, decisions=425, close=False)
    sealer(tmp_path).recover()
    seal = read_seal(last_line(seals_path(tmp_path, "w0", 3)) or b"")
    assert (seal.kind, seal.reclaimed, seal.last) == (SEALED, True, 425)
    assert ids(tmp_path) == told
    with SegmentReader(newest(tmp_path)) as segment:
        assert segment.sealed
    proof = check(tmp_path)
    assert proof.ok, proof.text()
    assert (proof.workers[0].reclaimed, proof.workers[0].last) == (1, 425)


def test_recovering_twice_adds_nothing(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path, decisions=425, close=False)
    sealer(tmp_path).recover()
    before = {path.name: path.read_bytes() for path in tmp_path.glob("w0-*")}
    sealer(tmp_path).recover()
    assert {path.name: path.read_bytes() for path in tmp_path.glob("w0-*")} == before


@pytest.mark.parametrize("torn", [1, 7, 8, 30, 80])
def test_only_a_torn_tail_is_taken_away(tmp_path: Path, write_sealed: Write, ids: Read, torn: int) -> None:
    told = write_sealed(tmp_path, decisions=425, close=False)
    path = newest(tmp_path)
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content[:-torn] + b"\0" * 4096)
    sealer(tmp_path).recover()
    assert ids(tmp_path) == told[:-1]
    assert check(tmp_path).ok


def test_damage_before_the_end_of_what_the_disk_had_is_kept_as_evidence(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path, decisions=425, close=False)
    path = newest(tmp_path)
    content = bytearray(path.read_bytes())
    with SegmentReader(path) as segment:
        assert segment.header is not None
        content[segment.header.synced - 20] ^= 1
    path.write_bytes(content)
    sealer(tmp_path).recover()
    assert path.read_bytes()[HEADER_BYTES:] == bytes(content[HEADER_BYTES:]).rstrip(b"\0")
    assert {one.file for one in check(tmp_path).findings} == {path.name}


def test_damage_at_the_very_end_of_what_the_disk_had_is_no_torn_tail(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path, decisions=425, close=False)
    path = newest(tmp_path)
    with SegmentReader(path) as segment:
        assert segment.header is not None
        content = bytearray(path.read_bytes()[: segment.header.synced])
    content[-20] ^= 1
    path.write_bytes(content)
    sealer(tmp_path).recover()
    assert path.read_bytes() == bytes(content)
    (found,) = check(tmp_path).findings
    assert (found.file, found.last) == (path.name, 400)


def test_a_segment_cut_short_before_what_was_sealed_is_not_filled_up(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path, decisions=425, close=False)
    path = newest(tmp_path)
    cut = path.read_bytes()[:400]
    path.write_bytes(cut)
    sealer(tmp_path).recover()
    assert path.read_bytes()[HEADER_BYTES:] == cut[HEADER_BYTES:]
    assert "30 of 32 decisions are not there" in check(tmp_path).findings[0].what


def test_a_loss_of_power_leaves_what_the_disk_had_and_that_is_proved(
    tmp_path: Path, write_sealed: Write, ids: Read
) -> None:
    told = write_sealed(tmp_path, decisions=425, close=False)
    path = newest(tmp_path)
    with SegmentReader(path) as segment:
        assert segment.header is not None
        synced = segment.header.synced
    path.write_bytes(path.read_bytes()[:synced] + b"\0" * 4096)
    sealer(tmp_path).recover()
    assert ids(tmp_path) == told[:400]
    assert check(tmp_path).ok
    # What is written afterwards goes on from there.
    write_sealed(tmp_path, begin=500)
    proof = check(tmp_path)
    assert proof.ok, proof.text()
    assert proof.workers[0].last == 800


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_segment_that_ends_anywhere_behind_what_the_disk_had_is_proved_after_the_next_start(
    tmp_path_factory: pytest.TempPathFactory, write_sealed: Write, data: Any
) -> None:
    directory = tmp_path_factory.mktemp("power")
    write_sealed(directory, decisions=225, close=False)
    path = newest(directory)
    with SegmentReader(path) as segment:
        assert segment.header is not None
        synced = segment.header.synced
    content = path.read_bytes()
    kept = data.draw(st.integers(synced, len(content.rstrip(b"\0"))))
    path.write_bytes(content[:kept] + b"\0" * data.draw(st.sampled_from([0, 3, 4096])))
    assert not check(directory).ok
    sealer(directory).recover()
    proof = check(directory)
    assert proof.ok, proof.text()
    assert 200 <= proof.workers[0].last <= 225


def test_a_segment_that_lost_its_last_seals_with_the_power_is_sealed_from_there(
    tmp_path: Path, write_sealed: Write, ids: Read
) -> None:
    told = write_sealed(tmp_path, decisions=425, close=False)
    path = seals_path(tmp_path, "w0", 3)
    path.write_bytes(b"")
    sealer(tmp_path).recover()
    assert ids(tmp_path) == told
    proof = check(tmp_path)
    assert proof.ok, proof.text()
    assert proof.workers[0].last == 425


def test_an_unreadable_header_keeps_nobody_from_starting(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path)
    (tmp_path / "w0-00000009.gwj").write_bytes(b"not a segment")
    sealer(tmp_path).recover()
    assert [one.file for one in check(tmp_path).findings] == ["w0-00000009.gwj"]


def test_what_has_its_line_gets_no_second_one(tmp_path: Path) -> None:
    path = tmp_path / "w0-00000001.gwj"
    raw = pack_header(Header("w0", 1, 1, 7, 0, 1)) + b"".join(frame(1, b"{}", 7))
    path.write_bytes(raw)
    seals = sealer(tmp_path)
    piece = Piece(path, 1, len(raw), 1)
    for _ in range(2):
        seals.seal([], piece)
    for _ in range(2):
        seals.seal([piece._replace(kind=SEALED)], None)
    seals.seal([], piece)
    lines = [read_seal(raw) for raw, _ in read_lines(seals_path(tmp_path, "w0", 1))]
    assert [(one.kind, one.start, one.end) for one in lines] == [
        ("checkpoint", 0, len(raw)),
        ("sealed", len(raw), len(raw)),
    ]


def test_a_segment_that_the_disk_failed_is_told_from_one_that_was_altered(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path, decisions=425, close=False)
    path = newest(tmp_path)
    raw = path.read_bytes().rstrip(b"\0")
    seals = sealer(tmp_path)
    seals.seal([Piece(path, 3, len(raw), 1, ABANDONED)], None)
    seals.close()
    assert check(tmp_path).ok
    path.write_bytes(raw[:-300])
    (found,) = check(tmp_path).findings
    assert "the disk failed while this was written, and has not all of it" in found.what
    assert found.hides == 25
    path.write_bytes(raw + b"\0" * 64 + b"more")
    (found,) = check(tmp_path).findings
    assert "something behind what was written when the disk had failed" in found.what


def test_a_disk_that_reads_nothing_back_proves_only_what_it_had(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path, decisions=425, close=False)
    seals = sealer(tmp_path)
    with pytest.MonkeyPatch.context() as disk:
        disk.setattr("gateway.adapters.sealer.measure", fail)
        with pytest.raises(OSError, match="Input/output error"):
            seals.seal([Piece(newest(tmp_path), 3, 1 << 14, 1, SEALED)], None)
        seals.seal([Piece(newest(tmp_path), 3, 1 << 14, 1, ABANDONED)], None)
    line = read_seal(last_line(seals_path(tmp_path, "w0", 3)) or b"")
    assert (line.kind, line.start, line.last) == (ABANDONED, line.end, 400)


def fail(*_: object) -> tuple[str, int]:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_other_chains_are_named_once_a_minute_and_at_the_end_of_a_segment(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path, "w9", 40)
    path = tmp_path / "w0-00000001.gwj"
    raw = pack_header(Header("w0", 1, 1, 7, 0, 1)) + b"".join(frame(1, b"{}", 7)) * 9
    path.write_bytes(raw)
    times = iter([0, 0, 1, 1, BESIDE_EVERY_US, BESIDE_EVERY_US, BESIDE_EVERY_US + 1, BESIDE_EVERY_US + 1])
    seals = sealer(tmp_path, now=lambda: next(times))
    for n, kind in enumerate(["checkpoint", "checkpoint", "checkpoint", "sealed"], 1):
        seals.seal([Piece(path, 1, HEADER_BYTES + 16 * n, 1, kind)], None)
    lines = [read_seal(raw) for raw, _ in read_lines(seals_path(tmp_path, "w0", 1))]
    assert [bool(one.beside) for one in lines] == [True, False, True, True]


def test_a_publisher_that_fails_stops_nothing_and_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "w0-00000001.gwj"
    path.write_bytes(pack_header(Header("w0", 1, 1, 7, 0, 1)) + b"".join(frame(1, b"{}", 7)) * 9)
    published = tmp_path / "elsewhere" / "published"
    times = iter(range(0, BESIDE_EVERY_US * 100, BESIDE_EVERY_US))
    seals = Sealer(
        tmp_path, "w0", signer=signer_of(tmp_path), now=lambda: next(times), publisher=FilePublisher(published)
    )
    seals.seal([], Piece(path, 1, HEADER_BYTES + 16, 1))
    published.parent.mkdir()
    seals.seal([], None)
    assert published.read_bytes().split() == [last_line(seals_path(tmp_path, "w0", 1))]
    seals.seal([Piece(path, 1, HEADER_BYTES + 32, 1, SEALED)], None)
    seals.close()
    seals.close()
    assert len(published.read_bytes().split()) == 2
