import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.follow import Follower, find_untaken
from gateway.adapters.live_segment import Bounds
from gateway.adapters.segment_reader import JournalDamaged
from gateway.adapters.tail import Tail
from gateway.adapters.worker_lock import WorkerLock
from gateway.ports import Stretch, ruling_digest


@pytest.fixture
def living(tail, tmp_path) -> Iterator[Tail]:
    """The tail of a worker that lives."""
    lock = WorkerLock(tmp_path, "w0")
    lock.take()
    yield tail
    lock.release()


class Taker:
    """Takes what a follower yields, as an archive would."""

    def __init__(self) -> None:
        self.taken: dict[str, tuple[int, int]] = {}
        self.ids: list[bytes] = []

    def take(self, stretch: Stretch) -> None:
        segment, offset = self.taken.get(stretch.worker, (0, 0))
        assert (stretch.segment, stretch.start) == (segment, offset) or (
            stretch.segment > segment and not stretch.start
        )
        assert stretch.end > stretch.start
        assert {one.ruling for one in stretch.decisions} <= set(stretch.rulings)
        assert all(ruling_digest(document) == digest for digest, document in stretch.rulings.items())
        self.ids += [one.id for one in stretch.decisions]
        self.taken[stretch.worker] = (stretch.segment, stretch.end)

    def take_all(self, follower: Follower) -> None:
        while stretches := list(follower.stretches(self.taken)):
            for stretch in stretches:
                self.take(stretch)


def ready(tail: Tail) -> None:
    """Wait until the next segment is allocated, so that nothing is refused for want of it."""
    assert tail._next is not None
    tail._next.result(10)


def test_what_is_appended_comes_once_and_in_order_while_segments_turn(living, append, ruling, tmp_path) -> None:
    taker, follower = Taker(), Follower(tmp_path)
    shared = ruling(account="shared")
    chance = random.Random(7)
    sent = []
    for n in range(4000):
        ready(living)
        sent.append(append(living, shared if n % 3 else ruling(account=str(n)), n))
        if chance.random() < 0.02:
            for stretch in follower.stretches(taker.taken):
                taker.take(stretch)
    taker.take_all(follower)
    assert living.number > 4, "no segment turned"
    assert taker.ids == sent
    assert follower.damaged == 0


def test_a_stretch_brings_rulings_that_were_written_long_before_it(living, append, ruling, tmp_path) -> None:
    taker = Taker()
    old = ruling(account="old")
    append(living, old, 0)
    taker.take_all(Follower(tmp_path))
    append(living, old, 1)
    (stretch,) = Follower(tmp_path).stretches(taker.taken)
    assert dict(stretch.rulings) == {ruling_digest(old.document): old.document}


@given(
    most=st.integers(1, 50),
    size=st.integers(1, 4096),
    stops=st.lists(st.integers(0, 5), max_size=30),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_wherever_taking_stops_it_goes_on_without_loss_or_repeat(followed, most, size, stops) -> None:
    folder, sent = followed
    taker = Taker()
    for stop in stops:
        for count, stretch in enumerate(Follower(folder, Bounds(most, size)).stretches(taker.taken)):
            if count >= stop:
                break
            assert len(stretch.decisions) <= most
            taker.take(stretch)
    taker.take_all(Follower(folder))
    assert taker.ids == sent


@pytest.fixture
def followed(tail, append, ruling, tmp_path) -> tuple[Path, list[bytes]]:
    sent = []
    for n in range(900):
        ready(tail)
        sent.append(append(tail, ruling(account=str(n % 37)), n))
    return tmp_path, sent


def test_a_record_that_is_being_written_is_awaited_and_is_no_damage(living, append, ruling, tmp_path) -> None:
    taker, follower = Taker(), Follower(tmp_path)
    first = append(living, ruling(), 0)
    start = living._offset
    second = append(living, ruling(), 1)
    word = bytes(living._map[start : start + 8])
    living._map[start : start + 8] = bytes(8)
    taker.take_all(follower)
    assert taker.ids == [first]
    living._map[start : start + 8] = word
    taker.take_all(follower)
    assert taker.ids == [first, second]
    assert follower.damaged == 0


def altered(path: Path, sought: bytes) -> None:
    """Change one byte of the record with this id."""
    raw = bytearray(path.read_bytes())
    raw[raw.index(sought) + 17] ^= 1
    path.write_bytes(raw)


def test_damage_is_counted_once_and_left_out_and_the_rest_comes(followed, decision_id) -> None:
    folder, sent = followed
    altered(folder / "w0-00000001.gwj", decision_id(10))
    taker, follower = Taker(), Follower(folder)
    list(follower.stretches({}))
    taker.take_all(follower)
    assert taker.ids == [one for one in sent if one != decision_id(10)]
    assert follower.damaged == 1


def test_decisions_whose_ruling_is_damaged_are_counted_and_the_rest_comes(tail, append, ruling, tmp_path) -> None:
    append(tail, ruling(account="lost"), 0)
    kept = append(tail, ruling(account="kept"), 1)
    path = tmp_path / "w0-00000001.gwj"
    raw = bytearray(path.read_bytes())
    raw[raw.index(b'"lost"') + 1] ^= 1
    path.write_bytes(raw)
    taker, follower = Taker(), Follower(tmp_path)
    taker.take_all(follower)
    assert taker.ids == [kept]
    assert follower.damaged == 2


def test_a_segment_that_cannot_be_opened_holds_up_its_own_worker_alone(followed, tmp_path, monkeypatch) -> None:
    from gateway.adapters import follow

    folder, sent = followed
    for path in sorted(folder.glob("w0-*.gwj")):
        (folder / path.name.replace("w0", "w1")).write_bytes(path.read_bytes())
    opened = follow.LiveSegment
    blocked = True

    def refuse(path: Path) -> object:
        if blocked and path.name == "w0-00000001.gwj":
            raise PermissionError(13, "Permission denied")
        return opened(path)

    monkeypatch.setattr(follow, "LiveSegment", refuse)
    taker, follower = Taker(), Follower(folder)
    taker.take_all(follower)
    assert set(taker.taken) == {"w1"}
    assert follower.damaged == 1
    blocked = False
    taker.take_all(follower)
    assert sorted(taker.ids) == sorted(sent * 2)


def test_the_oldest_segments_come_first_whoever_wrote_them(followed) -> None:
    folder, _ = followed
    copies: Mapping[str, str] = {"w0": "a", "a": "b"}
    for old, new in copies.items():
        for path in sorted(folder.glob(f"{old}-*.gwj")):
            (folder / f"{new}{path.name[len(old) :]}").write_bytes(path.read_bytes())
    order = [stretch.segment for stretch in Follower(folder).stretches({})]
    assert order == sorted(order)
    assert len(order) >= 6


def test_how_far_it_is_behind_is_what_was_not_taken(living, append, ruling, at, tmp_path) -> None:
    taker, follower = Taker(), Follower(tmp_path)
    assert follower.behind({}) == (0, None)
    append(living, ruling(), 5)
    written = living.written
    assert written is not None
    written.segment.note(written.end, written.latest_at)
    assert follower.behind({}) == (written.end, at + 5000)
    taker.take_all(follower)
    assert follower.behind(taker.taken) == (0, None)
    append(living, ruling(), 9)
    assert follower.behind(taker.taken) == (0, at + 9000), "the disk is not known to have it, and it waits"


def test_an_idle_journal_costs_no_reading(living, append, ruling, tmp_path, monkeypatch) -> None:
    taker, follower = Taker(), Follower(tmp_path)
    append(living, ruling(), 0)
    taker.take_all(follower)
    from gateway.adapters import segment_content

    read: list[int] = []
    pread = segment_content.os.pread
    monkeypatch.setattr(segment_content.os, "pread", lambda fd, size, at: read.append(size) or pread(fd, size, at))
    assert list(follower.stretches(taker.taken)) == []
    assert sum(read) <= 2048 + (1 << 18)


def test_sealed_segments_that_were_taken_are_not_opened_again(write_sealed, tmp_path, monkeypatch) -> None:
    write_sealed(tmp_path, "w0")
    write_sealed(tmp_path, "w1", begin=1000)
    taker, follower = Taker(), Follower(tmp_path)
    taker.take_all(follower)
    assert len(taker.ids) == 800
    from gateway.adapters import segment_content

    opened: list[Path] = []
    real = segment_content.os.open
    monkeypatch.setattr(
        segment_content.os, "open", lambda path, *flags: opened.append(Path(path)) or real(path, *flags)
    )
    assert list(follower.stretches(taker.taken)) == []
    assert not [path for path in opened if path.suffix == ".gwj"]
    for path in tmp_path.glob("w0-*"):
        path.unlink()
    assert list(follower.stretches({"w1": (1, 0)})), "what is there is read though it is known"


def test_what_was_not_taken_is_found_and_what_was_taken_is_not_looked_for(
    living, append, decision_id, whole_ruling, tmp_path
) -> None:
    taker, follower = Taker(), Follower(tmp_path)
    append(living, whole_ruling, 1)
    taker.take_all(follower)
    append(living, whole_ruling, 2)
    found = find_untaken(tmp_path, taker.taken, uuid_text(decision_id(2)))
    assert found is not None
    assert found["id"] == uuid_text(decision_id(2))
    assert found["request"]["path"] == "/api/v1/market"
    assert find_untaken(tmp_path, {"w0": (2, 0)}, uuid_text(decision_id(1))) is None
    assert find_untaken(tmp_path, {}, "no id") is None
    assert find_untaken(tmp_path, {}, uuid_text(decision_id(3))) is None


def test_what_is_there_and_damaged_is_said(living, append, decision_id, whole_ruling, tmp_path) -> None:
    append(living, whole_ruling, 1)
    altered(tmp_path / "w0-00000001.gwj", decision_id(1))
    with pytest.raises(JournalDamaged, match="checksum"):
        find_untaken(tmp_path, {}, uuid_text(decision_id(1)))


@pytest.fixture
def whole_ruling():
    from gateway.ports import Ruling

    return Ruling(
        orjson.dumps({"client_ip": {}, "facts": None, "operation": None, "bundle": "", "verdict": None, "reply": {}})
    )


def uuid_text(raw: bytes) -> str:
    from uuid import UUID

    return str(UUID(bytes=raw))
