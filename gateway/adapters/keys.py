"""Where the keys come from: a JWKS file or URL, or a secret, and how they are kept up to date.

A key set is taken whole or not at all, and the old one serves until then, up to `max_stale_s`. Fetching and parsing
happen off the path of requests: a request waits for them, briefly, only where it names a key that nobody has seen.
"""

import asyncio
import contextlib
import ipaddress
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit

import aiohttp
import structlog

from gateway.adapters.jwks import check_algorithms, read_key_set, secret_key_set
from gateway.adapters.jws import KeySet
from gateway.core.errors import ConfigError
from gateway.ports import MICROSECONDS, Clock

MAX_DOCUMENT_BYTES: Final = 256 * 1024

_log: Any = structlog.get_logger("gateway.keys")


class KeySource(Protocol):
    """Where the checker finds the keys of now."""

    @property
    def generation(self) -> int:
        """A number that grows whenever another key set is taken."""

    @property
    def good_until(self) -> int | None:
        """The last instant at which the set in use may be used, as things stand; None for ever."""

    def current(self, at: int) -> KeySet | None:
        """Return the key set to use at `at`, or None where there is none, or none that is fresh enough."""

    async def look_again(self) -> None:
        """Return once a newer set was looked for; at once where that has just been done."""

    async def start(self) -> None:
        """Begin to keep the set up to date. Raise ConfigError where it is plain that it can never work."""

    async def close(self) -> None:
        """Return once nothing is under way any more."""


class FixedKeys:
    """A key set that never changes."""

    generation = 0
    good_until = None

    def __init__(self, keyset: KeySet) -> None:
        self._keyset = keyset

    def current(self, at: int) -> KeySet | None:  # noqa: ARG002 - the port's shape
        """Return the key set."""
        return self._keyset

    async def look_again(self) -> None:
        """Return: there is nothing newer."""

    async def start(self) -> None:
        """Return: there is nothing to do."""

    async def close(self) -> None:
        """Return: there is nothing to do."""


class Unreachable(Exception):
    """The origin did not answer, or answered that it cannot now. It may well later."""


class RefreshedKeys:
    """A key set that is read again: at an interval, and where a token names a key that it does not hold.

    One task owns all fetching, so that there is never more than one fetch under way.
    """

    def __init__(
        self,
        origin: Callable[[], Awaitable[bytes]],
        read: Callable[[bytes], KeySet],
        *,
        where: str,
        clock: Clock,
        first: KeySet | None = None,
        refresh_s: float = 300,
        look_again_s: float = 30,
        retry_s: float = 5,
        wait_s: float = 1,
        attempt_s: float = 5,
        max_stale_s: float = 86_400,
    ) -> None:
        """Build, without fetching.

        Args:
            origin: returns the document, or raises Unreachable (it may come back) or ConfigError (it will not).
            read: makes a key set of the document, or raises ConfigError.
            where: names the origin in messages.
            clock: tells when a set was fetched.
            first: a set that was read at this very moment.
            refresh_s: how often the origin is asked without being prompted.
            look_again_s: least time between two attempts that tokens with unknown keys cause; also how soon a
                failed attempt is repeated.
            retry_s: the same, while there is no set that can be used.
            wait_s: how long such a token's request waits for the answer at most; the attempt itself goes on.
            attempt_s: how long an attempt may take.
            max_stale_s: how long a set is used after the origin was last heard.
        """
        self._origin = origin
        self._read = read
        self._where = where
        self._clock = clock
        self._refresh_s = refresh_s
        self._look_again_s = look_again_s
        self._retry_s = retry_s
        self._wait_s = wait_s
        self._attempt_s = attempt_s
        self._max_stale = int(max_stale_s * MICROSECONDS)
        self._keyset = first
        self._prompted_at = 0
        self._busy = False
        self._prompted = asyncio.Event()
        self._attempt: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.generation = 0
        self.good_until = 0 if first is None else clock.now() + self._max_stale
        self.fetches = 0
        self.trouble: str | None = None
        """Why the last attempt failed, None where it did not."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the published set is not used, and why."""
        return () if self._keyset is None else self._keyset.notes

    def current(self, at: int) -> KeySet | None:
        """Return the key set to use at `at`, or None where there is none, or none that is fresh enough."""
        return self._keyset if at <= self.good_until else None

    async def look_again(self) -> None:
        """Return once a newer set was looked for, or after `wait_s`; at once where that has just been done."""
        if self._attempt is None:
            return
        if not self._busy:
            now = self._clock.now()
            least = self._retry_s if self.current(now) is None else self._look_again_s
            if now - self._prompted_at < least * MICROSECONDS:
                return
            self._prompted_at = now
            self._prompted.set()
        await asyncio.wait((self._attempt,), timeout=self._wait_s)

    async def start(self) -> None:
        """Fetch, and keep fetching. Raise ConfigError where there is no set, and waiting would not bring one.

        An origin that does not answer is no reason not to start: until it does, tokens cannot be judged, and say so.
        """
        if self._task is not None:
            return
        loop = asyncio.get_running_loop()
        if self._keyset is None:
            fault = await self._fetch()
            if isinstance(fault, ConfigError):
                raise fault
        # Made here and not before: both belong to the loop that they are waited for in.
        self._prompted = asyncio.Event()
        self._attempt = loop.create_future()
        self._task = loop.create_task(self._keep_up(), name="gateway keys")

    async def close(self) -> None:
        """Return once the fetching has ended. The set that is held stays usable for as long as it was."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            self._end_attempt(again=False)

    async def _keep_up(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._prompted.wait()
            self._busy = True
            self._prompted.clear()
            try:
                await self._fetch()
            finally:
                self._busy = False
            self._end_attempt(again=True)

    def _pause(self) -> float:
        if self._keyset is None:
            return self._retry_s
        return self._refresh_s if self.trouble is None else min(self._look_again_s, self._refresh_s)

    def _end_attempt(self, *, again: bool) -> None:
        ended, self._attempt = self._attempt, asyncio.get_running_loop().create_future() if again else None
        assert ended is not None
        ended.set_result(None)

    async def _fetch(self) -> Exception | None:
        """Return None where a set was read, else what came in between."""
        # Counted from before the fetch: what was published while it ran may not be in it.
        asked_at = self._clock.now()
        self.fetches += 1
        try:
            async with asyncio.timeout(self._attempt_s):
                document = await self._origin()
                keyset = await asyncio.to_thread(self._read, document)
        except Exception as error:  # noqa: BLE001 - whatever it is, the old set must serve on and the next attempt come
            self.trouble = self._told(error)
            _log.warning("keys:fetch_failed", why=self.trouble, keys_in_use=self._keyset is not None)
            return error
        self.trouble = None
        self.good_until = asked_at + self._max_stale
        if self._keyset is None or keyset.fingerprint != self._keyset.fingerprint:
            self._keyset = keyset
            self.generation += 1
            _log.info("keys:changed", where=self._where, keys=len(keyset.keys), not_used=list(keyset.notes))
        return None

    def _told(self, error: Exception) -> str:
        if isinstance(error, ConfigError | Unreachable):
            return str(error)
        if isinstance(error, TimeoutError):
            return f"{self._where}: no answer within {self._attempt_s:g} s"
        return f"{self._where}: {type(error).__name__}"


def key_source(
    *,
    algorithms: Sequence[str],
    clock: Clock,
    jwks: str | None = None,
    secret: bytes | None = None,
    secret_file: Path | None = None,
    refresh_s: float | None = None,
    max_stale_s: float = 86_400,
    tls: SSLContext | None = None,
) -> RefreshedKeys | FixedKeys:
    """Return the one source that is configured. Raise ConfigError where it cannot work; files are read at once.

    Args:
        algorithms: those that tokens may use.
        clock: the only source of time.
        jwks: a file, or a URL: https, or http to this machine.
        secret: a shared secret.
        secret_file: a file that holds one.
        refresh_s: how often to read again; None for every 5 minutes (a URL) or every 30 s (a file).
        max_stale_s: how long a set is used after its origin was last heard.
        tls: what to trust in place of the system's certificate authorities.
    """
    algorithms = check_algorithms(algorithms)
    given = [name for name, value in (("jwks", jwks), ("secret", secret), ("secret_file", secret_file)) if value]
    if len(given) != 1:
        raise ConfigError(
            f"[identity]: exactly one of jwks, secret and secret_file is needed, not {' and '.join(given) or 'none'}"
        )
    if secret:
        return FixedKeys(secret_key_set(secret, algorithms, "[identity] secret"))
    if jwks and "://" in jwks:
        url = _check_url(jwks)
        where = f"[identity] jwks {url.scheme}://{url.netloc}{url.path}"
        if algorithms[0].startswith("HS"):
            raise ConfigError(f"{where}: {algorithms[0]} needs a secret, and a secret is not fetched; use secret_file")
        return RefreshedKeys(
            lambda: _fetch_url(jwks, where, tls),
            lambda document: read_key_set(document, algorithms, where),
            where=where,
            clock=clock,
            refresh_s=refresh_s or 300,
            max_stale_s=max_stale_s,
        )
    path = Path(jwks) if jwks else secret_file
    assert path is not None
    where = f"[identity] {given[0]} {path}"
    read = read_key_set if jwks else secret_key_set
    return RefreshedKeys(
        lambda: asyncio.to_thread(_read_file, path, where),
        lambda document: read(document, algorithms, where),
        where=where,
        clock=clock,
        first=read(_read_file(path, where), algorithms, where),
        refresh_s=refresh_s or 30,
        max_stale_s=max_stale_s,
    )


def _read_file(path: Path, where: str) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{where}: not a file")
        with path.open("rb") as file:
            document = file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror}") from None
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ConfigError(f"{where}: larger than {MAX_DOCUMENT_BYTES} bytes; that is no key set")
    return document


def _check_url(text: str) -> SplitResult:
    """Return the parts of a URL that keys may come from. Raise ConfigError for any other."""
    where = f"[identity] jwks {text.partition('?')[0]!a}"
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    if url.username is not None or url.password is not None:
        raise ConfigError("[identity] jwks: the URL holds a password; keys are public, leave it out")
    if not host or url.fragment or url.scheme not in {"https", "http"}:
        raise ConfigError(f"{where}: expected https://HOST/PATH, or the name of a file")
    if url.scheme == "http" and not _is_this_machine(host):
        raise ConfigError(f"{where}: keys fetched over plain http can be swapped on the way; use https")
    return url


def _is_this_machine(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


async def _fetch_url(url: str, where: str, tls: SSLContext | None) -> bytes:
    """Return the document at a URL. Raise Unreachable where it may come back, ConfigError where it will not."""
    try:
        async with (
            # Nothing is kept between fetches: no cookies, no connection that goes stale. No compression, so that the
            # bound is on what is read; no redirects, so that the keys come from where the operator said.
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session,
            session.get(
                url,
                allow_redirects=False,
                ssl=tls or True,
                headers={"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"},
            ) as response,
        ):
            if response.status != 200:
                message = f"{where}: answered {response.status}"
                if response.status in {408, 425, 429} or response.status >= 500:
                    raise Unreachable(message)
                moved = " (redirects are not followed: name the final address)" if 300 <= response.status < 400 else ""
                raise ConfigError(message + moved)
            document = bytearray()
            async for chunk in response.content.iter_any():
                document += chunk
                if len(document) > MAX_DOCUMENT_BYTES:
                    raise ConfigError(f"{where}: larger than {MAX_DOCUMENT_BYTES} bytes; that is no key set")
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(f"{where}: {str(error) or type(error).__name__}") from None
    return bytes(document)
