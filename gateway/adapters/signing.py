"""The key that signs the journal's seals, and the public keys that prove them, old ones too."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from gateway.core.errors import JournalUnavailable

PRIVATE: Final = "signing.key"
PUBLIC: Final = "signing.pub"
OLD: Final = "keys"
"""The folder of every public key that ever signed here, `<key id>.pub`."""

_MOST: Final = 16 * 1024
"""No key file is longer."""
_CONTEXT: Final = b"gateway journal seal 1\n"
"""Goes before what is signed, so that no signature made for anything else is one of ours."""

Keys = Mapping[str, Ed25519PublicKey]
"""Public keys by their id."""


class Signer:
    """An Ed25519 key that signs seals."""

    __slots__ = ("_private", "key_id", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        public = private.public_key()
        self.key_id = key_id(public)
        self.public = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        """PEM of the public key."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the signer with the key of a PEM file. Raise JournalUnavailable where it holds none."""
        try:
            private = load_pem_private_key(_content(path), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as fault:
            raise JournalUnavailable(f"signing key {path}: {fault}") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise JournalUnavailable(f"signing key {path}: it is no Ed25519 key; `openssl genpkey -algorithm ed25519`")
        return cls(private)

    def sign(self, content: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self._private.sign(_CONTEXT + content)


def key_id(public: Ed25519PublicKey) -> str:
    """Return the name of a key: the first half of the digest of its 32 bytes, in hexadecimal."""
    return sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:32]


def signer_of(directory: Path, given: Signer | None = None) -> Signer:
    """Return the signer given, or that of the folder, made where there is none. Its public key is kept.

    Raise JournalUnavailable, or OSError where the folder cannot be written.
    """
    signer = given or _own(directory)
    keep(directory, signer)
    return signer


def keep(directory: Path, signer: Signer) -> None:
    """Put the public key into the folder, where the seals that it signs will be checked with it."""
    old = directory / OLD
    old.mkdir(mode=0o700, exist_ok=True)
    for path in (old / f"{signer.key_id}.pub", directory / PUBLIC):
        if not path.exists() or path.read_bytes() != signer.public:
            _write(path, signer.public, replace=True)


def rotate(directory: Path) -> Signer:
    """Make a new key for the folder; return its signer. Processes that run go on with the old one until they end.

    What the old key signed stays provable: its public key is kept.
    """
    _own(directory)
    _write(directory / PRIVATE, _pem(private := Ed25519PrivateKey.generate()), replace=True)
    signer = Signer(private)
    keep(directory, signer)
    return signer


def read_keys(path: Path) -> Keys:
    """Return the public keys of a PEM file, of a folder of `.pub` files, or of a journal folder.

    Raise JournalUnavailable for a file that holds no Ed25519 public key.
    """
    files = sorted([*path.glob("*.pub"), *path.glob(f"{OLD}/*.pub")]) if path.is_dir() else [path]
    keys = {}
    for file in files:
        try:
            public = load_pem_public_key(_content(file))
        except (OSError, ValueError, UnsupportedAlgorithm) as fault:
            raise JournalUnavailable(f"public key {file}: {fault}") from None
        if not isinstance(public, Ed25519PublicKey):
            raise JournalUnavailable(f"public key {file}: it is no Ed25519 key")
        keys[key_id(public)] = public
    return keys


def signed(keys: Keys, key: str, signature: bytes, content: bytes) -> bool:
    """Return whether the signature of `content` is that of the key with this id, which is among those known."""
    try:
        keys[key].verify(signature, _CONTEXT + content)
    except (InvalidSignature, KeyError):
        return False
    return True


def _own(directory: Path) -> Signer:
    path = directory / PRIVATE
    with suppress(FileExistsError):
        if not path.exists():
            _write(path, _pem(Ed25519PrivateKey.generate()), replace=False)
    return Signer.read(path)


def _pem(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, *, replace: bool) -> None:
    """Write a file whole or not at all, mode 0600. Raise FileExistsError where it is there and may not be replaced."""
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        if replace:
            Path(name).replace(path)
        else:
            os.link(name, path)
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST)
