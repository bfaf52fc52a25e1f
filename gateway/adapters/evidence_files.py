"""Evidence as files: taken in within bounds, known by what they are, encrypted, kept under names that say nothing."""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterable, Awaitable, Callable
from enum import StrEnum, unique
from typing import Final, NamedTuple

from gateway.adapters.evidence_cipher import (
    Draw,
    EvidenceDamaged,
    MasterKeys,
    decrypted,
    encrypted,
    rewrapped,
    stored_size,
)
from gateway.adapters.evidence_content import ACCEPTED, UNCLAIMED, claimed, media_type
from gateway.adapters.evidence_places import Place
from gateway.core.errors import ConfigError, StoreUnavailable

MOST_BYTES: Final = 10 * 1024 * 1024
MOST_EVER: Final = 64 * 1024 * 1024
"""What a file may ever be allowed to have: one that was stored is read, whatever is allowed today."""
_NAME: Final = 16
_KEY: Final = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}", re.ASCII)


Begun = Callable[[str], Awaitable[None]]
"""Hears the key of a file that is about to be written."""


class Stored(NamedTuple):
    """A file that is kept."""

    sha256: str
    """Of what was sent, in hexadecimal."""
    size: int
    media_type: str
    key: str
    """What it is kept under. It is drawn by chance, and says nothing of whom or what it is about."""


@unique
class Why(StrEnum):
    """Why a file is not taken."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    MEDIA_TYPE = "media_type"


class NotTaken(NamedTuple):
    """A file that is not kept."""

    why: Why
    detail: str


class EvidenceStore:
    """Takes files and gives them back. What is in them reaches no log, and lies unencrypted on no disk."""

    def __init__(
        self,
        place: Place,
        keys: MasterKeys,
        *,
        most_bytes: int = MOST_BYTES,
        at_once: int = 4,
        sent_within_s: float = 60,
        wait_s: float = 10,
        draw: Draw = secrets.token_bytes,
    ) -> None:
        """Build. Raise ConfigError where larger files are allowed than are ever read.

        Args:
            place: where files are kept.
            keys: the master keys.
            most_bytes: of one file.
            at_once: files that are in memory at a time, each with up to twice `most_bytes`.
            sent_within_s: how long one may take to arrive.
            wait_s: how long to wait for room.
            draw: makes names and keys.
        """
        if not 0 < most_bytes <= MOST_EVER:
            raise ConfigError(f"evidence: a file may have 1 to {MOST_EVER:,} bytes, not {most_bytes:,}")
        self._place = place
        self._keys = keys
        self._most = most_bytes
        self._sent_within_s = sent_within_s
        self._wait_s = wait_s
        self._draw = draw
        self._room = asyncio.Semaphore(at_once)

    async def put(
        self, stream: AsyncIterable[bytes], claimed_type: str, begun: Begun | None = None
    ) -> Stored | NotTaken:
        """Return the file as it is kept, or why it is not. No more of the stream is read than a file may have.

        `begun` hears the file's key before it is written. Raise StoreUnavailable where it cannot be kept now, or did
        not arrive in time.
        """
        await self._enter()
        try:
            content = await self._arrived(stream)
            if isinstance(content, NotTaken):
                return content
            return await self._kept(content, claimed_type, begun)
        finally:
            self._room.release()

    async def open(self, key: str, sha256: str) -> bytes:
        """Return what was stored under a key, once its digest has been compared.

        Raise EvidenceDamaged where it is not what was stored, StoreUnavailable where it cannot be had now.
        """
        if not _KEY.fullmatch(key):
            raise EvidenceDamaged("evidence: its key is none that files are kept under")
        await self._enter()
        try:
            stored = await self._place.read(key, stored_size(MOST_EVER))
            return await asyncio.to_thread(self._opened, stored, key, sha256)
        finally:
            self._room.release()

    async def rewrap(self, key: str, *, write: bool = True) -> bool:
        """Return whether a file's key was wrapped by an older master key than the newest, which wraps it from now on.

        A crash leaves the file as it was or as it will be. Raise EvidenceDamaged where its key cannot be had, and
        StoreUnavailable. Without `write` nothing is changed.
        """
        if not _KEY.fullmatch(key):
            raise EvidenceDamaged("evidence: its key is none that files are kept under")
        await self._enter()
        try:
            stored = await self._place.read(key, stored_size(MOST_EVER))
            renewed = rewrapped(stored, key, self._keys, self._draw)
            if renewed is not None and write:
                await self._place.write(key, renewed)
            return renewed is not None
        finally:
            self._room.release()

    async def remove(self, key: str) -> None:
        """Return once nothing is kept under a key. Raise StoreUnavailable."""
        if _KEY.fullmatch(key):
            await self._place.remove(key)

    def _opened(self, stored: bytes, key: str, sha256: str) -> bytes:
        content = b"".join(decrypted(stored, key, self._keys))
        if not hmac.compare_digest(hashlib.sha256(content).hexdigest().encode(), sha256.encode()):
            raise EvidenceDamaged(f"evidence {key}: its digest is not that of what was stored")
        return content

    async def _enter(self) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._room.acquire()
        except TimeoutError:
            raise StoreUnavailable(f"evidence: too many files at once, no room within {self._wait_s:g} s") from None

    async def _arrived(self, stream: AsyncIterable[bytes]) -> bytes | NotTaken:
        content = bytearray()
        try:
            async with asyncio.timeout(self._sent_within_s):
                async for chunk in stream:
                    content += chunk
                    if len(content) > self._most:
                        return NotTaken(Why.TOO_LARGE, f"a file has at most {self._most:,} bytes")
        except TimeoutError:
            raise StoreUnavailable(f"evidence: a file did not arrive within {self._sent_within_s:g} s") from None
        return bytes(content) if content else NotTaken(Why.EMPTY, "the file is empty")

    async def _kept(self, content: bytes, claimed_type: str, begun: Begun | None) -> Stored | NotTaken:
        kind, said = await asyncio.to_thread(media_type, content), claimed(claimed_type)
        if kind is None:
            return NotTaken(Why.MEDIA_TYPE, f"a file must be whole, and one of {', '.join(ACCEPTED)}")
        if said not in UNCLAIMED and said != kind:
            return NotTaken(Why.MEDIA_TYPE, f"the file is {kind}, and was sent as something else")
        name = self._draw(_NAME).hex()
        key = f"{name[:2]}/{name}"
        sha256, stored = await asyncio.to_thread(self._sealed, content, key)
        if begun is not None:
            await begun(key)
        await self._place.write(key, stored)
        return Stored(sha256, len(content), kind, key)

    def _sealed(self, content: bytes, key: str) -> tuple[str, bytes]:
        return hashlib.sha256(content).hexdigest(), encrypted(content, key, self._keys, self._draw)
