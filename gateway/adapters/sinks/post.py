"""Batches over HTTP: one POST, bounded in time and in what is read of its answer. The caller repeats it."""

import gzip
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from ssl import SSLContext
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from gateway.adapters.sinks import SinkUnavailable
from gateway.core.errors import ConfigError

MOST_ANSWER: Final = 4096
"""Bytes of an answer that are read; the connection is closed where there are more."""
MOST_SECRET: Final = 8192
MOST_PAUSE_S: Final = 3600.0
"""The longest time that another side may ask to be left alone for."""
_SHOWN: Final = 200

Authorize = Callable[[str], Mapping[str, str]]


class TooLarge(SinkUnavailable):
    """The other side takes only smaller bodies."""


def shown(url: str) -> str:
    """Return a URL as logs may have it: without a password, and without a query, which may be a key."""
    scheme, separator, rest = url.partition("?")[0].partition("#")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def bearer(token: str) -> Mapping[str, str]:
    """Return the header that shows a bearer token (RFC 6750)."""
    return {"Authorization": f"Bearer {token}"}


class Poster:
    """Posts bodies to one URL. Belongs to the event loop in which it is first used."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        secret_file: Path | None = None,
        authorize: Authorize = bearer,
        timeout_s: float = 30,
        tls: SSLContext | None = None,
    ) -> None:
        """Build, without connecting. Raise ConfigError where the URL or the file with the secret cannot be used.

        Args:
            url: https, or http to this machine, or http without a secret.
            name: names the sink in messages.
            secret_file: read for each request, so that a secret can be replaced while the gateway runs.
            authorize: makes headers of the secret.
            timeout_s: for one request, from the look-up of the name to the last byte of the answer.
            tls: what to trust in place of the system's certificate authorities.
        """
        self.name = name
        self._url = _checked(url, name, secret=secret_file is not None)
        self._secret_file = secret_file
        self._authorize = authorize
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        try:
            self._secret()
        except SinkUnavailable as fault:
            raise ConfigError(str(fault)) from None

    async def post(self, body: bytes, headers: Mapping[str, str], params: Mapping[str, str] | None = None) -> None:
        """Return once the body was answered 2xx. Raise TooLarge for 413, SinkUnavailable for all else."""
        if self._session is None:
            # No cookies, no decompression (the bound is on what is read), no proxy from the environment.
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, timeout=self._timeout
            )
        try:
            async with self._session.post(
                self._url,
                data=body,
                params=params,
                # A redirect would carry decisions to where nobody said that they go.
                allow_redirects=False,
                ssl=self._tls or True,
                headers={**headers, **self._secret(), "Accept-Encoding": "identity"},
            ) as response:
                answer = await _beginning(response)
                if 200 <= response.status < 300:
                    return
                raise self._refused(response, answer)
        except TimeoutError:
            raise SinkUnavailable(f"{self.name}: no answer within {self._timeout.total:g} s") from None
        except (aiohttp.ClientError, OSError) as fault:
            raise SinkUnavailable(f"{self.name}: {str(fault)[:_SHOWN] or type(fault).__name__}") from None

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _refused(self, response: aiohttp.ClientResponse, answer: bytes) -> SinkUnavailable:
        said = answer[:_SHOWN].decode("utf-8", "replace").strip()
        text = f"{self.name}: answered {response.status}{f', {said!a}' if said else ''}"
        if response.status == 413:
            return TooLarge(text)
        if 300 <= response.status < 400:
            return SinkUnavailable(f"{text}; redirects are not followed: name the final address")
        if response.status in {401, 403}:
            return SinkUnavailable(f"{text}; does the file with the secret hold the right one?")
        return SinkUnavailable(text, retry_after_s=retry_after(response.headers))

    def _secret(self) -> Mapping[str, str]:
        return {} if self._secret_file is None else self._authorize(secret_in(self._secret_file, self.name))


def secret_in(path: Path, name: str) -> str:
    """Return the one line that a file with a secret holds. Raise SinkUnavailable, for the sink that `name` names."""
    try:
        with path.open("rb") as file:
            secret = file.read(MOST_SECRET + 1).strip().decode("ascii")
    except (OSError, UnicodeDecodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "not ASCII"
        raise SinkUnavailable(f"{name}: the secret in {path} cannot be read: {why}") from None
    if not secret or len(secret) > MOST_SECRET or not secret.isprintable():
        raise SinkUnavailable(f"{name}: {path} holds no secret of one line")
    return secret


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds an answer asks to wait (RFC 9110, 10.2.3), at most an hour; None where it does not say.

    A date is compared with the answer's own `Date`, so that no clock of ours has a part in it.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MOST_PAUSE_S)
    try:
        pause = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return None
    return min(max(pause.total_seconds(), 0.0), MOST_PAUSE_S)


def parcels(pieces: Iterable[bytes], most_bytes: int) -> Iterator[list[bytes]]:
    """Yield the pieces in order, as many together as have `most_bytes`; a larger piece is alone."""
    parcel: list[bytes] = []
    size = 0
    for piece in pieces:
        if parcel and size + len(piece) > most_bytes:
            yield parcel
            parcel, size = [], 0
        parcel.append(piece)
        size += len(piece) + 1
    if parcel:
        yield parcel


async def halved(parcel: Sequence[bytes], post: Callable[[Sequence[bytes]], Awaitable[None]]) -> None:
    """Post a parcel; where it is too large, its first half and then its second."""
    try:
        await post(parcel)
    except TooLarge:
        if len(parcel) == 1:
            raise
        middle = len(parcel) // 2
        await halved(parcel[:middle], post)
        await halved(parcel[middle:], post)


def zipped(body: bytes) -> bytes:
    """Return the body gzipped, the same bytes each time."""
    return gzip.compress(body, compresslevel=6, mtime=0)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Return the first bytes of an answer. One that goes on is cut off with its connection."""
    answer = bytearray()
    async for chunk in response.content.iter_any():
        answer += chunk
        if len(answer) > MOST_ANSWER:
            response.close()
            break
    return bytes(answer[:MOST_ANSWER])


def _checked(text: str, name: str, *, secret: bool) -> str:
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError as fault:
        raise ConfigError(f"{name}: {fault}") from None
    if url.scheme not in {"http", "https"} or not host or url.fragment:
        raise ConfigError(f"{name}: `{shown(text)}` is not an address such as https://HOST/PATH")
    if url.username is not None or url.password is not None:
        raise ConfigError(f"{name}: the URL holds a password; put it into a file and name that")
    if secret and url.scheme == "http" and not _is_this_machine(host):
        raise ConfigError(f"{name}: over plain http to {host} everybody on the way reads the secret; use https")
    return text


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
