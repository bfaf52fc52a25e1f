"""Who ships for a gateway: a process of its own, or a thread beside the requests."""

import asyncio
import random
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final, Protocol

import structlog

from gateway.adapters.shipping_lock import ShippingLock
from gateway.app.plan import Plan
from gateway.app.shipper import BESIDE_REQUESTS, FREE_AGAIN_S, TAKEN, ship_when_free
from gateway.core.errors import GatewayError
from gateway.service.shipping import LAST_PASS_S

log: Any = structlog.get_logger("gateway")

ENDED_WITHIN_S: Final = LAST_PASS_S + 5
"""How long its end may take before it is cut short. What it did not ship by then is shipped after the next start."""
_AGAIN_S: Final = (1.0, 30.0)
_PROGRAM: Final = "import sys; sys.path[:] = sys.argv[1:]; from gateway.app.shipper import child; child()"


class Shipper(Protocol):
    """Ships while the gateway serves."""

    async def start(self) -> None:
        """Begin. Waits for nothing."""

    async def close(self) -> None:
        """Ship what there is, and end, within `ENDED_WITHIN_S`."""


class ShippingProcess:
    """A process that ships, kept alive. Where another gateway's does it for the same folder, there is none here."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = ShippingLock(Path(plan.directory))
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The number of the process that ships, None where this gateway has none."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Begin. Waits for nothing."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        """Let it ship what there is, and end."""
        self._closing.set()
        if self._keeping is None:
            return
        process = self._process
        try:
            async with asyncio.timeout(ENDED_WITHIN_S):
                await asyncio.shield(self._keeping)
        except TimeoutError:
            log.warning("gateway:shipper_cut_short", within_s=ENDED_WITHIN_S)
            if process is not None:
                with suppress(ProcessLookupError):
                    process.kill()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self._keeping = None

    async def _keep(self) -> None:
        """Have one process ship, unless somebody else's does."""
        failed = 0
        while not self._closing.is_set():
            pause_s = FREE_AGAIN_S
            try:
                code = await self._live() if self._is_free() else TAKEN
            except OSError as fault:
                code, why = None, str(fault)
            else:
                why = f"it ended with {code}"
            if self._closing.is_set():
                return
            if code == TAKEN:
                failed = 0
            else:
                failed += 1
                pause_s = min(_AGAIN_S[1], _AGAIN_S[0] * 2 ** min(failed - 1, 8))
                log.error("gateway:shipper_ended", why=why, times=failed)
            with suppress(TimeoutError):
                # Not all at once where several gateways wait.
                spread = random.uniform(0.5, 1)  # noqa: S311 - it spreads load and keeps no secret
                await asyncio.wait_for(self._closing.wait(), pause_s * spread)

    def _is_free(self) -> bool:
        if not self._lock.take():
            return False
        self._lock.release()
        return True

    async def _live(self) -> int:
        """Return with what code the process ended."""
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _PROGRAM, *(entry or str(Path.cwd()) for entry in sys.path)),
            stdin=asyncio.subprocess.PIPE,
            # Standard output is the gateway's own, unless a sink is to write there.
            stdout=None if self._plan.to_stdout else 2,
        )
        assert process.stdin is not None
        ended = asyncio.get_running_loop().create_task(process.wait())
        closing = asyncio.get_running_loop().create_task(self._closing.wait())
        try:
            process.stdin.write(self._plan.line())
            await asyncio.wait({ended, closing}, return_when=asyncio.FIRST_COMPLETED)
            process.stdin.close()
            return await ended
        finally:
            closing.cancel()
            self._process = None


class ShippingThread:
    """A thread that ships, with a part of its time, so that requests have the rest."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._thread = Thread(target=self._run, daemon=True, name="shipping")
        self._closing = False
        self._inside: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    async def start(self) -> None:
        """Begin. Waits for nothing."""
        self._thread.start()

    async def close(self) -> None:
        """Let it ship what there is, and end."""
        self._closing = True
        if self._inside is not None:
            loop, stop = self._inside
            with suppress(RuntimeError):  # it is over already
                loop.call_soon_threadsafe(stop.set)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, ENDED_WITHIN_S)

    def _run(self) -> None:
        asyncio.run(self._ship())

    async def _ship(self) -> None:
        stop = asyncio.Event()
        self._inside = asyncio.get_running_loop(), stop
        if self._closing:
            stop.set()
        failed = 0
        while failed == 0 or not stop.is_set():
            try:
                await ship_when_free(self._plan, stop, share=BESIDE_REQUESTS)
            except (GatewayError, OSError) as fault:
                failed += 1
                log.error("gateway:shipper_ended", why=str(fault), times=failed)  # noqa: TRY400 - the fault says it
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _AGAIN_S[1])
            else:
                return
