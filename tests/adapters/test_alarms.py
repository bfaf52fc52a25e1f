"""The file of alarms: it survives starts and crashes, and the watch and people may write it at once."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.adapters import alarms as module
from gateway.adapters.alarms import MOST, AlarmFile, Record
from gateway.core.account import Refused
from gateway.core.alarms import HOUR, Acknowledgement, Alarm, KeptAlarm
from gateway.core.errors import StoreUnavailable
from tests.core.test_alarms import ALARM, AT

WHY = "the list of November, as announced"


def country(name: str, hour: int = AT) -> Alarm:
    return ALARM._replace(value=name, hour=hour)


@pytest.fixture
def alarms(tmp_path: Path) -> AlarmFile:
    return AlarmFile(tmp_path / "journal")


def test_where_nothing_was_noted_nothing_is_on_record_and_no_file_is_made(alarms: AlarmFile) -> None:
    assert alarms.read() == Record()
    assert isinstance(alarms.acknowledge("x", "ben", WHY, AT), Refused)
    assert not alarms.directory.exists()


def test_what_was_noted_is_there_after_a_restart(alarms: AlarmFile, tmp_path: Path) -> None:
    alarms.note(AT, [country("FR"), country("ES")], {}, AT + 1)
    alarms.note(AT + HOUR, [country("PT", AT + HOUR)], {country("FR").id: AT + HOUR}, AT + 2)
    record = AlarmFile(tmp_path / "journal").read()
    assert record.judged == AT + HOUR
    assert record.alarms == (
        KeptAlarm(country("ES"), AT + 1),
        KeptAlarm(country("FR"), AT + 1, ended=AT + HOUR),
        KeptAlarm(country("PT", AT + HOUR), AT + 2),
    )


def test_an_hour_that_is_noted_twice_changes_nothing_the_second_time(alarms: AlarmFile) -> None:
    alarms.note(AT, [country("FR")], {}, AT + 1)
    alarms.acknowledge(country("FR").id, "ben", WHY, AT + 2)
    before = alarms.read()
    alarms.note(AT, [country("FR")], {}, AT + 9)
    assert alarms.read() == before
    alarms.note(AT + HOUR, [], {country("FR").id: AT + HOUR, "unknown": AT}, AT + 9)
    alarms.note(AT + 2 * HOUR, [], {country("FR").id: AT + 2 * HOUR}, AT + 9)
    assert alarms.read().alarms[0].ended == AT + HOUR


def test_an_acknowledgement_is_the_first_one_made(alarms: AlarmFile) -> None:
    alarms.note(AT, [country("FR"), country("ES")], {}, AT + 1)
    done = alarms.acknowledge(country("FR").id, "ben", WHY, AT + 5)
    assert isinstance(done, KeptAlarm)
    assert done.acknowledged == Acknowledgement("ben", WHY, AT + 5)
    assert alarms.acknowledge(country("FR").id, "ann", "I have seen it as well", AT + 6) == done
    assert [kept.acknowledged for kept in alarms.read().alarms] == [None, done.acknowledged]
    assert alarms.read().judged == AT


@pytest.mark.parametrize(("name", "why"), [("20990101T00-country-XX-rose", WHY), (country("FR").id, "seen")])
def test_what_cannot_be_acknowledged_is_refused_and_changes_nothing(alarms: AlarmFile, name: str, why: str) -> None:
    alarms.note(AT, [country("FR")], {}, AT + 1)
    before = alarms.path.read_bytes()
    assert isinstance(alarms.acknowledge(name, "ben", why, AT), Refused)
    assert alarms.path.read_bytes() == before


def test_the_newest_are_kept_and_all_that_last(alarms: AlarmFile) -> None:
    first = [country("FR"), country("ES")]
    alarms.note(AT, first, {}, AT)
    alarms.note(AT, [], {country("ES").id: AT}, AT)
    later = [country(f"C{number}", AT + number * HOUR) for number in range(1, MOST + 1)]
    for part in (later[:500], later[500:]):
        alarms.note(AT, part, {}, AT)
        alarms.note(AT, [], {one.id: AT + 5 * HOUR for one in part}, AT)
    kept = [one.alarm.value for one in alarms.read().alarms]
    assert len(kept) == MOST
    assert kept[0] == "FR", "it lasts"
    assert kept[1:] == [f"C{number}" for number in range(2, MOST + 1)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"alarms": []}', b'{"judged": 1, "alarms": []}', b"\xff"])
def test_a_damaged_file_is_said_and_put_aside(alarms: AlarmFile, content: bytes) -> None:
    alarms.note(AT, [country("FR")], {}, AT)
    alarms.path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="this is no file of alarms"):
        alarms.read()
    with capture_logs() as logs:
        alarms.note(AT + HOUR, [country("ES")], {}, AT)
    assert [one["event"] for one in logs] == ["alarms:damaged"]
    assert [kept.alarm.value for kept in alarms.read().alarms] == ["ES"]
    assert alarms.path.with_suffix(".damaged").read_bytes() == content


def test_a_file_that_cannot_be_replaced_stays_whole(alarms: AlarmFile, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms.note(AT, [country("FR")], {}, AT)
    before = alarms.path.read_bytes()

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        alarms.note(AT + HOUR, [country("ES")], {}, AT)
    assert alarms.path.read_bytes() == before
    assert sorted(path.name for path in alarms.directory.iterdir()) == ["alarms.flock", "alarms.json"]


def test_nobody_else_may_read_it(alarms: AlarmFile) -> None:
    alarms.note(AT, [country("FR")], {}, AT)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (alarms.directory, *alarms.directory.iterdir())]
    assert modes == [0o700, 0o600, 0o600]


def test_what_root_writes_belongs_to_whom_the_folder_does(alarms: AlarmFile, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    alarms.note(AT, [country("FR")], {}, AT)
    owner = alarms.directory.stat()
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)
    monkeypatch.setattr(module.os, "fstat", lambda fd: os.stat_result((0, 0, 0, 0, owner.st_uid + 1, *[0] * 5)))
    monkeypatch.setattr(module.os, "fchown", lambda fd, uid, gid: given.append((uid, gid)))
    alarms.note(AT + HOUR, [], {}, AT)
    assert given == [(owner.st_uid, owner.st_gid)] * 2


def test_who_waits_too_long_for_another_is_told(alarms: AlarmFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
    with alarms._locked(), pytest.raises(StoreUnavailable, match="another process is writing it"):
        alarms.note(AT, [], {}, AT)


def test_what_another_wrote_is_read_and_what_nobody_wrote_is_not_read_again(alarms: AlarmFile, tmp_path: Path) -> None:
    other = AlarmFile(tmp_path / "journal")
    other.note(AT, [country("FR")], {}, AT)
    first = alarms.read()
    assert alarms.read() is first
    other.acknowledge(country("FR").id, "ben", WHY, AT)
    assert alarms.read().alarms[0].acknowledged == Acknowledgement("ben", WHY, AT)
    alarms.path.unlink()
    assert alarms.read() == Record()


def test_writers_at_once_lose_nothing(alarms: AlarmFile) -> None:
    hours = [AT + number * HOUR for number in range(12)]
    alarms.note(AT, [country("FR", hour) for hour in hours], {}, AT)
    with ThreadPoolExecutor(4) as pool:
        acks = [pool.submit(alarms.acknowledge, country("FR", hour).id, "ben", WHY, AT) for hour in hours]
        notes = [pool.submit(alarms.note, hour, [country("ES", hour)], {}, AT) for hour in hours]
        for one in (*acks, *notes):
            one.result()
    alarms_now = alarms.read().alarms
    assert len(alarms_now) == 24
    assert sum(kept.acknowledged is not None for kept in alarms_now) == 12
