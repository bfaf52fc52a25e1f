"""Shipping one folder's journal, in whatever process or thread it runs."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final

import structlog

from gateway.adapters.alarms import AlarmFile
from gateway.adapters.clock import SystemClock
from gateway.adapters.follow import Follower
from gateway.adapters.live_segment import Bounds
from gateway.adapters.policy_files import BundleArchive
from gateway.adapters.shipping_lock import ShippingLock
from gateway.app.archives import archive_at
from gateway.app.carrying import Carrying
from gateway.app.feeding import Feeding
from gateway.app.plan import Plan
from gateway.app.shadowing import Shadowing
from gateway.app.terms import terms_of, workers_of
from gateway.app.upkeep import Upkeep
from gateway.ports import MICROSECONDS
from gateway.service.shipping import Shipping
from gateway.service.watch import Watch

log: Any = structlog.get_logger("gateway")

TAKEN: Final = 75
"""The exit code of a process that found another one shipping (EX_TEMPFAIL of sysexits.h)."""
FREE_AGAIN_S: Final = 2.0
"""How long it takes at most to notice that nobody ships any more."""
BESIDE_REQUESTS: Final = 0.25
"""The share of its time that a thread ships."""
_SETTLED_S: Final = 30.0
"""How long after the start the refusals are looked at for the first time: by then the archive is open, or away."""
_LOWER: Final = 5
_USUAL: Final = Bounds()
_SMALL: Final = Bounds(decisions=1_000, bytes=1 << 20)
"""So that a thread never holds the interpreter for long."""


async def ship(plan: Plan, stop: asyncio.Event, *, share: float = 1.0) -> bool:
    """Ship until `stop` is set, and once more then; return False at once where somebody else ships this journal."""
    directory = Path(plan.directory)
    lock = ShippingLock(directory)
    if not lock.take():
        return False
    try:
        if not plan.ships:
            await _shadow(plan, stop, share)
            return True
        feeding = Feeding(
            plan.sinks,
            directory,
            clock=SystemClock(),
            bounds=_bounds(share),
            share=share,
            warn_behind_us=plan.warn_behind_s * MICROSECONDS,
            digest_key=plan.digest_key,
        )
        upkeep = Upkeep(plan, feeding, SystemClock())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(feeding.run(stop))
            tasks.create_task(upkeep.compress(stop))
            tasks.create_task(_archive(plan, stop, upkeep, share) if plan.url else upkeep.alone(stop))
            tasks.create_task(_shadow(plan, stop, share))
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None
    finally:
        lock.release()
    return True


async def _archive(plan: Plan, stop: asyncio.Event, upkeep: Upkeep, share: float) -> None:
    """Ship into the archive until `stop` is set, and watch it."""
    directory = Path(plan.directory)
    archive = archive_at(plan.url or "", export=None if plan.export is None else Path(plan.export))
    watch = Watch(
        archive, SystemClock(), memory=AlarmFile(directory), texts_of=BundleArchive(directory / "bundles").get
    )
    carrying = Carrying(plan.store) if plan.store else None
    try:
        await watch.start(after_s=_SETTLED_S)
        await Shipping(
            source=Follower(directory, _bounds(share)),
            keeping=upkeep.retention,
            archive=archive,
            clock=SystemClock(),
            note=lambda now: upkeep.note({**now._asdict(), **(carrying.noted() if carrying is not None else {})}),
            terms=terms_of(plan, share),
            workers=lambda: workers_of(directory),
            carry=None if carrying is None else carrying.carry,
        ).run(stop)
    finally:
        if carrying is not None:
            await carrying.close()
        await watch.close()
        await archive.close()


async def _shadow(plan: Plan, stop: asyncio.Event, share: float) -> None:
    """Follow the journal with a candidate until `stop` is set, where there is one."""
    if plan.shadow is not None:
        await Shadowing(
            plan.shadow,
            Path(plan.directory),
            clock=SystemClock(),
            bounds=_bounds(share),
            share=share,
            digest_key=plan.digest_key,
        ).run(stop)


def _bounds(share: float) -> Bounds:
    return _USUAL if share == 1 else _SMALL


async def ship_when_free(plan: Plan, stop: asyncio.Event, *, share: float = 1.0) -> None:
    """Ship until `stop` is set; wait for it where somebody else ships this journal."""
    while not await ship(plan, stop, share=share):
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), FREE_AGAIN_S)
        if stop.is_set():
            return


async def ship_until_ended(plan: Plan) -> None:
    """Ship until the process is asked to end (SIGINT, SIGTERM), and once more then."""
    stop = asyncio.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    await ship_when_free(plan, stop)


def child() -> None:
    """Ship as the plan on stdin says, until stdin ends: with the process that holds its other end, however it ends.

    The last pass then takes what that process left.
    """
    # Whoever ends the gateway (a terminal, a service manager) tells all its processes. This one has a last pass to do.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_IGN)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    os.nice(_LOWER)
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        plan = Plan.of_line(stdin.readline())

    async def until_alone() -> bool:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def watch() -> None:
            while os.read(0, 1024):
                pass
            with suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(stop.set)

        Thread(target=watch, daemon=True, name="shipping-watch").start()
        return await ship(plan, stop)

    sys.exit(0 if asyncio.run(until_alone()) else TAKEN)
