"""The device key: a random number that a browser keeps for the gateway, signed so that nobody makes one up.

It says that two requests came from the same browser profile, and nothing of whose it is. A stolen one makes a thief's
device look known, which is why a device is only ever one level of what is compared.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final, NamedTuple

from gateway.core.errors import ConfigError

DEVICE_BYTES: Final = 16
LEAST_KEY_BYTES: Final = 32
LIVES_S: Final = 400 * 86_400
"""The longest that browsers keep a cookie (RFC 6265bis, section 5.5)."""
RENEWED_AFTER_S: Final = 30 * 86_400
"""A cookie that is older is set again, so that who comes back within a year is known."""
_AHEAD_S: Final = 300
_MICROSECONDS: Final = 1_000_000
_FORM: Final = re.compile(rb"1\.([A-Za-z0-9_-]{22})\.([0-9a-f]{8,10})\.([A-Za-z0-9_-]{43})\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
PREFIX: Final = "__Host-"
"""A name that begins so is kept only from the host itself, over TLS, for all of its paths (RFC 6265bis, 4.1.3)."""


class Device(NamedTuple):
    """A device that was recognised."""

    key: str
    """Its random number, as text."""
    since_s: int
    """When its cookie was set, seconds since the epoch."""

    def to_be_renewed(self, at: int) -> bool:
        """Return whether the cookie is old enough at `at` (microseconds) to be set again."""
        return at // _MICROSECONDS - self.since_s > RENEWED_AFTER_S


class DeviceCookie:
    """Reads and writes the cookie. It fails when built, never when asked."""

    __slots__ = ("_keys", "_name", "name")

    def __init__(self, name: str, keys: Sequence[bytes]) -> None:
        """Build for a name such as `__Host-gwd`; the first key signs, each is believed.

        Raise ConfigError for a name that protects nothing, or a key that could be guessed.
        """
        if not name.startswith(PREFIX) or not _NAME.fullmatch(name.removeprefix(PREFIX)):
            raise ConfigError(
                f"device.cookie: `{name[:80]}` must begin with `{PREFIX}`, so that no other host sets it, and go on "
                f"with letters, digits, `-` or `_`, such as `{PREFIX}gwd`"
            )
        if not keys or min(map(len, keys)) < LEAST_KEY_BYTES:
            raise ConfigError(
                f"device.key_file: a key has {LEAST_KEY_BYTES} bytes or more of randomness; "
                "`openssl rand -hex 32 > FILE` makes 64"
            )
        self.name = name
        self._name = name.encode("ascii")
        self._keys = tuple(keys)

    def read(self, cookies: Sequence[bytes], at: int) -> Device | None:
        """Return the device whose cookie came, None where none did that we set.

        `cookies` are the values of the Cookie lines, `at` microseconds. Two of that name are none: a script of a
        neighbouring host may have added one.
        """
        found = [
            value
            for line in cookies
            if self._name in line
            for name, _, value in (pair.strip(b" \t").partition(b"=") for pair in line.split(b";"))
            if name == self._name
        ]
        form = _FORM.match(found[0]) if len(found) == 1 else None
        if form is None:
            return None
        signed = found[0].rpartition(b".")[0]
        try:
            signature = urlsafe_b64decode(form[3] + b"=")
        except Error:
            return None
        # Every key is tried in any case: how long it takes does not tell which one signed.
        believed = [compare_digest(signature, self._signature(key, signed)) for key in self._keys]
        since_s = int(form[2], 16)
        age_s = at // _MICROSECONDS - since_s
        if not any(believed) or not -_AHEAD_S <= age_s <= LIVES_S:
            return None
        return Device(form[1].decode("ascii"), since_s)

    def header(self, key: str, at: int) -> bytes:
        """Return the value of the Set-Cookie line that gives a device its key (again)."""
        signed = b"1.%b.%08x" % (key.encode("ascii"), at // _MICROSECONDS)
        signature = urlsafe_b64encode(self._signature(self._keys[0], signed)).rstrip(b"=")
        return b"%b=%b.%b; Max-Age=%d; Path=/; Secure; HttpOnly; SameSite=Lax" % (
            self._name, signed, signature, LIVES_S,
        )  # fmt: skip

    def _signature(self, key: bytes, signed: bytes) -> bytes:
        # The name is signed too: a value of ours under another name is not a device.
        return digest(key, self._name + b"=" + signed, sha256)


def new_key(random: bytes) -> str:
    """Return the key of a new device from 16 random bytes. Raise ValueError for any other number of them."""
    if len(random) != DEVICE_BYTES:
        raise ValueError(f"a device key is made of {DEVICE_BYTES} random bytes, and these are {len(random)}")
    return urlsafe_b64encode(random).rstrip(b"=").decode("ascii")
