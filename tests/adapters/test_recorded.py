import errno
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.adapters.journal import FileJournal
from gateway.adapters.recorded import find, read_documents
from gateway.adapters.segment import HEADER_BYTES
from gateway.adapters.segment_reader import Damage, JournalDamaged
from gateway.core.decision import RequestLine, decision_document, instant_text
from gateway.ports import Ruling

Append = Callable[..., bytes]
Rulings = Callable[..., Ruling]
Text = Callable[[bytes], str]
Files = Callable[..., list[Path]]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[FileJournal]:
    journal = FileJournal(tmp_path, worker="w0", segment_bytes=16 * 1024)
    await journal.start()
    yield journal
    await journal.close()


def ids_of(directory: Path, **more: Any) -> list[str]:
    return [document["id"] for document in read_documents(directory, **more)]


async def test_a_document_is_the_one_that_the_core_would_make(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, at: int, decision_id: Callable[[int], bytes], text_of: Text
) -> None:
    shared = ruling(operation="withdraw")
    journal.append(shared, decision_id(1), at + 1001, 77, 12, b"POST\0/api/v1/withdrawals\0api.example\0Fox/1")
    (document,) = read_documents(tmp_path)
    assert document == decision_document(
        orjson.loads(shared.document),
        decision_id=text_of(decision_id(1)),
        at=instant_text(at + 1001),
        request=RequestLine("POST", "/api/v1/withdrawals", "api.example", "Fox/1"),
        took_us=12,
        auth_age=77,
    )
    assert document["at"] == "2025-11-21T04:40:00.001001Z"
    assert document["facts"]["auth_age"] == 77


@pytest.mark.parametrize(
    ("request_bytes", "line"),
    [
        (b"GET\0/\0h\0a\0b", RequestLine("GET", "/", "h", "a")),
        (b"GET\0/only", RequestLine("GET", "/only", "", "")),
        (b"", RequestLine("", "", "", "")),
        (b"GET\0/\0h\0\xff\xfe", RequestLine("GET", "/", "h", r"\xff\xfe")),
    ],
)
async def test_whatever_was_in_the_request_can_be_shown(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, append: Append, request_bytes: bytes, line: RequestLine
) -> None:
    append(journal, ruling(), 1, request_bytes)
    (document,) = read_documents(tmp_path)
    assert document["request"] == {name: value for name, value in line._asdict().items() if value is not None}


async def test_documents_share_nothing_that_a_reader_could_spoil(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, append: Append
) -> None:
    shared = ruling()
    append(journal, shared, 1)
    append(journal, shared, 2)
    documents = read_documents(tmp_path)
    next(documents)["facts"]["auth_age"] = "spoiled"
    assert next(documents)["facts"]["auth_age"] == 2


async def test_many_rulings_are_read_again_rather_than_kept(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.recorded._RULINGS_KEPT", 2)
    rulings = [ruling(n=n) for n in range(9)]
    for n in range(60):
        append(journal, rulings[n % 9], n)
    assert [document["n"] for document in read_documents(tmp_path)] == [n % 9 for n in range(60)]


async def test_since_leaves_out_what_is_older_and_opens_no_sealed_segment_for_it(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, append: Append, at: int, text_of: Text, files: Files
) -> None:
    shared = ruling()
    told = [text_of(append(journal, shared, n)) for n in range(600)]
    await journal.close()
    assert len(files(tmp_path)) > 3
    for since in (0, 1, 299, 300, 599, 600):
        assert ids_of(tmp_path, since=at + since * 1000) == told[since:]
    # Damage in a segment that is left out is not met.
    oldest = files(tmp_path)[0]
    content = bytearray(oldest.read_bytes())
    content[HEADER_BYTES + 20] ^= 1
    oldest.write_bytes(content)
    assert ids_of(tmp_path, since=at + 599 * 1000) == told[599:]
    with pytest.raises(JournalDamaged):
        ids_of(tmp_path)


async def test_documents_of_all_workers_come_segment_by_segment_oldest_first(
    tmp_path: Path, ruling: Rulings, append: Append, text_of: Text
) -> None:
    told: dict[str, list[str]] = {"a": [], "b": []}
    journals = [FileJournal(tmp_path, worker=worker, segment_bytes=16 * 1024) for worker in told]
    rulings = [ruling(), ruling()]
    for journal in journals:
        await journal.start()
    for n in range(400):
        told[journals[n % 2].worker].append(text_of(append(journals[n % 2], rulings[n % 2], n)))
    for journal in journals:
        await journal.close()
    found = ids_of(tmp_path)
    assert sorted(found) == sorted(told["a"] + told["b"])
    for ids in told.values():
        assert [one for one in found if one in ids] == ids


async def test_every_decision_is_found_by_its_id_while_it_is_written_and_after(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, append: Append, text_of: Text
) -> None:
    shared = ruling()
    told = [text_of(append(journal, shared, n)) for n in range(300)]
    for _ in range(2):
        for decision_id in (told[0], told[150], told[-1]):
            found = find(tmp_path, decision_id)
            assert found is not None
            assert found["id"] == decision_id
        assert find(tmp_path, told[0].upper()) == find(tmp_path, told[0])
        await journal.close()


@pytest.mark.parametrize("sought", ["", "nonsense", "0197b0a4-0000-7000-8000-000000000000"])
async def test_what_was_never_recorded_is_not_found(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, append: Append, sought: str
) -> None:
    append(journal, ruling(), 1)
    assert find(tmp_path, sought) is None
    assert find(tmp_path / "absent", sought) is None


async def test_a_decision_is_found_though_the_clock_was_set_back(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, append: Append, text_of: Text
) -> None:
    shared = ruling()
    for n in range(300, 600):
        append(journal, shared, n)
    told = text_of(append(journal, shared, 3))
    found = find(tmp_path, told)
    assert found is not None
    assert found["id"] == told


async def test_a_damaged_ruling_is_reported_and_hides_only_its_own_decisions(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, append: Append, text_of: Text, files: Files
) -> None:
    first, second = ruling(n=1), ruling(n=2)
    told = [text_of(append(journal, (first, second)[n % 2], n)) for n in range(6)]
    await journal.close()
    (path,) = files(tmp_path)
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES + 10] ^= 1
    path.write_bytes(content)
    damage: list[Damage] = []
    assert ids_of(tmp_path, report=damage.append) == told[1::2]
    assert damage[0].offset == HEADER_BYTES
    assert [one.what for one in damage][1:] == [
        f"the ruling of decision {one} at offset {HEADER_BYTES} cannot be read" for one in told[::2]
    ]
    with pytest.raises(JournalDamaged, match=f"the ruling of decision {told[0]}"):
        find(tmp_path, told[0])
    assert find(tmp_path, told[1]) is not None


@pytest.mark.parametrize(
    ("document", "when"), [(b"not json", 1), (b"[]", 1), (b'{"facts":7}', 1), (b'{"facts":null}', 2**62)]
)
async def test_what_cannot_be_a_decision_is_reported_and_the_rest_is_read(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, append: Append, text_of: Text, document: bytes, when: int
) -> None:
    journal.append(Ruling(document), b"o" * 16, when, 1, 1, b"GET")
    told = text_of(append(journal, ruling(), 1))
    damage: list[Damage] = []
    assert ids_of(tmp_path, report=damage.append) == [told]
    assert ["does not know the format" in one.what for one in damage] == [True]


async def test_a_decision_that_may_lie_in_an_unreadable_segment_is_not_called_unrecorded(
    journal: FileJournal, tmp_path: Path, ruling: Rulings, append: Append, text_of: Text
) -> None:
    told = text_of(append(journal, ruling(), 1))
    (tmp_path / "w9-00000001.gwj").write_bytes(b"not a segment")
    assert find(tmp_path, told) is not None
    with pytest.raises(JournalDamaged, match="w9-00000001"):
        find(tmp_path, "0197b0a4-0000-7000-8000-000000000000")
    damage: list[Damage] = []
    assert ids_of(tmp_path, report=damage.append) == [told]
    assert [one.path.name for one in damage] == ["w9-00000001.gwj"]


async def test_segments_that_vanish_while_they_are_read_are_passed_over(
    journal: FileJournal,
    tmp_path: Path,
    ruling: Rulings,
    append: Append,
    text_of: Text,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = text_of(append(journal, ruling(), 1))
    ghost = tmp_path / "w8-00000001.gwj"
    real = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [*real(self, pattern), ghost])
    assert ids_of(tmp_path) == [told]
    with monkeypatch.context() as between:
        between.setattr("gateway.adapters.recorded._segments", lambda directory, report: [(0, ghost)])
        assert ids_of(tmp_path) == []
        assert find(tmp_path, told) is None


def test_the_system_errors_of_reading_are_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "w0-00000001.gwj").touch()
    monkeypatch.setattr("os.open", fail)
    with pytest.raises(OSError, match="Input/output error"):
        ids_of(tmp_path)
