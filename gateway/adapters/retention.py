"""Removing segments of the journal that were shipped: those that are old, and more where room runs short."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from gateway.adapters.seals import note_removed
from gateway.adapters.segment import SUFFIX, sync_directory
from gateway.adapters.segment_files import SegmentFile, Taken, segment_files
from gateway.adapters.segment_reader import Damage, DecisionEntry, JournalDamaged, SegmentReader
from gateway.adapters.signing import Signer, signer_of
from gateway.adapters.sinks.progress import had_by_all
from gateway.core.errors import JournalUnavailable

log: Any = structlog.get_logger("gateway")


class Retention:
    """Which segments of one folder stay. Nothing goes that was not taken whole, or cannot be read whole.

    Sinks are waited for like the archive, but where room runs short: what the archive has then goes, the sinks that
    miss it are named, and it is counted.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keep_s: int,
        at_most: int | None,
        signer: Signer | None = None,
        sinks: Callable[[], Mapping[str, Taken]] = dict,
    ) -> None:
        """Build.

        Args:
            directory: the journal's folder.
            keep_s: how long a segment stays after the latest decision in it.
            at_most: bytes that all segments may take; where they take more, the oldest ones that were taken go early.
            signer: the key that seals the journal and signs what is removed; without it, the folder's own.
            sinks: returns how far each sink has the journal, by its name.
        """
        self.directory = directory
        self.had: Taken = {}
        """What everybody had when segments were removed last."""
        self.missed: dict[str, int] = {}
        """How many segments went before a sink had them, by its name."""
        self._keep_us = keep_s * 1_000_000
        self._at_most = at_most
        self._signer = signer
        self._sinks = sinks
        self._damaged: set[Path] = set()
        self._unproved: set[Path] = set()

    def journal_bytes(self) -> int:
        """Return how much room the segments take."""
        total = 0
        for path in self.directory.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def remove(self, taken: Taken, now: int) -> list[Path]:
        """Remove what need not stay; return what was removed. Raise OSError where the folder cannot be changed.

        Args:
            taken: what the archive has; where there is none, what all sinks have.
            now: microseconds since the epoch.
        """
        sinks = self._sinks()
        self.had = had_by_all([taken, *sinks.values()])
        over = 0 if self._at_most is None else self.journal_bytes() - self._at_most
        removed = self._remove(self.had, now, over, {})
        over -= sum(removed.values())
        if over > 0 and sinks:
            removed |= self._remove(taken, now, over, sinks)
        if removed:
            sync_directory(self.directory)
        return list(removed)

    def _remove(self, taken: Taken, now: int, over: int, sinks: Mapping[str, Taken]) -> dict[Path, int]:
        """Remove what was taken and need not stay, the oldest first; return how large each was.

        `sinks` are those that may miss it.
        """
        removed: dict[Path, int] = {}
        for file in self._taken_whole(taken):
            old = file.begun_at < now - self._keep_us
            if over <= 0 and (sinks or not old):
                break  # the others were begun later
            if over <= 0 and file.header.latest_at >= now - self._keep_us:
                continue
            latest_at = self._latest_of(file, taken)
            if latest_at is None or (over <= 0 and latest_at >= now - self._keep_us):
                continue
            early = latest_at >= now - self._keep_us
            missing = [name for name, places in sinks.items() if not self._has(file, places)]
            size = file.path.stat().st_size
            if not self._take_away(file, now, "room ran short" if early or missing else "kept long enough"):
                continue
            over -= size
            removed[file.path] = size
            log.info("journal:removed", segment=file.path.name, bytes=size, early=early)
            if missing:
                self.missed |= {name: self.missed.get(name, 0) + 1 for name in missing}
                log.error("journal:removed_unsent", segment=file.path.name, sinks=missing)
        return removed

    def _has(self, file: SegmentFile, places: Taken) -> bool:
        """Return whether a sink has all of a segment."""
        number, _ = places.get(file.worker, (0, 0))
        return number > file.number or (number == file.number and self._latest_of(file, places) is not None)

    def _take_away(self, file: SegmentFile, now: int, why: str) -> bool:
        """Return whether a segment could be removed: first it is noted, signed, so that nobody takes it for a gap."""
        try:
            signer = signer_of(self.directory, self._signer)
            numbers = (file.number, file.number)
            noted = note_removed(self.directory, file.worker, numbers, signer=signer, at=now, why=f"shipped; {why}")
        except JournalUnavailable as fault:
            if file.path not in self._unproved:
                self._unproved.add(file.path)
                log.warning("journal:kept_unproved", what=str(fault))
            return False
        for path in noted:
            path.unlink(missing_ok=True)
        return True

    def _taken_whole(self, taken: Taken) -> Iterator[SegmentFile]:
        """Yield the closed segments that may be taken whole, oldest first."""
        for file in segment_files(self.directory, {}, lambda _: None):
            number, _ = taken.get(file.worker, (0, 0))
            closed = file.number < number or (file.finished and file.number == number and file.sealed)
            if closed and file.path not in self._damaged:
                yield file

    def _latest_of(self, file: SegmentFile, taken: Taken) -> int | None:
        """Return when the latest decision of a segment was made; None where it must stay."""
        number, offset = taken[file.worker]
        latest_at = file.header.latest_at
        damages: list[Damage] = []
        try:
            with SegmentReader(file.path) as segment:
                for entry in segment.entries(damages.append):
                    if isinstance(entry, DecisionEntry):
                        latest_at = max(latest_at, entry.at)
                        if file.number == number and entry.offset >= offset:
                            return None
        except JournalDamaged as fault:
            damages.append(fault.damage)
        except OSError as fault:
            damages.append(Damage(file.path, 0, 0, f"it cannot be read: {fault}"))
        if damages:
            self._damaged.add(file.path)
            log.error("journal:kept_damaged", what=damages[0].text(), damaged=len(damages))
            return None
        return latest_at
