"""What one customer does over the span of a history."""

from typing import Final, TypeAlias

from gateway.service.synth.agents import Device, device, user_agent
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
from gateway.service.synth.lines import Cellular, Home, relay
from gateway.service.synth.networks import Internet, Seen
from gateway.service.synth.people import Person, Trip

_REPLACED: Final = 0.42
_COOKIE_LOST: Final = 0.0035
_PRIVATE_WINDOW: Final = 0.006
_MISTYPED: Final = 0.05
_AT_OFFICE: Final = 0.95
_BY_RELAY: Final = 0.95
_NETWORK_LEFT: Final = 0.06
"""Withdrawals before which the device has gone to another network: out of the door, or out of the tunnel."""
_NEW_FACTOR: Final = 0.12
"""New devices that come with a new second factor."""
_CHANGES: Final = (
    (0.25, "password", "replaced"),
    (0.25, "password", "reset"),
    (0.05, "totp", "replaced"),
    (0.05, "phone", "replaced"),
    (0.02, "email", "replaced"),
)
"""How often a year, of what, and how."""
_PROOFS: Final = {"reset": ("email", "email", "sms"), "added": ("totp", "sms"), "replaced": ("totp", "totp", "sms")}
"""What a change is proved with: each as likely as it stands here."""
_Change: TypeAlias = tuple[str, str]
"""What was changed, and how."""
_YEAR: Final = 365 * DAY
_MINUTE: Final = HOUR // 60


class Year:
    """One customer's logins, changes and withdrawals, made in order."""

    def __init__(self, internet: Internet, person: Person, span: int, chance: Chance) -> None:
        self._internet = internet
        self._person = person
        self._span = span
        self._chance = chance
        self._moves = list(person.moves)
        self._replacements = sorted(
            (chance.below(span), place)
            for place in range(len(person.devices))
            for _ in range(chance.poisson(_REPLACED * span / _YEAR))
        )
        self.events: list[Event] = []

    def run(self) -> list[Event]:
        """Return what the customer does, in order."""
        chance, person = self._chance, self._person
        instants, back = self._instants()
        if not instants:
            return []
        changes: dict[int, list[_Change]] = {}
        for rate, method, change in _CHANGES:
            for _ in range(chance.poisson(rate * self._span / _YEAR)):
                changes.setdefault(chance.below(len(instants)), []).append((method, change))
        paying = [chance.below(len(instants)) for _ in range(chance.poisson(person.withdrawals * self._span / _YEAR))]
        for number, at in enumerate(instants):
            returns = number == back
            due = list(changes.get(number, ()))
            if returns and chance.odds(0.35):
                self._replace(0)
                due += self._new_factor()
            if returns and chance.odds(0.40):
                due.append(("password", "reset"))
            self._move_on(at, due)
            payments = paying.count(number) + (1 if returns and person.withdrawals and chance.odds(0.45) else 0)
            self._visit(at, due, payments, person.sweeps + 0.35 if returns else person.sweeps)
        # A withdrawal may come after the next login of an eager customer.
        return sorted(self.events, key=lambda event: event.at)

    def _instants(self) -> tuple[list[int], int | None]:
        """Return when they log in, and which of these is the return after a long silence."""
        chance, person = self._chance, self._person
        gap = _YEAR / person.rate / 0.75
        days: list[int] = []
        at = chance.random() * gap
        while at < self._span:
            days.append(int(at) // DAY)
            at += gap * chance.gamma(0.75)
        instants = sorted(day * DAY + self._time_of_day() for day in days)
        back = None
        if person.silence is not None:
            begins, ends = person.silence
            instants = [at for at in instants if not begins <= at < ends]
            if instants and instants[0] < begins and ends < self._span - DAY:
                returns = ends // DAY * DAY + DAY + self._time_of_day()
                instants = sorted([*(at for at in instants if at < begins or at > returns), returns])
                back = instants.index(returns)
        return [at for at in instants if at < self._span - HOUR], back

    def _time_of_day(self) -> int:
        """Return a time of day by UTC: near the usual hour mostly, else between morning and midnight."""
        chance, person = self._chance, self._person
        local = person.hour + 2.2 * chance.normal() if chance.odds(0.7) else chance.between(7.0, 24.0)
        return int((local - person.home.country.offset_h) % 24.0 * HOUR)

    def _move_on(self, at: int, due: list[_Change]) -> None:
        """Let the moves and replacements happen that lie before an instant."""
        while self._moves and self._moves[0].at <= at:
            city = self._moves.pop(0).city
            person = self._person
            if city.country != person.home.city.country:
                person.cellular = Cellular(self._internet, city.country, self._chance)
                person.office = None
            person.home = Home(self._internet, city, self._chance)
        while self._replacements and self._replacements[0][0] <= at:
            self._replace(self._replacements.pop(0)[1])
            due += self._new_factor()

    def _replace(self, place: int) -> None:
        old = self._person.devices[place].family
        apple = old.apple if self._chance.odds(0.9) else not old.apple
        self._person.devices[place] = device(self._chance, phone=old.phone, apple=apple)

    def _new_factor(self) -> list[_Change]:
        if not self._chance.odds(_NEW_FACTOR):
            return []
        return [("totp", self._chance.pick(("replaced", "added")))]

    def _visit(self, at: int, due: list[_Change], payments: int, sweeps: float) -> None:
        """Log in, change what is due, withdraw."""
        chance, person = self._chance, self._person
        trip = next((one for one in person.trips if one.start <= at < one.end), None)
        used = self._device(trip)
        agent = user_agent(used, at // DAY)
        key = used.key
        if not used.family.app and chance.odds(_PRIVATE_WINDOW):
            key = chance.hex(32)
        seen = self._connect(at, used, trip)
        client = Client(seen, agent, key)
        resets = [one for one in due if one[1] == "reset"]
        if resets or chance.odds(_MISTYPED):
            for failed in range(1 + chance.below(2)):
                before = int(chance.between(8, 90) * 1000) * (failed + 1) + (10 * _MINUTE if resets else 0)
                self._note(at - before, LOGIN, client, outcome="failed")
        for one in resets:
            self._note(at - int(chance.between(0.5, 4.0) * _MINUTE), CHANGE, client, self._change(one))
        client = client._replace(session=chance.hex(24))
        self._note(at, LOGIN, client)
        when = at
        for one in due:
            if one[1] != "reset":
                when += int(chance.lognormal(2.0, 0.8) * _MINUTE)
                self._note(when, CHANGE, client, self._change(one))
        for _ in range(payments):
            when += int(chance.lognormal(4.0, 0.9) * _MINUTE)
            where = self._connect(when, used, trip) if chance.odds(_NETWORK_LEFT) else seen
            self._note(when, WITHDRAWAL, client._replace(seen=where), self._payment(sweeps))

    def _note(self, at: int, type_: str, client: Client, detail: Detail = NOTHING, outcome: str = "succeeded") -> None:
        self.events.append(Event(max(0, at), type_, self._person.account, client, detail, outcome))

    def _change(self, one: _Change) -> Detail:
        """Return what a change of verification says of itself."""
        method, change = one
        proof = "password" if one == ("password", "replaced") else self._chance.pick(_PROOFS[change])
        return {"method": method, "change": change, "proved_with": proof}

    def _device(self, trip: Trip | None) -> Device:
        """Return the device of this visit: on a journey a phone, where there is one. Its key may have been lost."""
        chance, person = self._chance, self._person
        places = range(len(person.devices))
        place = chance.weighted(places, person.device_weights)
        if trip is not None and not person.devices[place].family.phone and chance.odds(0.6):
            place = next((one for one in places if person.devices[one].family.phone), place)
        if chance.odds(_COOKIE_LOST):
            person.devices[place] = person.devices[place]._replace(key=chance.hex(32))
        return person.devices[place]

    def _connect(self, at: int, used: Device, trip: Trip | None) -> Seen:
        """Return the address that a visit comes from."""
        chance, person = self._chance, self._person
        if person.vpn is not None and chance.odds(person.vpn.share):
            return person.vpn.seen(chance)
        if used.family.phone and chance.odds(person.phone_away):
            return ((trip and trip.roaming) or person.cellular).seen(chance)
        if trip is not None:
            return trip.line.seen(at, chance)
        local = (at + person.home.country.offset_h * HOUR) % DAY / HOUR
        at_work = 9.0 <= local < 18.0 and at // DAY % 7 < 5
        if person.office is not None and at_work and not used.family.phone and chance.odds(_AT_OFFICE):
            return person.office
        if person.relay and used.family.safari and chance.odds(_BY_RELAY):
            return relay(self._internet, person.home.city, chance)
        return person.home.seen(at, chance)

    def _payment(self, sweeps: float) -> Detail:
        """Return where a withdrawal goes and how much it takes."""
        chance, person = self._chance, self._person
        if not person.book or chance.odds(person.new_address):
            person.book.append(address(chance))
            to = person.book[-1]
        else:
            to = person.book[0] if chance.odds(0.7) else chance.pick(person.book)
        share = chance.between(0.95, 1.0) if chance.odds(sweeps) else 0.95 * chance.beta(1.1, 2.6)
        return payment(to, share, person.balance * chance.lognormal(1.0, 0.4), person.factor)


def address(chance: Chance) -> str:
    """Return a new destination of withdrawals."""
    return f"0x{chance.hex(40)}"


def payment(to: str, share: float, balance: float, proof: str | None) -> Detail:
    """Return what a withdrawal says of itself."""
    said: dict[str, str | float] = {
        "destination": to,
        "balance_share": max(0.001, round(share, 3)),
        "amount_usd": max(1.0, round(share * balance, 2)),
    }
    return said if proof is None else {**said, "proved_with": proof}
