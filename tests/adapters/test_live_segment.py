from pathlib import Path

import pytest

from gateway.adapters.live_segment import Bounds, LiveSegment
from gateway.adapters.segment import HEADER_BYTES, HeaderFault
from gateway.adapters.segment_reader import Damage, DecisionEntry, read_segment

USUAL = Bounds()


def fail(damage: Damage) -> None:
    raise AssertionError(damage.text())


def test_it_reads_what_the_plain_reader_reads(tail, append, ruling, tmp_path) -> None:
    for n in range(500):
        append(tail, ruling(account=str(n % 11)), n, b"x" * (n % 90))
    path = tmp_path / "w0-00000001.gwj"
    expected = [entry for entry in read_segment(path) if isinstance(entry, DecisionEntry)]
    with LiveSegment(path) as segment:
        piece = segment.read(0, finished=True, report=fail, bounds=USUAL)
    assert [(one.id, one.at, one.took_us, one.auth_age, one.request) for one in piece.decisions] == [
        (one.decision_id, one.at, one.took_us, one.auth_age, one.request) for one in expected
    ]
    assert not piece.more


def test_a_ruling_longer_than_a_step_is_read(tail, append, ruling, tmp_path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from gateway.adapters.tail import Tail

    with ThreadPoolExecutor(1) as threads:
        large = Tail(tmp_path, "large", 4 << 20, threads)
        large.allocate().result(10)
        large.fault = None
        long = ruling(account="x" * 900_000)
        append(large, long, 1)
        append(large, ruling(), 2)
        with LiveSegment(tmp_path / "large-00000001.gwj") as segment:
            piece = segment.read(0, finished=True, report=fail, bounds=USUAL)
        assert len(piece.decisions) == 2
        assert long.document in piece.rulings.values()
        left = large.stop("over", float("inf"))
        assert left is not None
        left.segment.abandon()
        large.discard_next(10)


def test_rulings_count_against_the_bound_so_that_a_piece_stays_small(tail, append, ruling, tmp_path) -> None:
    for n in range(30):
        append(tail, ruling(account="x" * 1000, number=n), n)
    with LiveSegment(tmp_path / "w0-00000001.gwj") as segment:
        whole = segment.read(0, finished=True, report=fail, bounds=USUAL)
        small = segment.read(whole.end - 100, finished=True, report=lambda _: None, bounds=USUAL)
        assert len(whole.decisions) == 30
        assert whole.weight > 60_000 > small.weight


def test_what_was_once_on_the_disk_and_is_gone_is_damage_when_nobody_writes(tail, append, ruling, tmp_path) -> None:
    append(tail, ruling(), 1)
    first = tail._offset
    append(tail, ruling(), 2)
    tail.written.segment.note(tail._offset, 1)
    path: Path = tmp_path / "w0-00000001.gwj"
    with path.open("r+b") as file:
        file.truncate(first)
    damages: list[Damage] = []
    with LiveSegment(path) as segment:
        assert len(segment.read(0, finished=False, report=damages.append, bounds=USUAL).decisions) == 1
        assert damages == []
        assert len(segment.read(0, finished=True, report=damages.append, bounds=USUAL).decisions) == 1
    assert [(one.offset, one.length) for one in damages] == [(first, tail._offset - first)]


def test_a_file_that_is_no_segment_is_refused(tmp_path) -> None:
    path = tmp_path / "w0-00000001.gwj"
    path.write_bytes(b"x" * HEADER_BYTES)
    with pytest.raises(HeaderFault):
        LiveSegment(path)


def test_one_that_was_allocated_and_not_begun_says_so(tail, tmp_path) -> None:
    with LiveSegment(tmp_path / "w0-00000001.gwj") as segment:
        assert not segment.begun
        assert not segment.sealed
