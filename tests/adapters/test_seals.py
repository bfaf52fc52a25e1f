import os
from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters import seals as seals_module
from gateway.adapters.seal_lines import CHECKPOINT, MAX_LINE, SEALED, START, digest_of, read_removal, read_seal
from gateway.adapters.seals import (
    Chain,
    Head,
    LineFile,
    files_of,
    heads,
    last_line,
    measure,
    note_removed,
    read_head,
    read_lines,
    seals_path,
)
from gateway.adapters.segment import DECISION, HEADER_BYTES, RULING, Header, frame, pack_header
from gateway.adapters.segment_content import open_content
from gateway.adapters.signing import signer_of
from gateway.core.errors import JournalUnavailable

Write = Callable[..., list[bytes]]
STRETCH = (0, 256, "d" * 64, 3)


def add(chain: Chain, segment: int = 1, kind: str = CHECKPOINT, at: int = 5) -> None:
    chain.add(kind, segment, STRETCH, 7, at)


def test_lines_follow_each_other_over_segments_and_processes(tmp_path: Path) -> None:
    chain = Chain(tmp_path, "w0", signer_of(tmp_path))
    add(chain)
    add(chain, kind=SEALED)
    add(chain, segment=2)
    chain.close()
    again = Chain(tmp_path, "w0", signer_of(tmp_path))
    assert again.head == chain.head
    add(again, segment=2)
    again.close()
    raws = [raw for number in (1, 2) for raw, _ in read_lines(seals_path(tmp_path, "w0", number))]
    seals = [read_seal(raw) for raw in raws]
    assert [(one.line, one.first, one.last) for one in seals] == [(1, 1, 3), (2, 4, 6), (3, 7, 9), (4, 10, 12)]
    assert [one.previous for one in seals] == [START, *map(digest_of, raws[:-1])]


def test_a_torn_line_is_taken_away_before_the_next_is_added(tmp_path: Path) -> None:
    chain = Chain(tmp_path, "w0", signer_of(tmp_path))
    add(chain)
    chain.close()
    path = seals_path(tmp_path, "w0", 1)
    with path.open("ab") as file:
        file.write(b'{"seal":{"worker":"w0","line":2')
    chain = Chain(tmp_path, "w0", signer_of(tmp_path))
    assert chain.head.line == 1
    add(chain)
    chain.close()
    assert [read_seal(raw).line for raw, whole in read_lines(path) if whole] == [1, 2]


def test_a_chain_goes_on_behind_a_line_that_somebody_altered(tmp_path: Path) -> None:
    chain = Chain(tmp_path, "w0", signer_of(tmp_path))
    add(chain)
    add(chain)
    chain.close()
    path = seals_path(tmp_path, "w0", 1)
    path.write_bytes(path.read_bytes()[:-3] + b"!!\n")
    head = read_head(tmp_path, "w0")
    assert (head.line, head.last) == (2, 3)
    assert head.digest == digest_of(last_line(path) or b"")


def test_a_line_that_found_no_room_leaves_no_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LineFile(tmp_path / "lines")
    file.add(b"first")
    real = os.write
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", lambda fd, content: real(fd, content[:3]))
        with pytest.raises(OSError, match="no room for a whole line"):
            file.add(b"second")
    file.add(b"third")
    file.close()
    assert (tmp_path / "lines").read_bytes() == b"first\nthird\n"


@given(
    sizes=st.lists(st.tuples(st.sampled_from([RULING, DECISION]), st.integers(48, 300)), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=3),
    step=st.sampled_from([64, 1 << 20]),
)
def test_every_decision_of_a_stretch_is_counted_and_every_byte_of_it_digested(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[tuple[int, int]], cuts: list[int], step: int
) -> None:
    path = tmp_path_factory.mktemp("measure") / "w0-00000001.gwj"
    records = [b"".join(frame(kind, bytes(size), 7)) for kind, size in sizes]
    raw = pack_header(Header("w0", 1, 1, 7, 0, 1)) + b"".join(records)
    path.write_bytes(raw + b"\0" * 64)
    bounds = sorted({0, len(records), *(cut for cut in cuts if cut < len(records))})
    with pytest.MonkeyPatch.context() as patch, open_content(path) as content:
        patch.setattr(seals_module, "_STEP", step)
        for after, until in pairwise(bounds):
            start = 0 if after == 0 else HEADER_BYTES + sum(map(len, records[:after]))
            end = HEADER_BYTES + sum(map(len, records[:until]))
            hashed = raw[:112] + raw[HEADER_BYTES:end] if start == 0 else raw[start:end]
            decisions = sum(kind == DECISION for kind, _ in sizes[after:until])
            assert measure(content, start, end) == (sha256(hashed).hexdigest(), decisions)


def test_measuring_ends_where_the_file_does(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"x" * 200)
    with open_content(path) as content:
        assert measure(content, 128, 1 << 30)[0] == sha256(b"x" * 72).hexdigest()


def test_a_folder_is_listed_by_worker_and_number_and_no_strangers_among_them(tmp_path: Path) -> None:
    names = ["a-b-00000002.gwj", "a-b-00000002.seals", "a-00000001.seals", "removed.seals", "a.lock", "a-x.gwj"]
    for name in names:
        (tmp_path / name).touch()
    found = files_of(tmp_path)
    assert {name: (list(one.segments), list(one.seals)) for name, one in found.items()} == {
        "a-b": ([2], [2]),
        "a": ([], [1]),
    }


def test_the_newest_lines_of_other_chains_are_named_and_no_more_of_them_than_asked(
    tmp_path: Path, write_sealed: Write
) -> None:
    for number, worker in enumerate(("w0", "w1", "w2")):
        write_sealed(tmp_path, worker, 40)
        os.utime(seals_path(tmp_path, worker, 1), ns=(number, number))
    note_removed(tmp_path, "w0", (1, 1), signer=signer_of(tmp_path), at=1, why="it is old")
    found = heads(tmp_path, "w2")
    assert found.keys() == {"w0", "w1", "removed.seals"}
    assert found["w1"] == (2, 40, digest_of(last_line(seals_path(tmp_path, "w1", 1)) or b""))
    assert heads(tmp_path, "w0", most=2).keys() == {"w2", "removed.seals"}


def test_a_chain_whose_files_were_removed_goes_on_where_it_was(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path, "w0")
    before = read_head(tmp_path, "w0")
    assert before.segment == 3
    for path in note_removed(tmp_path, "w0", (1, 3), signer=signer_of(tmp_path), at=1, why="it is old"):
        path.unlink()
    after = read_head(tmp_path, "w0")
    assert (after.line, after.digest, after.segment, after.last) == (before.line, before.digest, 3, 400)
    assert read_head(tmp_path, "w9") == Head()


def test_a_note_of_a_removal_says_what_went_and_which_files_may_go(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path, "w0")
    signer = signer_of(tmp_path)
    files = note_removed(tmp_path, "w0", (1, 2), signer=signer, at=77, why="it is old")
    assert sorted(path.name for path in files) == [f"w0-0000000{n}.{kind}" for n in (1, 2) for kind in ("gwj", "seals")]
    note_removed(tmp_path, "w0", (3, 3), signer=signer, at=78, why="it is old")
    first, second = (read_removal(raw) for raw, _ in read_lines(tmp_path / "removed.seals"))
    assert (first.line, first.previous, first.at, first.why) == (1, START, 77, "it is old")
    assert (first.first, second.first, second.last) == (1, first.last + 1, 400)
    assert (first.lines[0], second.lines[0]) == (1, first.lines[1] + 1)
    assert second.line == 2


def test_nothing_that_is_not_sealed_may_be_removed(tmp_path: Path, write_sealed: Write) -> None:
    write_sealed(tmp_path, "w0", close=False)
    signer = signer_of(tmp_path)
    with pytest.raises(JournalUnavailable, match="w0-00000003 is not sealed; only what is may be removed"):
        note_removed(tmp_path, "w0", (1, 3), signer=signer, at=1, why="it is old")
    seals_path(tmp_path, "w0", 3).unlink()
    with pytest.raises(JournalUnavailable, match="w0-00000003 is not sealed"):
        note_removed(tmp_path, "w0", (3, 3), signer=signer, at=1, why="it is old")
    seals_path(tmp_path, "w0", 2).write_bytes(b"nonsense\n")
    with pytest.raises(JournalUnavailable, match="verify the journal before anything of it is removed"):
        note_removed(tmp_path, "w0", (2, 2), signer=signer, at=1, why="it is old")
    assert not (tmp_path / "removed.seals").exists()


def test_a_line_as_long_as_memory_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "long.seals"
    path.write_bytes(b"x" * (3 * MAX_LINE) + b"\n")
    assert max(len(raw) for raw, _ in read_lines(path)) <= MAX_LINE
