"""One receiver of webhooks: an address, its secrets, and what one try to reach it came to."""

from collections.abc import Collection
from ssl import SSLContext
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from gateway.adapters.sinks.post import retry_after
from gateway.adapters.target_check import checked_sockets, checked_url
from gateway.adapters.webhooks import Secrets, signed_headers

MOST_ANSWER: Final = 1024
"""Bytes of an answer that are read; the connection is closed where there are more."""
_SHOWN: Final = 120
_CONNECTIONS: Final = 64


class Tried(NamedTuple):
    """What a try came to."""

    ok: bool
    why: str = ""
    """Why it failed, in one line."""
    retry_after_s: float | None = None
    """How long the receiver asks to be left alone."""
    gone: bool = False
    """It wants nothing any more (410)."""


class Waits(NamedTuple):
    """How long each phase may take, in seconds."""

    connect: float = 5
    """The look-up of the name, the connection and its handshake."""
    read: float = 10
    """Between two pieces of the answer."""
    total: float = 15


class WebhookTarget:
    """Sends to one address. Belongs to the event loop in which it is first used."""

    def __init__(
        self,
        name: str,
        url: str,
        secrets: Secrets,
        *,
        types: Collection[str] = (),
        allow_private: bool = False,
        waits: Waits = Waits(),  # noqa: B008 - a tuple of numbers
        tls: SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Build, without connecting. Raise ConfigError where the URL can never be used.

        Args:
            name: names it in messages.
            url: https; where `allow_private` also http, to a private address.
            secrets: asked for each try, so that they can be replaced while the gateway runs.
            types: the types of messages that it gets; empty: all.
            allow_private: whether it may be in the operator's own network.
            waits: how long each phase may take.
            tls: what to trust in place of the system's certificate authorities.
            resolver: what looks names up, in place of the system.
        """
        self.name: Final = name
        self.longest_s: Final = waits.total
        self._url = checked_url(url, name=name, allow_private=allow_private)
        self._secrets = secrets
        self._types = frozenset(types)
        self._sockets = checked_sockets(allow_private=allow_private, plain=urlsplit(url).scheme != "https")
        self._timeout = aiohttp.ClientTimeout(
            total=waits.total, connect=waits.connect, sock_connect=waits.connect, sock_read=waits.read
        )
        self._tls = tls
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    def wants(self, kind: str) -> bool:
        """Return whether messages of this type go here."""
        return not self._types or kind in self._types

    async def send(self, message_id: str, at_s: int, body: bytes) -> Tried:
        """Return what one try came to, within a bounded time. `at_s` is when it is made, in seconds."""
        try:
            headers = signed_headers(message_id, at_s, body, self._secrets())
        except (OSError, ValueError) as fault:
            return Tried(ok=False, why=str(fault))
        try:
            return await self._posted(headers, body)
        except TimeoutError:
            return Tried(ok=False, why=f"no answer within {self._timeout.total:g} s")
        except aiohttp.ClientConnectorError as fault:
            # The words of the whole error hold the address once more, and not why it was refused.
            return Tried(ok=False, why=_line(str(fault.os_error.strerror or fault.os_error) or "no connection"))
        except (aiohttp.ClientError, OSError) as fault:
            # Their words may hold the whole address, whose path may be a secret.
            return Tried(ok=False, why=type(fault).__name__)

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _posted(self, headers: dict[str, str], body: bytes) -> Tried:
        if self._session is None:
            # No proxy of the environment, no cookies, no decompression (the bound is on what is read). Names are
            # looked up for each connection, and its address is checked by what opens the socket.
            connector = aiohttp.TCPConnector(
                limit=_CONNECTIONS, use_dns_cache=False, resolver=self._resolver, socket_factory=self._sockets
            )
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, timeout=self._timeout
            )
        async with self._session.post(
            self._url,
            data=body,
            headers={**headers, "Content-Type": "application/json", "Accept-Encoding": "identity"},
            # A redirect would lead to where nobody said that messages go.
            allow_redirects=False,
            ssl=self._tls or True,
        ) as answer:
            said = await _beginning(answer)
            return _judged(answer, said)


def _judged(answer: aiohttp.ClientResponse, said: bytes) -> Tried:
    status = answer.status
    if 200 <= status < 300:
        return Tried(ok=True)
    words = _line(said.decode("utf-8", "replace"))
    why = f"answered {status}{f', {words!a}' if words else ''}"
    if 300 <= status < 400:
        return Tried(ok=False, why=f"answered {status}; redirects are not followed: name the final address")
    if status == 410:
        return Tried(ok=False, why=f"{why}: it wants nothing any more", gone=True)
    return Tried(ok=False, why=why, retry_after_s=retry_after(answer.headers))


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """Return the first bytes of an answer. One that goes on is cut off with its connection."""
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > MOST_ANSWER:
            answer.close()
            break
    return bytes(content[:MOST_ANSWER])


def _line(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]
