"""How often one address may fail to prove who it is: ten times at once, and then once in six seconds."""

from collections import OrderedDict
from ipaddress import ip_address
from typing import Final

from gateway.ports import MICROSECONDS

AT_ONCE: Final = 10
EVERY_US: Final = 6 * MICROSECONDS
MOST_ADDRESSES: Final = 10_000


class Attempts:
    """Failed attempts by address. An IPv6 customer has a /64 and counts as one."""

    def __init__(self, most: int = MOST_ADDRESSES) -> None:
        self._most = most
        # For each address the instant at which all its failures are forgiven: each failure puts it off (GCRA).
        self._forgiven_at: OrderedDict[str, int] = OrderedDict()

    def wait(self, address: str | None, at: int) -> int:
        """Return for how many seconds the address is not listened to; 0 where it is."""
        forgiven_at = self._forgiven_at.get(_key(address), at)
        # A clock that was set back must not lock anybody out for good.
        over = min(forgiven_at - at, AT_ONCE * EVERY_US) - (AT_ONCE - 1) * EVERY_US
        return max(0, -(-over // MICROSECONDS))

    def failed(self, address: str | None, at: int) -> None:
        """Count a failure. Of more addresses than can be kept, those are forgotten that failed longest ago."""
        key = _key(address)
        forgiven_at = max(self._forgiven_at.pop(key, at), at)
        self._forgiven_at[key] = min(forgiven_at, at + AT_ONCE * EVERY_US) + EVERY_US
        if len(self._forgiven_at) > self._most:
            self._forgiven_at.popitem(last=False)


def _key(address: str | None) -> str:
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else f"{int(parsed) >> 64:x}"
