import asyncio
import errno
import os
import resource
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters import journal as journal_module
from gateway.adapters import tail as tail_module
from gateway.adapters.journal import FileJournal
from gateway.adapters.proof import check
from gateway.adapters.publisher import FilePublisher
from gateway.adapters.seal_lines import read_seal
from gateway.adapters.seals import LineFile, read_lines
from gateway.adapters.segment import HEADER_BYTES
from gateway.adapters.segment_reader import SegmentReader
from gateway.adapters.signing import signer_of
from gateway.core.errors import JournalUnavailable
from gateway.ports import Journal, Ruling

Append = Callable[..., bytes]
Rulings = Callable[..., Ruling]
Read = Callable[[Path], list[Any]]
Files = Callable[..., list[Path]]


class Disk:
    """The disk under the journal: counts its syncs, and fails or hangs when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.syncs = 0
        self.fault: OSError | None = None
        self.hang: threading.Event | None = None
        self._real = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self._sync)

    def _sync(self, fd: int) -> None:
        self.syncs += 1
        if self.hang is not None:
            assert self.hang.wait(30)
        if self.fault is not None:
            raise self.fault
        self._real(fd)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[FileJournal]:
    journal = FileJournal(tmp_path / "journal", worker="w0", segment_bytes=16 * 1024)
    await journal.start()
    yield journal
    await journal.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is awaited is the code under test, which has no event for it
            await asyncio.sleep(0)


async def test_what_was_appended_is_kept_over_rotations_and_sealed_at_the_end(
    journal: FileJournal, ruling: Rulings, append: Append, ids: Read
) -> None:
    port: Journal = journal
    shared = ruling()
    told = [append(port, shared, n) for n in range(1000)]
    assert ids(journal.directory) == told
    await journal.close()
    assert ids(journal.directory) == told
    files = sorted(journal.directory.glob("*.gwj"))
    assert [path.name for path in files] == [f"w0-{n:08d}.gwj" for n in range(1, len(files) + 1)]
    assert len(files) > 5
    for path in files:
        with SegmentReader(path) as segment:
            assert segment.sealed


async def test_a_new_run_goes_on_where_the_last_one_ended(
    tmp_path: Path, ruling: Rulings, append: Append, ids: Read, files: Files
) -> None:
    told = []
    for run in range(3):
        journal = FileJournal(tmp_path, worker="w0", segment_bytes=16 * 1024)
        await journal.start()
        told.append(append(journal, ruling(), run))
        await journal.close()
    assert ids(tmp_path) == told
    assert len(files(tmp_path)) == 3


async def test_a_run_that_recorded_nothing_leaves_nothing(tmp_path: Path, files: Files) -> None:
    journal = FileJournal(tmp_path, worker="w0")
    await journal.start()
    await journal.close()
    await journal.close()
    assert files(tmp_path) == []


async def test_the_folder_is_made_and_is_private(journal: FileJournal) -> None:
    assert journal.directory.stat().st_mode & 0o777 == 0o700


async def test_durable_returns_when_the_disk_has_the_record_and_not_before(
    journal: FileJournal, disk: Disk, ruling: Rulings, at: int
) -> None:
    disk.hang = threading.Event()
    position = journal.append(ruling(), b"i" * 16, at, None, 1, b"")
    waiting = asyncio.ensure_future(journal.durable(position))
    await until(lambda: disk.syncs > 0)
    assert not waiting.done()
    disk.hang.set()
    await waiting
    await journal.durable(position)


async def test_a_record_that_came_during_a_sync_waits_for_the_next(
    journal: FileJournal, disk: Disk, ruling: Rulings, at: int
) -> None:
    shared = ruling()
    disk.hang = first = threading.Event()
    early = asyncio.ensure_future(journal.durable(journal.append(shared, b"1" * 16, at, None, 1, b"")))
    await until(lambda: disk.syncs == 1)
    disk.hang = second = threading.Event()
    late = asyncio.ensure_future(journal.durable(journal.append(shared, b"2" * 16, at, None, 1, b"")))
    first.set()
    await early
    await until(lambda: disk.syncs == 2)
    assert not late.done()
    second.set()
    await late


async def test_many_waiters_share_one_sync(journal: FileJournal, disk: Disk, ruling: Rulings, at: int) -> None:
    shared = ruling()
    positions = [journal.append(shared, os.urandom(16), at, None, 1, b"") for _ in range(50)]
    await asyncio.gather(*map(journal.durable, positions))
    assert disk.syncs <= 2


async def test_what_nobody_waits_for_reaches_the_disk_on_the_timer(
    journal: FileJournal, disk: Disk, ruling: Rulings, append: Append
) -> None:
    append(journal, ruling(), 1)
    await until(lambda: journal._synced > 0)
    assert disk.syncs == 1
    (path,) = (path for path in journal.directory.glob("*-00000001.gwj"))
    with SegmentReader(path) as segment:
        assert segment.header is not None
        assert HEADER_BYTES < segment.header.synced == journal._synced


async def test_an_idle_journal_leaves_the_disk_alone(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = FileJournal(tmp_path, worker="w0", sync_every_ms=0.01)
    await journal.start()
    turns = 0

    def counted(*_: object) -> BaseException | None:
        nonlocal turns
        turns += 1
        return None

    monkeypatch.setattr(journal._tail, "no_room", counted)
    await until(lambda: turns > 20)
    assert disk.syncs == 0
    await journal.close()


async def test_durable_gives_up_after_a_bounded_wait(
    journal: FileJournal, disk: Disk, ruling: Rulings, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "DURABLE_WITHIN_S", 0.02)
    disk.hang = threading.Event()
    position = journal.append(ruling(), b"i" * 16, at, None, 1, b"")
    with pytest.raises(JournalUnavailable, match=r"worker w0: not on the disk within 0\.02 s"):
        await journal.durable(position)
    assert journal._waiting == {}
    disk.hang.set()
    monkeypatch.setattr(journal_module, "DURABLE_WITHIN_S", 20.0)
    await journal.durable(position)


async def test_a_failed_sync_fails_every_waiter_and_what_comes_until_a_new_segment_works(
    journal: FileJournal,
    disk: Disk,
    ruling: Rulings,
    append: Append,
    at: int,
    ids: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tail_module, "RETRY_S", 0.0)
    shared = ruling()
    kept = append(journal, shared, 0)
    await journal.durable(journal._tail.position)
    disk.fault = OSError(errno.EIO, "Input/output error")
    monkeypatch.setattr(journal_module, "RETRY_S", 3600.0)
    positions = [journal.append(shared, os.urandom(16), at, None, 1, b"") for _ in range(5)]
    for result in await asyncio.gather(*map(journal.durable, positions), return_exceptions=True):
        assert isinstance(result, JournalUnavailable)
        assert "the disk failed before it had the decision" in str(result)
    with pytest.raises(JournalUnavailable, match=r"the disk failed: .*Input/output error"):
        append(journal, shared, 1)
    assert journal.unrecorded == 1
    # The disk recovers, and the wait is over.
    disk.fault = None
    journal._tail.retry_at = 0
    position = journal.append(shared, kept[:15] + b"\1", at, None, 1, b"")
    await journal.durable(position)
    with pytest.raises(JournalUnavailable, match="the disk failed before it had the decision"):
        await journal.durable(positions[0])
    assert ids(journal.directory)[0] == kept
    assert ids(journal.directory)[-1] == kept[:15] + b"\1"


async def test_a_disk_that_fails_while_a_full_segment_is_sealed_loses_nothing_silently(
    journal: FileJournal, disk: Disk, ruling: Rulings, at: int
) -> None:
    shared = ruling()
    disk.fault = OSError(errno.EIO, "Input/output error")
    positions = [journal.append(shared, os.urandom(16), at, None, 1, b"x" * 500) for _ in range(100)]
    for result in await asyncio.gather(*map(journal.durable, positions), return_exceptions=True):
        assert isinstance(result, JournalUnavailable)
    disk.fault = None
    journal._tail.retry_at = 0
    await journal.durable(journal.append(shared, os.urandom(16), at, None, 1, b""))


async def test_a_disk_that_fails_at_the_end_is_said_so(
    tmp_path: Path, disk: Disk, ruling: Rulings, append: Append
) -> None:
    journal = FileJournal(tmp_path, worker="w0")
    await journal.start()
    append(journal, ruling(), 1)
    disk.fault = OSError(errno.EIO, "Input/output error")
    with pytest.raises(JournalUnavailable, match="the disk failed before it had everything"):
        await journal.close()
    assert not (tmp_path / "w0.lock").exists()


async def test_closing_does_not_wait_for_ever(
    tmp_path: Path, disk: Disk, ruling: Rulings, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "CLOSE_WITHIN_S", 0.02)
    journal = FileJournal(tmp_path, worker="w0")
    await journal.start()
    append(journal, ruling(), 1)
    disk.hang = threading.Event()
    with pytest.raises(JournalUnavailable, match=r"did not answer within 0\.02 s"):
        await journal.close()
    disk.hang.set()
    journal._threads.shutdown()
    for stretch in (journal._tail.written, *journal._tail.retired):
        if stretch is not None:
            stretch.segment.abandon()
    journal._tail.discard_next(10)


async def test_a_closed_journal_refuses(tmp_path: Path, ruling: Rulings, append: Append, at: int) -> None:
    journal = FileJournal(tmp_path, worker="w0")
    with pytest.raises(JournalUnavailable, match="before its start"):
        await journal.durable(1)
    await journal.start()
    position = journal.append(ruling(), b"i" * 16, at, None, 1, b"")
    await journal.close()
    await journal.durable(position)
    with pytest.raises(JournalUnavailable, match="it is closed"):
        append(journal, ruling(), 1)
    with pytest.raises(JournalUnavailable, match="after its end"):
        await journal.durable(position + 1)
    with pytest.raises(JournalUnavailable, match="it was started before"):
        await journal.start()


async def test_a_second_process_with_the_same_worker_name_is_refused(
    journal: FileJournal, ruling: Rulings, append: Append, ids: Read
) -> None:
    told = [append(journal, ruling(), 1)]
    script = f"""
import asyncio
from pathlib import Path
from gateway.adapters.journal import FileJournal
from gateway.adapters.proof import check
from gateway.adapters.publisher import FilePublisher
from gateway.adapters.seal_lines import read_seal
from gateway.adapters.seals import LineFile, read_lines
asyncio.run(FileJournal(Path({str(journal.directory)!r}), worker="w0").start())
"""
    second = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stderr=asyncio.subprocess.PIPE)
    _, stderr = await second.communicate()
    assert second.returncode == 1
    assert f"worker name `w0` is taken by process {os.getpid()}".encode() in stderr
    assert ids(journal.directory) == told


async def test_a_folder_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = FileJournal(tmp_path / "file", worker="w0")
    with pytest.raises(JournalUnavailable, match=r"Not a directory|File exists"):
        await journal.start()


async def test_a_disk_without_room_is_tried_again_until_it_has_some(
    journal: FileJournal, ruling: Rulings, append: Append, ids: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.01)
    tries = 0

    def full(_fd: int, _offset: int, _size: int) -> None:
        nonlocal tries
        tries += 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    shared = ruling()
    told = [append(journal, shared, 0)]
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", full)
        with pytest.raises(JournalUnavailable, match="no room for the next segment"):
            told.extend(append(journal, shared, n) for n in range(1, 10_000))
        await until(lambda: tries > 2)
    refused = journal.unrecorded

    def works() -> bool:
        try:
            told.append(append(journal, shared, len(told)))
        except JournalUnavailable:
            return False
        return True

    await until(works)
    assert journal.unrecorded >= refused >= 1
    assert ids(journal.directory) == told


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from gateway.adapters.journal import FileJournal
from gateway.adapters.proof import check
from gateway.adapters.publisher import FilePublisher
from gateway.adapters.seal_lines import read_seal
from gateway.adapters.seals import LineFile, read_lines
from gateway.core.errors import JournalUnavailable
from gateway.ports import Ruling

async def main():
    journal = FileJournal(Path(sys.argv[1]), worker="w0", segment_bytes=32 * 1024)
    await journal.start()
    ruling, told = Ruling(b"{}"), 0
    journal.append(ruling, told.to_bytes(16, "big"), 1, None, 1, b"")
    journal._tail._next.result(10)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024, 16 * 1024))
    try:
        while True:
            journal.append(ruling, (told + 1).to_bytes(16, "big"), 1, None, 1, b"")
            told += 1
    except JournalUnavailable as fault:
        print(told, journal.unrecorded, fault, flush=True)

asyncio.run(main())
"""


def test_a_limit_on_file_sizes_is_an_error_and_not_a_death_by_signal(tmp_path: Path, ids: Read) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    told, unrecorded, message = done.stdout.split(maxsplit=2)
    assert (unrecorded, "File too large" in message) == ("1", True)
    assert len(ids(tmp_path)) == int(told) + 1
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"worker": ""}, "worker name"),
        ({"worker": "../w0"}, "worker name `../w0`: 1 to 32 letters"),
        ({"worker": "w" * 33}, "worker name"),
        ({"segment_bytes": 1024}, "segment_bytes is 1024; it is 16384 to 1073741824"),
        ({"segment_bytes": 2 << 30}, "segment_bytes is"),
        ({"sync_every_ms": 0}, "sync_every_ms is 0"),
    ],
)
def test_a_journal_that_cannot_work_is_refused_when_it_is_built(tmp_path: Path, more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        FileJournal(tmp_path, **{"worker": "w0", **more})


async def test_a_dead_workers_room_is_given_back_by_the_next_start(
    tmp_path: Path, ruling: Rulings, append: Append, ids: Read, files: Files
) -> None:
    script = f"""
import asyncio, os, signal
from pathlib import Path
from gateway.adapters.journal import FileJournal
from gateway.adapters.proof import check
from gateway.adapters.publisher import FilePublisher
from gateway.adapters.seal_lines import read_seal
from gateway.adapters.seals import LineFile, read_lines
from gateway.ports import Ruling
async def main():
    journal = FileJournal(Path({str(tmp_path)!r}), worker="dead")
    await journal.start()
    journal.append(Ruling(b"{{}}"), b"d" * 16, 1, None, 1, b"")
    journal._tail._next.result(10)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    dead = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await dead.wait() == -9
    assert sum(path.stat().st_size for path in files(tmp_path, "dead-*")) == 2 * 64 * (1 << 20)
    journal = FileJournal(tmp_path, worker="w0")
    await journal.start()
    told = append(journal, ruling(), 1)
    await journal.close()
    assert ids(tmp_path) == [b"d" * 16, told]
    assert [path.name for path in files(tmp_path)] == ["dead-00000001.gwj", "w0-00000001.gwj"]
    assert sum(path.stat().st_size for path in files(tmp_path)) < 1024


async def test_what_was_recorded_is_sealed_while_it_is_written_and_proved_at_the_end(
    journal: FileJournal, ruling: Rulings, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEAL_EVERY_S", 0.0)
    shared = ruling()
    for n in range(100):
        append(journal, shared, n)
    await until(lambda: journal._tail.link.line > 0)
    proof = check(journal.directory)
    assert proof.ok, proof.text()
    assert proof.workers[0].last + proof.workers[0].unsealed == 100
    for n in range(100, 500):
        append(journal, shared, n)
    await journal.close()
    proof = check(journal.directory)
    assert proof.ok, proof.text()
    (worker,) = proof.workers
    assert (worker.first, worker.last, worker.unsealed) == (1, 500, 0)
    assert worker.segments > 2


async def test_each_second_has_one_seal_at_most(
    journal: FileJournal, disk: Disk, ruling: Rulings, append: Append
) -> None:
    shared = ruling()
    for n in range(5):
        append(journal, shared, n)
        syncs = disk.syncs
        await until(lambda syncs=syncs: disk.syncs > syncs)  # type: ignore[misc] # mypy infers no lambda with defaults
    await until(lambda: journal._tail.link.line > 0)
    assert journal._tail.link.line == 1


async def test_a_disk_that_takes_no_seals_is_tried_again_and_keeps_nobody_from_recording(
    journal: FileJournal, ruling: Rulings, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEAL_EVERY_S", 0.0)
    tries = 0

    def full(_file: LineFile, _raw: bytes) -> None:
        nonlocal tries
        tries += 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    shared = ruling()
    with monkeypatch.context() as failing:
        failing.setattr(LineFile, "add", full)
        for n in range(300):
            append(journal, shared, n)
        await until(lambda: tries > 2)
        await journal.durable(journal._tail.position)
    await journal.close()
    proof = check(journal.directory)
    assert proof.ok, proof.text()
    assert proof.workers[0].last == 300


async def test_an_end_that_could_not_be_sealed_is_said_so_and_sealed_by_the_next_start(
    tmp_path: Path, ruling: Rulings, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: LineFile, _raw: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    journal = FileJournal(tmp_path, worker="w0")
    await journal.start()
    with monkeypatch.context() as failing:
        failing.setattr(LineFile, "add", full)
        append(journal, ruling(), 1)
        with pytest.raises(JournalUnavailable, match=r"its end could not be sealed: .*No space"):
            await journal.close()
    assert check(tmp_path).workers[0].unsealed == 1
    other = FileJournal(tmp_path, worker="w1")
    await other.start()
    await other.close()
    proof = check(tmp_path)
    assert proof.ok, proof.text()
    assert (proof.workers[0].last, proof.workers[0].reclaimed) == (1, 1)


async def test_a_segment_that_the_disk_failed_keeps_its_place_in_the_chain(
    journal: FileJournal, disk: Disk, ruling: Rulings, append: Append, at: int
) -> None:
    shared = ruling()
    append(journal, shared, 1)
    await journal.durable(journal._tail.position)
    disk.fault = OSError(errno.EIO, "Input/output error")
    with pytest.raises(JournalUnavailable):
        await journal.durable(journal.append(shared, b"2" * 16, at, None, 1, b""))
    disk.fault = None
    journal._tail.retry_at = 0
    await journal.durable(journal.append(shared, b"3" * 16, at, None, 1, b""))
    await journal.close()
    kinds = [read_seal(raw).kind for raw, _ in read_lines(journal.directory / "w0-00000001.seals")]
    assert kinds[-1] == "abandoned"
    proof = check(journal.directory)
    assert proof.ok, proof.text()
    assert proof.workers[0].last == 3


async def test_a_key_and_a_publisher_given_from_elsewhere_are_used(
    tmp_path: Path, ruling: Rulings, append: Append
) -> None:
    (tmp_path / "secrets").mkdir()
    signer = signer_of(tmp_path / "secrets")
    published = tmp_path / "published"
    journal = FileJournal(tmp_path / "journal", worker="w0", signer=signer, publisher=FilePublisher(published))
    await journal.start()
    append(journal, ruling(), 1)
    await journal.close()
    assert not (tmp_path / "journal" / "signing.key").exists()
    newest = read_seal(published.read_bytes().split()[-1])
    assert (newest.key, newest.kind, newest.last) == (signer.key_id, "sealed", 1)
    proof = check(tmp_path / "journal", keys=tmp_path / "secrets" / "signing.pub", published=published)
    assert proof.ok, proof.text()


async def test_workers_that_run_at_once_hold_on_to_each_other(
    tmp_path: Path, ruling: Rulings, append: Append, files: Files
) -> None:
    journals = [FileJournal(tmp_path, worker=worker) for worker in ("a", "b")]
    for journal in journals:
        await journal.start()
        append(journal, ruling(), 1)
    for journal in journals:
        await journal.close()
    assert check(tmp_path).ok
    for path in files(tmp_path, "a-*"):
        path.unlink()
    (found,) = check(tmp_path).findings
    assert "everything of this worker is gone, and a seal of b names line" in found.what


async def test_a_folder_can_be_proved_at_any_instant_while_it_is_written(
    tmp_path: Path, ruling: Rulings, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEAL_EVERY_S", 0.0)
    journals = [FileJournal(tmp_path, worker=worker, segment_bytes=16 * 1024) for worker in ("a", "b")]
    for journal in journals:
        await journal.start()
    shared = [ruling(), ruling()]
    numbers = count()
    for _ in range(25):
        proving = asyncio.ensure_future(asyncio.to_thread(check, tmp_path))
        while not proving.done():
            for journal, one in zip(journals, shared, strict=True):
                append(journal, one, next(numbers))
            await asyncio.sleep(0.0005)  # else the folder grows faster than it is read
        assert (await proving).ok, (await proving).text()
    for journal in journals:
        await journal.close()
    proof = check(tmp_path)
    assert proof.ok, proof.text()
    assert sum(one.last for one in proof.workers) == next(numbers)
