"""Following the journal with a candidate, in the process that ships: nobody's answer waits for it or depends on it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from gateway.adapters.archive.alike import HeldMoment
from gateway.adapters.follow import Follower
from gateway.adapters.live_segment import Bounds
from gateway.adapters.policy_files import read_settled
from gateway.adapters.segment_files import segment_files
from gateway.adapters.shadow_file import ShadowFile
from gateway.app.terms import read_pseudonyms
from gateway.core.errors import GatewayError
from gateway.policies.bundle import Bundle, digest_of, load
from gateway.policies.schema import Sources
from gateway.policies.simulate import named
from gateway.ports import Clock
from gateway.service.shadow import Shadow

log: Any = structlog.get_logger("gateway")

LOOKED_EVERY_S: Final = 5.0
"""How soon a change of the candidate's files is noticed."""
NOTED_EVERY_S: Final = 2.0
_AGAIN_S: Final = 0.25


class Shadowing:
    """One candidate, as a plan names it: `paths`, their `base`, and the `facts` and `networks` that have a source."""

    def __init__(
        self,
        named_by: Mapping[str, Any],
        directory: Path,
        *,
        clock: Clock,
        bounds: Bounds,
        share: float = 1.0,
        digest_key: str | None = None,
    ) -> None:
        self._paths, self._base = tuple(named_by["paths"]), Path(named_by["base"])
        self._supplied = Sources(frozenset(named_by["facts"]), frozenset(named_by["networks"]))
        self._directory = directory
        self._clock = clock
        self._bounds = bounds
        self._share = share
        self._digest_key = digest_key
        self._file = ShadowFile(directory)
        self._shadow: Shadow | None = None
        self._follower = Follower(directory, bounds)
        self._taken: dict[str, tuple[int, int]] = {}
        self._looked_at: str | None = None
        """The digest of the files as they were looked at last, whether they loaded or not."""
        self._refused: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until `stop` is set, and once more then. A fault is told, and never ends it."""
        loop = asyncio.get_running_loop()
        looked = noted = float("-inf")
        while True:
            last = stop.is_set()
            if loop.time() - looked >= LOOKED_EVERY_S:
                await self._look()
                looked = loop.time()
            try:
                await self._pass()
            except (GatewayError, OSError) as fault:
                log.warning("shadow:not_followed", why=str(fault))
            if last or loop.time() - noted >= NOTED_EVERY_S:
                self._note()
                noted = loop.time()
            if last:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _AGAIN_S)

    async def _look(self) -> None:
        """Take the candidate as its files are now: whole, or not at all."""
        try:
            texts = await asyncio.to_thread(read_settled, self._paths, self._base)
            digest = digest_of(texts)
            if digest == self._looked_at:
                return
            self._looked_at = digest
            candidate = await asyncio.to_thread(load, texts, sources_configured=self._supplied)
        except (GatewayError, OSError) as fault:
            if str(fault) != self._refused:
                self._refused = str(fault)
                log.error("shadow:refused", why=self._refused, following=self._digest)  # noqa: TRY400 - the fault says it
            return
        self._refused = None
        self._begin(candidate)

    def _begin(self, candidate: Bundle) -> None:
        now = self._clock.now()
        if self._shadow is None:
            # From the segments that are written now on; what is older in them is passed over.
            for file in segment_files(self._directory, {}, lambda _: None):
                self._taken[file.worker] = max(self._taken.get(file.worker, (0, 0)), (file.number, 0))
        digests = None
        if self._digest_key is not None:
            pseudonyms = read_pseudonyms(Path(self._digest_key))
            digests = {pseudonyms.account(one): one for one in named([candidate])}
        self._shadow = Shadow(candidate, now, digests)
        log.info("shadow:following", candidate=candidate.digest)

    async def _pass(self) -> None:
        """Weigh what the journal has more, a piece at a time, and leave others their time in between."""
        shadow = self._shadow
        if shadow is None:
            return
        clock = asyncio.get_running_loop().time
        began = clock()
        for stretch in self._follower.stretches(self._taken):
            await shadow.take(HeldMoment.of(stretch), self._clock.now())
            self._taken[stretch.worker] = (stretch.segment, stretch.end)
            await asyncio.sleep((clock() - began) * (1 / self._share - 1))
            began = clock()

    def _note(self) -> None:
        found = {} if self._shadow is None else self._shadow.to_json()
        if self._refused is not None:
            found["refused"] = self._refused
        with suppress(OSError):
            self._file.write(found)

    @property
    def _digest(self) -> str | None:
        return None if self._shadow is None else self._shadow.candidate.digest
