"""What one account's logins are usually like, and what it did lately: a small value, without a clock.

A profile is owned by whoever reads and writes the account. It changes only by the calls below, each of which is told
the instant, and the same event again changes nothing. New values wait 30 days before they are trusted, so that nobody
becomes familiar by trying for a fortnight; an older second factor that confirms a withdrawal ends the wait for its
device. A destination is known by a confirmed withdrawal alone, never by age.
"""

from collections.abc import Iterable
from typing import Final

from gateway.core.everyone import Global as Global  # noqa: PLC0414 - the other half of every comparison
from gateway.core.forgetting import DAY, EXPIRY_DAYS, QUARANTINE, SECOND, day, unit
from gateway.core.login import DEVICE, Feature, Features, Login, made
from gateway.core.profile_state import Change, Known, Seen, State, Use, Waiting

CAPS: Final = (8, 16, 32, 64, 8, 16, 16, 16, 6)
"""How many values of each level are kept, the heaviest."""
MOST_WAITING: Final = 96
MOST_DESTINATIONS: Final = 64
MOST_METHODS: Final = 16
_LONGEST_METHOD: Final = 32
LATEST: Final = 5
DORMANT: Final = 60 * DAY
_LEAST: Final = 0.05
"""Of one fresh login. What weighs less goes when something must."""

FACTORS: Final = frozenset(
    {"totp", "passkey", "webauthn", "security_key", "push", "sms", "phone", "email", "withdrawal_password"}
)
_SAME: Final = {"sms": ("sms", "phone"), "phone": ("sms", "phone")}
"""Whoever changes the number changes what texts prove."""


class Profile(State):
    """One account's history: what is trusted, what waits, and what happened lately."""

    __slots__ = ()

    def settle(self, at: int) -> None:
        """Let what has waited long enough count. Call it before the profile is asked about an instant."""
        waiting = self.waiting
        ripe = (at - QUARANTINE) // SECOND
        if not waiting or waiting[0].at_s > ripe:
            return
        count = 0
        for one in waiting:
            at_s, short, _, learned = one
            if at_s > ripe:
                break
            if not learned:
                self._learn(one)
            if self.ids is not None:
                self.ids.discard(short)
            count += 1
        del waiting[:count]

    def observe(self, login: Login) -> bool:
        """Take a successful login into quarantine; return whether it was new.

        One that is older than the quarantine cannot be told from a repeat, and is left out.
        """
        at, short = login.at, login.id
        if self.active and at <= self.active - QUARANTINE:
            return False
        ids = self.ids
        if ids is None:
            ids = self.ids = {one.id for one in self.waiting}
        # By place, since by name it is far slower, and this is done for each login of a back-test.
        if short and (short in ids or short in [one[1] for one in self.latest]):
            return False
        self.settle(at)
        self._used(at)
        if len(self.waiting) < MOST_WAITING:
            self._insert(made(Waiting, (at // SECOND, short, login.values, False)))
            ids.add(short)
        self._remember(login, short)
        return True

    def confirm(self, login: Login, proofs: Iterable[str], destination: int | None) -> None:
        """Take in a withdrawal that was carried out: its destination, and its device where an old factor proved it."""
        self.settle(login.at)
        self._used(login.at)
        at_s = login.at // SECOND
        if destination is not None:
            use = self.destinations.get(destination)
            self.destinations[destination] = (
                Use(at_s, at_s) if use is None else Use(min(use.first_s, at_s), max(use.last_s, at_s))
            )
            if len(self.destinations) > MOST_DESTINATIONS:
                del self.destinations[min(self.destinations, key=lambda one: self.destinations[one].last_s)]
        device = login.values[DEVICE]
        if device is None or not any(self.is_old_factor(method, login.at) for method in proofs):
            return
        for place, one in enumerate(self.waiting):
            if one.values[DEVICE] == device and not one.learned and one.at_s <= at_s:
                self._learn(one)
                self.waiting[place] = one._replace(learned=True)

    def change(self, method: str, at: int, *, recovered: bool) -> None:
        """Take in a change of a verification method; the latest one counts."""
        at_s = at // SECOND
        method = method[:_LONGEST_METHOD]
        self._used(at)
        last = self.changes.get(method)
        if last is not None and (last.at_s, last.recovered) >= (at_s, recovered):
            return
        if last is None and len(self.changes) >= MOST_METHODS:
            del self.changes[min(self.changes, key=lambda one: self.changes[one].at_s)]
        self.changes[method] = Change(at_s, recovered)

    def is_old_factor(self, method: str, at: int) -> bool:
        """Return whether a second factor has been the same for 30 days, as far as the history goes back."""
        oldest = (at - QUARANTINE) // SECOND
        if method not in FACTORS or not self.since_s or self.since_s > oldest:
            return False
        return all(
            (change := self.changes.get(name)) is None or change.at_s <= oldest for name in _SAME.get(method, (method,))
        )

    def logins(self, at: int) -> float:
        """Return how many logins are trusted, an older one counting less; 0 where all of them are forgotten."""
        return 0.0 if self.learned_day < day(at) - EXPIRY_DAYS else self.total / unit(at)

    def weight(self, level: int, value: Feature, at: int) -> float:
        """Return the weight of a value among the trusted logins; 0 where it is not trusted, or forgotten."""
        entry = self.known[level].get(value)
        return 0.0 if entry is None or value is None or entry[1] < day(at) - EXPIRY_DAYS else entry[0]

    def unguarded(self, values: Features) -> "Profile":
        """Return a profile that trusts what waits, too: how the customer is, and not what an attacker could pretend.

        Of values it has only these. For fitting alone: a score by it would trust whoever came yesterday.
        """
        other = Profile()
        waiting = [one for one in self.waiting if not one.learned]
        moments = [(unit(one.at_s * SECOND), one.at_s * SECOND // DAY) for one in waiting]
        total, horizon, begin, forgotten = self.total, self.learned_day, 0, False
        for place, (weight, today) in enumerate(moments):
            if horizon < today - EXPIRY_DAYS:
                total, begin, forgotten = 0.0, place, True
            total += weight
            horizon = max(horizon, today)
        moments = moments[begin:]
        levels = zip(*[one.values for one in waiting[begin:]], strict=True) if moments else [()] * len(values)
        for known, mine, level, value in zip(other.known, self.known, levels, values, strict=True):
            if value is None:
                continue
            entry = None if forgotten else mine.get(value)
            found = [moment for one, moment in zip(level, moments, strict=True) if one == value]
            if entry is not None or found:
                weight, seen = entry or (0.0, 0)
                known[value] = [sum([one[0] for one in found], weight), max([one[1] for one in found] + [seen])]
        other.total, other.learned_day = total, horizon
        return other

    def _used(self, at: int) -> None:
        at_s = at // SECOND
        if self.active and at - self.active > DORMANT:
            self.returned_s = at_s
        self.active = max(self.active, at)
        if at_s < self.since_s or not self.since_s:
            self.since_s = at_s

    def _insert(self, one: Waiting) -> None:
        waiting = self.waiting
        place = len(waiting)
        while place and waiting[place - 1].at_s > one.at_s:
            place -= 1
        waiting.insert(place, one)

    def _remember(self, login: Login, short: int) -> None:
        country, asn, prefix, address, _, _, _, device, _ = login.values
        seen = made(Seen, (
            login.at, short,
            country if type(country) is str else None, asn if type(asn) is int else None,
            prefix if type(prefix) is int else None, address if type(address) is int else None,
            device if type(device) is int else None, login.session, login.networks, login.place,
        ))  # fmt: skip
        latest = self.latest
        if latest and seen.at < latest[-1].at:
            self.latest = tuple(sorted((*latest, seen), key=lambda one: one.at))[-LATEST:]
        else:
            self.latest = (*latest[1 - LATEST :], seen)

    def _learn(self, one: Waiting) -> None:
        at = one.at_s * SECOND
        weight, today = unit(at), at // DAY
        if self.learned_day < today - EXPIRY_DAYS:
            # Everything is forgotten: a share of what is left would be a share of nothing.
            self.total = 0.0
            for known in self.known:
                known.clear()
        for known, value, cap in zip(self.known, one.values, CAPS, strict=True):
            if value is None:
                continue
            if value in known:
                entry = known[value]
                entry[0] += weight
                if entry[1] < today:  # noqa: PLR1730 - for each value of each login
                    entry[1] = today
            else:
                known[value] = [weight, today]
                if len(known) > cap:
                    _make_room(known, value, weight, today)
        self.total += weight
        self.learned_day = max(self.learned_day, today)


def _make_room(known: Known, added: Feature, weight: float, today: int) -> None:
    """Drop what is forgotten or hardly weighs anything, or else the lightest; never what was just added."""
    gone: list[Feature] = []
    lightest, least = added, float("inf")
    for value, (heavy, seen) in known.items():
        if seen < today - EXPIRY_DAYS or heavy < _LEAST * weight:
            gone.append(value)
        elif heavy < least and value != added:
            lightest, least = value, heavy
    for value in gone or [lightest]:
        del known[value]
