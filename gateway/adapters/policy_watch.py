"""Noticing at once that policy files may have changed: edited, replaced, or swapped by a symbolic link."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import structlog
from watchfiles import awatch

log: Any = structlog.get_logger("gateway")

SETTLES_MS: Final = 100
"""How long nothing must change until what did is told: an editor writes a file in several steps."""
LOOK_AGAIN_MS: Final = 1000
"""How often it is asked whether the paths lead where they did."""
_AGAIN_S: Final = 5.0


async def changes(paths: Sequence[Path]) -> AsyncIterator[None]:
    """Yield whenever what the paths lead to may have changed, and once at first; never ends.

    Folders are watched as a whole, files by the folder that they lie in. Where the system cannot watch, that is logged,
    and whoever asks looks by himself every so often.
    """
    told = ""
    while True:
        leads = _leads(paths)
        watched = sorted({folder for path in paths if (folder := _folder(path)) is not None})
        try:
            if not watched:
                raise FileNotFoundError(f"none of {', '.join(map(str, paths))} is there")
            looked = False
            async for seen in awatch(
                *watched,
                watch_filter=None,
                step=SETTLES_MS,
                rust_timeout=LOOK_AGAIN_MS,
                yield_on_timeout=True,
                ignore_permission_denied=True,
            ):
                told = ""
                if seen or not looked:
                    # The first of these comes after watching has begun: whoever looks then misses nothing.
                    looked = True
                    yield
                if _leads(paths) != leads:
                    break
        except (OSError, RuntimeError) as fault:
            if str(fault) != told:
                log.warning("policies:not_watched", why=str(fault), what="they are looked at every so often instead")
            told = str(fault)
            await asyncio.sleep(_AGAIN_S)
            yield


def _leads(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return where the paths lead: a folder that is a symbolic link may lead elsewhere."""
    return tuple(os.path.realpath(path) for path in paths)


def _folder(path: Path) -> Path | None:
    found = path if path.is_dir() else path.parent
    return found if found.is_dir() else None
