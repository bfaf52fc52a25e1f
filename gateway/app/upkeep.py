"""What stays of a journal while it is shipped: removed, compressed, and written down."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from gateway.adapters.compress import compress_shipped
from gateway.adapters.progress import ProgressFile
from gateway.adapters.retention import Retention
from gateway.adapters.signing import Signer
from gateway.adapters.sinks.progress import had_by_all
from gateway.app.feeding import Feeding
from gateway.app.plan import Plan
from gateway.core.errors import GatewayError
from gateway.ports import Clock

log: Any = structlog.get_logger("gateway")

KEPT_EVERY_S: Final = 60.0
"""How often segments are removed and compressed."""
NOTED_EVERY_S: Final = 1.0
_MUCH: Final = 1 << 20
"""Bytes of the journal: an archive that has more of it before it is catching up."""
_COMPRESS_S: Final = 5.0
"""How long one pass may begin new segments."""


class Upkeep:
    """The journal of one plan."""

    def __init__(self, plan: Plan, feeding: Feeding, clock: Clock) -> None:
        """Build. Raise JournalUnavailable where the signing key cannot be read."""
        self.directory = Path(plan.directory)
        self._feeding = feeding
        self._clock = clock
        self._compresses = plan.compress
        self._progress = ProgressFile(self.directory)
        self._removed = self._shipped = 0
        # Until it is known how much the archive lacks.
        feeding.give_way(wanted=plan.url is not None)
        self.retention = Retention(
            self.directory,
            keep_s=plan.keep_journal_s,
            at_most=plan.journal_at_most,
            signer=None if plan.signing_key is None else Signer.read(Path(plan.signing_key)),
            sinks=feeding.places if plan.url else dict,
        )

    def note(self, fields: Mapping[str, int | None]) -> None:
        """Write down how far shipping and the sinks are. Raise OSError."""
        shipped = fields.get("shipped") or 0
        # An archive that is away is behind, too, and needs no time.
        self._feeding.give_way(wanted=(fields.get("behind_bytes") or 0) > _MUCH and shipped > self._shipped)
        self._shipped = shipped
        missed = {f"sink:{name}:missed": segments for name, segments in self.retention.missed.items()}
        self._progress.write({**fields, **self._feeding.noted(), **missed})

    async def alone(self, stop: asyncio.Event) -> None:
        """Remove and write down until `stop` is set, where no archive is shipped to: what all sinks have may go."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not stop.is_set():
            if loop.time() >= due:
                due = loop.time() + KEPT_EVERY_S
                self._remove()
            self._note_alone()
            await _wait(stop, NOTED_EVERY_S)
        self._note_alone()

    async def compress(self, stop: asyncio.Event) -> None:
        """Compress what everybody had, now and then, until `stop` is set."""
        while self._compresses and not stop.is_set():
            await _wait(stop, KEPT_EVERY_S)
            if stop.is_set():
                return
            try:
                await asyncio.to_thread(
                    compress_shipped, self.directory, self.retention.had, _COMPRESS_S, stop=stop.is_set
                )
            except (GatewayError, OSError) as fault:
                log.warning("journal:not_compressed", what=str(fault))

    def _remove(self) -> None:
        places = had_by_all(self._feeding.places().values())
        try:
            self._removed += len(self.retention.remove(places, self._clock.now()))
        except (GatewayError, OSError) as fault:
            log.warning("journal:not_removed", why=str(fault))

    def _note_alone(self) -> None:
        with suppress(OSError):
            self.note(
                {
                    "at": self._clock.now(),
                    "journal_bytes": self.retention.journal_bytes(),
                    "removed": self._removed,
                    "damaged": self._feeding.damaged(),
                }
            )


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
