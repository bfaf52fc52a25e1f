"""Files at rest: encrypted piece by piece with a key of their own, which a master key wraps.

A file is a header and pieces. The header names the master key and holds the file's key, wrapped (AES-256-GCM) together
with the name under which the file is kept, so that no file stands in for another. Each piece is sealed (AES-256-GCM)
under the number of its place, the last one as the last: nothing can be left out, added, moved or cut off unnoticed
(the construction STREAM of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.core.errors import ConfigError, GatewayError

PIECE: Final = 64 * 1024
"""Bytes of a file in one piece."""
_MAGIC: Final = b"GWE1"
_KEY: Final = 32
_NONCE: Final = 12
_TAG: Final = 16
_WRAPPED: Final = _NONCE + _KEY + _TAG
_MOST_KEYS: Final = 32
_MOST_FILE: Final = 8192
_KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", re.ASCII)

Draw = Callable[[int], bytes]
"""So many random bytes that nobody can guess."""


class EvidenceDamaged(GatewayError):
    """A file is not as it was stored, or its master key is not there."""


class MasterKeys:
    """The master keys by their ids. New files get the first; the others open what was stored under them."""

    __slots__ = ("_keys", "newest")

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Raise ConfigError where there is none, or one is no key of AES-256."""
        for name, key in keys.items():
            if not _KEY_ID.fullmatch(name) or len(key) != _KEY:
                raise ConfigError(
                    f"master key `{ascii(name[:32])[1:-1]}`: an id has 1 to 32 letters, digits, `.`, `_` and `-`, and "
                    f"a key {_KEY} bytes"
                )
        if not 1 <= len(keys) <= _MOST_KEYS:
            raise ConfigError(f"master keys of evidence: 1 to {_MOST_KEYS} are needed, not {len(keys)}")
        self._keys: Final = MappingProxyType({name: AESGCM(key) for name, key in keys.items()})
        self.newest: Final = next(iter(keys))

    def get(self, name: str) -> AESGCM | None:
        """Return the key of an id, or None."""
        return self._keys.get(name)


def read_master_keys(path: Path) -> MasterKeys:
    """Return the keys of a file: one `ID BASE64` a line, the newest first. Raise ConfigError, without telling any."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_FILE + 1)
        lines = [line.split() for line in content.decode("ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "not ASCII"
        raise ConfigError(f"master keys of evidence in {path}: {why}") from None
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        where = f"master keys of evidence in {path}, key {number}"
        if len(line) != 2:
            raise ConfigError(f"{where}: write its id and 32 random bytes in base64, as in `2026-11 q83v…`")
        if line[0] in keys:
            raise ConfigError(f"{where}: there is another one with this id")
        try:
            keys[line[0]] = b64decode(line[1], validate=True)
        except ValueError:
            raise ConfigError(f"{where}: what follows its id is not base64") from None
    if len(content) > _MOST_FILE:
        raise ConfigError(f"master keys of evidence in {path}: larger than {_MOST_FILE} bytes; that is no file of keys")
    return MasterKeys(keys)


def encrypted(content: bytes, name: str, keys: MasterKeys, draw: Draw) -> bytes:
    """Return a file as it is kept under a name."""
    key = draw(_KEY)
    sealed = [_wrapped(key, name, keys, draw)]
    cipher = AESGCM(key)
    starts = range(0, max(len(content), 1), PIECE)
    for number, start in enumerate(starts):
        piece = content[start : start + PIECE]
        sealed.append(cipher.encrypt(_place(number, last=number == len(starts) - 1), piece, None))
    return b"".join(sealed)


def decrypted(stored: bytes, name: str, keys: MasterKeys) -> Iterator[bytes]:
    """Yield the pieces of a file that is kept under a name. Raise EvidenceDamaged as soon as one is not as it was."""
    key, rest = _unwrapped(stored, name, keys)
    cipher = AESGCM(key)
    step = PIECE + _TAG
    for number, start in enumerate(range(rest, len(stored), step)):
        last = start + step >= len(stored)
        try:
            yield cipher.decrypt(_place(number, last=last), stored[start : start + step], None)
        except InvalidTag:
            raise EvidenceDamaged(f"evidence {name}: piece {number + 1} is not as it was stored") from None


def rewrapped(stored: bytes, name: str, keys: MasterKeys, draw: Draw) -> bytes | None:
    """Return a file with its key wrapped by the newest master key, its pieces untouched; None where it is already.

    Raise EvidenceDamaged where its key cannot be had. What is in the pieces is not looked at.
    """
    key, rest = _unwrapped(stored, name, keys)
    if _key_id(stored) == keys.newest.encode("ascii"):
        return None
    return _wrapped(key, name, keys, draw) + stored[rest:]


def stored_size(size: int) -> int:
    """Return how large a file of `size` bytes is at most as it is kept."""
    return 5 + 32 + _WRAPPED + size + _TAG * (size // PIECE + 1)


def _wrapped(key: bytes, name: str, keys: MasterKeys, draw: Draw) -> bytes:
    """Return what a file begins with: the id of the newest master key, and the file's key wrapped by it."""
    master = keys.get(keys.newest)
    assert master is not None
    key_id, nonce = keys.newest.encode("ascii"), draw(_NONCE)
    begin = _MAGIC + bytes([len(key_id)]) + key_id
    return begin + nonce + master.encrypt(nonce, key, begin + name.encode("utf-8"))


def _unwrapped(stored: bytes, name: str, keys: MasterKeys) -> tuple[bytes, int]:
    """Return the key of a file, and where its pieces begin. Raise EvidenceDamaged."""
    begin, rest = _header(stored, name)
    master = keys.get(_key_id(begin).decode("ascii", "replace"))
    if master is None:
        raise EvidenceDamaged(
            f"evidence {name}: its master key `{ascii(_key_id(begin))[2:-1]}` is not among those configured"
        )
    nonce, wrapped = stored[len(begin) : len(begin) + _NONCE], stored[len(begin) + _NONCE : rest]
    try:
        return master.decrypt(nonce, wrapped, begin + name.encode("utf-8")), rest
    except InvalidTag:
        raise EvidenceDamaged(f"evidence {name}: it was not stored under this name with this master key") from None


def _key_id(stored: bytes) -> bytes:
    return stored[5 : 5 + stored[4]]


def _header(stored: bytes, name: str) -> tuple[bytes, int]:
    """Return what a file begins with, and where its pieces begin."""
    length = stored[4] if len(stored) > 4 else 0
    rest = 5 + length + _WRAPPED
    if stored[:4] != _MAGIC or not length or len(stored) < rest + _TAG:
        raise EvidenceDamaged(f"evidence {name}: what is kept under this name is no evidence, or was cut off")
    return stored[: 5 + length], rest


def _place(number: int, *, last: bool) -> bytes:
    """Return the nonce of a piece: its number, and whether it is the last. No two pieces under one key share it."""
    return number.to_bytes(_NONCE - 1) + bytes([last])
