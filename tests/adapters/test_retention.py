import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.adapters.compress import compress_shipped
from gateway.adapters.follow import Follower
from gateway.adapters.journal import FileJournal
from gateway.adapters.proof import check
from gateway.adapters.recorded import find
from gateway.adapters.retention import Retention
from gateway.adapters.seals import removals
from gateway.adapters.segment_reader import DecisionEntry, read_segment
from gateway.adapters.signing import Signer
from gateway.ports import Ruling

DAY = 86_400
LATE = 1 << 60
Write = Callable[..., Path]


@pytest.fixture
def written(tmp_path, append, ruling) -> Write:
    """A folder with the journal of a worker that has ended: some sealed segments of 16 KiB."""

    def write(decisions: int = 900, worker: str = "w0", *, ended: bool = True) -> Path:
        async def live() -> FileJournal:
            journal = FileJournal(tmp_path, worker=worker, segment_bytes=16 * 1024)
            await journal.start()
            for n in range(decisions):
                append(journal, ruling(account=str(n % 5)), n)
                await asyncio.sleep(0)
                await asyncio.to_thread(journal._tail._next.result, 10)
            if ended:
                await journal.close()
            return journal

        asyncio.run(live())
        return tmp_path

    return write


@pytest.fixture
def nine_segments(written: Write) -> Path:
    return written()


def numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem.rpartition("-")[2]) for path in folder.glob("*.gwj"))


def all_taken(folder: Path) -> dict[str, tuple[int, int]]:
    return {stretch.worker: (stretch.segment, stretch.end) for stretch in Follower(folder).stretches({})}


def ids_of(path: Path) -> list[tuple[int, bytes]]:
    return [(one.offset, one.decision_id) for one in read_segment(path) if isinstance(one, DecisionEntry)]


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_retention_never_removes_what_was_not_shipped(nine_segments, tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("journal")
    for path in nine_segments.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    before = {path: ids_of(path) for path in sorted(folder.glob("*.gwj"))}
    count = len(before)
    assert count > 5
    number = data.draw(st.integers(1, count))
    offsets = [offset for offset, _ in before[sorted(before)[number - 1]]]
    offset = data.draw(st.sampled_from([0, *offsets, 1 << 20]))
    taken = data.draw(st.sampled_from([{}, {"w0": (number, offset)}, {"other": (number, offset)}]))
    at_most = data.draw(st.sampled_from([None, 0, 50_000]))
    now = data.draw(st.sampled_from([0, LATE]))

    Retention(folder, keep_s=DAY, at_most=at_most).remove(taken, now)

    reached = taken.get("w0", (0, 0))
    for path, decisions in before.items():
        segment = int(path.stem.rpartition("-")[2])
        unshipped = any((segment, offset) >= reached for offset, _ in decisions)
        assert path.exists() or not unshipped


def test_a_removal_is_signed_by_the_key_that_seals(written, at) -> None:
    folder = written()
    signer = Signer(Ed25519PrivateKey.generate())
    assert Retention(folder, keep_s=60, at_most=None, signer=signer).remove(all_taken(folder), LATE)
    assert {one.key for one in removals(folder)} == {signer.key_id}


def test_what_is_shipped_and_old_goes_and_the_removal_is_on_record(written, at) -> None:
    folder = written()
    count = len(numbers(folder))
    now = at + 8 * DAY * 1_000_000
    removed = Retention(folder, keep_s=7 * DAY, at_most=None).remove(all_taken(folder), now)
    assert len(removed) == count
    assert numbers(folder) == []
    assert [(one.worker, one.segments) for one in removals(folder)] == [("w0", (n, n)) for n in range(1, count + 1)]
    assert list(folder.glob("w0-*.seals")) == []
    assert check(folder).ok


def test_what_is_shipped_and_young_stays(written, at) -> None:
    folder = written()
    before = numbers(folder)
    assert Retention(folder, keep_s=7 * DAY, at_most=None).remove(all_taken(folder), at + DAY * 1_000_000) == []
    assert numbers(folder) == before


def test_where_room_runs_short_the_oldest_shipped_go_first_and_no_more_than_need_be(written, at) -> None:
    folder = written()
    before = numbers(folder)
    retention = Retention(folder, keep_s=7 * DAY, at_most=60_000)
    assert retention.journal_bytes() > 60_000
    removed = retention.remove(all_taken(folder), at)
    assert 0 < len(removed) < len(before)
    assert numbers(folder) == before[len(removed) :]
    assert check(folder).ok
    assert retention.journal_bytes() <= 60_000 < retention.journal_bytes() + 16 * 1024


def test_room_that_runs_short_removes_nothing_that_is_not_shipped(written, at) -> None:
    folder = written()
    before = numbers(folder)
    assert Retention(folder, keep_s=60, at_most=0).remove({"w0": (1, 200)}, LATE) == []
    assert numbers(folder) == before


def test_what_a_sink_does_not_have_stays_however_old(written, at) -> None:
    folder = written()
    before = numbers(folder)
    sinks = {"siem": {"w0": (4, 0)}, "kafka": all_taken(folder)}
    retention = Retention(folder, keep_s=60, at_most=None, sinks=lambda: sinks)

    assert len(retention.remove(all_taken(folder), LATE)) == 3
    assert numbers(folder) == before[3:]
    assert retention.had == {"w0": (4, 0)}
    sinks["siem"] = {}
    assert retention.remove(all_taken(folder), LATE) == [], "a sink of which nothing is known has nothing"
    sinks["siem"] = all_taken(folder)
    retention.remove(all_taken(folder), LATE)
    assert numbers(folder) == []
    assert retention.missed == {}


def test_a_sink_is_waited_for_until_room_runs_short_and_then_it_is_said_what_it_misses(written, at) -> None:
    folder = written()
    before = numbers(folder)
    sinks = {"siem": {"w0": (3, 0)}, "kafka": all_taken(folder)}
    retention = Retention(folder, keep_s=7 * DAY, at_most=60_000, sinks=lambda: sinks)

    with capture_logs() as logs:
        removed = retention.remove(all_taken(folder), at)

    assert retention.journal_bytes() <= 60_000 < retention.journal_bytes() + 16 * 1024
    assert numbers(folder) == before[len(removed) :]
    unsent = [entry for entry in logs if entry["event"] == "journal:removed_unsent"]
    assert [entry["segment"] for entry in unsent] == [path.name for path in removed[2:]], "the first two it has"
    assert all(entry["sinks"] == ["siem"] and entry["log_level"] == "error" for entry in unsent)
    assert retention.missed == {"siem": len(removed) - 2}
    assert check(folder).ok


def test_what_a_sink_misses_goes_for_want_of_room_and_not_for_its_age(written) -> None:
    folder = written()
    before = numbers(folder)
    retention = Retention(folder, keep_s=60, at_most=60_000, sinks=lambda: {"siem": {}})

    retention.remove(all_taken(folder), LATE)

    assert 0 < len(numbers(folder)) < len(before)
    assert retention.journal_bytes() + 16 * 1024 > 60_000


def test_what_the_archive_does_not_have_stays_though_every_sink_has_it(written) -> None:
    folder = written()
    before = numbers(folder)
    everything = all_taken(folder)

    assert Retention(folder, keep_s=60, at_most=0, sinks=lambda: {"siem": everything}).remove({}, LATE) == []
    assert numbers(folder) == before


def test_a_compressed_segment_goes_like_any_other(written) -> None:
    folder = written()
    taken = all_taken(folder)
    assert compress_shipped(folder, taken, 60).segments

    assert Retention(folder, keep_s=60, at_most=None).remove(taken, LATE)
    assert numbers(folder) == []
    assert check(folder).ok


def test_a_segment_with_damage_stays_and_it_is_said_once(written) -> None:
    folder = written()
    taken = all_taken(folder)
    path = folder / "w0-00000002.gwj"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    retention = Retention(folder, keep_s=60, at_most=None)
    with capture_logs() as logs:
        retention.remove(taken, LATE)
        retention.remove(taken, LATE)
    assert numbers(folder) == [2]
    assert [entry["event"] for entry in logs].count("journal:kept_damaged") == 1


def test_a_segment_whose_seals_are_gone_stays(written) -> None:
    folder = written()
    taken = all_taken(folder)
    (folder / "w0-00000002.seals").write_bytes(b"altered\n")
    retention = Retention(folder, keep_s=60, at_most=None)
    with capture_logs() as logs:
        retention.remove(taken, LATE)
        retention.remove(taken, LATE)
    assert numbers(folder) == [2]
    assert [entry["event"] for entry in logs].count("journal:kept_unproved") == 1


def test_a_segment_that_is_written_stays_however_old_and_shipped(tmp_path, append, decision_id, at) -> None:
    async def live() -> None:
        journal = FileJournal(tmp_path, worker="w0", segment_bytes=16 * 1024)
        await journal.start()
        append(journal, Ruling(b'{"facts":null}'), 1)
        await journal.durable(1)
        assert Retention(tmp_path, keep_s=60, at_most=0).remove(all_taken(tmp_path), LATE) == []
        append(journal, Ruling(b'{"facts":null}'), 2)
        await journal.close()

    asyncio.run(live())
    assert len(ids_of(tmp_path / "w0-00000001.gwj")) == 2
    assert find(tmp_path, "no id") is None
