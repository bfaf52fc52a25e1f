"""The alarms on record: one file beside the journal, which the watch writes and people acknowledge in."""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import structlog

from gateway.core.account import Refused
from gateway.core.alarms import Acknowledgement, Alarm, KeptAlarm, from_json, to_json, unfit
from gateway.core.decision import instant_text, parse_instant
from gateway.core.errors import StoreUnavailable

log: Any = structlog.get_logger("gateway")

FOLDER: Final = "alarms"
"""Within the journal's."""
MOST: Final = 1000
"""Alarms that are kept: of those that have ended the newest, and all that last."""
_NAME: Final = "alarms.json"
_LARGEST: Final = 16 * 1024**2
_PATIENCE_S: Final = 2.0
"""How long to wait for another process; writing takes milliseconds."""


class Record(NamedTuple):
    """What the file holds."""

    judged: int | None = None
    """The last hour that was looked at; None where none was."""
    alarms: tuple[KeptAlarm, ...] = ()
    """The newest last."""


class _Damaged(StoreUnavailable):
    """What is in the file was not written by this code."""


class AlarmFile:
    """The file of one journal folder. Every call may wait for the disk; none of them belongs in a loop."""

    def __init__(self, journal: Path) -> None:
        self.directory = journal / FOLDER
        self.path = self.directory / _NAME
        self._known: tuple[object, Record] | None = None
        """What was read last, and of which file."""

    def read(self) -> Record:
        """Return what is on record; nothing where there is no file. Raise StoreUnavailable where it cannot be read."""
        try:
            with self.path.open("rb") as file:
                known = os.fstat(file.fileno())
                same = (known.st_dev, known.st_ino, known.st_mtime_ns, known.st_size)
                if self._known is None or self._known[0] != same:
                    # A thousand alarms take longer to check than a request beside should wait, and few come anew.
                    self._known = same, _record(orjson.loads(file.read(_LARGEST)))
            return self._known[1]
        except FileNotFoundError:
            return Record()
        except OSError as fault:
            raise StoreUnavailable(f"alarms {self.path}: {fault.strerror}") from fault
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise _Damaged(
                f"alarms {self.path}: this is no file of alarms; a new one begins with the next hour"
            ) from fault

    def note(self, judged: int, opened: Sequence[Alarm], ended: Mapping[str, int], at: int) -> None:
        """Write down that an hour was looked at, what it opened, and by its id what ended with which hour.

        What is there already stays as it is. A file that is damaged is put aside. Raise StoreUnavailable.
        """
        with self._locked():
            try:
                alarms = {kept.alarm.id: kept for kept in self.read().alarms}
            except _Damaged as fault:
                self.path.replace(self.path.with_suffix(".damaged"))
                log.error("alarms:damaged", why=str(fault))  # noqa: TRY400 - the fault is the message
                alarms = {}
            for alarm in opened:
                alarms.setdefault(alarm.id, KeptAlarm(alarm, at))
            for name, hour in ended.items():
                if name in alarms and alarms[name].ended is None:
                    alarms[name] = alarms[name]._replace(ended=hour)
            self._write(Record(judged, tuple(alarms.values())))

    def acknowledge(self, name: str, who: str, why: str, at: int) -> KeptAlarm | Refused:
        """Return the alarm with this id, acknowledged: by whoever did so first. Raise StoreUnavailable."""
        wrong = unfit(who, why)
        if wrong is not None:
            return Refused("why", wrong)
        if name not in {kept.alarm.id for kept in self.read().alarms}:
            return _absent(name)
        with self._locked():
            record = self.read()
            found = next((kept for kept in record.alarms if kept.alarm.id == name), None)
            if found is None:
                return _absent(name)
            if found.acknowledged is None:
                done = found._replace(acknowledged=Acknowledgement(who, why, at))
                alarms = tuple(done if kept is found else kept for kept in record.alarms)
                self._write(Record(record.judged, alarms))
                found = done
            return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.directory / "alarms.flock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._give(fd)
                self._wait(fd)
                yield
            finally:
                os.close(fd)
        except OSError as fault:
            raise StoreUnavailable(f"alarms {self.path}: {fault.strerror or fault}") from fault

    def _wait(self, fd: int) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreUnavailable(f"alarms {self.path}: another process is writing it; try again") from None
                time.sleep(0.02)
            else:
                return

    def _write(self, record: Record) -> None:
        # Those that last stay: forgotten, each would be raised again after the next start.
        kept = sorted(record.alarms, key=lambda one: (one.ended is None, one.alarm.hour))[-MOST:]
        document = {
            "judged": None if record.judged is None else instant_text(record.judged),
            "alarms": [to_json(one) for one in sorted(kept, key=lambda one: (one.alarm.hour, one.alarm.id))],
        }
        beside = self.path.with_suffix(f".{os.getpid()}")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                self._give(fd)
                file.write(orjson.dumps(document))
                file.flush()
                os.fsync(fd)
            beside.replace(self.path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise

    def _give(self, fd: int) -> None:
        """Give a file to whom the folder belongs: what root acknowledges, the gateway must be able to read."""
        owner = self.directory.stat()
        if os.geteuid() == 0 and os.fstat(fd).st_uid != owner.st_uid:
            os.fchown(fd, owner.st_uid, owner.st_gid)


def _record(document: Mapping[str, Any]) -> Record:
    judged = document["judged"]
    alarms = tuple(from_json(one) for one in document["alarms"])
    return Record(None if judged is None else parse_instant(judged), alarms)


def _absent(name: str) -> Refused:
    return Refused("alarm", f"there is no alarm `{ascii(name[:80])[1:-1]}`; `gateway alarms` shows their ids")
