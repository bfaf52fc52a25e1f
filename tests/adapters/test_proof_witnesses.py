from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.adapters.proof import check
from gateway.adapters.publisher import FilePublisher
from gateway.adapters.seal_lines import read_seal
from gateway.adapters.seals import last_line, read_lines
from tests.adapters.test_timestamp import SEEN, answer

Write = Callable[..., list[bytes]]


@pytest.fixture
def journal(tmp_path: Path, write_sealed: Write) -> Path:
    directory = tmp_path / "journal"
    directory.mkdir()
    write_sealed(directory, "w0")
    return directory


@pytest.fixture
def line(journal: Path) -> bytes:
    """The newest line of the journal's worker."""
    newest = last_line(journal / "w0-00000003.seals")
    assert newest is not None
    return newest


def stamp_it(journal: Path, line: bytes) -> Path:
    """Put a stamp of the line beside the seals; return its file."""
    path = journal / "timestamps" / f"w0-{read_seal(line).line:08d}.tsr"
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".seal").write_bytes(line)
    path.write_bytes(answer(sha256(line).digest(), 1))
    return path


def test_of_each_file_and_of_the_stamps_the_newest_line_is_told(journal: Path, line: bytes, tmp_path: Path) -> None:
    older = next(read_lines(journal / "w0-00000002.seals"))[0]
    one, other = tmp_path / "one", tmp_path / "other"
    for raw in (older, line, older):
        FilePublisher(one).publish(raw)
    FilePublisher(other).publish(older)
    stamp_it(journal, older)
    stamp = stamp_it(journal, line)
    proof = check(journal, published=[one, other])
    assert proof.ok, proof.text()
    assert proof.witnesses == (
        ("w0", read_seal(line).line, str(one), None),
        ("w0", read_seal(older).line, str(other), None),
        ("w0", read_seal(line).line, f"timestamps/{stamp.name}", SEEN),
    )
    assert check(journal, published=one).witnesses[0] == proof.witnesses[0]


def test_a_file_that_should_be_there_and_is_not_is_an_error(journal: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        check(journal, published=tmp_path / "absent")
    assert not check(journal, published=None).witnesses


def test_an_end_cut_off_with_its_seals_is_found_by_the_stamp(journal: Path, line: bytes) -> None:
    stamp_it(journal, line)
    (journal / "w0-00000003.gwj").unlink()
    (journal / "w0-00000003.seals").unlink()
    (found,) = check(journal).findings
    assert "its seals end at line" in found.what
    assert "timestamps/w0-" in found.what


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda stamp: stamp.write_bytes(stamp.read_bytes()[:-1]), "it is no timestamp of"),
        (lambda stamp: stamp.with_suffix(".seal").write_bytes(b"another"), "it is no timestamp of"),
        (lambda stamp: stamp.with_suffix(".seal").unlink(), "is not there"),
        (
            lambda stamp: (
                stamp.with_suffix(".seal").write_bytes(b"none"),
                stamp.write_bytes(answer(sha256(b"none").digest(), 1)),
            ),
            "is no seal, or its key is not known",
        ),
    ],
)
def test_a_stamp_that_was_spoiled_is_a_finding(
    journal: Path, line: bytes, spoil: Callable[[Path], object], what: str
) -> None:
    stamp = stamp_it(journal, line)
    spoil(stamp)
    (found,) = check(journal).findings
    assert what in found.what
    assert found.file == f"timestamps/{stamp.name}"
