"""Taking a changed configuration while the process goes on: whole, or not at all."""

import asyncio
import copy
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import structlog

from gateway.app.gateway import Gateway
from gateway.app.parts import reader_of
from gateway.config import Settings
from gateway.core.errors import GatewayError

log: Any = structlog.get_logger("gateway")

RELOADABLE: Final = frozenset(
    {
        "client_ip.trusted_proxies",
        "client_ip.header",
        "client_ip.trusted_hops",
        "client_ip.untrusted_peer",
        "client_ip.private_clients",
        "client_ip.trust_unix_socket",
        "operations",
        "forward_auth.asked_by",
        "server.allowed_hosts",
    }
)
"""What may change without a restart: how requests are read, and who may ask. Everything else is built at the start."""


class Reloading:
    """Reads the configuration again when it is told to, and looks at once at what is looked at now and then."""

    def __init__(self, gateway: Gateway, load: Callable[[], Settings]) -> None:
        """Build. `load` reads the configuration as the start did."""
        self._gateway = gateway
        self._load = load
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self) -> None:
        """Reload on SIGHUP, for as long as the loop runs."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._told)

    def _told(self) -> None:
        task = asyncio.get_running_loop().create_task(self.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> None:
        """Take what changed; where any of it cannot be taken, say why and go on as before."""
        async with self._lock:
            gateway = self._gateway
            try:
                settings = await asyncio.to_thread(self._load)
                changed = tuple(changes(gateway.settings, settings))
                fixed = [key for key in changed if key not in RELOADABLE]
                if fixed:
                    log.error("gateway:reload_refused", why=f"needs a restart: {', '.join(fixed)}")
                    return
                reader = reader_of(settings)
                takings = [prepare(settings) for prepare in gateway.changing]
            except GatewayError as fault:
                log.error("gateway:reload_refused", why="; ".join(str(fault).splitlines()))  # noqa: TRY400 - the fault is the message
                return
            if changed:
                # Nothing waits between these: no request is read by one half of it and answered by the other. A copy of
                # the bundle, so that nothing that was settled or is being settled under the old rules is used again.
                gateway.settings = settings
                gateway.line.reader = reader
                gateway.line.adopt(copy.copy(gateway.line.bundle))
                for take in takings:
                    take()
            log.info("gateway:reloaded", changed=list(changed))
            await gateway.look()


def changes(before: Settings, after: Settings) -> Iterator[str]:
    """Yield the name of each key that has another value; a list of tables is one key."""
    yield from _changes(before.model_dump(by_alias=True), after.model_dump(by_alias=True), "")


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], above: str) -> Iterator[str]:
    for name in {**before, **after}:
        one, other = before.get(name), after.get(name)
        where = f"{above}{name}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _changes(one, other, f"{where}.")
        elif one != other:
            yield where
