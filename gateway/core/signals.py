"""The anomalies that policies may name, each with what was measured, and the risk that a score amounts to."""

from collections.abc import Iterator
from enum import StrEnum, unique
from typing import Final, NamedTuple

from gateway.core.anomaly import Score, holds
from gateway.core.forgetting import DAY, SECOND
from gateway.core.login import ADDRESS, ASN, COUNTRY, DEVICE, PREFIX, Login
from gateway.core.profile import DORMANT, Profile
from gateway.core.risk_tables import ANONYMITY
from gateway.core.stuffing import Attempts
from gateway.core.travel import SAME_SESSION_H, compared, journey
from gateway.core.withdrawal_context import Withdrawal

WEEK_S: Final = 7 * DAY // SECOND
"""How long a change of verification is a signal, and a return after a long silence."""


@unique
class Name(StrEnum):
    """What a rule may look for: `"unfamiliar_device" in signals`."""

    UNFAMILIAR_NETWORK = "unfamiliar_network"
    UNFAMILIAR_COUNTRY = "unfamiliar_country"
    UNFAMILIAR_DEVICE = "unfamiliar_device"
    IMPOSSIBLE_TRAVEL = "impossible_travel"
    SESSION_MOVED = "session_moved"
    VERIFICATION_CHANGED = "verification_changed"
    DORMANT = "dormant"
    CREDENTIAL_STUFFING = "credential_stuffing"
    ANONYMOUS_NETWORK = "anonymous_network"
    NEW_DESTINATION = "new_destination"


_UNFAMILIAR: Final = (
    (ASN, Name.UNFAMILIAR_NETWORK),
    (COUNTRY, Name.UNFAMILIAR_COUNTRY),
    (DEVICE, Name.UNFAMILIAR_DEVICE),
)


class Signal(NamedTuple):
    """One anomaly, and what it was measured from."""

    name: Name
    terms: tuple[tuple[str, str | float], ...] = ()


class Lines(NamedTuple):
    """The scores above which the risk is medium, and high."""

    medium: float
    high: float


def signals_of(
    profile: Profile, login: Login, withdrawal: Withdrawal | None = None, attempts: Attempts | None = None
) -> tuple[Signal, ...]:
    """Return what is unusual about a request of this account, from its profile settled to the instant before.

    What is Unknown is unfamiliar: nobody knows it. `attempts` is what the request's network did lately.
    """
    return tuple(_found(profile, login, withdrawal, attempts))


def risk_of(score: Score, lines: Lines) -> str:
    """Return `low`, `medium` or `high`; never `low` while there is too little history to say so."""
    if holds(score, lines.high):
        return "high"
    return "medium" if score.total > lines.medium or score.learning else "low"


def _found(
    profile: Profile, login: Login, withdrawal: Withdrawal | None, attempts: Attempts | None
) -> Iterator[Signal]:
    for level, name in _UNFAMILIAR:
        value = login.values[level]
        if not profile.weight(level, value, login.at):
            yield Signal(name, (("value", _shown(level, value)), ("logins", round(profile.logins(login.at), 1))))
    yield from _travel(profile, login)
    yield from _lately(profile, login)
    if attempts is not None and attempts.stuffing:
        yield Signal(Name.CREDENTIAL_STUFFING, tuple(attempts._asdict().items()))
    kinds = sorted((login.networks or frozenset()) & ANONYMITY.keys())
    if kinds:
        yield Signal(Name.ANONYMOUS_NETWORK, (("kind", ", ".join(kinds)),))
    if withdrawal is not None:
        known = profile.destinations.get(withdrawal.destination) if withdrawal.destination is not None else None
        if known is None or known.first_s >= login.at // SECOND:
            told = "not known" if withdrawal.destination is None else "never confirmed"
            yield Signal(Name.NEW_DESTINATION, (("destination", told),))


def _lately(profile: Profile, login: Login) -> Iterator[Signal]:
    """Yield what happened to the account before this."""
    at_s = login.at // SECOND
    for method, change in profile.changes.items():
        if 0 <= at_s - change.at_s < WEEK_S:
            hours = round((at_s - change.at_s) / 3600, 1)
            how = "recovered" if change.recovered else "proved"
            yield Signal(Name.VERIFICATION_CHANGED, (("method", method), ("hours", hours), ("how", how)))
    silent = login.at - profile.active
    if profile.active and silent > DORMANT:
        yield Signal(Name.DORMANT, (("days", round(silent / DAY)),))
    elif profile.returned_s and at_s - profile.returned_s < WEEK_S:
        yield Signal(Name.DORMANT, (("hours since return", round((at_s - profile.returned_s) / 3600, 1)),))


def _travel(profile: Profile, login: Login) -> Iterator[Signal]:
    """Yield what the latest logins say of this one: five, since who goes from A to B and back was twice at A."""
    found = list(_impossible(profile, login))
    copied = [one for one in found if one.hours <= SAME_SESSION_H and one.same]
    # Somebody may have two homes, or a database another opinion than before; but nobody is in both within the hour.
    at_home = any(profile.weight(level, login.values[level], login.at) > 0 for level in (COUNTRY, PREFIX))
    if found and not at_home:
        yield Signal(Name.IMPOSSIBLE_TRAVEL, max(found, key=lambda one: one.kmh).terms())
    if copied and not profile.weight(PREFIX, login.values[PREFIX], login.at):
        yield Signal(Name.SESSION_MOVED, max(copied, key=lambda one: one.kmh).terms())


class _Way(NamedTuple):
    """A journey that nobody can have made."""

    km: float
    hours: float
    kmh: float
    origin: str
    same: str
    """Whether the `session` or `device` is the same at both ends; empty where neither is."""

    def terms(self) -> tuple[tuple[str, str | float], ...]:
        return (
            ("km", round(self.km)),
            ("hours", round(self.hours, 2)),
            ("kmh", round(self.kmh)),
            ("from", self.origin),
            *((("same", self.same),) if self.same else ()),
        )


def _impossible(profile: Profile, login: Login) -> Iterator[_Way]:
    if login.place is None or not compared(login.networks):
        return
    for seen in profile.latest:
        if seen.place is None or not compared(seen.networks):
            continue
        if seen.address is not None and seen.address == login.values[ADDRESS]:
            continue
        if seen.prefix is not None and seen.prefix == login.values[PREFIX]:
            continue
        way = journey(seen.place, seen.at, login.place, login.at)
        if way.impossible:
            session = seen.session is not None and seen.session == login.session
            device = seen.device is not None and seen.device == login.values[DEVICE]
            same = "session" if session else "device" if device else ""
            yield _Way(way.km, way.hours, way.kmh, seen.country or "unknown", same)


def _shown(level: int, value: object) -> str:
    """Return a value where a reviewer may read it; a personal one is a digest that tells nobody anything."""
    if value is None:
        return "not known"
    return f"AS{value}" if level == ASN else str(value) if level == COUNTRY else "never seen"
