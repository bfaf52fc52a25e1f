from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.adapters.proof import check
from gateway.adapters.proof_chain import line_of
from gateway.adapters.seal_lines import digest_of, read_seal
from gateway.adapters.seals import files_of, read_lines, seals_path

Write = Callable[..., list[bytes]]


@pytest.fixture
def lines(tmp_path: Path, write_sealed: Write) -> list[bytes]:
    """The lines about the second of three segments."""
    write_sealed(tmp_path)
    return [raw + b"\n" for raw, _ in read_lines(seals_path(tmp_path, "w0", 2))]


def found(tmp_path: Path, lines: list[bytes], number: int = 2) -> list[tuple[str, int | None, str, int | None]]:
    seals_path(tmp_path, "w0", number).write_bytes(b"".join(lines))
    return [(one.file, one.offset, one.what, one.hides) for one in check(tmp_path).findings]


def test_a_line_taken_out_is_found_with_the_decisions_that_it_was_about(tmp_path: Path, lines: list[bytes]) -> None:
    gone = read_seal(lines[1][:-1])
    first = found(tmp_path, [lines[0], *lines[2:]])[0]
    assert first == (
        "w0-00000002.seals",
        2,
        f"lines {gone.line} to {gone.line} of the seals are gone before this line",
        gone.last - gone.first + 1,
    )


def test_two_lines_swapped_are_found(tmp_path: Path, lines: list[bytes]) -> None:
    what = [one[2] for one in found(tmp_path, [lines[0], lines[2], lines[1], *lines[3:]])]
    assert any("are gone before this line" in one for one in what)
    assert any("comes where line" in one for one in what)


def test_an_altered_line_is_found_with_the_decisions_that_it_was_about(tmp_path: Path, lines: list[bytes]) -> None:
    altered = read_seal(lines[1][:-1])
    forged = lines[1].replace(b'"last":%d' % altered.last, b'"last":%d' % (altered.last - 1))
    (one,) = found(tmp_path, [lines[0], forged, *lines[2:]])
    assert one[:2] == ("w0-00000002.seals", 2)
    assert one[2].startswith("the line was altered: its signature is not that of key")
    assert one[3] == altered.last - altered.first + 1


def test_two_altered_lines_are_two_findings(tmp_path: Path, lines: list[bytes]) -> None:
    one, two = found(tmp_path, [lines[0], b"x" + lines[1], b"x" + lines[2], *lines[3:]])
    assert (one[1], one[3]) == (2, None)
    assert (two[1], two[3]) == (3, read_seal(lines[2][:-1]).last - read_seal(lines[0][:-1]).last)


def test_a_line_of_another_segment_is_found(tmp_path: Path, lines: list[bytes]) -> None:
    other = next(read_lines(seals_path(tmp_path, "w0", 1)))[0] + b"\n"
    what = [one[2] for one in found(tmp_path, [other, *lines])]
    assert "the line is about segment 1 of worker w0" in what


def test_an_emptied_file_of_seals_is_found(tmp_path: Path, lines: list[bytes]) -> None:
    findings = found(tmp_path, [])
    assert [one[0] for one in findings[:2]] == ["w0-00000002.gwj", "w0-00000003.seals"]
    assert "it is not sealed" in findings[0][2]
    assert findings[1][3] == read_seal(lines[-1][:-1]).last - read_seal(lines[0][:-1]).first + 1


def test_a_line_cut_at_its_end_is_a_finding_unless_its_writer_may_be_at_it(tmp_path: Path, lines: list[bytes]) -> None:
    newest = [raw + b"\n" for raw, _ in read_lines(seals_path(tmp_path, "w0", 3))]
    assert any("was cut at its end" in one[2] for one in found(tmp_path, [*newest[:-1], newest[-1][:-40]], 3))
    (tmp_path / "w0.lock").touch()
    assert found(tmp_path, [*newest[:-1], newest[-1][:-40]], 3) == []
    # Only of the newest file: the writer has left all others.
    assert any("was cut at its end" in one[2] for one in found(tmp_path, [*lines[:-1], lines[-1][:-40]]))


def test_a_line_is_looked_up_in_the_chain(tmp_path: Path, lines: list[bytes]) -> None:
    files = files_of(tmp_path)["w0"]
    for raw in lines:
        seal = read_seal(raw[:-1])
        assert line_of(files, seal.line) == (digest_of(raw[:-1]), seal.line, seal.last)
    digest, newest, last = line_of(files, 10_000)
    assert (digest, last) == (None, 400)
    assert newest > read_seal(lines[-1][:-1]).line
