"""Snapshots as they lie in Redis: under names that say nothing, and believed only where we wrapped them ourselves."""

import hmac
from base64 import urlsafe_b64encode
from typing import Final

LARGEST: Final = 8 * 1024
"""Bytes of a wrapped snapshot. A larger one is not kept, and of what lies there no more is read."""
LEAST_KEY: Final = 32
_VERSION: Final = b"1"
_MAC: Final = 32


class Wrapping:
    """Names and wraps by keys of its own, drawn from one secret that every gateway has and Redis has not.

    Whoever writes into Redis can take a snapshot away, or put one back that was there: the first costs a look into the
    store, the second is found by its number. He can make none, and give nobody another's.
    """

    def __init__(self, secret: bytes, prefix: str) -> None:
        """Raise ValueError where the secret is too short to be one."""
        if len(secret) < LEAST_KEY:
            raise ValueError(f"has {len(secret)} bytes, and {LEAST_KEY} or more of randomness are needed")
        self._naming = hmac.digest(secret, b"gateway snapshot names", "sha256")
        self._sealing = hmac.digest(secret, b"gateway snapshot contents", "sha256")
        self._prefix = prefix.encode("ascii")

    def name(self, kind: bytes, uid: str) -> bytes:
        """Return the key of an account's snapshot: a digest that nobody can turn back, or guess, without the secret."""
        digest = hmac.digest(self._naming, kind + b"\0" + uid.encode(), "sha256")
        return b"%b:%b:%b" % (self._prefix, kind, urlsafe_b64encode(digest[:18]))

    def wrapped(self, kind: bytes, uid: str, content: bytes) -> bytes | None:
        """Return what is kept; None where it is too large to be."""
        value = _VERSION + self._mac(kind, uid, content) + content
        return value if len(value) <= LARGEST else None

    def unwrapped(self, kind: bytes, uid: str, value: object) -> bytes | None:
        """Return the content; None where we did not wrap it, for this account, in this version."""
        if not isinstance(value, bytes) or value[:1] != _VERSION or len(value) > LARGEST:
            return None
        content = value[1 + _MAC :]
        return content if hmac.compare_digest(value[1 : 1 + _MAC], self._mac(kind, uid, content)) else None

    def _mac(self, kind: bytes, uid: str, content: bytes) -> bytes:
        # No uid and no kind has a NUL in it, so no two triples are the same bytes.
        return hmac.digest(self._sealing, b"\0".join((_VERSION, self._prefix, kind, uid.encode(), content)), "sha256")
