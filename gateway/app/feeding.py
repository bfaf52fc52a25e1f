"""Feeding the sinks of one journal while it is shipped: each at its own pace, none in the way of another."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from gateway.adapters.follow import Follower
from gateway.adapters.live_segment import Bounds
from gateway.adapters.segment_files import Taken
from gateway.adapters.sinks.fan import Fan, Stretches
from gateway.adapters.sinks.progress import Progress
from gateway.app.sinks import Spec, pace_of, sink_of
from gateway.app.terms import read_pseudonyms, workers_of
from gateway.core.errors import GatewayError
from gateway.ports import MICROSECONDS, Clock
from gateway.service.digested import digested

log: Any = structlog.get_logger("gateway")

FOLDER: Final = "sinks"
"""Beside the journal's segments, where nobody takes its locks for theirs."""
AGAIN_S: Final = 30.0
"""How long a sink that could not be begun waits for the next try."""
GIVING_WAY: Final = 0.25
"""The part of its time that a sink's thread works while the archive catches up, by measurement: `docs/shipping.md`."""
_LOOKED_EVERY_S: Final = 1.0
_WARNED_EVERY_US: Final = 60 * MICROSECONDS
_SILENT_US: Final = 10 * MICROSECONDS
"""What was not looked at for so long is as far behind as that."""


class Behind(NamedTuple):
    """What a sink did not have yet."""

    at: int
    """When it was looked at."""
    size: int = 0
    """Bytes of the journal."""
    oldest: int | None = None
    """When the oldest of its decisions was made; None where none waits."""


class Feed:
    """One sink: begun as soon as it can be, looked at every second."""

    def __init__(
        self, spec: Spec, directory: Path, *, digest_key: str | None, clock: Clock, bounds: Bounds, share: float
    ) -> None:
        self.name: str = spec["name"]
        self.places: Taken = {}
        """How far the sink has each worker's journal; nothing where it is not known yet."""
        self._spec = spec
        self._directory = directory
        self._digest_key = digest_key
        self._clock = clock
        self._bounds = bounds
        self.share = share
        """The part of its time that it may work."""
        self._fan: Fan | None = None
        self._follower: Follower | None = None
        self._behind = Behind(clock.now(), oldest=clock.now())
        self._warned_at: int | None = None

    @property
    def damaged(self) -> int:
        """How many places of the journal could not be read for it."""
        return 0 if self._follower is None else self._follower.damaged

    async def run(self, stop: asyncio.Event, warn_behind_us: int) -> None:
        """Feed until `stop` is set; then send what the journal has by then, once and within a bounded time."""
        while True:
            self._follower = follower = Follower(self._directory, self._bounds)
            try:
                fan = await self._begun(follower)
            except (GatewayError, OSError) as fault:
                log.warning("sink:away", sink=self.name, why=str(fault))
                await _wait(stop, AGAIN_S)
                if stop.is_set():
                    return
                continue
            try:
                while not stop.is_set():
                    await self._look(fan, follower, warn_behind_us)
                    await _wait(stop, _LOOKED_EVERY_S)
            finally:
                await fan.close()
                self.places = fan.sent_to
            return

    def noted(self) -> dict[str, int | None]:
        """Return how far it is, for the progress file: see `adapters.metrics`."""
        behind, fan, now = self._behind, self._fan, self._clock.now()
        oldest = behind.oldest
        if oldest is None and now - behind.at > _SILENT_US:
            oldest = behind.at
        fields = {
            "oldest": oldest,
            "behind_bytes": behind.size,
            "sent": 0 if fan is None else fan.sent,
            "failures": 0 if fan is None else fan.failures,
            "unreadable": 0 if fan is None else fan.unreadable,
        }
        return {f"sink:{self.name}:{field}": value for field, value in fields.items()}

    async def _begun(self, follower: Follower) -> Fan:
        """Return what feeds the sink, started. Raise ConfigError, or SinkUnavailable where another process does."""
        sink = sink_of(self._spec)
        progress = Progress(self._directory / FOLDER, self.name, lambda: workers_of(self._directory))
        fan = Fan(
            self.name,
            sink,
            self._stretches(follower),
            progress,
            chance=random.random,
            pace=pace_of(self._spec),
            share=lambda: self.share,
        )
        try:
            await fan.start()
        except BaseException:
            await sink.close()
            raise
        self._fan = fan
        self.places = fan.sent_to
        return fan

    def _stretches(self, follower: Follower) -> Stretches:
        """Return what reads the journal for this sink. Raise ConfigError where the key of digests cannot be read."""
        if self._spec.get("personal") != "digest":
            return follower.stretches
        pseudonyms = read_pseudonyms(self._digest_key)
        return lambda places: (digested(stretch, pseudonyms) for stretch in follower.stretches(places))

    async def _look(self, fan: Fan, follower: Follower, warn_behind_us: int) -> None:
        try:
            size, oldest = await fan.behind(follower.behind)
        except OSError as fault:
            log.warning("sink:unnoted", sink=self.name, why=str(fault))
            return
        now = self._clock.now()
        self.places = fan.sent_to
        self._behind = Behind(now, size, oldest)
        if oldest is not None and now - oldest > warn_behind_us:
            if self._warned_at is None or now - self._warned_at >= _WARNED_EVERY_US:
                self._warned_at = now
                seconds = (now - oldest) // MICROSECONDS
                log.warning("sink:behind", sink=self.name, seconds=seconds, bytes=size, why=fan.trouble)
        elif self._warned_at is not None:
            self._warned_at = None
            log.info("sink:caught_up", sink=self.name)


class Feeding:
    """All sinks of a journal."""

    def __init__(
        self,
        sinks: Sequence[Spec],
        directory: Path,
        *,
        clock: Clock,
        bounds: Bounds,
        share: float,
        warn_behind_us: int,
        digest_key: str | None = None,
    ) -> None:
        """Build, without touching anything.

        Args:
            sinks: what `spec_of` returned of each.
            directory: the journal's folder.
            clock: tells how old is what waits.
            bounds: how much of the journal is read at once.
            share: the part of its time that each may work.
            warn_behind_us: how old may grow what waits before the log says so.
            digest_key: the file with the key of digests, where a sink is sent these in place of personal data.
        """
        self._feeds = [
            Feed(spec, directory, digest_key=digest_key, clock=clock, bounds=bounds, share=share) for spec in sinks
        ]
        self._share = share
        self._warn_behind_us = warn_behind_us

    def give_way(self, *, wanted: bool) -> None:
        """Leave most of the time to the archive, where it is wanted: one interpreter works for both."""
        for feed in self._feeds:
            feed.share = min(self._share, GIVING_WAY) if wanted else self._share

    def damaged(self) -> int:
        """Return how many places of the journal could not be read: each sink comes across the same ones."""
        return max((feed.damaged for feed in self._feeds), default=0)

    async def run(self, stop: asyncio.Event) -> None:
        """Feed all until `stop` is set. What happens to one does not reach another."""
        await asyncio.gather(*(self._run(feed, stop) for feed in self._feeds))

    def places(self) -> Mapping[str, Taken]:
        """Return how far each sink has the journal, by its name."""
        return {feed.name: feed.places for feed in self._feeds}

    def noted(self) -> dict[str, int | None]:
        """Return how far all are, for the progress file."""
        return {name: value for feed in self._feeds for name, value in feed.noted().items()}

    async def _run(self, feed: Feed, stop: asyncio.Event) -> None:
        while True:
            try:
                await feed.run(stop, self._warn_behind_us)
            except Exception:
                # A fault that nobody thought of must end neither this sink for good nor any other.
                log.exception("sink:fault", sink=feed.name)
                await _wait(stop, AGAIN_S)
            if stop.is_set():
                return


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
