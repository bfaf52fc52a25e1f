from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.adapters.proof_removals import Removals
from gateway.adapters.proof_report import Finding
from gateway.adapters.seals import note_removed, read_head
from gateway.adapters.signing import read_keys, signer_of

Write = Callable[..., list[bytes]]


@pytest.fixture
def noted(tmp_path: Path, write_sealed: Write) -> Path:
    """A folder in which all three segments of a worker are noted as removed, one by one."""
    write_sealed(tmp_path)
    for number in (1, 2, 3):
        note_removed(tmp_path, "w0", (number, number), signer=signer_of(tmp_path), at=number, why="it is old")
    return tmp_path


def read(directory: Path) -> tuple[Removals, list[Finding]]:
    removals = Removals(directory, read_keys(directory))
    findings: list[Finding] = []
    removals.read(findings.append)
    return removals, findings


def test_what_went_on_purpose_is_known_by_segment_and_by_line(noted: Path) -> None:
    removals, findings = read(noted)
    head = read_head(noted, "w0")
    assert findings == []
    assert [removals.removed("w0", number) for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert not removals.removed("w1", 1)
    assert removals.decisions("w0", (1, head.line), head.digest) == 400
    assert removals.decisions("w0", (1, head.line), None) == 400
    assert removals.decisions("w0", (1, head.line), "0" * 64) is None
    assert removals.decisions("w0", (1, head.line + 1), None) is None


def test_a_removal_that_was_noted_meanwhile_is_known(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path)
    removals, _ = read(tmp_path)
    assert not removals.removed("w0", 1)
    note_removed(tmp_path, "w0", (1, 1), signer=signer_of(tmp_path), at=1, why="it is old")
    assert removals.removed("w0", 1)


@pytest.mark.parametrize("offset", [0, 5, 60, 300, -1, -2, -3, -200])
def test_an_altered_note_is_found_and_counts_for_nothing(noted: Path, offset: int) -> None:
    path = noted / "removed.seals"
    *before, last = path.read_bytes().splitlines(keepends=True)
    altered = bytearray(last)
    altered[offset] ^= 1
    path.write_bytes(b"".join(before) + altered)
    removals, findings = read(noted)
    assert (findings[0].file, findings[0].offset) == ("removed.seals", 3)
    assert removals.removed("w0", 1)
    assert not removals.removed("w0", 3)


def test_a_note_that_was_taken_out_is_found(noted: Path) -> None:
    path = noted / "removed.seals"
    first, _, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + last)
    removals, findings = read(noted)
    assert [(one.offset, one.what) for one in findings] == [(2, "lines before this one are gone or were replaced")]
    assert not removals.removed("w0", 2)
    path.write_bytes((first + last)[:-1])
    assert [one.what for one in read(noted)[1]] == ["the line was cut at its end"]
