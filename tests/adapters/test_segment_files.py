from collections.abc import Callable
from pathlib import Path

from gateway.adapters.segment import VERSION
from gateway.adapters.segment_files import segment_files
from gateway.adapters.segment_reader import Damage
from gateway.adapters.tail import Tail
from gateway.adapters.worker_lock import WorkerLock


def fail(damage: Damage) -> None:
    raise AssertionError(damage.text())


def fill(tail: Tail, append: Callable, ruling: Callable, segments: int) -> None:
    """Append until so many segments are begun."""
    n = 0
    while tail.number <= segments:
        append(tail, ruling(), n)
        n += 1
        if tail._next is not None:
            tail._next.result(10)


def test_a_segment_is_finished_once_another_is_begun_or_its_writer_is_dead(tail, append, ruling, tmp_path) -> None:
    lock = WorkerLock(tmp_path, "w0")
    lock.take()
    fill(tail, append, ruling, 3)
    assert [(file.number, file.finished) for file in segment_files(tmp_path, {}, fail)] == [
        (1, True),
        (2, True),
        (3, False),
    ]
    lock.release()
    assert [file.finished for file in segment_files(tmp_path, {}, fail)] == [True, True, True]


def test_what_was_taken_before_is_not_opened(tail, append, ruling, tmp_path) -> None:
    fill(tail, append, ruling, 3)
    (tmp_path / "w0-00000001.gwj").write_bytes(b"altered since")
    assert [file.number for file in segment_files(tmp_path, {"w0": (2, 128)}, fail)] == [2, 3]


def test_a_header_that_cannot_be_read_is_reported_and_the_others_are_there(tail, append, ruling, tmp_path) -> None:
    fill(tail, append, ruling, 3)
    (tmp_path / "w0-00000002.gwj").write_bytes(b"not a segment" * 20)
    reported: list[Damage] = []
    assert [file.number for file in segment_files(tmp_path, {}, reported.append)] == [1, 3]
    assert [damage.path.name for damage in reported] == ["w0-00000002.gwj"]


def test_what_a_newer_gateway_wrote_waits_for_one_that_can_read_it(tail, append, ruling, tmp_path) -> None:
    fill(tail, append, ruling, 3)
    path: Path = tmp_path / "w0-00000002.gwj"
    raw = bytearray(path.read_bytes())
    raw[4] = VERSION + 1
    path.write_bytes(raw)
    assert [file.number for file in segment_files(tmp_path, {}, fail)] == [1]


def test_a_worker_whose_clock_was_set_back_keeps_its_order(tail, append, ruling, decision_id, at, tmp_path) -> None:
    fill(tail, append, ruling, 1)
    while tail.number <= 2:
        tail.append(ruling(), decision_id(1), at - 3_600_000_000, None, 5, b"GET\0/\0h\0u")
    assert [file.number for file in segment_files(tmp_path, {}, fail)] == [1, 2]
