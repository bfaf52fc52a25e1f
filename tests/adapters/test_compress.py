import gzip
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.adapters import compress as compress_module
from gateway.adapters import segment_content
from gateway.adapters.compress import compress, compress_shipped
from gateway.adapters.follow import Follower, find_untaken
from gateway.adapters.proof import check
from gateway.adapters.recorded import find, read_documents
from gateway.adapters.sealer import Sealer
from gateway.adapters.seals import note_removed
from gateway.adapters.segment import trim
from gateway.adapters.segment_content import is_packed, read_begun
from gateway.adapters.segment_files import segment_files
from gateway.adapters.segment_reader import DecisionEntry, SegmentReader, read_segment
from gateway.adapters.signing import signer_of
from gateway.core.errors import JournalUnavailable

Write = Callable[..., list[bytes]]
ALL = {"w0": (99, 0)}
FIRST = "w0-00000001.gwj"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.is_file())


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


def test_a_compressed_segment_is_gzip_of_the_plain_one_in_its_place(journal: Path) -> None:
    path = journal / FIRST
    plain, before = path.read_bytes(), names(journal)
    assert compress(path) == path
    assert names(journal) == before
    assert gzip.decompress(path.read_bytes()) == plain
    assert path.stat().st_size < len(plain) / 2
    assert path.stat().st_mode & 0o777 == 0o600
    packed = path.read_bytes()
    assert compress(path) == path
    assert path.read_bytes() == packed


def test_every_reader_reads_both_kinds_the_same(journal: Path, small_blocks: None, tmp_path: Path) -> None:
    shutil.copytree(journal, tmp_path / "plain")
    done = compress_shipped(journal, ALL, 60)
    assert done.segments == 3
    assert done.left == 0
    assert done.after < done.before
    plain = tmp_path / "plain"
    for path in sorted(journal.glob("*.gwj")):
        assert is_packed(path)
        assert list(read_segment(path)) == list(read_segment(plain / path.name))
        with SegmentReader(path) as one, SegmentReader(plain / path.name) as other:
            assert one.header == other.header
            assert one.sealed
            some = next(entry for entry in other.entries() if isinstance(entry, DecisionEntry))
            assert one.search(some.decision_id) == some
            assert one.ruling(some.ruling) == other.ruling(some.ruling)
        begun, wanted = read_begun(path), read_begun(plain / path.name)
        assert begun is not None
        assert wanted is not None
        assert begun == wanted._replace(packed=True)
    documents = list(read_documents(journal))
    assert documents == list(read_documents(plain))
    assert find(journal, documents[7]["id"]) == documents[7]
    assert find_untaken(journal, {}, documents[7]["id"]) == find_untaken(plain, {}, documents[7]["id"])
    assert list(Follower(journal).stretches({})) == list(Follower(plain).stretches({}))
    assert Follower(journal).behind({}) == Follower(plain).behind({})
    assert check(journal).text().splitlines()[1:] == check(plain).text().splitlines()[1:]


def test_only_what_was_sealed_and_taken_is_compressed(journal: Path) -> None:
    assert compress_shipped(journal, {}, 60).segments == 0
    assert compress_shipped(journal, {"w0": (1, 0)}, 60).segments == 1
    assert [file.packed for file in segment_files(journal, {}, pytest.fail)] == [True, False, False]
    torn = journal / "w0-00000003.gwj"
    torn.write_bytes(torn.read_bytes()[:-8])
    assert compress_shipped(journal, ALL, 60).segments == 1
    with pytest.raises(JournalUnavailable, match="not sealed"):
        compress(torn)
    (journal / "w0-00000004.gwj").write_bytes(bytes(4096))
    with pytest.raises(JournalUnavailable, match="not sealed"):
        compress(journal / "w0-00000004.gwj")
    (journal / "w0-00000005.gwj").write_bytes(b"something else altogether")
    with pytest.raises(JournalUnavailable, match="does not begin as"):
        compress(journal / "w0-00000005.gwj")


def test_a_pass_begins_nothing_once_its_time_is_used_or_it_is_stopped(journal: Path) -> None:
    assert compress_shipped(journal, ALL, 0)[::3] == (0, 3)
    assert compress_shipped(journal, ALL, 60, stop=lambda: True)[::3] == (0, 3)


def test_what_a_crash_left_half_done_is_cleared_away(journal: Path) -> None:
    left = journal / "w0-00000001.packing"
    left.write_bytes(b"half")
    assert compress_shipped(journal, {}, 60).segments == 0
    assert not left.exists()


@pytest.mark.parametrize("fails", ["write", "read back"])
def test_the_plain_segment_stays_where_the_compressed_one_cannot_be_trusted(
    journal: Path, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = journal / FIRST
    plain, before = path.read_bytes(), names(journal)
    if fails == "write":

        def no_room(_fd: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(compress_module.os, "fsync", no_room)
        with pytest.raises(OSError, match="No space"):
            compress(path)
    else:
        real = compress_module.pack_block
        monkeypatch.setattr(
            compress_module, "pack_block", lambda block, level: real(block[:-1] + bytes((block[-1] ^ 1,)), level)
        )
        with pytest.raises(JournalUnavailable, match="does not read as it was written"):
            compress(path)
        assert compress_shipped(journal, ALL, 60).segments == 0
    assert path.read_bytes() == plain
    assert names(journal) == before


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_segment_that_was_removed_meanwhile_does_not_come_back(
    journal: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = journal / FIRST
    real = compress_module.pack_block

    def pack(block: bytes, level: int) -> bytes:
        path.unlink(missing_ok=True)
        if how == "replaced":
            path.write_bytes(b"another")
        return real(block, level)

    monkeypatch.setattr(compress_module, "pack_block", pack)
    with pytest.raises(FileNotFoundError):
        compress(path)
    assert path.exists() is (how == "replaced")
    assert not list(journal.glob("*.packing"))


def test_a_segment_that_went_meanwhile_is_passed_over(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = compress_module.compress

    def gone(path: Path) -> Path:
        if path.name == FIRST:
            path.unlink()
        return real(path)

    monkeypatch.setattr(compress_module, "compress", gone)
    assert compress_shipped(journal, ALL, 60).segments == 2


def test_a_dead_writers_room_is_not_given_back_from_a_compressed_segment(journal: Path) -> None:
    path = compress(journal / FIRST)
    # A member's last four bytes are its length, whose highest are zeros: a trim would cut them.
    raw = path.read_bytes()
    assert raw.endswith(b"\0")
    trim(path)
    assert path.read_bytes() == raw


def test_a_start_leaves_compressed_segments_as_they_are_even_where_their_seals_are_gone(
    journal: Path,
) -> None:
    compress_shipped(journal, ALL, 60)
    before = {path.name: path.read_bytes() for path in journal.glob("*.gwj")}
    for path in journal.glob("*.seals"):
        path.unlink()
    Sealer(journal, "w0", signer=signer_of(journal), now=lambda: 1).recover()
    assert {path.name: path.read_bytes() for path in journal.glob("*.gwj")} == before
    assert not check(journal).ok


def test_a_compressed_segment_is_noted_and_removed_like_any_other(journal: Path) -> None:
    compress(journal / FIRST)
    for path in note_removed(journal, "w0", (1, 1), signer=signer_of(journal), at=1, why="old"):
        path.unlink()
    assert check(journal).ok
    assert sum(one.removed for one in check(journal).workers) > 0


_AGAIN_AND_AGAIN = """
import sys
from pathlib import Path
from gateway.adapters.compress import compress

for plain in sorted(Path(sys.argv[2]).glob("*.gwj")) * 10_000:
    path = Path(sys.argv[1]) / plain.name
    beside = path.with_suffix(".plain")
    beside.write_bytes(plain.read_bytes())
    beside.replace(path)
    compress(path)
    print(path, flush=True)
"""


def test_a_kill_at_any_instant_leaves_a_segment_that_reads_as_before(journal: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(journal, plain)
    wanted = list(read_documents(plain))
    for _ in range(8):
        command = [sys.executable, "-c", _AGAIN_AND_AGAIN, str(journal), str(plain)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            time.sleep(random.uniform(0, 0.02))  # the instant of the kill
            process.kill()
            process.stdout.read()
        assert list(read_documents(journal)) == wanted
        assert check(journal).ok
    compress_shipped(journal, ALL, 60)
    assert not list(journal.glob("*.packing"))
    assert list(read_documents(journal)) == wanted
