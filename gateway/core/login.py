"""One login as the profiles see it: nine feature values, coarse to fine, personal ones as keyed digests."""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple
from zlib import crc32

from gateway.core import user_agent
from gateway.core.addresses import parse

# The levels of detail, by their place in `Login.values`. Within a group the next one is finer.
COUNTRY, ASN, PREFIX, ADDRESS, SYSTEM, BROWSER, AGENT, DEVICE, HOURS = range(9)
LEVELS: Final = ("country", "asn", "prefix", "address", "system", "browser", "agent", "device", "hours")
NET: Final = (COUNTRY, ASN, PREFIX, ADDRESS)
DEV: Final = (SYSTEM, BROWSER, AGENT, DEVICE)
TIME: Final = (HOURS,)

made: Final = tuple.__new__
"""Makes a named tuple of a whole tuple of its fields, in a third of the time: for what is made for each event."""

_FOUR_HOURS: Final = 4 * 3_600_000_000
_KEPT_DIGESTS: Final = 1 << 16
_V6: Final = re.compile(r"[23][0-9a-f]{3}(?::[0-9a-f]{1,4}){7}", re.ASCII).fullmatch
"""A global unicast address with all its eight parts."""
_LONGEST: Final = 1024
"""Characters of an identifier that are digested. An exchange's own are far shorter."""

Feature = str | int | None
"""Clear text where a reviewer needs it, a number of 8 bytes where it is personal; None is Unknown."""
Features = tuple[Feature, ...]


class Place(NamedTuple):
    """Where a database puts an address: an area, never a point."""

    latitude: float
    longitude: float
    radius_km: float | None
    """How far off it may be; None where the database does not say."""


class Login(NamedTuple):
    """A login, or any other request that is looked at as one would be."""

    at: int
    """Microseconds since the epoch, UTC."""
    id: int
    """Checksum of the event's id: the same event twice is one event. 0 for a request that is no event."""
    values: Features
    """One for each of `LEVELS`."""
    session: int | None = None
    networks: frozenset[str] | None = None
    """What kinds of network the address belongs to, such as `vpn`; None where nobody can say."""
    place: Place | None = None


class Digests:
    """Turns personal values into numbers of 8 bytes that nobody can turn back without the key.

    The same value gives different numbers at different levels, and under different keys.
    """

    __slots__ = ("_key", "_known", "_networks")

    def __init__(self, key: bytes) -> None:
        """Build for a secret of at least 16 bytes. Raise ValueError for a shorter one, which could be guessed."""
        if len(key) < 16:
            raise ValueError("the key of the profiles' digests has at least 16 bytes")
        self._key = key[:64] if len(key) <= 64 else blake2b(key).digest()
        self._known: dict[tuple[bytes, str], int] = {}
        self._networks: dict[str, tuple[int | None, int | None]] = {}

    def of(self, what: bytes, value: bytes) -> int:
        """Return the digest of a value of this kind (at most 16 bytes of name); never 0."""
        digest = blake2b(value, digest_size=8, key=self._key, person=what).digest()
        return int.from_bytes(digest, "big") or 1

    def text(self, what: bytes, value: str | None) -> int | None:
        """Return the digest of a text, None for none. One that is longer than any real one is cut."""
        return self.of(what, value[:_LONGEST].encode("utf-8", "surrogatepass")) if value else None

    def often(self, what: bytes, value: str | None) -> int | None:
        """Return the same for a text that comes again and again: it is remembered for a while."""
        if not value:
            return None
        known = self._known.get((what, value))
        if known is None:
            if len(self._known) >= _KEPT_DIGESTS:
                self._known.clear()
            known = self._known[what, value] = self.of(what, value[:_LONGEST].encode("utf-8", "surrogatepass"))
        return known

    def network(self, ip: str) -> tuple[int | None, int | None]:
        """Return the digests of an address's network and of the address; None for what is no address.

        An IPv6 customer is a /64 in a /48: the rest changes by itself (privacy addresses). An IPv4 one is an address
        in a /24.
        """
        known = self._networks.get(ip)
        if known is not None:
            return known
        # Of an IPv6 address that is written out, the last half says nothing: it changes from login to login.
        subnet = ip[: ip.rindex(":", 0, ip.rindex(":", 0, ip.rindex(":", 0, ip.rindex(":"))))] if _V6(ip) else ip
        known = self._networks.get(subnet)
        if known is not None:
            return known
        parsed = parse(ip)
        if parsed is None:
            return None, None
        bits, number = parsed
        if bits == 32:
            address, prefix = number.to_bytes(4, "big"), (number >> 8).to_bytes(3, "big")
        else:
            address, prefix = (number >> 64).to_bytes(8, "big"), (number >> 80).to_bytes(6, "big")
        if len(self._networks) >= _KEPT_DIGESTS:
            self._networks.clear()
        found = self._networks[subnet] = self.of(b"prefix", prefix), self.of(b"address", address)
        return found


@lru_cache(maxsize=4096)
def _software(agent: str) -> tuple[str, str]:
    """Return system and browser, the same text each time: many profiles hold it."""
    told = user_agent.read(agent)
    return told.system, f"{told.browser}, {told.system}"


def login_of(
    digests: Digests,
    at: int,
    *,
    event_id: str | None = None,
    ip: str | None = None,
    agent: str | None = None,
    device: str | None = None,
    session: str | None = None,
    country: str | None = None,
    asn: int | None = None,
    networks: frozenset[str] | None = None,
    place: Place | None = None,
) -> Login:
    """Return the login that these facts describe. What is None is Unknown, and is never a reason for trust."""
    prefix, address = digests.network(ip) if ip else (None, None)
    system = browser = None
    if agent:
        system, browser = _software(agent[: user_agent.LONGEST])
    values = (
        country,
        asn,
        prefix,
        address,
        system,
        browser,
        digests.often(b"agent", agent),
        digests.often(b"device", device),
        at // _FOUR_HOURS % 6,
    )
    short = crc32(event_id.encode("utf-8", "surrogatepass")) or 1 if event_id else 0
    return made(Login, (at, short, values, digests.text(b"session", session), networks, place))


# What a ticket is about, as text: what it names becomes familiar when two people release it.


def network_about(login: Login) -> str:
    """Return the network of a login as a ticket is about it; empty where it is unknown."""
    country, asn, prefix = login.values[COUNTRY], login.values[ASN], login.values[PREFIX]
    return f"{country or ''}.{asn or ''}.{prefix:x}" if isinstance(prefix, int) else ""


def device_about(login: Login) -> str:
    """Return the device of a login as a ticket is about it; empty where it is unknown."""
    device = login.values[DEVICE]
    return f"{device:x}" if isinstance(device, int) else ""


def destination_about(destination: int | None) -> str:
    """Return the destination of a withdrawal, by its digest, as a ticket is about it; empty where it is unknown."""
    return "" if destination is None else f"{destination:x}"
