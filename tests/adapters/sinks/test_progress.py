import errno
import os
from pathlib import Path

import pytest

from gateway.adapters.sinks import SinkUnavailable
from gateway.adapters.sinks.progress import Progress, had_by_all


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "sinks", "log")
    assert progress.take() == {}
    for offset in (128, 4096):
        progress.save({"w0": (3, offset), "w1": (1, 0)})
    progress.release()
    assert Progress(tmp_path / "sinks", "log").take() == {"w0": (3, 4096), "w1": (1, 0)}
    assert (tmp_path / "sinks").stat().st_mode & 0o777 == 0o700
    assert progress.path.stat().st_mode & 0o777 == 0o600


def test_only_one_may_move_it_on_until_it_is_released(tmp_path: Path) -> None:
    first, second = Progress(tmp_path, "log"), Progress(tmp_path, "log")
    first.take()
    with pytest.raises(SinkUnavailable, match="another process feeds this sink"):
        second.take()
    assert Progress(tmp_path, "other").take() == {}
    first.release()
    assert second.take() == {}


def test_of_a_worker_whose_journal_is_gone_nothing_is_remembered(tmp_path: Path) -> None:
    progress = Progress(tmp_path, "log")
    progress.take()
    progress.save({"gone": (9, 128), "here": (3, 128)})
    progress.release()

    assert Progress(tmp_path, "log", lambda: {"here", "new"}).take() == {"here": (3, 128)}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"w0": 3}', b'{"w0": [1, -1]}', b'{"w0": [1, "2"]}', b'{"w0": [1, true]}']
)
def test_a_file_that_is_not_one_is_never_taken_for_a_beginning(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log.json").write_bytes(content)
    with pytest.raises(SinkUnavailable, match="remove it to send the whole journal again"):
        Progress(tmp_path, "log").take()
    (tmp_path / "log.json").unlink()
    assert Progress(tmp_path, "log").take() == {}, "the lock was given back"


def test_a_full_disk_leaves_the_old_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress(tmp_path, "log")
    progress.take()
    progress.save({"w0": (1, 128)})

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SinkUnavailable, match="No space left"):
        progress.save({"w0": (1, 999)})
    progress.release()
    assert Progress(tmp_path, "log").take() == {"w0": (1, 128)}


def test_what_everybody_has_is_what_the_slowest_has_and_nothing_of_a_worker_that_somebody_lacks() -> None:
    archive = {"w0": (3, 128), "w1": (2, 500), "w2": (1, 128)}
    sink = {"w0": (2, 900), "w1": (2, 400)}
    assert had_by_all([archive, sink]) == {"w0": (2, 900), "w1": (2, 400)}
    assert had_by_all([archive]) == archive
    assert had_by_all([archive, {}]) == had_by_all([]) == {}
