"""What the tests of the journal share, and the server of those that need one."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from gateway.adapters.seal_lines import SEALED
from gateway.adapters.sealer import Piece, Sealer
from gateway.adapters.segment_reader import DecisionEntry, Entry, read_segment
from gateway.adapters.signing import signer_of
from gateway.adapters.tail import Stretch, Tail
from gateway.ports import Ruling
from tests.postgres_server import postgres, postgres_database

__all__ = ["postgres", "postgres_database"]

AT = 1_763_700_000_000_000


@pytest.fixture
def at() -> int:
    """An instant in November 2025."""
    return AT


@pytest.fixture
def decision_id() -> Callable[[int], bytes]:
    """Make the n-th UUIDv7 of the test, whose time is `AT` plus n milliseconds."""

    def make(n: int) -> bytes:
        return ((AT // 1000 + n) << 80 | 7 << 76 | 2 << 62 | n).to_bytes(16, "big")

    return make


@pytest.fixture
def ruling() -> Callable[..., Ruling]:
    """Make a ruling with a document as small as can be expanded."""

    def make(**more: object) -> Ruling:
        return Ruling(orjson.dumps({"facts": {"auth_age": 1}, "verdict": None, **more}))

    return make


@pytest.fixture
def append(decision_id: Callable[[int], bytes]) -> Callable[..., bytes]:
    """Append the n-th decision to a journal or a tail; its id comes back."""

    def do(
        journal: Tail, ruling: Ruling, n: int, request: bytes = b"GET\0/api/v1/market\0api.example\0curl/8"
    ) -> bytes:
        journal.append(ruling, decision_id(n), AT + n * 1000, n, 5, request)
        return decision_id(n)

    return do


@pytest.fixture
def tail(tmp_path: Path) -> Iterator[Tail]:
    """A started tail of small segments in the test's folder."""
    threads = ThreadPoolExecutor(1)
    tail = Tail(tmp_path, "w0", 64 * 1024, threads)
    tail.allocate().result(10)
    tail.fault = None
    yield tail
    left = tail.stop("the test is over", float("inf"))
    for stretch in (*tail.retired, *([] if left is None else [left])):
        stretch.segment.abandon()
    tail.discard_next(10)
    threads.shutdown()


@pytest.fixture
def entries() -> Callable[[Path], list[Entry]]:
    """Read all segments of a folder, in the order of their names."""

    def read(directory: Path) -> list[Entry]:
        return [entry for path in sorted(directory.glob("*.gwj")) for entry in read_segment(path)]

    return read


@pytest.fixture
def ids(entries: Callable[[Path], list[Entry]]) -> Callable[[Path], list[bytes]]:
    """Read the ids of all decisions of a folder."""

    def read(directory: Path) -> list[bytes]:
        return [entry.decision_id for entry in entries(directory) if isinstance(entry, DecisionEntry)]

    return read


@pytest.fixture
def files() -> Callable[..., list[Path]]:
    """List the segments that a folder holds, or what else is asked for, by name."""
    return lambda directory, pattern="*.gwj": sorted(directory.glob(pattern))


@pytest.fixture
def text_of() -> Callable[[bytes], str]:
    """Write an id as people do."""
    return lambda raw: str(uuid.UUID(bytes=raw))


@pytest.fixture
def write_sealed(append: Callable[..., bytes], ruling: Callable[..., Ruling]) -> Callable[..., list[bytes]]:
    """Write decisions under a worker name, sealed after every so many, as the journal does; their ids come back.

    Where it is not to be closed, the newest segment keeps its allocated room and lacks its last seal.
    """

    def piece(stretch: Stretch, kind: str = "checkpoint") -> Piece:
        return Piece(stretch.segment.path, stretch.segment.number, stretch.end, stretch.latest_at, kind)

    def write(
        directory: Path,
        worker: str = "w0",
        decisions: int = 400,
        *,
        every: int = 40,
        begin: int = 0,
        close: bool = True,
    ) -> list[bytes]:
        times = iter(range(AT, AT + 10**15, 10**6))
        sealer = Sealer(directory, worker, signer=signer_of(directory), now=lambda: next(times))
        with ThreadPoolExecutor(1) as threads:
            tail = Tail(directory, worker, 16 * 1024, threads)
            tail.number = sealer.segment
            tail.allocate().result(10)
            tail.fault = None
            shared = ruling()
            told = []
            for n in range(begin, begin + decisions):
                told.append(append(tail, shared, n))
                if (n + 1) % every == 0:
                    full, tail.retired = tail.retired, []
                    for stretch in full:
                        stretch.segment.seal(stretch.end, stretch.latest_at)
                    written = tail.written
                    assert written is not None
                    written.segment.note(written.end, written.latest_at)
                    sealer.seal([piece(stretch, SEALED) for stretch in full], piece(written))
                    tail.link = sealer.link
            left = tail.stop("the test is over", float("inf"))
            assert left is not None
            for stretch in (*tail.retired, left):
                if close or stretch is not left:
                    stretch.segment.seal(stretch.end, stretch.latest_at)
                    sealer.seal([piece(stretch, SEALED)], None)
                else:
                    stretch.segment.abandon()
            sealer.close()
            tail.discard_next(10)
        return told

    return write
