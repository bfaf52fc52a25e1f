"""The device that a request comes from: by the cookie that the gateway set, or by the header that the app sends."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.core.device_key import DeviceCookie
from gateway.core.errors import ConfigError
from gateway.core.request import Headers
from gateway.core.target import Ambiguous
from gateway.core.terms import Ambiguity

LONGEST: Final = 512
"""Bytes of a device key that an app sends. A longer one is refused: cut, two of them could be one."""


class Seen(NamedTuple):
    """A device that was recognised."""

    key: str
    since_s: int | None = None
    """When its cookie was set, seconds since the epoch; None where an app said it."""


class Devices:
    """Reads devices: of `cookie` and `header` exactly one is given. It fails when built, never when asked."""

    def __init__(self, *, cookie: DeviceCookie | None = None, header: str | None = None) -> None:
        """Raise ConfigError for a header that means something else."""
        if header is not None and header.lower().startswith("gateway-"):
            raise ConfigError(
                f"device.header: `{header[:80]}` bears the gateway's own name, and such headers are removed: choose "
                "another, such as `X-Device-Key`"
            )
        self.cookie = cookie
        self.header = None if header is None else header.lower().encode("ascii")
        name = b"" if cookie is None else re.escape(cookie.name.encode("ascii"))
        self._pair = re.compile(rb"(?:^|;)[ \t]*" + name + rb"=([^;]*)")

    def check(self, headers: Headers) -> Ambiguous | None:
        """Return why what an app says of its device cannot be believed, None where it can."""
        if self.header is None:
            return None
        raw = self.raw(headers, ())
        if raw is None or len(raw) <= LONGEST:
            return None
        return Ambiguous(Ambiguity.HEADER_SIZE, f"a device key of {len(raw)} bytes, more than {LONGEST}")

    def raw(self, headers: Headers, cookies: Sequence[bytes]) -> bytes | None:
        """Return the text that says which device it is, not yet believed; None where nothing says it.

        `cookies` are the values of the Cookie lines. On the path of every request.
        """
        if self.header is not None:
            return next((value for name, value in headers if name == self.header), None)
        found = [value for line in cookies for value in self._pair.findall(line)]
        return b";".join(found) if found else None

    def read(self, headers: Headers, cookies: Sequence[bytes], at: int) -> Seen | None:
        """Return the device, None where none is recognised."""
        if self.cookie is None:
            raw = self.raw(headers, cookies)
            return Seen(raw.decode("latin-1")) if raw else None
        device = self.cookie.read(cookies, at)
        return None if device is None else Seen(device.key, device.since_s)
