import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.proof import check
from gateway.adapters.proof_report import Finding
from gateway.adapters.publisher import FilePublisher
from gateway.adapters.seal_lines import read_seal
from gateway.adapters.seals import note_removed, read_lines
from gateway.adapters.segment import Header, frame, pack_header
from gateway.adapters.segment_reader import DecisionEntry, end_of, read_segment
from gateway.adapters.signing import rotate, signer_of
from gateway.core.errors import JournalUnavailable

Write = Callable[..., list[bytes]]


@pytest.fixture
def journal(tmp_path: Path, write_sealed: Write) -> Path:
    """A folder of two workers, one after the other, each with several segments, all sealed."""
    directory = tmp_path / "journal"
    directory.mkdir()
    write_sealed(directory, "w0")
    write_sealed(directory, "w1", begin=1000)
    return directory


def records_of(path: Path) -> list[tuple[int, int]]:
    """Return where each decision of a segment begins and ends."""
    return [(one.offset, end_of(one)) for one in read_segment(path) if isinstance(one, DecisionEntry)]


def one_finding(directory: Path, **more: Any) -> Finding:
    proof = check(directory, **more)
    assert not proof.ok
    assert len(proof.findings) == 1, proof.text()
    return proof.findings[0]


def test_what_nobody_touched_is_proved(journal: Path) -> None:
    proof = check(journal)
    assert proof.ok, proof.text()
    assert [(one.worker, one.first, one.last, one.unsealed) for one in proof.workers] == [
        ("w0", 1, 400, 0),
        ("w1", 1, 400, 0),
    ]
    assert all(one.segments == 3 and one.seals > 10 for one in proof.workers)
    assert "as it was sealed" in proof.text()
    assert json.loads(json.dumps(proof.to_json()))["ok"] is True


def test_a_removed_record_is_found_with_its_stretch_and_what_comes_behind_is_proved(journal: Path) -> None:
    path = journal / "w0-00000002.gwj"
    raw = path.read_bytes()
    records = records_of(path)
    start, end = records[len(records) // 2]
    path.write_bytes(raw[:start] + raw[end:])
    found = one_finding(journal)
    assert (found.worker, found.file) == ("w0", path.name)
    assert found.offset is not None
    assert found.offset <= start
    assert "1 of 40 decisions are not there" in found.what
    assert found.hides == 40


def test_two_swapped_records_are_found_with_their_stretch(journal: Path) -> None:
    path = journal / "w0-00000001.gwj"
    raw = path.read_bytes()
    records = records_of(path)
    (start, middle), (_, end) = records[3], records[4]
    path.write_bytes(raw[:start] + raw[middle:end] + raw[start:middle] + raw[end:])
    found = one_finding(journal)
    assert (found.file, found.offset, found.first, found.last, found.hides) == (path.name, 0, 1, 40, 40)
    assert "is not what was sealed" in found.what


def test_a_forged_record_with_its_checksum_set_right_is_found(journal: Path) -> None:
    path = journal / "w0-00000001.gwj"
    raw = bytearray(path.read_bytes())
    start, end = records_of(path)[50]
    nonce = int.from_bytes(raw[24:28], "little")
    length = int.from_bytes(raw[start : start + 3], "little")
    body = bytes(raw[start + 8 : start + 8 + length]).replace(b"GET", b"PUT")
    word, padded = frame(2, body, nonce)
    raw[start:end] = word + padded
    path.write_bytes(raw)
    found = one_finding(journal)
    assert (found.file, found.first, found.last) == (path.name, 41, 80)
    assert "is not what was sealed" in found.what


def test_a_removed_segment_is_found_with_the_exact_number_that_it_hides(journal: Path) -> None:
    path = journal / "w0-00000002.gwj"
    decisions = len(records_of(path))
    before = len(records_of(journal / "w0-00000001.gwj"))
    path.unlink()
    found = one_finding(journal)
    assert (found.file, found.what, found.hides) == (path.name, "the segment is gone", decisions)
    assert (found.first, found.last) == (before + 1, before + decisions)


def test_a_segment_removed_with_its_seals_is_found_all_the_same(journal: Path) -> None:
    decisions = len(records_of(journal / "w0-00000002.gwj"))
    (journal / "w0-00000002.gwj").unlink()
    (journal / "w0-00000002.seals").unlink()
    found, *links = check(journal).findings
    assert (found.file, found.offset, found.hides) == ("w0-00000003.seals", 1, decisions)
    assert "and with them what proved segments 2 to 2" in found.what
    assert [one.file for one in links] == ["w0-00000003.gwj"]
    assert "was begun after line" in links[0].what


def test_a_truncated_file_of_seals_is_found_by_the_segment_behind_it_and_by_the_next_worker(journal: Path) -> None:
    path = journal / "w0-00000001.seals"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))
    files = {one.file for one in check(journal).findings}
    assert {"w0-00000001.gwj", "w0-00000002.seals"} <= files
    path.write_bytes(b"".join(lines))
    path = journal / "w0-00000003.seals"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    findings = check(journal).findings
    assert any("a seal of w1 names line" in one.what for one in findings)


def test_a_segment_replaced_by_an_older_copy_is_found_where_that_ends(journal: Path) -> None:
    path = journal / "w0-00000002.gwj"
    raw = path.read_bytes()
    start, _ = records_of(path)[90]
    path.write_bytes(raw[:start])
    found = one_finding(journal)
    assert found.file == path.name
    assert found.offset is not None
    assert found.offset <= start
    assert found.last is not None
    assert found.first is not None
    assert found.hides == found.last - found.first + 1
    assert found.last == read_seal(list(read_lines(journal / "w0-00000002.seals"))[-1][0]).last


def test_a_worker_that_vanished_whole_is_found_by_the_one_after_it(journal: Path) -> None:
    for path in journal.glob("w0-*"):
        path.unlink()
    found = one_finding(journal)
    assert (found.worker, found.hides) == ("w0", 400)
    assert "everything of this worker is gone, and a seal of w1 names line" in found.what


def test_the_newest_worker_that_vanished_is_found_by_what_was_published(journal: Path, tmp_path: Path) -> None:
    published = tmp_path / "elsewhere"
    publisher = FilePublisher(published)
    for worker in ("w0", "w1"):
        publisher.publish(list(read_lines(journal / f"{worker}-00000003.seals"))[-1][0])
    assert check(journal, published=published).ok
    for path in journal.glob("w1-*"):
        path.unlink()
    assert check(journal).ok
    found = one_finding(journal, published=published)
    assert (found.worker, found.hides) == ("w1", 400)
    assert f"line 4 of {published} names line" in found.what


def test_an_end_cut_off_with_its_seals_is_found_by_what_was_published(journal: Path, tmp_path: Path) -> None:
    published = tmp_path / "elsewhere"
    FilePublisher(published).publish(list(read_lines(journal / "w1-00000003.seals"))[-1][0])
    for path in journal.glob("w1-00000003.*"):
        path.unlink()
    assert check(journal).ok
    found = one_finding(journal, published=published)
    assert found.worker == "w1"
    assert found.first is not None
    assert (found.last, found.hides) == (400, 401 - found.first)


def test_what_was_written_anew_with_the_stolen_key_is_found_by_what_was_published(
    journal: Path, tmp_path: Path, write_sealed: Write
) -> None:
    published = tmp_path / "elsewhere"
    FilePublisher(published).publish(list(read_lines(journal / "w1-00000003.seals"))[-1][0])
    for path in journal.glob("w1-*"):
        path.unlink()
    write_sealed(journal, "w1", begin=2000)
    assert check(journal).ok
    assert "the seals were written anew" in one_finding(journal, published=published).what


def test_what_was_never_published_is_said_so(journal: Path, tmp_path: Path) -> None:
    published = tmp_path / "elsewhere"
    published.write_bytes(b"nonsense\n")
    found = one_finding(journal, published=published)
    assert (found.file, found.offset) == (str(published), 1)
    assert "this is no seal that was published" in found.what


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_byte_altered_in_a_sealed_segment_or_its_seals_is_found_in_that_file(journal: Path, data: Any) -> None:
    path = data.draw(st.sampled_from(sorted(journal.glob("w*-*"))))
    raw = path.read_bytes()
    # The first bytes and the last are drawn as often as all others: there the rules are special.
    where = st.integers(0, 140) | st.integers(len(raw) - 140, len(raw) - 1) | st.integers(0, len(raw) - 1)
    changed = bytearray(raw)
    offset = data.draw(where)
    changed[offset] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    try:
        findings = check(journal).findings
        assert path.name in {one.file for one in findings}
        if path.suffix == ".gwj":
            place = next(one for one in findings if one.file == path.name)
            assert place.offset is not None
            assert place.offset <= offset
    finally:
        path.write_bytes(raw)
    assert check(journal).ok


def test_a_segment_without_seals_is_said_to_be_not_sealed(journal: Path) -> None:
    old = journal / "old-00000001.gwj"
    raw = pack_header(Header("old", 1, 1, 7, 0, 1)) + b"".join(frame(1, b"{}", 7))
    old.write_bytes(raw)
    found = one_finding(journal)
    assert (found.worker, found.file) == ("old", old.name)
    assert "it is not sealed: nothing proves its 0 decisions" in found.what


def test_a_segment_under_another_name_is_said_so(journal: Path) -> None:
    shutil.copy(journal / "w0-00000001.gwj", journal / "w0-00000007.gwj")
    findings = check(journal).findings
    assert {one.file for one in findings} == {"w0-00000007.gwj"}
    assert "it is segment 1 of worker w0, under another name" in findings[0].what


def test_the_newest_end_of_a_living_worker_is_told_and_is_no_finding(journal: Path, write_sealed: Write) -> None:
    write_sealed(journal, "w2", decisions=75, begin=2000, close=False)
    lock = journal / "w2.lock"
    lock.touch()
    proof = check(journal)
    assert proof.ok, proof.text()
    assert (proof.workers[2].last, proof.workers[2].unsealed) == (40, 35)
    assert "35 decisions not sealed yet, from w2-00000001.gwj, offset" in proof.text()
    lock.unlink()
    found = one_finding(journal)
    assert "what begins here is not sealed: nothing proves its 35 decisions" in found.what


def test_what_was_removed_on_purpose_is_no_finding(journal: Path) -> None:
    for path in note_removed(journal, "w0", (1, 2), signer=signer_of(journal), at=1, why="it is old"):
        path.unlink()
    proof = check(journal)
    assert proof.ok, proof.text()
    assert (proof.workers[0].first, proof.workers[0].last) == (proof.workers[0].removed + 1, 400)
    for path in note_removed(journal, "w0", (3, 3), signer=signer_of(journal), at=1, why="it is old"):
        path.unlink()
    proof = check(journal)
    assert proof.ok, proof.text()
    assert [one.worker for one in proof.workers] == ["w1"]


def test_a_segment_removed_on_purpose_whose_seals_stayed_is_no_finding(journal: Path) -> None:
    note_removed(journal, "w0", (1, 1), signer=signer_of(journal), at=1, why="it is old")
    decisions = len(records_of(journal / "w0-00000001.gwj"))
    (journal / "w0-00000001.gwj").unlink()
    proof = check(journal)
    assert proof.ok, proof.text()
    assert proof.workers[0].removed == decisions


def test_a_note_of_a_removal_cannot_be_forged_nor_taken_away(journal: Path, tmp_path: Path) -> None:
    (tmp_path / "forger").mkdir()
    for path in note_removed(journal, "w0", (2, 2), signer=signer_of(tmp_path / "forger"), at=1, why="it is old"):
        path.unlink()
    files = [one.file for one in check(journal).findings]
    assert files[:2] == ["removed.seals", "w0-00000003.seals"]
    (journal / "removed.seals").unlink()
    assert check(journal).findings[0].file == "w0-00000003.seals"


def test_notes_of_removals_that_are_gone_are_found_by_a_seal_behind_them(journal: Path, write_sealed: Write) -> None:
    note_removed(journal, "w0", (1, 1), signer=signer_of(journal), at=1, why="it is old")
    write_sealed(journal, "w2", begin=2000)
    assert check(journal).ok
    (journal / "removed.seals").unlink()
    found = one_finding(journal)
    assert (found.file, "notes of removals are gone" in found.what) == ("removed.seals", True)


def test_since_reads_no_segment_that_is_older_and_all_of_its_seals(journal: Path, at: int) -> None:
    path = journal / "w0-00000001.gwj"
    raw = bytearray(path.read_bytes())
    raw[5000] ^= 1
    path.write_bytes(raw)
    assert not check(journal).ok
    assert check(journal, since=at + 399_000).ok
    seals = journal / "w0-00000001.seals"
    seals.write_bytes(seals.read_bytes().replace(b'"line":2', b'"line":9', 1))
    assert not check(journal, since=at + 399_000).ok


def test_old_seals_verify_with_old_keys_and_nobody_elses(journal: Path, tmp_path: Path, write_sealed: Write) -> None:
    old = (journal / "signing.pub").read_bytes()
    rotate(journal)
    write_sealed(journal, "w2", begin=2000)
    assert check(journal).ok
    pinned = tmp_path / "pinned.pub"
    pinned.write_bytes(old)
    findings = check(journal, keys=pinned).findings
    assert {one.worker for one in findings} == {"w2"}
    assert "no such public key is known" in findings[0].what


def test_each_finding_is_reported_and_a_proof_holds_no_more_than_it_can(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.proof.MOST_FINDINGS", 3)
    (tmp_path / "none").mkdir()
    told: list[Finding] = []
    proof = check(journal, keys=tmp_path / "none", report=told.append)
    assert len(proof.findings) == 3
    assert proof.more == len(told) - 3 > 0
    assert f"… and {proof.more} more" in proof.text()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="there is no such folder"):
        check(tmp_path / "absent")


def test_an_empty_folder_holds_nothing_to_prove(tmp_path: Path) -> None:
    assert check(tmp_path).workers == ()
    assert check(tmp_path).ok
