"""Seals over the network: posted to somebody who keeps them, and stamped by an authority that knows the time."""

import asyncio
import hmac
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from gateway.adapters.clock import SystemClock
from gateway.adapters.seal_lines import SealFault, read_seal
from gateway.adapters.seals import files_of, read_lines
from gateway.adapters.segment import sync_directory
from gateway.adapters.timestamp import MOST_ANSWER, STAMPS, TimestampFault, read_answer, request
from gateway.core.errors import JournalUnavailable

ANSWERED_WITHIN_S: Final = 5.0
"""How long one try may take in all."""
_MOST_SECRET: Final = 8192
_LEAST_SECRET: Final = 24
"""Bytes, as Standard Webhooks asks for."""


class WebhookPublisher:
    """Posts each line to an address, signed as Standard Webhooks are."""

    def __init__(self, url: str, secret_file: Path, *, now: Callable[[], int] | None = None) -> None:
        """Build. Raise JournalUnavailable where the address or the secret cannot work.

        Args:
            url: https, or http on this machine.
            secret_file: read at each post, so that a secret can be replaced while the gateway runs.
            now: tells the time in microseconds since the epoch.
        """
        self._url = checked(url, plain=False)
        self._secret_file = secret_file
        self._now = now or SystemClock().now
        try:
            self._secret()
        except OSError as fault:
            raise JournalUnavailable(f"publishing to {place_of(url)}: {fault}") from None

    def start(self) -> None:
        """Do nothing: each line is a connection of its own."""

    def publish(self, line: bytes) -> None:
        """Post the line. Raise OSError where it was not answered with success in time."""
        seal = read_seal(line)
        # The same for each try, so that whoever receives a line twice can tell.
        name = f"seal_{seal.worker}_{seal.line}"
        at = str(self._now() // 1_000_000)
        signed = hmac.digest(self._secret(), b".".join((name.encode(), at.encode(), line)), "sha256")
        signature = f"v1,{b64encode(signed).decode()}"
        headers = {"webhook-id": name, "webhook-timestamp": at, "webhook-signature": signature}
        _post(self._url, line, {"Content-Type": "application/json", **headers})

    def close(self) -> None:
        """Do nothing."""

    def _secret(self) -> bytes:
        with self._secret_file.open("rb") as file:
            secret = file.read(_MOST_SECRET + 1).strip()
        if secret.startswith(b"whsec_"):
            try:
                secret = b64decode(secret.removeprefix(b"whsec_"), validate=True)
            except ValueError:
                raise OSError(f"{self._secret_file}: what follows `whsec_` is not base64") from None
        if not _LEAST_SECRET <= len(secret) <= _MOST_SECRET:
            raise OSError(f"{self._secret_file}: a secret has {_LEAST_SECRET} to {_MOST_SECRET} bytes")
        return secret


class TimestampPublisher:
    """Has each line stamped (RFC 3161), and keeps the stamp beside the seals. The authority sees a digest only."""

    def __init__(self, url: str, directory: Path) -> None:
        """Build. Raise JournalUnavailable where the address cannot work.

        Args:
            url: the authority's; http will do, since what it answers is signed.
            directory: the journal's folder.
        """
        self._url = checked(url, plain=True)
        self._journal = directory
        self._directory = directory / STAMPS

    def start(self) -> None:
        """Do nothing: each line is a connection of its own."""

    def publish(self, line: bytes) -> None:
        """Have the line stamped; the disk has the stamp when this returns. Raise OSError where that cannot be."""
        seal = read_seal(line)
        digest = sha256(line).digest()
        nonce = secrets.randbits(63)
        answer = _post(self._url, request(digest, nonce), {"Content-Type": "application/timestamp-query"})
        try:
            read_answer(answer, digest, nonce)
        except TimestampFault as fault:
            raise OSError(f"{place_of(self._url)} answered no timestamp: {fault}") from None
        self._directory.mkdir(mode=0o700, exist_ok=True)
        name = f"{seal.worker}-{seal.line:08d}"
        # What was stamped first: an answer alone would say nothing.
        for suffix, content in ((".seal", line), (".tsr", answer)):
            _keep(self._directory / f"{name}{suffix}", content)
        sync_directory(self._directory)
        self._forget(seal.worker)

    def close(self) -> None:
        """Do nothing."""

    def _forget(self, worker: str) -> None:
        """Remove the stamps of lines of this worker, and of workers, that the folder has no more."""
        files = files_of(self._journal)
        first: dict[str, int] = {}
        for name, of_worker in files.items():
            if of_worker.seals and name == worker:
                with suppress(OSError, SealFault, StopIteration):
                    first[name] = read_seal(next(read_lines(of_worker.seals[min(of_worker.seals)]))[0]).line
        # The answers first: whoever reads finds none whose seal is gone.
        for path in sorted(self._directory.iterdir(), key=lambda one: one.suffix, reverse=True):
            name, _, line = path.stem.rpartition("-")
            gone = name not in files or (line.isdigit() and int(line) < first.get(name, 0))
            if path.suffix in {".seal", ".tsr"} and gone:
                path.unlink(missing_ok=True)


def checked(url: str, *, plain: bool) -> str:
    """Return the address. Raise JournalUnavailable where nothing may be sent there.

    Args:
        url: https, or http to this machine.
        plain: whether http will do for others, too.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as fault:
        raise JournalUnavailable(f"publishing to `{url[:40]}`: it is no address: {fault}") from None
    if host is None or parts.scheme not in {"http", "https"} or parts.username or parts.password or parts.fragment:
        raise JournalUnavailable(f"publishing to {place_of(url)}: give `https://HOST/PATH`, without a user in it")
    if parts.scheme == "http" and not (plain or _is_this_machine(host)):
        raise JournalUnavailable(f"publishing to {place_of(url)}: it is `https` but on this machine")
    return url


def place_of(url: str) -> str:
    """Return what of an address may be logged: paths of some are secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return what was answered with success. Raise OSError for all else."""
    try:
        return asyncio.run(_posted(url, body, headers))
    except TimeoutError:
        raise OSError(f"{place_of(url)}: no answer within {ANSWERED_WITHIN_S:g} s") from None
    except aiohttp.ClientError as fault:
        # Its words may hold the whole address.
        raise OSError(f"{place_of(url)}: {type(fault).__name__}") from None


async def _posted(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    timeout = aiohttp.ClientTimeout(total=ANSWERED_WITHIN_S)
    async with (
        aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session,
        # A redirect would lead to where nobody said that seals go.
        session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
    ):
        if not 200 <= answer.status < 300:
            raise OSError(f"{place_of(url)}: it answered {answer.status}")
        content = bytearray()
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > MOST_ANSWER:
                raise OSError(f"{place_of(url)}: its answer has more than {MOST_ANSWER:,} bytes")
        return bytes(content)


def _keep(path: Path, content: bytes) -> None:
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
