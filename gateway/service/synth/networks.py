"""The pretend internet: operators, their addresses, and what a GeoIP database would say of each.

Addresses are taken in order from the global unicast space, whoever may really hold them; the facts stand beside each
event, and no look-up of such an address means anything. The numbers of the operators are private ones (RFC 6996).
"""

from enum import StrEnum
from itertools import count
from typing import Final, NamedTuple, TypeAlias

import orjson

from gateway.service.synth.chance import Chance
from gateway.service.synth.places import CITIES, COUNTRIES, City, Country

_FIRST_ASN: Final = 4_200_000_100
_TAKEN: Final = frozenset({10, 100, 127, 169, 172, 192, 198, 203})
"""First octets with special-purpose networks in them (IANA registries of RFC 6890)."""
_WRONG: Final = 0.003
_WRONG_VPN: Final = 0.03
_UNLISTED: Final = 0.10
_BLOCKS: Final = 256
"""Networks of an operator: /24 in its /16, /40 in its /32."""
EXITS: Final = 3
"""Networks that a VPN has in each country."""


class Kind(StrEnum):
    """What an operator sells."""

    FIXED = "fixed"
    MOBILE = "mobile"
    OFFICE = "office"
    VPN = "vpn"
    HOSTING = "hosting"
    TOR = "tor"
    RELAY = "relay"


_TAGGED: Final = frozenset({Kind.MOBILE, Kind.VPN, Kind.HOSTING, Kind.TOR, Kind.RELAY})


class Operator(NamedTuple):
    """Somebody who has addresses."""

    asn: int
    kind: Kind
    cities: tuple[City, ...]
    """Where its networks are: an equal part of them in each."""
    v4: str
    v6: str


class Seen(NamedTuple):
    """An address, and what is said of it."""

    ip: str
    country: str
    network: tuple[str, ...]
    lat: float
    lon: float
    operator: Operator
    city: City
    """Where it really is."""
    geo: bytes
    """What is said, as JSON."""


_Answer: TypeAlias = tuple[City, tuple[str, ...], float, float, bytes]


class Internet:
    """Every operator, and the answers about their networks, made once each."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers = count()
        self._answers: dict[str, _Answer] = {}
        self.fixed = {one.code: self._some(Kind.FIXED, one.fixed, one) for one in COUNTRIES}
        self.mobile = {one.code: self._some(Kind.MOBILE, one.mobile, one) for one in COUNTRIES}
        self.office = {one.code: self._operator(Kind.OFFICE, one.cities) for one in COUNTRIES}
        exits = tuple(one.cities[0] for one in COUNTRIES for _ in range(EXITS))
        self.vpns = [self._operator(Kind.VPN, exits) for _ in range(8)]
        self.hosting = [self._operator(Kind.HOSTING, CITIES[first::7]) for first in range(7)]
        self.tor = self._operator(Kind.TOR, CITIES[::5])
        self.relays = [self._operator(Kind.RELAY, CITIES) for _ in range(2)]

    def _some(self, kind: Kind, how_many: int, country: Country) -> list[Operator]:
        return [self._operator(kind, country.cities) for _ in range(how_many)]

    def _operator(self, kind: Kind, cities: tuple[City, ...]) -> Operator:
        number = next(self._numbers)
        octets = [first for first in range(11, 224) if first not in _TAKEN]
        v4 = f"{octets[number * 7 % len(octets)]}.{16 + number // len(octets)}"
        return Operator(_FIRST_ASN + number, kind, cities, v4, f"2a10:{number:x}")

    def v4(self, operator: Operator, block: int, host: int) -> Seen:
        """Return an address in one of an operator's /24 networks."""
        prefix = f"{operator.v4}.{block}"
        return self._seen(f"{prefix}.{host}", prefix, operator, block)

    def v6(self, operator: Operator, block: int, customer: int, interface: str) -> Seen:
        """Return an address in a customer's /56: 256 customers share a /48, and 256 of these are a block."""
        prefix = f"{operator.v6}:{block:x}{customer >> 8:02x}"
        site = f"{prefix}:{customer & 0xFF:x}00"
        halves = ":".join(interface[at : at + 4].lstrip("0") or "0" for at in (0, 4, 8, 12))
        return self._seen(f"{site}:{halves}", prefix, operator, block)

    def _seen(self, ip: str, prefix: str, operator: Operator, block: int) -> Seen:
        found = self._answers.get(prefix)
        if found is None:
            found = self._answers[prefix] = self._answer(prefix, operator, block)
        said, network, lat, lon, geo = found
        return Seen(ip, said.country, network, lat, lon, operator, city_of(operator, block), geo)

    def _answer(self, prefix: str, operator: Operator, block: int) -> _Answer:
        """Return what a database says of a network: right about the country nearly always, vague about the place."""
        chance = Chance.of(self._seed, "geo", prefix)
        city = city_of(operator, block)
        if chance.odds(_WRONG_VPN if operator.kind is Kind.VPN else _WRONG):
            city = chance.pick([one for one in CITIES if one.country != city.country])
        elif operator.kind is Kind.MOBILE:
            city = chance.pick(operator.cities)
        radius = (
            max(20.0, min(1000.0, chance.lognormal(190.0, 0.9)))
            if operator.kind is Kind.MOBILE
            else max(1.0, min(100.0, chance.lognormal(12.0, 0.8)))
        )
        reach = radius / 111.0 * 0.5
        lat = round(max(-89.0, min(89.0, city.lat + chance.between(-reach, reach))), 3)
        lon = round(max(-179.0, min(179.0, city.lon + chance.between(-reach, reach))), 3)
        network: tuple[str, ...] = (operator.kind.value,) if operator.kind in _TAGGED else ()
        if operator.kind is Kind.VPN and chance.odds(_UNLISTED):
            network = (Kind.HOSTING.value,)
        said = {
            "country": city.country,
            "asn": operator.asn,
            "subdivision": city.subdivision,
            "lat": lat,
            "lon": lon,
            "radius_km": int(radius),
            "network": list(network),
        }
        return city, network, lat, lon, orjson.dumps(said)


def city_of(operator: Operator, block: int) -> City:
    """Return where one of an operator's networks is."""
    return operator.cities[block * len(operator.cities) // _BLOCKS]


def block_in(operator: Operator, city: City, chance: Chance) -> int:
    """Return one of an operator's networks in a city; anywhere, if it has none there."""
    places = len(operator.cities)
    numbers = [number for number, one in enumerate(operator.cities) if one == city]
    if not numbers:
        return chance.below(_BLOCKS)
    number = chance.pick(numbers)
    first = -(-number * _BLOCKS // places)
    return first + chance.below(-(-(number + 1) * _BLOCKS // places) - first)
