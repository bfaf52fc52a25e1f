import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.adapters import publishers
from gateway.adapters.journal import FileJournal
from gateway.adapters.proof import check
from gateway.adapters.publishers import Had, ManyPublishers, Target, publishers_of
from gateway.adapters.seal_lines import read_seal
from gateway.adapters.seals import last_line, read_lines
from gateway.adapters.worker_lock import WorkerLock
from gateway.core.errors import JournalUnavailable
from gateway.ports import Ruling

Write = Callable[..., list[bytes]]


class Kept:
    """Keeps lines; does so or fails or waits as it is told."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.tries = 0
        self.fault: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()

    def start(self) -> None:
        raise AssertionError("nobody starts a target")

    def close(self) -> None:
        raise AssertionError("nobody closes a target")

    def publish(self, line: bytes) -> None:
        self.tries += 1
        assert self.go_on.wait(30)
        if self.fault is not None:
            raise self.fault
        self.lines.append(line)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishers, "_PAUSES_S", (0.01, 0.02))


@pytest.fixture
def journal(tmp_path: Path, write_sealed: Write) -> Path:
    """A folder of two workers that have ended."""
    directory = tmp_path / "journal"
    directory.mkdir()
    write_sealed(directory, "w0")
    write_sealed(directory, "w1", begin=1000)
    return directory


def lines_of(journal: Path, worker: str) -> list[bytes]:
    return [raw for path in sorted(journal.glob(f"{worker}-*.seals")) for raw, _ in read_lines(path)]


def place(**given: object) -> SimpleNamespace:
    return SimpleNamespace(**({"file": None, "url": None, "secret_file": None, "timestamp_url": None} | given))


def test_what_was_left_by_workers_that_ended_is_published_first_and_once(journal: Path) -> None:
    kept = Kept()
    many = ManyPublishers(journal, [Target("one", "1", kept)])
    many.start()
    until(lambda: len(kept.lines) == 2)
    many.close()
    assert set(kept.lines) == {lines_of(journal, "w0")[-1], lines_of(journal, "w1")[-1]}
    again = Kept()

    def has(wanted: int) -> bool:
        return len(again.lines) == wanted

    for key, wanted in (("1", 0), ("2", 2)):
        many = ManyPublishers(journal, [Target("again", key, again)])
        many.start()
        until(partial(has, wanted))
        many.close()
        assert len(again.lines) == wanted


def test_a_worker_that_lives_publishes_its_own(journal: Path) -> None:
    lock = WorkerLock(journal, "w1")
    lock.take()
    kept = Kept()
    many = ManyPublishers(journal, [Target("one", "1", kept)])
    many.start()
    many.close()
    lock.release()
    assert kept.lines == [lines_of(journal, "w0")[-1]]


def test_a_place_that_is_away_holds_up_no_other_and_has_the_newest_line_when_it_is_back(journal: Path) -> None:
    first, second, newest = lines_of(journal, "w0")[:3]
    away, hangs, well = Kept(), Kept(), Kept()
    away.fault = OSError("away")
    hangs.go_on.clear()
    for worker in ("w0", "w1"):
        for key in "123":
            Had(journal, key).note(worker, 1000)
    many = ManyPublishers(journal, [Target("a", "1", away), Target("h", "2", hangs), Target("w", "3", well)])
    many.start()
    many.publish(first)
    until(lambda: well.lines == [first] and away.tries > 2 and hangs.tries == 1)
    many.publish(second)
    many.publish(newest)
    until(lambda: bool(well.lines) and well.lines[-1] == newest)
    away.fault = None
    hangs.go_on.set()
    until(lambda: away.lines == [newest] and hangs.lines == [first, newest])
    many.close()


@pytest.mark.parametrize("fault", [OSError("away"), RuntimeError("nobody thought of it")])
def test_what_is_owed_at_the_end_is_published_by_the_next(journal: Path, fault: Exception) -> None:
    kept = Kept()
    kept.fault = fault
    many = ManyPublishers(journal, [Target("one", "1", kept)])
    many.start()
    until(lambda: kept.tries >= 4)
    many.close()
    assert not kept.lines
    kept.fault = None
    many = ManyPublishers(journal, [Target("one", "1", kept)])
    many.start()
    until(lambda: len(kept.lines) == 2)
    many.close()


def test_the_end_is_bounded_though_a_place_never_answers(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishers, "CLOSE_WITHIN_S", 0.05)
    hangs, well = Kept(), Kept()
    hangs.go_on.clear()
    many = ManyPublishers(journal, [Target("hangs", "1", hangs), Target("well", "2", well)])
    many.start()
    until(lambda: len(well.lines) == 2)
    began = time.monotonic()
    many.close()
    assert time.monotonic() - began < 10
    hangs.go_on.set()


def test_a_place_that_is_left_alone_between_lines_has_the_last_one_at_the_end(journal: Path) -> None:
    lines = lines_of(journal, "w0")
    kept = Kept()
    for worker in ("w0", "w1"):
        Had(journal, "1").note(worker, 0 if worker == "w0" else 1000)
    many = ManyPublishers(journal, [Target("seldom", "1", kept, every_s=3600)])
    many.start()
    until(lambda: kept.lines == lines[-1:])
    many.publish(lines[0])
    many.publish(lines[1])
    many.close()
    assert kept.lines == [lines[-1], lines[1]]


def test_no_more_workers_wait_than_can_be_held(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishers, "MOST_OWED", 1)
    many = ManyPublishers(journal, [Target("one", "1", Kept())])
    many.publish(lines_of(journal, "w0")[0])
    many.publish(lines_of(journal, "w1")[0])
    many.publish(b"no seal")
    assert list(many._lanes[0]._owed) == ["w1"]
    many.close()


def test_progress_is_that_of_workers_that_are_there_and_never_goes_back(journal: Path) -> None:
    had = Had(journal, "1")
    assert had.read() == {}
    had.note("w0", 7)
    had.note("gone", 3)
    had.note("w1", 2)
    had.note("w0", 5)
    assert had.read() == {"w0": 7, "w1": 2}
    for nonsense in (b"[]", b"{", b'{"w0":"x"}'):
        (journal / "published-1.json").write_bytes(nonsense)
        assert had.read() == {}


def test_places_of_the_configuration_become_publishers(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * 32)
    assert publishers_of([], tmp_path) is None
    places = [
        place(file=tmp_path / "published"),
        place(url="https://receiver.example/secret-path", secret_file=secret),
        place(timestamp_url="http://timestamps.example/tsr"),
    ]
    many = publishers_of(places, tmp_path)
    assert isinstance(many, ManyPublishers)
    names = [lane._target.name for lane in many._lanes]
    assert names == [str(tmp_path / "published"), "https://receiver.example", "http://timestamps.example"]
    assert [lane._target.every_s for lane in many._lanes] == [0, 0, publishers.STAMP_EVERY_S]
    assert len({lane._target.key for lane in many._lanes}) == 3
    with pytest.raises(JournalUnavailable, match="No such file"):
        publishers_of([place(url="https://receiver.example", secret_file=tmp_path / "absent")], tmp_path)
    with pytest.raises(ValueError, match="a place to publish to"):
        publishers_of([place()], tmp_path)


async def test_a_journal_publishes_while_it_is_written_at_its_end_and_what_a_killed_one_left(
    tmp_path: Path, append: Callable[..., bytes]
) -> None:
    directory, elsewhere = tmp_path / "journal", tmp_path / "published"

    async def live(worker: str, number: int) -> None:
        many = publishers_of([place(file=elsewhere)], directory)
        journal = FileJournal(directory, worker=worker, publisher=many)
        await journal.start()
        append(journal, Ruling(b'{"facts":null}'), number)
        await journal.close()

    await live("w0", 1)
    newest = last_line(directory / "w0-00000001.seals")
    assert newest is not None
    assert elsewhere.read_bytes().split() == [newest]
    # As if it had been killed before it was published.
    elsewhere.unlink()
    next(iter(directory.glob("published-*.json"))).unlink()
    await live("w1", 2)
    published = {read_seal(raw).worker for raw in elsewhere.read_bytes().split()}
    assert published == {"w0", "w1"}
    proof = check(directory, published=[elsewhere])
    assert proof.ok
    assert {(one.worker, one.where) for one in proof.witnesses} == {("w0", str(elsewhere)), ("w1", str(elsewhere))}
    assert f"line 1 is in {elsewhere}" in proof.text()
