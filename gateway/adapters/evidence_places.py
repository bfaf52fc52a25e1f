"""Where encrypted evidence is kept: a folder of this machine, or a bucket of an object store."""

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from gateway.adapters.evidence_cipher import EvidenceDamaged
from gateway.adapters.segment import sync_directory
from gateway.adapters.sinks.post import shown
from gateway.core.errors import ConfigError, StoreUnavailable

Found = TypeVar("Found")

_OPTIONS: Final = {"s3": "aws_", "gs": "google_", "az": "azure_"}
"""The kinds of object store, and how the options of each begin."""
_SHOWN: Final = 300


class Place(Protocol):
    """Keeps files under keys. Every call may raise StoreUnavailable."""

    async def write(self, key: str, content: bytes) -> None:
        """Return once the file is kept, whole."""

    async def read(self, key: str, most: int) -> bytes:
        """Return a file. Raise EvidenceDamaged where it is not there, or larger than `most` bytes."""

    async def remove(self, key: str) -> None:
        """Return once there is no such file, whether or not there was."""


class Folder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        """Make the folder where there is none. Raise ConfigError where files cannot be kept there."""
        self._path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as fault:
            raise ConfigError(f"evidence in {path}: {fault.strerror}") from None
        if not os.access(path, os.W_OK | os.X_OK):
            raise ConfigError(f"evidence in {path}: this user may not write there")

    async def write(self, key: str, content: bytes) -> None:
        """Return once the disk has the file: a crash leaves all of it or none."""
        await self._done(lambda: self._write(key, content))

    async def read(self, key: str, most: int) -> bytes:
        """Return a file. Raise EvidenceDamaged where it is not there, or larger than `most` bytes."""
        return await self._done(lambda: self._read(key, most))

    async def remove(self, key: str) -> None:
        """Return once there is no such file."""
        await self._done(lambda: self._remove(key))

    def _write(self, key: str, content: bytes) -> None:
        path = self._path / key
        # One of its own for each try: what a crash left must not be in the way of a file that is written again.
        beside = self._path / f".{path.name}.{secrets.token_hex(4)}.part"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
        sync_directory(path.parent)
        sync_directory(self._path)

    def _read(self, key: str, most: int) -> bytes:
        try:
            with (self._path / key).open("rb") as file:
                content = file.read(most + 1)
        except FileNotFoundError:
            raise _absent(key) from None
        return _bounded(content, key, most)

    def _remove(self, key: str) -> None:
        path = self._path / key
        path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            sync_directory(path.parent)

    async def _done(self, work: Callable[[], Found]) -> Found:
        try:
            return await asyncio.to_thread(work)
        except OSError as fault:
            raise StoreUnavailable(f"evidence in {self._path}: {fault.strerror or type(fault).__name__}") from None


class Bucket:
    """A bucket of an object store, or a part of one."""

    def __init__(self, store: Any, name: str, *, timeout_s: float = 60) -> None:  # noqa: ANN401 - the library's union
        """Build, without connecting. `name` is what messages call it."""
        self._store = store
        self._name = name
        self._timeout_s = timeout_s
        self._obstore = _library(name)

    async def write(self, key: str, content: bytes) -> None:
        """Return once the store has the object: it appears whole."""
        await self._done(lambda: self._obstore.put(self._store, key, content))

    async def read(self, key: str, most: int) -> bytes:
        """Return an object. Raise EvidenceDamaged where it is not there, or larger than `most` bytes."""
        return await self._done(lambda: self._read(key, most))

    async def remove(self, key: str) -> None:
        """Return once there is no such object."""
        with suppress(EvidenceDamaged):
            await self._done(lambda: self._remove(key))

    def _read(self, key: str, most: int) -> bytes:
        try:
            found = self._obstore.get(self._store, key)
        except FileNotFoundError:
            raise _absent(key) from None
        if found.meta["size"] > most:
            raise _too_large(key, most)
        return _bounded(bytes(found.bytes()), key, most)

    def _remove(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._obstore.delete(self._store, key)

    async def _done(self, work: Callable[[], Found]) -> Found:
        # In a thread of ours: the library's own coroutines now and then abort a process that ends soon after one.
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.to_thread(work)
        except TimeoutError:
            raise StoreUnavailable(f"evidence in {self._name}: no answer within {self._timeout_s:g} s") from None
        except (self._obstore.exceptions.BaseError, OSError, ValueError, RuntimeError) as fault:
            raise StoreUnavailable(f"evidence in {self._name}: {_first_line(fault)}") from None


def place_of(
    where: str, *, options: Mapping[str, str] | None = None, allow_http: bool = False, timeout_s: float = 60
) -> Place:
    """Return where evidence is kept. Raise ConfigError where it cannot be.

    Args:
        where: a folder; or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX.
        options: of an object store, such as aws_region; those of S3 begin with aws_, and so on. They may be secret.
        allow_http: let an endpoint be plain http.
        timeout_s: for one object, all attempts included.
    """
    scheme, separator, _ = where.partition("://")
    if not separator:
        return Folder(Path(where))
    name = shown(where)
    if scheme not in _OPTIONS:
        raise ConfigError(f"evidence in {name}: give a folder, or an object store: {', '.join(_OPTIONS)}")
    if "@" in urlsplit(where).netloc:
        raise ConfigError(f"evidence in {name}: the URL holds a password; give it as an option of the store")
    strange = next((option for option in options or {} if not option.startswith(_OPTIONS[scheme])), None)
    if strange is not None:
        raise ConfigError(f"evidence in {name}: option `{strange}`: those begin with {_OPTIONS[scheme]}")
    library = _library(name)
    try:
        store = import_module("obstore.store").from_url(
            where,
            config=dict(options or {}) or None,
            client_options={"timeout": f"{timeout_s:g}s", "allow_http": allow_http},
            # Whoever uploads asks again, and is told; the library would do so for minutes, silently.
            retry_config={"max_retries": 1},
        )
    except (library.exceptions.BaseError, OSError, ValueError) as fault:
        raise ConfigError(f"evidence in {name}: {_first_line(fault)}") from None
    return Bucket(store, name, timeout_s=timeout_s)


def _bounded(content: bytes, key: str, most: int) -> bytes:
    if len(content) > most:
        raise _too_large(key, most)
    return content


def _absent(key: str) -> EvidenceDamaged:
    return EvidenceDamaged(f"evidence {key}: it is not there")


def _too_large(key: str, most: int) -> EvidenceDamaged:
    return EvidenceDamaged(f"evidence {key}: what is kept under this name has more than {most:,} bytes")


def _library(name: str) -> Any:  # noqa: ANN401 - a module of an extra that may be missing
    try:
        return import_module("obstore")
    except ImportError:
        raise ConfigError(
            f"evidence in {name}: `obstore` is missing; install the extra: pip install 'geofence-gateway[object-store]'"
        ) from None


def _first_line(fault: BaseException) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0][:_SHOWN]
