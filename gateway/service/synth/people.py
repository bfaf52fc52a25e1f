"""Customers: how often they come, with what, by which lines, what they change and how they withdraw."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.service.synth.agents import Device, device
from gateway.service.synth.chance import Chance, exp, log
from gateway.service.synth.events import DAY
from gateway.service.synth.lines import Cellular, Home, Vpn, office, vpn
from gateway.service.synth.networks import Internet, Seen
from gateway.service.synth.places import CITIES, COUNTRIES, City, Country

_CLASSES: Final = ((14, 220), (20, 110), (26, 48), (26, 18), (14, 7))
"""Of a hundred customers, and how many logins a year they have about."""
_DORMANT: Final = 0.06
_DEVICES: Final = ((45, (1.0,)), (38, (0.72, 0.28)), (17, (0.58, 0.28, 0.14)))
"""Of a hundred customers, and how often each device is the one used."""
_PHONE_FIRST: Final = 0.72
_VPNS: Final = ((8, 0.9), (10, 0.3), (13, 0.06))
"""Of a hundred customers, and the share of logins that go through a VPN."""
_RELAY: Final = 0.15
_OFFICE: Final = 0.28
_STAYS_AT_HOME: Final = 0.45
_FOREIGN_TRIPS: Final = 1.6
_DOMESTIC_TRIPS: Final = 3.0
_MOVES: Final = 0.11
_MOVES_ABROAD: Final = 0.12
_NEVER_WITHDRAWS: Final = 0.30
_MEDIAN_RATE: Final = 48.0
_EAGER: Final = 0.45
"""By which power of the logins the withdrawals grow."""
_FACTORS: Final = ((78, "totp"), (10, "sms"), (7, "passkey"), (5, None))
"""Of a hundred customers, and what they prove withdrawals with."""
_YEAR: Final = 365 * DAY


class Trip(NamedTuple):
    """Some days elsewhere."""

    start: int
    end: int
    line: Home
    roaming: Cellular | None
    """The carrier there; None where the phone keeps coming out at home."""


class Move(NamedTuple):
    """A new home, and the city it is in."""

    at: int
    city: City


@dataclass(slots=True)
class Person:
    """A customer, and what will happen to them."""

    account: str
    home: Home
    cellular: Cellular
    phone_away: float
    """Logins by phone that go through the carrier."""
    vpn: Vpn | None
    relay: bool
    office: Seen | None
    devices: list[Device]
    device_weights: tuple[float, ...]
    rate: float
    """Logins a year."""
    hour: float
    """Of the day, where they live, at which they are seen most."""
    silence: tuple[int, int] | None
    """From when to when a dormant customer does not come."""
    withdrawals: float
    """A year."""
    new_address: float
    sweeps: float
    balance: float
    trips: list[Trip] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    factor: str | None = None
    """What withdrawals are proved with; None where there is no second factor."""
    book: list[str] = field(default_factory=list)
    """Addresses withdrawn to, the first one being the usual one."""


def person(internet: Internet, number: int, span: int, chance: Chance) -> Person:
    """Return the customer with a number."""
    country = chance.weighted(COUNTRIES, [one.weight for one in COUNTRIES])
    city = _city(country, chance)
    home = Home(internet, city, chance)
    weights = chance.weighted([weights for _, weights in _DEVICES], [share for share, _ in _DEVICES])
    share = chance.weighted([*(share for _, share in _VPNS), 0.0], [*(of for of, _ in _VPNS), 69])
    silence = None
    if chance.odds(_DORMANT):
        length = int(chance.between(60, 210) * DAY)
        begins = chance.below(max(1, span - length // 2))
        silence = (begins, begins + length)
    rate = chance.weighted([rate for _, rate in _CLASSES], [of for of, _ in _CLASSES]) * chance.lognormal(1.0, 0.35)
    one = Person(
        account=f"a{number:06d}",
        home=home,
        cellular=Cellular(internet, country.code, chance),
        phone_away=chance.beta(1.6, 2.4),
        vpn=vpn(internet, country.code, share, chance) if share else None,
        relay=chance.odds(_RELAY),
        office=office(internet, city, chance) if chance.odds(_OFFICE) else None,
        devices=_devices(country, len(weights), chance),
        device_weights=weights,
        rate=rate,
        hour=(19.0 + 3.5 * chance.normal()) % 24.0,
        silence=silence,
        withdrawals=0.0 if chance.odds(_NEVER_WITHDRAWS) else _withdrawals(rate, chance),
        new_address=chance.beta(1.2, 5.0),
        sweeps=chance.beta(1.0, 5.0),
        balance=chance.lognormal(1_500.0, 1.6),
    )
    one.trips = _trips(internet, one, span, chance)
    one.moves = _moves(city, span, chance)
    one.factor = chance.weighted([factor for _, factor in _FACTORS], [share for share, _ in _FACTORS])
    return one


def _withdrawals(rate: float, chance: Chance) -> float:
    """Return how often a year somebody withdraws: more where they come more often, never at every visit."""
    often = 4.5 * exp(_EAGER * log(rate / _MEDIAN_RATE))
    return min(chance.lognormal(often, 0.8), rate / 3.0)


def _city(country: Country, chance: Chance) -> City:
    return chance.weighted(country.cities, [1.0 / (rank + 1.0) for rank in range(len(country.cities))])


def _devices(country: Country, how_many: int, chance: Chance) -> list[Device]:
    """Return somebody's devices: phones and computers in turn, mostly of one maker."""
    first_is_phone = chance.odds(_PHONE_FIRST)
    likes_apple = chance.odds(country.apple)
    return [
        device(
            chance,
            phone=first_is_phone is (place % 2 == 0),
            apple=likes_apple and (chance.odds(0.85) if first_is_phone is (place % 2 == 0) else chance.odds(0.4)),
        )
        for place in range(how_many)
    ]


def _trips(internet: Internet, one: Person, span: int, chance: Chance) -> list[Trip]:
    """Return the journeys of a customer, those that overlap an earlier one left out."""
    if chance.odds(_STAYS_AT_HOME):
        return []
    here = one.home.country
    abroad = [city for city in CITIES if city.country != here.code]
    drafts: list[tuple[int, int, City]] = []
    for mean, median_days, cities in (
        (_FOREIGN_TRIPS, 6.7, abroad),
        (_DOMESTIC_TRIPS, 3.0, [city for city in here.cities if city != one.home.city]),
    ):
        for _ in range(chance.poisson(mean * span / _YEAR)):
            begins = chance.below(span)
            drafts.append((begins, begins + int(chance.lognormal(median_days, 0.7) * DAY), chance.pick(cities)))
    trips: list[Trip] = []
    for begins, ends, city in sorted(drafts):
        if trips and begins < trips[-1].end:
            continue
        local = city.country != here.code and not chance.odds(0.45)
        roaming = Cellular(internet, city.country, chance) if local else None
        trips.append(Trip(begins, ends, Home(internet, city, chance), roaming))
    return trips


def _moves(city: City, span: int, chance: Chance) -> list[Move]:
    moves = []
    for at in sorted(chance.below(span) for _ in range(chance.poisson(_MOVES * span / _YEAR))):
        abroad = chance.odds(_MOVES_ABROAD)
        city = chance.pick([one for one in CITIES if (one.country != city.country) is abroad and one != city])
        moves.append(Move(at, city))
    return moves
