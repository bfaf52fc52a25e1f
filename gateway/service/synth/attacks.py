"""Nine kinds of attackers who empty an account, and what each of them has in hand.

Each sees no more of the victim than it would have: what the victim presented before the attack. What an attacker does
is made of the same parts as what customers do, so that only the label tells them apart.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.service.synth.agents import device, popular, user_agent
from gateway.service.synth.chance import Chance
from gateway.service.synth.events import CHANGE, DAY, HOUR, LOGIN, WITHDRAWAL, Event
from gateway.service.synth.lines import Cellular, residential, vpn_exit
from gateway.service.synth.networks import Internet, Kind, Operator, Seen
from gateway.service.synth.people import Person
from gateway.service.synth.places import CITIES
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
    def last(self) -> Event:
        """The victim's last login."""
        return self.known[-1]

    @property
    def at_home(self) -> Event:
        """The victim's last login over a line of a home, or the last one."""
        return next((one for one in reversed(self.known) if one.seen.operator.kind is Kind.FIXED), self.last)

    def from_afar(self, seen: Seen, agent: str, *, login_before: int | None = None) -> None:
        """Log in with a device that the account has never had, and withdraw."""
        self.act(seen, agent, self.chance.hex(32), login_before=login_before)

    def act(
        self,
        seen: Seen,
        agent: str,
        key: str,
        *,
        session: str | None = None,
        login_before: int | None = None,
        changes: Sequence[tuple[str, str, str]] = (),
    ) -> None:
        """Log in, unless a session is at hand; change what is to be changed; withdraw."""
        kind = "app" if agent.startswith("ExchangeApp") else "browser"
        if session is None:
            session = self.chance.hex(24)
            before = login_before if login_before is not None else int(self.chance.lognormal(6.0, 0.9) * _MINUTE)
            self.put(self.at - before, LOGIN, seen, agent, key, session, kind)
            for number, change in enumerate(changes, start=1):
                self.change(self.at - before + before * number // (len(changes) + 1), seen, agent, key, change, session)
        takes = self.chance.between(0.95, 1.0) if self.chance.odds(_TAKES_ALL) else self.chance.between(0.3, 0.95)
        balance = self.victim.person.balance * self.chance.lognormal(1.0, 0.4)
        self.put(self.at, WITHDRAWAL, seen, agent, key, session, kind, payment(address(self.chance), takes, balance))

    def change(
        self, at: int, seen: Seen, agent: str, key: str, change: tuple[str, str, str], session: str | None
    ) -> None:
        """Change how the account is verified."""
        detail: dict[str, str | float] = dict(zip(("method", "change", "proved_with"), change, strict=True))
        kind = ("app" if agent.startswith("ExchangeApp") else "browser") if session else None
        self.put(at, CHANGE, seen, agent, key, session, kind, detail)

    def put(
        self,
        at: int,
        type_: str,
        seen: Seen,
        agent: str,
        key: str,
        session: str | None,
        kind: str | None,
        detail: Mapping[str, str | float] | None = None,
        *,
        account: str | None = None,
        outcome: str = "succeeded",
    ) -> None:
        """Add one event."""
        whose = account or self.victim.person.account
        self.events.append(
            Event(max(0, at), type_, whose, seen, agent, key, session, kind, detail or {}, outcome, self.label)
        )


def _naive_bot(attack: Attack) -> None:
    """Stolen passwords tried by a program, from wherever it runs."""
    chance, internet = attack.chance, attack.internet
    where = chance.weighted(("tor", "hosting", "home"), (8, 47, 45))
    if where == "tor":
        seen = internet.v4(internet.tor, chance.below(256), 2 + chance.below(250))
    elif where == "hosting":
        seen = _rented(internet, chance)
    else:
        home = attack.at_home.seen.city.country
        seen = residential(internet, chance.pick([one for one in CITIES if one.country != home]), chance)
    agent = popular(chance, attack.at // DAY)
    before = int(chance.lognormal(6.0, 0.9) * _MINUTE)
    if chance.odds(0.5):
        at = attack.at - before
        tried = [chance.pick(attack.others) for _ in range(3 + chance.below(6))]
        for other in [*tried, *[attack.victim] * (1 + chance.below(3))]:
            at -= int(chance.between(1.0, 20.0) * 1000)
            key, account = chance.hex(32), other.person.account
            attack.put(at, LOGIN, seen, agent, key, None, None, account=account, outcome="failed")
    attack.from_afar(seen, agent, login_before=before)


def _vpn_country(attack: Attack) -> None:
    """A VPN that comes out in the victim's country."""
    country = attack.at_home.seen.city.country
    seen = vpn_exit(attack.internet, country, attack.chance)
    attack.from_afar(seen, popular(attack.chance, attack.at // DAY))


def _resi_same_city(attack: Attack) -> None:
    """A rented line of somebody's home in the victim's city."""
    seen = residential(attack.internet, attack.at_home.seen.city, attack.chance)
    attack.from_afar(seen, popular(attack.chance, attack.at // DAY))


def _targeted_isp_ua(attack: Attack) -> None:
    """The victim's operator, city, browser and hours."""
    attack.from_afar(_beside(attack, attack.at_home.seen), attack.last.user_agent)


def _aitm_phish(attack: Attack) -> None:
    """A phishing proxy that passes the victim's browser on; some add a factor of their own."""
    chance = attack.chance
    hosted = chance.odds(0.5)
    seen = (
        _rented(attack.internet, chance) if hosted else residential(attack.internet, attack.at_home.seen.city, chance)
    )
    changes = [("totp", "added", "totp")] if chance.odds(0.3) else []
    attack.act(seen, attack.last.user_agent, chance.hex(32), changes=changes)


def _sim_swap_2fa(attack: Attack) -> None:
    """The victim's number on the attacker's phone: a reset, a new factor; then at once, or after the lock."""
    chance, internet = attack.chance, attack.internet
    country = attack.at_home.seen.city.country
    carrier = Cellular(internet, country, chance)
    if chance.odds(0.6):
        carrier.operator = attack.victim.person.cellular.operator
    phone = device(chance, phone=True, apple=chance.odds(0.4))
    agent = user_agent(phone, attack.at // DAY)
    wait = chance.weighted((0, 1, 3), (50, 30, 20))
    length = int(chance.lognormal(8.0, 0.7) * _MINUTE)
    if wait:
        length = int(chance.between(wait, 2 if wait == 1 else 7) * DAY)
    begins = attack.at - length
    seen = carrier.seen(chance)
    attack.change(begins - 3 * _MINUTE, seen, agent, phone.key, ("password", "reset", "sms"), None)
    if wait:
        session, kind = chance.hex(24), "app" if phone.family.app else "browser"
        attack.put(begins, LOGIN, seen, agent, phone.key, session, kind)
        attack.change(begins + 2 * _MINUTE, seen, agent, phone.key, ("totp", "replaced", "sms"), session)
        attack.act(carrier.seen(chance), agent, phone.key)
    else:
        attack.act(seen, agent, phone.key, login_before=length, changes=[("totp", "replaced", "sms")])


def _session_hijack(attack: Attack) -> None:
    """The victim's cookies, device cookie included, replayed elsewhere: no login is seen."""
    chance = attack.chance
    recent = [one for one in attack.known if one.at > attack.at - _SESSION_LIVES] or [attack.last]
    stolen = next((one for one in reversed(recent) if one.session_kind == "browser"), recent[-1])
    if chance.odds(0.35):
        seen = _beside(attack, attack.at_home.seen)
    elif chance.odds(0.5):
        seen = residential(attack.internet, attack.at_home.seen.city, chance)
    else:
        seen = _rented(attack.internet, chance)
    attack.act(seen, stolen.user_agent, stolen.device, session=stolen.session)


def _patient_resi(attack: Attack) -> None:
    """A rented line and one device, seen five times over two weeks before the money goes."""
    chance = attack.chance
    seen = residential(attack.internet, attack.at_home.seen.city, chance)
    agent, key = popular(chance, (attack.at - 14 * DAY) // DAY), chance.hex(32)
    for number in range(5):
        at = attack.at - 14 * DAY + int((number * 2.6 + chance.between(0.0, 0.8)) * DAY)
        attack.put(at, LOGIN, seen, agent, key, chance.hex(24), "browser")
    attack.act(seen, agent, key)


def _malware_on_device(attack: Attack) -> None:
    """The victim's own device, line and hours."""
    last = attack.last
    attack.act(last.seen, last.user_agent, last.device)


def _rented(internet: Internet, chance: Chance) -> Seen:
    return internet.v4(chance.pick(internet.hosting), chance.below(256), 2 + chance.below(250))


def _beside(attack: Attack, seen: Seen) -> Seen:
    """Return another address of the same operator in the same city."""
    operator: Operator = seen.operator
    return residential(attack.internet, seen.city, attack.chance, operator)


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


def attacks(
    internet: Internet, victims: Sequence[Victim], label: str, window: tuple[int, int], how_many: int, chance: Chance
) -> list[Event]:
    """Return the events of a number of attacks of one kind whose withdrawals lie within a window.

    Fewer attacks come back where no account has been seen often enough.
    """
    found: list[Event] = []
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
