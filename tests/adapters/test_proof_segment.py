from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.adapters.proof_report import Finding
from gateway.adapters.proof_segment import SegmentCheck, decisions_behind
from gateway.adapters.seal_lines import Seal, read_seal
from gateway.adapters.seals import read_lines, seals_path
from gateway.adapters.segment import HEADER_BYTES
from gateway.adapters.segment_reader import DecisionEntry, end_of, read_segment

Write = Callable[..., list[bytes]]
Verify = Callable[[bytes], list[Finding]]


@pytest.fixture
def seals(tmp_path: Path, write_sealed: Write) -> list[Seal]:
    """The seals of one segment: four checkpoints and the last."""
    write_sealed(tmp_path, decisions=184)
    return [read_seal(raw) for raw, _ in read_lines(seals_path(tmp_path, "w0", 1))]


@pytest.fixture
def path(tmp_path: Path, seals: list[Seal]) -> Path:
    return tmp_path / "w0-00000001.gwj"


@pytest.fixture
def verify(path: Path, seals: list[Seal]) -> Iterator[Verify]:
    """Compare a segment of these bytes with the seals."""
    sealed = path.read_bytes()

    def run(content: bytes) -> list[Finding]:
        path.write_bytes(content)
        findings: list[Finding] = []
        check = SegmentCheck("w0", path, seals[-1], findings.append)
        for seal in seals:
            check.stretch(seal)
        check.finish(seals[-1])
        return findings

    assert run(sealed) == []
    yield run
    assert run(sealed) == []


def test_two_places_apart_are_two_findings_and_two_stretches_together_are_one(
    verify: Verify, path: Path, seals: list[Seal]
) -> None:
    content = bytearray(path.read_bytes())
    content[seals[0].end - 20] ^= 1
    content[seals[3].end - 20] ^= 1
    found = verify(bytes(content))
    assert [(one.first, one.last, one.hides) for one in found] == [(1, 40, 40), (121, 160, 40)]
    content[seals[1].end - 20] ^= 1
    assert [(one.first, one.last) for one in verify(bytes(content))] == [(1, 80), (121, 160)]


def test_what_was_put_in_is_found_and_what_comes_behind_is_proved(
    verify: Verify, path: Path, seals: list[Seal]
) -> None:
    content = path.read_bytes()
    one = [entry for entry in read_segment(path) if isinstance(entry, DecisionEntry)][60]
    doubled = content[: end_of(one)] + content[one.offset : end_of(one)] + content[end_of(one) :]
    (found,) = verify(doubled)
    assert (found.first, found.last) == (41, 80)


def test_bytes_behind_the_sealed_end_are_found(verify: Verify, path: Path) -> None:
    content = path.read_bytes()
    (found,) = verify(content + b"12345678")
    assert (found.offset, found.what, found.hides) == (len(content), "8 bytes were put behind its sealed end", 0)


@pytest.mark.parametrize("offset", range(112, HEADER_BYTES))
def test_a_header_that_says_other_than_was_sealed_is_found(verify: Verify, path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    (found,) = verify(bytes(content))
    assert found.offset == 112


def test_an_emptied_file_is_found(verify: Verify) -> None:
    found = verify(b"")
    assert [(one.offset, one.first, one.last) for one in found] == [(0, 1, 184)]


def test_what_lies_behind_an_offset_is_counted(path: Path, seals: list[Seal], tmp_path: Path) -> None:
    assert decisions_behind(path, seals[0].end) == 144
    assert decisions_behind(tmp_path / "absent", 0) == 0
    path.write_bytes(b"nonsense")
    assert decisions_behind(path, 0) == 0
