"""The connections to one upstream: bounded in number, kept while they are fresh, and waited for a bounded time."""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from gateway.core.errors import ConfigError
from gateway.enforce.proxy_connection import Connection, UpstreamBroken, UpstreamBusy, UpstreamLate

_P = TypeVar("_P")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the gateway waits for an upstream and its clients, in seconds, and how much it keeps open."""

    connect_s: float = 5.0
    queue_s: float = 1.0
    response_s: float = 60.0
    idle_s: float = 60.0
    body_s: float = 30.0
    connections: int = 256
    websockets: int = 10_000
    message_bytes: int = 1 << 20
    kept_s: float = 30.0
    """How long a connection is kept that nobody uses."""
    sure_s: float = 1.0
    """How long an idle connection counts as alive beyond doubt: servers give an idle client two seconds and more. A
    request that may not be repeated takes none that has been idle for longer."""

    def idle_for(self, *, repeatable: bool) -> float:
        """Return how long a connection may have been idle that a request takes."""
        return self.kept_s if repeatable else self.sure_s


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests go: scheme, host and port, and whose certificate in the name of whom is believed there."""

    url: str
    limits: Limits = field(default_factory=Limits)
    ca_file: Path | None = None
    server_name: str | None = None
    certificate: Path | None = None
    key: Path | None = None


class Pool:
    """The connections to one upstream. Fails when built, where its TLS cannot work."""

    def __init__(self, upstream: Upstream) -> None:
        """Raise ConfigError."""
        parts = urlsplit(upstream.url)
        secure = parts.scheme == "https"
        self.limits = upstream.limits
        self.url = upstream.url
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._tls = _tls(upstream) if secure else None
        self._name = (upstream.server_name or self._host) if secure else None
        self._idle: list[Connection] = []
        self._taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self.websockets = 0

    def kept(self, *, idle_s: float) -> Connection | None:
        """Return a connection that has been idle for at most `idle_s` seconds; None where `take` has to see to it."""
        if self._taken < self.limits.connections and (connection := self._freshest(idle_s)) is not None:
            self._taken += 1
            return connection
        return None

    async def take(self, *, idle_s: float) -> Connection:
        """Return a connection that has been idle for at most `idle_s` seconds, or a new one. Raise Unanswered.

        Like that of `kept` it is given back when its exchange has ended, well or not.
        """
        if self._taken < self.limits.connections:
            self._taken += 1
        else:
            await self._turn()
        try:
            if (connection := self._freshest(idle_s)) is not None:
                return connection
            if self._idle and self._taken + len(self._idle) > self.limits.connections:
                self._idle.pop(0).abort()
            loop = asyncio.get_running_loop()
            return await self.open(lambda: Connection(loop))
        except BaseException:
            self._leave()
            raise

    def give_back(self, connection: Connection) -> None:
        """Take back a connection: kept where another exchange may begin on it, else closed."""
        if connection.usable:
            loop = asyncio.get_running_loop()
            connection.idle_since = loop.time()
            self._idle.append(connection)
            if self._sweeper is None:
                self._sweeper = loop.call_later(self.limits.kept_s, self._sweep)
        else:
            connection.abort()
        self._leave()

    async def open(self, protocol: Callable[[], _P]) -> _P:
        """Return `protocol` on a connection of its own. Raise UpstreamLate or UpstreamBroken."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limits.connect_s):
                made: Any
                # A protocol by what it does: compiled, ours are objects of C and have no base.
                factory: Callable[[], Any] = protocol
                _, made = await loop.create_connection(
                    factory, self._host, self._port, ssl=self._tls, server_hostname=self._name
                )
                connected: _P = made
                return connected
        except TimeoutError:
            raise UpstreamLate("did not take the connection") from None
        except ssl.SSLError as fault:
            raise UpstreamBroken(f"did not show whom we trust: {fault.reason or 'TLS'}") from fault
        except OSError as fault:
            raise UpstreamBroken("did not take the connection") from fault

    def close(self) -> None:
        """Close what is idle. What is taken is closed by who has it."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abort()

    def _freshest(self, idle_s: float) -> Connection | None:
        since = asyncio.get_running_loop().time() - idle_s
        while self._idle and self._idle[-1].idle_since >= since:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _turn(self) -> None:
        """Return when somebody left a place. Raise UpstreamBusy."""
        if len(self._queue) >= self.limits.connections:
            raise UpstreamBusy("has as many requests waiting as it may")
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self.limits.queue_s):
                await turn
        except BaseException as fault:
            if turn.done() and not turn.cancelled():
                self._leave()
            else:
                with contextlib.suppress(ValueError):
                    self._queue.remove(turn)
            if isinstance(fault, TimeoutError):
                raise UpstreamBusy("was waited for as long as may be") from None
            raise

    def _leave(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._taken -= 1

    def _sweep(self) -> None:
        self._sweeper = None
        loop = asyncio.get_running_loop()
        before = loop.time() - self.limits.kept_s
        fresh = []
        for connection in self._idle:
            if connection.usable and connection.idle_since > before:
                fresh.append(connection)
            else:
                connection.abort()
        self._idle = fresh
        if fresh:
            self._sweeper = loop.call_at(fresh[0].idle_since + self.limits.kept_s, self._sweep)


def _tls(upstream: Upstream) -> ssl.SSLContext:
    """Return how the upstream's certificate is checked, always. Raise ConfigError."""
    try:
        context = ssl.create_default_context(cafile=upstream.ca_file)
    except (OSError, ssl.SSLError) as fault:
        raise ConfigError(f"`{upstream.ca_file}` holds no certificates in PEM form: {fault}") from fault
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if upstream.certificate is not None:
        try:
            context.load_cert_chain(upstream.certificate, upstream.key, password="")
        except (OSError, ssl.SSLError, ValueError) as fault:
            raise ConfigError(
                f"`{upstream.certificate}` and its key cannot be used; both in PEM form, the key without a password: "
                f"{fault}"
            ) from fault
    return context
