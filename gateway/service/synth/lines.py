"""Lines that a customer connects by: leases at home that end, a carrier's shared gateways, VPN exits, an office."""

from typing import Final, NamedTuple

from gateway.service.synth.chance import Chance
from gateway.service.synth.events import DAY
from gateway.service.synth.networks import EXITS, Internet, Operator, Seen, block_in
from gateway.service.synth.places import COUNTRIES, City

_LEASES_V4: Final = ((62, 200), (23, 20), (8, 4), (7, 1))
_LEASES_V6: Final = ((72, 250), (18, 20), (10, 1))
"""Of a hundred lines, and how many days an address is theirs on average."""
_STAYS: Final = 0.5
"""Changes of address that stay in the /24, or the /48."""
_PREFERS_V6: Final = 0.85
_GATEWAYS: Final = 6
_USUAL_GATEWAY: Final = 0.8
_FIXED_EXIT: Final = 0.45
_FOREIGN_EXIT: Final = 0.45
_FOREIGN_COUNTRIES: Final = 2
_OFFICE_ABROAD: Final = 0.06
_OFFICES: Final = 12
"""Companies that share one of the pretend exchange's cities and have customers in them."""
_FIRST_HOST: Final = 2
_HOSTS: Final = 250
_MOST_RENEWALS: Final = 40
"""Renewals that are followed one by one; after more, nothing of the old address is left."""


class Lease:
    """The address of one line, as long as its operator leaves it."""

    def __init__(self, internet: Internet, operator: Operator, city: City, chance: Chance, *, v6: bool) -> None:
        shares = _LEASES_V6 if v6 else _LEASES_V4
        self._days = chance.weighted([days for _, days in shares], [share for share, _ in shares])
        self._internet = internet
        self._operator = operator
        self._city = city
        self._v6 = v6
        self._block = self._network = self._host = 0
        self._until = 0
        self._move(chance)

    def seen(self, at: int, chance: Chance) -> Seen:
        """Return the line's address at an instant that is not before the last one asked."""
        renewals = 0
        while self._until <= at:
            renewals += 1
            if renewals > _MOST_RENEWALS:
                self._until = at
            if chance.odds(_STAYS) and renewals <= _MOST_RENEWALS:
                self._host = self._draw_host(chance)
            else:
                self._move(chance)
            self._until += 1 + int(chance.exponential(self._days * DAY))
        if not self._v6:
            return self._internet.v4(self._operator, self._block, self._host)
        # The interface is a new one for each connection: privacy addresses (RFC 8981).
        return self._internet.v6(self._operator, self._block, self._network << 8 | self._host, chance.hex(16))

    def _move(self, chance: Chance) -> None:
        self._block = block_in(self._operator, self._city, chance)
        self._network = chance.below(4)
        self._host = self._draw_host(chance)

    def _draw_host(self, chance: Chance) -> int:
        return chance.below(256) if self._v6 else _FIRST_HOST + chance.below(_HOSTS)


class Home:
    """Where somebody lives, and the line there: IPv4, and IPv6 in many."""

    def __init__(self, internet: Internet, city: City, chance: Chance) -> None:
        country = next(one for one in COUNTRIES if one.code == city.country)
        self.city = city
        self.country = country
        self.operator = market(internet.fixed[country.code], chance)
        self._v4 = Lease(internet, self.operator, city, chance, v6=False)
        self._v6 = Lease(internet, self.operator, city, chance, v6=True) if chance.odds(country.v6) else None

    def seen(self, at: int, chance: Chance) -> Seen:
        """Return the address at an instant that is not before the last one asked."""
        lease = self._v6 if self._v6 is not None and chance.odds(_PREFERS_V6) else self._v4
        return lease.seen(at, chance)


class Cellular:
    """A carrier: its gateways are shared by many, and some of them are somebody's usual ones."""

    def __init__(self, internet: Internet, country: str, chance: Chance) -> None:
        self.operator = market(internet.mobile[country], chance)
        self._internet = internet
        self._usual = [chance.below(256) for _ in range(_GATEWAYS)]

    def seen(self, chance: Chance) -> Seen:
        """Return an address: another one each time."""
        block = chance.pick(self._usual) if chance.odds(_USUAL_GATEWAY) else chance.below(256)
        return self._internet.v4(self.operator, block, _FIRST_HOST + chance.below(_HOSTS))


class Vpn(NamedTuple):
    """A subscription to a VPN: how often it is on, and where it comes out."""

    internet: Internet
    operator: Operator
    share: float
    home: int
    abroad: tuple[int, ...]
    """The countries chosen where it shall be another one, by their place in the table."""
    exit: Seen | None
    """The one exit always used; None where they change."""

    def seen(self, chance: Chance) -> Seen:
        """Return the address that it comes out at."""
        if self.exit is not None:
            return self.exit
        country = chance.pick(self.abroad) if chance.odds(_FOREIGN_EXIT) else self.home
        return _exit(self.internet, self.operator, country, chance)


def vpn(internet: Internet, home: str, share: float, chance: Chance) -> Vpn:
    """Return a subscription of somebody in a country."""
    operator = chance.pick(internet.vpns)
    codes = [one.code for one in COUNTRIES]
    abroad = tuple(chance.below(len(codes)) for _ in range(_FOREIGN_COUNTRIES))
    changing = Vpn(internet, operator, share, codes.index(home), abroad, None)
    return changing._replace(exit=changing.seen(chance)) if chance.odds(_FIXED_EXIT) else changing


def vpn_exit(internet: Internet, country: str, chance: Chance) -> Seen:
    """Return an address of any VPN in a country."""
    codes = [one.code for one in COUNTRIES]
    return _exit(internet, chance.pick(internet.vpns), codes.index(country), chance)


def _exit(internet: Internet, operator: Operator, country: int, chance: Chance) -> Seen:
    """Return one of an operator's exits: a few addresses in three networks of each country."""
    number = country * EXITS + chance.below(EXITS)
    block = -(-number * 256 // len(operator.cities))
    return internet.v4(operator, block, _FIRST_HOST + chance.below(24))


def office(internet: Internet, city: City, chance: Chance) -> Seen:
    """Return the one address of a company in a city, or of its seat abroad."""
    if chance.odds(_OFFICE_ABROAD):
        city = chance.pick([one.cities[0] for one in COUNTRIES if one.code != city.country])
    operator = internet.office[city.country]
    company = Chance.of(chance.below(_OFFICES), city.subdivision, "office")
    return internet.v4(operator, block_in(operator, city, company), _FIRST_HOST + company.below(_HOSTS))


def relay(internet: Internet, city: City, chance: Chance) -> Seen:
    """Return an address of a privacy relay, which keeps the city."""
    operator = chance.pick(internet.relays)
    return internet.v4(operator, block_in(operator, city, chance), _FIRST_HOST + chance.below(_HOSTS))


def residential(internet: Internet, city: City, chance: Chance, operator: Operator | None = None) -> Seen:
    """Return an address of some home in a city, by any operator there or by a given one."""
    operator = operator or chance.pick(internet.fixed[city.country])
    return internet.v4(operator, block_in(operator, city, chance), _FIRST_HOST + chance.below(_HOSTS))


def market(operators: list[Operator], chance: Chance) -> Operator:
    """Return an operator, the first one being the largest."""
    return chance.weighted(operators, [1.0 / (rank + 1.5) for rank in range(len(operators))])
