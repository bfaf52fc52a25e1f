"""Looks at each hour's refusals when it is over, and says what is unusual: once, until it is usual again."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import structlog

from gateway.core.alarms import HOUR, Alarm, Dimension, KeptAlarm
from gateway.core.bands import KEPT, History
from gateway.core.errors import GatewayError
from gateway.ports import MICROSECONDS, Archive, Clock, Count, RuleCount
from gateway.service.causes import Causes, TextsOf, no_texts

log: Any = structlog.get_logger("gateway")

SETTLE_S: Final = 300
"""How long after its end an hour is looked at: by then the archive has what the journal held."""
_RETRY_S: Final = 60.0
_AT_ONCE: Final = 24 * HOUR
_MOST_HOURS: Final = 24 * 7
_REMEMBERED: Final = 1000
Cause = tuple[Dimension, str | None, bool]
"""What an alarm is about, and whether it rose or fell."""


@runtime_checkable
class RuleCounts(Protocol):
    """An archive that counts by rule too. Not among the ports: mypyc compiles none that something is asked to be."""

    async def rule_counts(self, since: int, until: int) -> Sequence[RuleCount]:
        """Return how many refusals each rule determined in the hours that begin in `[since, until)`, oldest first.

        A refusal that several rules determined is one of each. Raise StoreUnavailable within a bounded time.
        """


class Counted(NamedTuple):
    """What an archive counted of one hour."""

    kinds: list[Count]
    rules: list[RuleCount]


class Remembered(Protocol):
    """What is on record of earlier looks."""

    @property
    def judged(self) -> int | None:
        """The last hour that was looked at; None where none was."""

    @property
    def alarms(self) -> tuple[KeptAlarm, ...]:
        """The alarms, the newest last."""


class Memory(Protocol):
    """Where alarms are kept. It may wait for a disk, so it is asked in a thread."""

    def read(self) -> Remembered:
        """Return what is on record. Raise StoreUnavailable."""

    def note(self, judged: int, opened: Sequence[Alarm], ended: Mapping[str, int], at: int) -> None:
        """Write down an hour that was looked at, what it opened, and what ended with which hour, by id.

        Raise StoreUnavailable.
        """


class Watch:
    """Reads an archive's counts and keeps what is open. Belongs to one event loop."""

    def __init__(
        self,
        archive: Archive,
        clock: Clock,
        *,
        settle_s: float = SETTLE_S,
        memory: Memory | None = None,
        texts_of: TextsOf | None = None,
    ) -> None:
        """Build.

        Args:
            archive: what is counted and searched; its owner starts and closes it.
            clock: tells which hours are over.
            settle_s: how long after its end an hour is looked at.
            memory: what is open and until when was looked, across starts; without it a start knows nothing of them.
            texts_of: the texts of a bundle by its digest, None where it is not known, to name what a bundle changed.
        """
        self._archive = archive
        self._clock = clock
        self._settle = int(settle_s * MICROSECONDS)
        self._memory = memory
        self._causes = Causes(archive, texts_of or no_texts)
        self._history = History()
        self._judged: int | None = None
        self._open: dict[Cause, Alarm] = {}
        self._unkept: tuple[list[Alarm], dict[str, int]] = ([], {})
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.raised = 0
        """Alarms since the start."""
        self.recent: deque[Alarm] = deque(maxlen=_REMEMBERED)
        """The alarms that were raised, the newest last."""

    @property
    def open(self) -> tuple[Alarm, ...]:
        """What has not returned to its band, each as it was raised."""
        return tuple(self._open.values())

    async def look(self, hours: int = 1) -> tuple[Alarm, ...]:
        """Return what each complete hour that was not looked at yet raised, the oldest first.

        The first look goes back `hours` hours, or to where the memory says that one was; a week at most. Each new alarm
        is logged as `refusals:unusual`.
        Raise StoreUnavailable where the archive cannot be read; what was not looked at is looked at the next time.
        """
        async with self._looking:
            now = self._clock.now() - self._settle
            last = now - now % HOUR - HOUR
            back = last - min(max(hours, 1), _MOST_HOURS) * HOUR
            if self._judged is None:
                await self._begin(await self._remembered(last, back))
            elif self._judged < last - _MOST_HOURS * HOUR:
                await self._begin(back)
            raised: list[Alarm] = []
            while self._judged is not None and self._judged < last:
                raised += await self._judge(self._judged + HOUR)
            return tuple(raised)

    async def start(self, *, after_s: float = 0) -> None:
        """Look after so many seconds, then each hour. An archive that is away is asked again each minute."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep_looking(after_s), name="watch")

    async def close(self) -> None:
        """Stop looking."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep_looking(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while True:
            pause = _RETRY_S
            try:
                await self.look()
            except Exception as fault:  # noqa: BLE001 - whatever it is, the next look must come
                why = str(fault) if isinstance(fault, GatewayError) else type(fault).__name__
                log.warning("refusals:not_looked_at", why=why)
            else:
                into = (self._clock.now() - self._settle) % HOUR
                pause = (HOUR - into) / MICROSECONDS
            await asyncio.sleep(pause)

    async def _begin(self, before_first: int) -> None:
        """Read what the hour after `before_first` and later ones are compared with."""
        history = History()
        since = before_first - (KEPT - 1) * HOUR
        for start, end in pairwise([*range(since, before_first + HOUR, _AT_ONCE), before_first + HOUR]):
            for hour, counted in (await self._counts(start, end)).items():
                await asyncio.to_thread(history.put, hour, *counted)
        self._history, self._judged = history, before_first

    async def _remembered(self, last: int, back: int) -> int:
        """Return the last hour that was looked at, taking up what is open; `back` where nobody remembers any."""
        if self._memory is None:
            return back
        try:
            record = await asyncio.to_thread(self._memory.read)
        except GatewayError as fault:
            log.warning("alarms:not_read", why=str(fault))
            return back
        lasting = [kept.alarm for kept in record.alarms if kept.ended is None]
        self._open = {(alarm.dimension, alarm.value, alarm.rose): alarm for alarm in lasting}
        return back if record.judged is None else min(max(record.judged, last - _MOST_HOURS * HOUR), last)

    async def _judge(self, hour: int) -> list[Alarm]:
        """Return what an hour raised that is not open already."""
        counts = await self._counts(hour - HOUR, hour + HOUR)
        # What reached the archive late belongs to the hour before.
        self._history.put(hour - HOUR, *counts[hour - HOUR])
        # In a thread: with hundreds of countries and reasons it takes longer than a request may wait.
        alarms = await asyncio.to_thread(self._history.alarms, hour, *counts[hour])
        new = [alarm for alarm in alarms if (alarm.dimension, alarm.value, alarm.rose) not in self._open]
        if new:
            new = await self._causes.found(new, self._history.bundle_before)
        unusual = {(alarm.dimension, alarm.value, alarm.rose) for alarm in alarms}
        ended: dict[str, int] = {}
        for cause, alarm in list(self._open.items()):
            dimension, value, rose = cause
            opposite = (dimension, value, not rose) in unusual
            if cause not in unusual and (opposite or self._history.returned(alarm, hour)):
                del self._open[cause]
                ended[alarm.id] = hour
                log.info(
                    "refusals:usual_again", id=alarm.id, by=str(dimension), value=value, since=alarm.hour, hour=hour
                )
        for alarm in new:
            self._raise(alarm)
        self._judged = hour
        await self._keep(hour, new, ended)
        return new

    async def _keep(self, hour: int, opened: Sequence[Alarm], ended: Mapping[str, int]) -> None:
        """Write down what an hour brought, and what could not be written before."""
        if self._memory is None:
            return
        self._unkept = ([*self._unkept[0], *opened][-_REMEMBERED:], {**self._unkept[1], **ended})
        try:
            await asyncio.to_thread(self._memory.note, hour, *self._unkept, self._clock.now())
        except GatewayError as fault:
            # It was told, and this process knows it: only a start before the next hour would tell it once more.
            log.warning("alarms:not_kept", why=str(fault))
        else:
            self._unkept = ([], {})

    def _raise(self, alarm: Alarm) -> None:
        self._open[alarm.dimension, alarm.value, alarm.rose] = alarm
        self.recent.append(alarm)
        self.raised += 1
        log.warning(
            "refusals:unusual",
            id=alarm.id,
            what=alarm.text(),
            hour=alarm.hour,
            hours=alarm.hours,
            by=str(alarm.dimension),
            value=alarm.value,
            rose=alarm.rose,
            refused=alarm.tally.refused,
            decisions=alarm.tally.decisions,
            usual=round(alarm.band.usual, 6),
            low=round(alarm.band.low, 6),
            high=round(alarm.band.high, 6),
            rules=[share.rule for share in alarm.rules],
            bundles=list(alarm.bundles),
            policies=list(alarm.policies),
            editions=list(alarm.editions),
        )

    async def _counts(self, since: int, until: int) -> dict[int, Counted]:
        """Return the counts of each hour, of those without decisions too."""
        hours = {hour: Counted([], []) for hour in range(since, until, HOUR)}
        for count in await self._archive.counts(since, until):
            hours[count.start].kinds.append(count)
        if isinstance(self._archive, RuleCounts):
            for refused in await self._archive.rule_counts(since, until):
                hours[refused.start].rules.append(refused)
        return hours
