import errno
import os
from pathlib import Path

import pytest

from gateway.adapters.publisher import FilePublisher, Publisher


def test_each_line_is_appended_and_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "published"
    publisher: Publisher = FilePublisher(path)
    publisher.start()
    publisher.publish(b"one")
    publisher.close()
    FilePublisher(path).publish(b"two")
    assert path.read_bytes().split() == [b"one", b"two"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_behind_one_that_was_torn_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "published"
    path.write_bytes(b"tor")
    FilePublisher(path).publish(b"two")
    assert path.read_bytes().splitlines() == [b"tor", b"two"]


def test_a_disk_without_room_is_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda _fd, _content: 1)
    with pytest.raises(OSError, match="no room for a whole line"):
        FilePublisher(tmp_path / "published").publish(b"one")
    with pytest.raises(OSError, match=os.strerror(errno.ENOENT)):
        FilePublisher(tmp_path / "absent" / "published").publish(b"one")
