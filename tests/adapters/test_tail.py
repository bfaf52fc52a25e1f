import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters import tail as tail_module
from gateway.adapters.segment import MAX_DOCUMENT, MAX_REQUEST, NO_LINK, Link
from gateway.adapters.segment_reader import DecisionEntry, RulingEntry, SegmentReader, read_segment
from gateway.adapters.tail import Tail
from gateway.core.errors import JournalUnavailable
from gateway.ports import Ruling

Append = Callable[..., bytes]
Rulings = Callable[..., Ruling]
Read = Callable[[Path], list[Any]]


def test_a_decision_can_be_read_as_soon_as_append_returned(
    tail: Tail, tmp_path: Path, ruling: Rulings, append: Append, ids: Read
) -> None:
    shared = ruling()
    told = [append(tail, shared, n) for n in range(100)]
    assert ids(tmp_path) == told


def test_positions_grow_and_never_repeat(tail: Tail, ruling: Rulings, at: int) -> None:
    shared = ruling()
    positions = [tail.append(shared, os.urandom(16), at, None, 1, b"r" * 200) for _ in range(1000)]
    assert positions == sorted(set(positions))
    assert tail.position == positions[-1]


def test_a_ruling_is_written_once_a_segment_and_every_segment_stands_alone(
    tail: Tail, tmp_path: Path, ruling: Rulings, append: Append, entries: Read
) -> None:
    first, second = ruling(n=1), ruling(n=2)
    for n in range(1500):
        append(tail, (first, second)[n % 2], n)
    assert tail._next is not None
    tail._next.result(10)
    found = entries(tmp_path)
    files = len(list(tmp_path.glob("*.gwj"))) - 1
    assert files > 2
    assert sum(isinstance(entry, RulingEntry) for entry in found) == 2 * files
    known: set[int] = set()
    for entry in found:
        if isinstance(entry, RulingEntry):
            known.add(entry.offset)
        else:
            assert entry.ruling in known
    assert sum(isinstance(entry, DecisionEntry) for entry in found) == 1500


@given(
    at=st.integers(-(2**80), 2**80),
    age=st.none() | st.integers(-(2**80), 2**80),
    took=st.integers(-(2**80), 2**80),
    request_bytes=st.binary(max_size=40),
)
def test_no_number_keeps_a_decision_from_being_recorded(
    tmp_path_factory: pytest.TempPathFactory, at: int, age: int | None, took: int, request_bytes: bytes
) -> None:
    directory = tmp_path_factory.mktemp("numbers")
    with ThreadPoolExecutor(1) as threads:
        tail = Tail(directory, "w0", 16 * 1024, threads)
        tail.allocate().result(10)
        tail.fault = None
        tail.append(Ruling(b"{}"), b"i" * 16, at, age, took, request_bytes)
        _, entry = read_segment(directory / "w0-00000001.gwj")
        assert isinstance(entry, DecisionEntry)
        assert entry.request == request_bytes
        assert entry.at == min(max(at, 1 - 2**63), 2**63 - 1)
        assert entry.took_us == min(max(took, 0), 2**32 - 1)
        assert entry.auth_age == (None if age is None else min(max(age, 1 - 2**63), 2**63 - 1))
        left = tail.stop("over", float("inf"))
        assert left is not None
        left.segment.abandon()
        tail.discard_next(10)


@pytest.mark.parametrize("length", [MAX_REQUEST - 1, MAX_REQUEST, MAX_REQUEST + 1, 10 * MAX_REQUEST])
def test_request_bytes_are_bounded_and_a_cut_shows(
    tail: Tail, tmp_path: Path, ruling: Rulings, append: Append, entries: Read, length: int
) -> None:
    append(tail, ruling(), 1, b"x" * length)
    kept = entries(tmp_path)[-1].request
    if length <= MAX_REQUEST:
        assert kept == b"x" * length
    else:
        assert (len(kept), kept[-3:].decode()) == (MAX_REQUEST, "…")


@pytest.mark.parametrize("size", [0, 64 * 1024, MAX_DOCUMENT + 1])
def test_a_ruling_that_cannot_fit_is_refused_and_costs_no_segment(
    tail: Tail, tmp_path: Path, ruling: Rulings, append: Append, ids: Read, size: int
) -> None:
    told = [append(tail, ruling(), 1)]
    assert tail._next is not None
    tail._next.result(10)
    files = sorted(tmp_path.glob("*.gwj"))
    with pytest.raises(JournalUnavailable, match=rf"a ruling has 1 to \d+ bytes here, and this one {size}$"):
        append(tail, Ruling(b"d" * size), 2)
    assert tail.unrecorded == 1
    assert sorted(tmp_path.glob("*.gwj")) == files
    told.append(append(tail, ruling(), 3))
    assert ids(tmp_path) == told


def test_the_largest_ruling_that_fits_takes_a_segment_to_itself(
    tail: Tail, tmp_path: Path, ruling: Rulings, append: Append, entries: Read
) -> None:
    append(tail, ruling(), 1)
    largest = next(size for size in range(64 * 1024, 0, -1) if _fits(tail, append, Ruling(b"d" * size)))
    found = entries(tmp_path)
    assert len(found[-2].document) == largest
    assert largest > 60 * 1024


def _fits(tail: Tail, append: Append, ruling: Ruling) -> bool:
    try:
        append(tail, ruling, 2)
    except JournalUnavailable:
        return False
    return True


def test_a_full_disk_is_an_error_of_append_and_is_counted(
    tail: Tail, tmp_path: Path, ruling: Rulings, append: Append, ids: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int, _offset: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    shared = ruling()
    told = [append(tail, shared, 0)]
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", full)
        with pytest.raises(
            JournalUnavailable, match=r"journal .*, worker w0: no room for the next segment: .*No space"
        ):
            told.extend(append(tail, shared, n) for n in range(1, 100_000))
        assert tail.unrecorded == 1
        with pytest.raises(JournalUnavailable, match="no room"):
            append(tail, shared, 0)
        assert tail.unrecorded == 2
        assert isinstance(tail.no_room(), OSError)
        assert "No space" in (tail.why_not() or "")
    assert ids(tmp_path) == told
    tail.allocate().result(10)
    assert tail.no_room() is tail.why_not() is None
    told.append(append(tail, shared, 7))
    assert ids(tmp_path) == told


def test_a_slow_disk_holds_up_one_request_and_refuses_the_others_at_once(
    tail: Tail, ruling: Rulings, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    go_on = threading.Event()
    monkeypatch.setattr(tail_module, "PATIENCE_S", 0.01)
    shared = ruling()
    append(tail, shared, 0)
    tail.discard_next(10)
    tail._threads.submit(go_on.wait)
    pending = tail.allocate()
    result = pending.result

    def counted(timeout: float) -> object:
        waits.append(timeout)
        return result(timeout)

    monkeypatch.setattr(pending, "result", counted)
    with pytest.raises(JournalUnavailable, match="takes long to allocate"):
        deque(append(tail, shared, n) for n in range(100_000))
    for _ in range(3):
        with pytest.raises(JournalUnavailable, match="takes long to allocate"):
            append(tail, shared, 0)
    assert waits == [0.01, 0, 0, 0]
    assert tail.no_room() is None
    go_on.set()
    pending.result(10)
    append(tail, shared, 1)


def test_nothing_is_appended_before_the_start_or_after_the_stop(tail: Tail, ruling: Rulings, append: Append) -> None:
    with ThreadPoolExecutor(1) as threads:
        unstarted = Tail(tail.directory, "w1", 16 * 1024, threads)
        with pytest.raises(JournalUnavailable, match="worker w1: it is not started"):
            append(unstarted, ruling(), 1)
    shared = ruling()
    append(tail, shared, 1)
    left = tail.stop("it is closed", float("inf"))
    assert left is not None
    assert tail.written is None
    with pytest.raises(JournalUnavailable, match="it is closed"):
        append(tail, shared, 2)
    left.segment.seal(left.end, left.latest_at)


def test_what_is_left_says_how_far_it_was_written_and_what_came_last(
    tail: Tail, tmp_path: Path, ruling: Rulings, at: int
) -> None:
    shared = ruling()
    positions = [tail.append(shared, b"i" * 16, when, None, 1, b"") for when in (at + 5, at + 90, at + 7)]
    written = tail.written
    assert written is not None
    assert (written.end, written.latest_at) == (positions[-1], at + 90)
    assert written.segment.path == tmp_path / "w0-00000001.gwj"


def test_a_segment_names_the_newest_seal_there_was_when_it_was_begun(
    tail: Tail, tmp_path: Path, ruling: Rulings, append: Append
) -> None:
    append(tail, ruling(), 1)
    tail.link = Link(7, b"d" * 32)
    shared = ruling()
    for n in range(2, 1000):
        append(tail, shared, n)
    links = []
    for number in (1, 2):
        with SegmentReader(tmp_path / f"w0-{number:08d}.gwj") as segment:
            assert segment.header is not None
            links.append(segment.header.link)
    assert links == [NO_LINK, Link(7, b"d" * 32)]
