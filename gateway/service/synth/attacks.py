"""Nine kinds of attackers who empty an account, and what each of them has in hand.

Each sees no more of the victim than it would have: what the victim presented before the attack. What an attacker does
is made of the same parts as what customers do, so that only the label tells them apart.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.service.synth.agents import device, popular, user_agent
from gateway.service.synth.chance import Chance
from gateway.service.synth.events import (
    CHANGE,
    DAY,
    HOUR,
    LOGIN,
    NOTHING,
    WITHDRAWAL,
    Client,
    Detail,
    Event,
)
from gateway.service.synth.lines import Cellular, residential, vpn_exit
from gateway.service.synth.networks import Internet, Kind, Seen, block_in
from gateway.service.synth.people import Person
from gateway.service.synth.places import CITIES, City
from gateway.service.synth.year import address, payment

_MINUTE: Final = HOUR // 60
_FEWEST_LOGINS: Final = 3
_APART: Final = 20 * DAY
"""How far apart attacks on one account are, where there are accounts enough."""
_SESSION_LIVES: Final = 14 * DAY
_TRIES: Final = 60
_TAKES_ALL: Final = 0.8
_RECENT: Final = 12


@dataclass(slots=True)
class Victim:
    """An account, and its logins in order."""

    person: Person
    logins: list[Event]
    attacked: list[int] = field(default_factory=list)

    def before(self, at: int) -> Sequence[Event]:
        """Return the logins before an instant."""
        return self.logins[: bisect_left(self.logins, at, key=lambda event: event.at)]


@dataclass(slots=True)
class Attack:
    """One attack under way."""

    internet: Internet
    chance: Chance
    label: str
    victim: Victim
    at: int
    """When the money goes."""
    known: Sequence[Event]
    """The victim's last logins before that."""
    others: Sequence[Victim]
    events: list[Event] = field(default_factory=list)

    @property
    def last(self) -> Client:
        """What the victim presented last."""
        return self.known[-1].client

    @property
    def at_home(self) -> Seen:
        """The victim's last address on a line of a home, or the last one."""
        seen = (one.client.seen for one in reversed(self.known))
        return next((one for one in seen if one.operator.kind is Kind.FIXED), self.last.seen)

    def stranger(self, seen: Seen, agent: str) -> Client:
        """Return a client on a device that the account has never had, signed in."""
        return Client(seen, agent, self.chance.hex(32), self.chance.hex(24))

    def while_at_it(self) -> int:
        """Return how long before the withdrawal somebody in a hurry signs in."""
        return int(self.chance.lognormal(6.0, 0.9) * _MINUTE)

    def put(self, at: int, type_: str, client: Client, detail: Detail = NOTHING) -> None:
        """Add something done in the victim's name."""
        self.events.append(Event(max(0, at), type_, self.victim.person.account, client, detail, label=self.label))

    def fail(self, at: int, account: str, client: Client) -> None:
        """Add a login that failed, to whichever account."""
        self.events.append(Event(max(0, at), LOGIN, account, client, NOTHING, "failed", self.label))

    def change(self, at: int, client: Client, method: str, change: str, proof: str) -> None:
        """Change how the account is verified."""
        self.put(at, CHANGE, client, {"method": method, "change": change, "proved_with": proof})

    def take(self, client: Client, *, login_before: int | None = None, proof: str | None = None) -> None:
        """Log in, some time before where it is said, and withdraw."""
        before = self.while_at_it() if login_before is None else login_before
        self.put(self.at - before, LOGIN, client)
        self.withdraw(client, proof)

    def withdraw(self, client: Client, proof: str | None = None) -> None:
        """Withdraw to a new address: everything, mostly. Who has no second factor in hand found a way around it."""
        takes = self.chance.between(0.95, 1.0) if self.chance.odds(_TAKES_ALL) else self.chance.between(0.3, 0.95)
        balance = self.victim.person.balance * self.chance.lognormal(1.0, 0.4)
        self.put(self.at, WITHDRAWAL, client, payment(address(self.chance), takes, balance, proof))


def _naive_bot(attack: Attack) -> None:
    """Stolen passwords tried by a program, from wherever it runs."""
    chance, internet = attack.chance, attack.internet
    where = chance.weighted(("tor", "hosting", "home"), (8, 47, 45))
    if where == "tor":
        seen = internet.v4(internet.tor, chance.below(256), 2 + chance.below(250))
    elif where == "hosting":
        seen = _rented(internet, chance)
    else:
        home = attack.at_home.city.country
        seen = residential(internet, chance.pick([one for one in CITIES if one.country != home]), chance)
    agent = popular(chance, attack.at // DAY)
    before = attack.while_at_it()
    if chance.odds(0.5):
        at = attack.at - before
        tried = [chance.pick(attack.others) for _ in range(3 + chance.below(6))]
        for other in [*tried, *[attack.victim] * (1 + chance.below(3))]:
            at -= int(chance.between(1.0, 20.0) * 1000)
            attack.fail(at, other.person.account, Client(seen, agent, chance.hex(32)))
    attack.take(attack.stranger(seen, agent), login_before=before)


def _vpn_country(attack: Attack) -> None:
    """A VPN that comes out in the victim's country."""
    seen = vpn_exit(attack.internet, attack.at_home.city.country, attack.chance)
    attack.take(attack.stranger(seen, popular(attack.chance, attack.at // DAY)))


def _resi_same_city(attack: Attack) -> None:
    """A rented line of somebody's home in the victim's city."""
    seen = residential(attack.internet, attack.at_home.city, attack.chance)
    attack.take(attack.stranger(seen, popular(attack.chance, attack.at // DAY)))


def _targeted_isp_ua(attack: Attack) -> None:
    """The victim's operator, city, browser and hours."""
    attack.take(attack.stranger(_beside(attack), attack.last.user_agent))


def _aitm_phish(attack: Attack) -> None:
    """A phishing proxy that passes the victim's browser on; some add a factor of their own."""
    chance = attack.chance
    rented = chance.odds(0.5)
    seen = (
        _rented(attack.internet, chance, attack.at_home.city)
        if rented
        else residential(attack.internet, attack.at_home.city, chance)
    )
    client = attack.stranger(seen, attack.last.user_agent)
    before = attack.while_at_it()
    if chance.odds(0.3):
        attack.change(attack.at - before // 2, client, "totp", "added", "totp")
    attack.take(client, login_before=before, proof="totp")


def _sim_swap_2fa(attack: Attack) -> None:
    """The victim's number on the attacker's phone: a reset, a new factor; then at once, or after the lock."""
    chance = attack.chance
    carrier = Cellular(attack.internet, attack.at_home.city.country, chance)
    if chance.odds(0.6):
        carrier.operator = attack.victim.person.cellular.operator
    phone = device(chance, phone=True, apple=chance.odds(0.4))
    client = Client(carrier.seen(chance), user_agent(phone, attack.at // DAY), phone.key, chance.hex(24))
    wait = chance.weighted((None, (1.0, 2.0), (3.0, 7.0)), (50, 30, 20))
    before = attack.while_at_it() if wait is None else int(chance.between(*wait) * DAY)
    begins = attack.at - before
    attack.change(begins - 3 * _MINUTE, client._replace(session=None), "password", "reset", "sms")
    attack.change(begins + min(before // 2, 2 * _MINUTE), client, "totp", "replaced", "sms")
    if wait is None:
        attack.take(client, login_before=before, proof="sms")
    else:
        attack.put(begins, LOGIN, client)
        attack.take(client._replace(seen=carrier.seen(chance), session=chance.hex(24)), proof="sms")


def _session_hijack(attack: Attack) -> None:
    """The victim's cookies, device cookie included, replayed elsewhere: no login is seen."""
    chance = attack.chance
    recent = [one.client for one in attack.known if one.at > attack.at - _SESSION_LIVES] or [attack.last]
    stolen = next((one for one in reversed(recent) if one.session_kind == "browser"), recent[-1])
    where = chance.weighted(("same operator", "another home", "hosting"), (35, 50, 15))
    if where == "same operator":
        seen = _beside(attack)
    elif where == "another home":
        seen = residential(attack.internet, attack.at_home.city, chance)
    else:
        seen = _rented(attack.internet, chance, attack.at_home.city)
    attack.withdraw(stolen._replace(seen=seen))


def _patient_resi(attack: Attack) -> None:
    """A rented line and one device, seen five times over two weeks before the money goes."""
    chance = attack.chance
    seen = residential(attack.internet, attack.at_home.city, chance)
    client = attack.stranger(seen, popular(chance, (attack.at - 14 * DAY) // DAY))
    for number in range(5):
        at = attack.at - 14 * DAY + int((number * 2.6 + chance.between(0.0, 0.8)) * DAY)
        attack.put(at, LOGIN, client._replace(session=chance.hex(24)))
    attack.take(client)


def _malware_on_device(attack: Attack) -> None:
    """The victim's own device, line and hours."""
    attack.take(attack.last._replace(session=attack.chance.hex(24)))


def _rented(internet: Internet, chance: Chance, near: City | None = None) -> Seen:
    """Return the address of a rented machine: anywhere, or in the country of a city."""
    some = [(one, city) for one in internet.hosting for city in one.cities if near and city.country == near.country]
    if some:
        operator, city = chance.pick(some)
        return internet.v4(operator, block_in(operator, city, chance), 2 + chance.below(250))
    return internet.v4(chance.pick(internet.hosting), chance.below(256), 2 + chance.below(250))


def _beside(attack: Attack) -> Seen:
    """Return another address of the victim's operator in the victim's city."""
    seen = attack.at_home
    return residential(attack.internet, seen.city, attack.chance, seen.operator)


ATTACKERS: Final[Mapping[str, Callable[[Attack], None]]] = {
    "naive_bot": _naive_bot,
    "vpn_country": _vpn_country,
    "resi_same_city": _resi_same_city,
    "targeted_isp_ua": _targeted_isp_ua,
    "aitm_phish": _aitm_phish,
    "sim_swap_2fa": _sim_swap_2fa,
    "session_hijack": _session_hijack,
    "patient_resi": _patient_resi,
    "malware_on_device": _malware_on_device,
}
NEW_DEVICE: Final = frozenset(ATTACKERS) - {"session_hijack", "malware_on_device"}
"""Attackers who show a device that the account has never had."""
_VICTIMS_HOURS: Final = frozenset({"targeted_isp_ua", "aitm_phish", "malware_on_device"})


class Campaign(NamedTuple):
    """Attacks of one kind whose withdrawals lie within a window."""

    label: str
    window: tuple[int, int]
    how_many: int


def attacks(internet: Internet, victims: Sequence[Victim], campaign: Campaign, chance: Chance) -> list[Event]:
    """Return the events of a campaign: of fewer attacks where no account has been seen often enough."""
    found: list[Event] = []
    label, window, how_many = campaign
    for _ in range(how_many):
        at = window[0] + chance.below(window[1] - window[0])
        victim = _choose(victims, at, label, chance)
        if victim is None:
            continue
        known = victim.before(at)[-_RECENT:]
        if label in _VICTIMS_HOURS:
            clock = chance.pick(known).at + int(chance.between(-40.0, 40.0) * _MINUTE)
            at = min(max(at // DAY * DAY + clock % DAY, window[0]), window[1] - 1)
            known = victim.before(at)[-_RECENT:] or known
        insort(victim.attacked, at)
        attack = Attack(internet, chance, label, victim, at, known, victims)
        ATTACKERS[label](attack)
        found += attack.events
    return found


def _choose(victims: Sequence[Victim], at: int, label: str, chance: Chance) -> Victim | None:
    """Return an account that has logged in often enough, and was not attacked lately if one can be found."""
    fallback = None
    for _ in range(_TRIES):
        one = chance.pick(victims)
        known = one.before(at)
        if len(known) < _FEWEST_LOGINS:
            continue
        fallback = one
        stale = label == "session_hijack" and known[-1].at < at - _SESSION_LIVES
        if not stale and all(abs(at - other) >= _APART for other in one.attacked):
            return one
    if fallback is not None:
        return fallback
    often = [one for one in victims if len(one.before(at)) >= _FEWEST_LOGINS]
    return chance.pick(often) if often else None
