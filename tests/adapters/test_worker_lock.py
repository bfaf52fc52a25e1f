import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.adapters.segment import HEADER_BYTES, Header, pack_header
from gateway.adapters.worker_lock import WorkerLock, reclaim, segments_of
from gateway.core.errors import JournalUnavailable

HOLD = """
import sys
from pathlib import Path
from gateway.adapters.worker_lock import WorkerLock
lock = WorkerLock(Path(sys.argv[1]), "w0")
lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


def test_two_processes_cannot_have_one_worker_name(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        with pytest.raises(JournalUnavailable, match=f"worker name `w0` is taken by process {holder.pid}; give each"):
            WorkerLock(tmp_path, "w0").take(patience_s=0)
        other = WorkerLock(tmp_path, "w1")
        other.take(patience_s=0)
        other.release()
        holder.kill()
        holder.wait()
        heir = WorkerLock(tmp_path, "w0")
        heir.take(patience_s=0)
        assert heir.path.read_text() == str(os.getpid())
        heir.release()


def test_a_released_name_can_be_taken_again_and_leaves_no_file(tmp_path: Path) -> None:
    for _ in range(3):
        lock = WorkerLock(tmp_path, "w0")
        lock.take()
        assert lock.path.stat().st_mode & 0o777 == 0o600
        lock.release()
        lock.release()
        assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_removed_file_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder removes the file after we opened it and before we locked it: ours would then be a lock on nothing."""
    holder = WorkerLock(tmp_path, "w0")
    holder.take()
    real_open = os.open
    opened: list[int] = []

    def open_then_lose(path: Path, flags: int, mode: int = 0o777) -> int:
        fd = real_open(path, flags, mode)
        if not opened:
            opened.append(fd)
            holder.release()
        return fd

    monkeypatch.setattr(os, "open", open_then_lose)
    lock = WorkerLock(tmp_path, "w0")
    lock.take()
    assert lock.path.exists()
    with pytest.raises(JournalUnavailable):
        WorkerLock(tmp_path, "w0").take(patience_s=0)
    lock.release()


def test_a_holder_without_a_name_is_another_process(tmp_path: Path) -> None:
    holder = WorkerLock(tmp_path, "w0")
    holder.take()
    holder.path.write_text("?")
    with pytest.raises(JournalUnavailable, match="taken by another process"):
        WorkerLock(tmp_path, "w0").take(patience_s=0)
    holder.release()


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        WorkerLock(tmp_path / "file", "w0").take()


def test_the_room_of_dead_writers_is_given_back_and_that_of_the_living_is_not(tmp_path: Path) -> None:
    header = pack_header(Header("x", 1, 1, 1, 0, 1))
    room = b"\0" * 4096
    for worker in ("dead", "alive", "other"):
        (tmp_path / f"{worker}-00000001.gwj").write_bytes(header + b"recorded" + room)
        (tmp_path / f"{worker}-00000002.gwj").write_bytes(room)
    (tmp_path / "dead.lock").write_text("1")
    living = WorkerLock(tmp_path, "alive")
    living.take()
    reclaim(tmp_path)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir() if path.suffix == ".gwj"}
    assert sizes == {
        "dead-00000001.gwj": HEADER_BYTES + 8,
        "alive-00000001.gwj": HEADER_BYTES + 8 + 4096,
        "alive-00000002.gwj": 4096,
        "other-00000001.gwj": HEADER_BYTES + 8 + 4096,
        "other-00000002.gwj": 4096,
    }
    assert not (tmp_path / "dead.lock").exists()
    living.release()


def test_whoever_tidies_up_after_a_dead_writer_holds_its_name_meanwhile(tmp_path: Path) -> None:
    for worker in ("dead", "alive"):
        (tmp_path / f"{worker}.lock").write_text("1")
    living = WorkerLock(tmp_path, "alive")
    living.take()
    tidied = []

    def tidy(worker: str) -> None:
        tidied.append(worker)
        with pytest.raises(JournalUnavailable):
            WorkerLock(tmp_path, worker).take(patience_s=0)

    reclaim(tmp_path, tidy)
    assert tidied == ["dead"]
    living.release()


def test_a_lock_given_back_unfinished_is_tidied_up_after(tmp_path: Path) -> None:
    lock = WorkerLock(tmp_path, "w0")
    lock.take()
    lock.release(unfinished=True)
    tidied: list[str] = []
    reclaim(tmp_path, tidied.append)
    assert tidied == ["w0"]
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_tidied_is_left_to_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "dead.lock").write_text("1")

    def fail(worker: str) -> None:
        raise OSError(f"no room to tidy up after {worker}")

    reclaim(tmp_path, fail)
    tidied: list[str] = []
    reclaim(tmp_path, tidied.append)
    assert tidied == ["dead"]


def test_what_cannot_be_tidied_keeps_nobody_from_starting(tmp_path: Path) -> None:
    (tmp_path / "odd.lock").mkdir()
    reclaim(tmp_path)
    assert (tmp_path / "odd.lock").is_dir()


@pytest.mark.parametrize("stranger", ["w0-x.gwj", "w0-1-2.gwj", "w00-1.gwj", "w0-3.txt", "w0.gwj"])
def test_segments_of_a_worker_come_by_number_and_no_strangers_among_them(tmp_path: Path, stranger: str) -> None:
    for name in ("w0-00000010.gwj", "w0-00000009.gwj", "w0-100000000.gwj", stranger):
        (tmp_path / name).touch()
    assert [number for number, _ in segments_of(tmp_path, "w0")] == [9, 10, 100_000_000]
