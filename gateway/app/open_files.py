"""How many files this process may have open: each connection is one, on either side."""

import resource
from typing import Any, Final

import structlog

from gateway.config import Settings

log: Any = structlog.get_logger("gateway")

_OWN: Final = 256
"""For the journal, the store, databases, logs and whatever else is open besides connections."""


def allow_open_files(settings: Settings) -> int:
    """Return how many files may be open, having asked for as many as this process is allowed.

    Says so where that is fewer than the configuration lets be open at once.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = needed_files(settings)
    if hard != resource.RLIM_INFINITY and hard < needed:
        log.warning(
            "files:too_few",
            allowed=hard,
            needed=needed,
            why="connections beyond this are not accepted; raise the limit (`LimitNOFILE=`, `ulimit -Hn`), or lower "
            "`websockets` and `connections` of the upstreams",
        )
    return hard


def needed_files(settings: Settings) -> int:
    """Return how many files may be open at once: two for each connection to an upstream, since a client waits there."""
    upstreams = [] if settings.upstream is None else [settings.upstream, *settings.upstreams]
    return _OWN + sum(2 * (one.connections + one.websockets) for one in upstreams)
