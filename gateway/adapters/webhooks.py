"""Signatures of the Standard Webhooks specification (1.0.0): made for what is sent, checked for what arrives.

The version `v1` alone: HMAC-SHA256 with a secret that both sides hold.
"""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gateway.core.errors import ConfigError

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

TOLERANCE_S: Final = 300
"""How far the time of a signature may be from ours, either way."""
MOST_SECRETS: Final = 4
_MOST_SIGNATURES: Final = 16
_PREFIX: Final = "whsec_"
_LEAST_BYTES: Final = 24
_MOST_BYTES: Final = 64
_MOST_FILE: Final = 4096
# Without a full stop: it separates what is signed, so that an id with one could borrow from what follows it.
_AN_ID: Final = re.compile(r"[!-\-/-~]{1,128}", re.ASCII)
_SECONDS: Final = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


class Secret:
    """One shared secret. What is printed of it is not its value."""

    __slots__ = ("key",)

    def __init__(self, key: bytes) -> None:
        """Raise ValueError where the specification has no secrets of that size."""
        if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
            raise ValueError(f"a secret has {_LEAST_BYTES} to {_MOST_BYTES} bytes, this one {len(key)}")
        self.key: Final = key

    @classmethod
    def read(cls, text: str) -> "Secret":
        """Return the secret that a text such as `whsec_…` stands for. Raise ValueError, without the text, for none."""
        if not text.startswith(_PREFIX):
            raise ValueError(f"a secret begins with `{_PREFIX}`, and its bytes follow in base64")
        try:
            key = b64decode(text.removeprefix(_PREFIX), validate=True)
        except ValueError:
            raise ValueError(f"what follows `{_PREFIX}` is not base64") from None
        return cls(key)


Secrets = Callable[[], Sequence[Secret]]
"""The secrets of now, the newest first. Raises OSError where they cannot be read."""


class SecretFile:
    """Secrets of a file, one a line, the newest first; read each time, so that they change while the gateway runs.

    During a rotation there are two: what is sent is signed with each, and what arrives may be signed with either.
    """

    def __init__(self, path: Path) -> None:
        """Raise ConfigError where the file holds no secret that can be used."""
        self._path = path
        try:
            self()
        except OSError as fault:
            raise ConfigError(str(fault)) from None

    def __call__(self) -> tuple[Secret, ...]:
        """Return the secrets. Raise OSError where they cannot be read; it tells nothing of what is in the file."""
        try:
            with self._path.open("rb") as file:
                content = file.read(_MOST_FILE + 1)
            lines = content.decode("ascii").split()
        except OSError as fault:
            raise OSError(f"the file of secrets {self._path}: {fault.strerror}") from None
        except UnicodeDecodeError:
            raise OSError(f"the file of secrets {self._path}: not ASCII") from None
        if len(content) > _MOST_FILE or not 1 <= len(lines) <= MOST_SECRETS:
            raise OSError(f"the file of secrets {self._path}: one secret a line, 1 to {MOST_SECRETS} of them")
        found = []
        for number, line in enumerate(lines, 1):
            try:
                found.append(Secret.read(line))
            except ValueError as why:
                raise OSError(f"the file of secrets {self._path}, secret {number}: {why}") from None
        return tuple(found)


def signed_headers(message_id: str, at_s: int, body: bytes, secrets: Sequence[Secret]) -> dict[str, str]:
    """Return the headers that sign a body, once with each secret. `at_s` is the time of this try, in seconds.

    Raise ValueError for an id that could be mistaken for something else, or without a secret.
    """
    if not _AN_ID.fullmatch(message_id) or not secrets:
        raise ValueError("a webhook needs an id of 1 to 128 visible characters without a full stop, and a secret")
    content = _content(message_id, str(at_s), body)
    return {
        ID: message_id,
        TIMESTAMP: str(at_s),
        SIGNATURE: " ".join(f"v1,{b64encode(_mac(secret, content)).decode('ascii')}" for secret in secrets),
    }


class Verified(NamedTuple):
    """A webhook that somebody with a secret has sent."""

    id: str
    at_s: int


class Unverified(NamedTuple):
    """A webhook that is not believed."""

    why: str
    """For whoever sends it. Never a value of theirs or ours."""


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], now_s: int, tolerance_s: int = TOLERANCE_S
) -> Verified | Unverified:
    """Return who signed, as id and time, or why that is not believed.

    Every secret is tried on every signature of the version `v1`, in the same time whichever of them fits.

    Args:
        headers: by their names in small letters.
        body: the bytes as they came.
        secrets: those that may have signed.
        now_s: the time in seconds.
        tolerance_s: how far the time of the signature may be from that.
    """
    message_id, at, signatures = (headers.get(name) for name in (ID, TIMESTAMP, SIGNATURE))
    if message_id is None or at is None or signatures is None:
        return Unverified(f"the headers `{ID}`, `{TIMESTAMP}` and `{SIGNATURE}` are needed")
    given = signatures.split(" ")
    if not (_AN_ID.fullmatch(message_id) and _SECONDS.fullmatch(at) and len(given) <= _MOST_SIGNATURES):
        return Unverified(
            f"`{ID}` has 1 to 128 visible characters and no full stop, `{TIMESTAMP}` is a number of seconds since "
            f"1970, and `{SIGNATURE}` has at most {_MOST_SIGNATURES} signatures"
        )
    content = _content(message_id, at, body)
    wanted = [_mac(secret, content) for secret in secrets]
    fits = False
    for signature in given:
        version, _, value = signature.partition(",")
        if version == "v1":
            mac = _decoded(value)
            for one in wanted:
                fits |= hmac.compare_digest(mac, one)
    if not fits:
        return Unverified("no signature is of a secret that is shared with us")
    # Asked last: whoever cannot sign learns nothing of our clock.
    if abs(now_s - int(at)) > tolerance_s:
        return Unverified(f"it was signed more than {tolerance_s} s from now; is a clock wrong?")
    return Verified(message_id, int(at))


def _content(message_id: str, at: str, body: bytes) -> bytes:
    return b".".join((message_id.encode("ascii"), at.encode("ascii"), body))


def _mac(secret: Secret, content: bytes) -> bytes:
    return hmac.digest(secret.key, content, "sha256")


def _decoded(text: str) -> bytes:
    """Return what a signature's base64 stands for; nothing, which fits no secret, where it is none."""
    try:
        return b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        return b""
