"""What a history looks like, in the figures by which real ones are known."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.service.synth.events import CHANGE, DAY, HOUR, LOGIN, WITHDRAWAL, Event
from gateway.service.synth.history import Size, test_window
from gateway.service.synth.networks import Seen

_WINDOW_DAYS: Final = 111
"""The span over which Mishra et al. (WWW 2020) counted addresses."""
_FASTEST_KMH: Final = 1_000.0
_DORMANT: Final = 60 * DAY
_EARTH_KM: Final = 6_371.0
TRIGGERS: Final = (
    "new country",
    "faster than 1000 km/h",
    "new device",
    "password changed in 24 h",
    "factor changed in 72 h",
    "silent for 60 days",
)


class Figure(NamedTuple):
    """One thing counted: `part` of `whole`."""

    name: str
    part: float
    whole: float

    @property
    def share(self) -> float:
        """The part in the whole; 0 of nothing."""
        return self.part / self.whole if self.whole else 0.0


class Description(NamedTuple):
    """What a history looks like."""

    counts: tuple[Figure, ...]
    networks: tuple[Figure, ...]
    customers: tuple[Figure, ...]
    withdrawals: tuple[Figure, ...]
    attacks: tuple[Figure, ...]

    def share(self, name: str) -> float:
        """Return the share that a figure states."""
        return next(one.share for group in self for one in group if one.name == name)


@dataclass(slots=True)
class _Past:
    """What is known of an account so far: its own doing and the attackers', as the exchange would see it."""

    countries: set[str] = field(default_factory=set)
    devices: set[str] = field(default_factory=set)
    destinations: set[str] = field(default_factory=set)
    last: tuple[int, Seen] | None = None
    speeding: bool = False
    new_country: bool = False
    new_device: bool = False
    returned: bool = False
    password: int | None = None
    factor: int | None = None


def describe(events: Sequence[Event], size: Size) -> Description:
    """Return the figures of a history. Customers are counted without the attackers' events."""
    begin, end = test_window(size)
    pasts: dict[str, _Past] = defaultdict(_Past)
    kinds: Counter[str] = Counter()
    networks: Counter[str] = Counter()
    triggers: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    taken = [event for event in events if event.label is None]
    for event in taken:
        past = pasts[event.account]
        kinds[f"{event.type}, {event.outcome}"] += 1
        if event.type == LOGIN and event.outcome == "succeeded":
            networks[event.client.seen.operator.kind.value] += 1
            _log_in(past, event)
        elif event.type == CHANGE:
            if event.detail["method"] == "password":
                past.password = event.at
            else:
                past.factor = event.at
        elif event.type == WITHDRAWAL:
            found = _triggers(past, event)
            to = str(event.detail["destination"])
            if event.at >= begin:
                triggers.update(["withdrawals", *found, *(["any"] if found else ())])
                triggers["new address"] += to not in past.destinations
                triggers["sweep"] += float(event.detail["balance_share"]) >= 0.95
                triggers["half or less"] += float(event.detail["balance_share"]) < 0.5
            past.destinations.add(to)
    labels.update(
        event.label for event in events if event.label and event.type == WITHDRAWAL and begin <= event.at < end
    )
    legit = triggers["withdrawals"]
    logins = networks.total()
    return Description(
        tuple(Figure(name, count, len(taken)) for name, count in sorted(kinds.items())),
        tuple(Figure(name, count, logins) for name, count in networks.most_common()),
        tuple(_customers(taken)),
        (
            Figure("any classic trigger", triggers["any"], legit),
            *(Figure(name, triggers[name], legit) for name in (*TRIGGERS, "new address", "sweep", "half or less")),
        ),
        tuple(Figure(name, count, labels.total()) for name, count in sorted(labels.items())),
    )


def _log_in(past: _Past, event: Event) -> None:
    known = bool(past.devices)
    past.new_country = known and event.client.seen.country not in past.countries
    past.new_device = known and event.client.device not in past.devices
    past.speeding = past.returned = False
    if past.last is not None:
        at, seen = past.last
        hours = max(event.at - at, HOUR // 12) / HOUR
        past.speeding = distance_km(seen, event.client.seen) / hours > _FASTEST_KMH
        past.returned = event.at - at > _DORMANT
    past.last = event.at, event.client.seen
    past.countries.add(event.client.seen.country)
    past.devices.add(event.client.device)


def _triggers(past: _Past, event: Event) -> list[str]:
    """Return the classic triggers that a withdrawal touches."""
    touched = (
        past.new_country or event.client.seen.country not in past.countries,
        past.speeding,
        past.new_device or event.client.device not in past.devices,
        past.password is not None and event.at - past.password < DAY,
        past.factor is not None and event.at - past.factor < 3 * DAY,
        past.returned,
    )
    return [name for name, touches in zip(TRIGGERS, touched, strict=True) if touches]


def _customers(events: Sequence[Event]) -> Iterator[Figure]:
    """Yield what the customers seen in the last 111 days present."""
    latest = events[-1].at if events else 0
    addresses: dict[str, set[str]] = defaultdict(set)
    countries: dict[str, set[str]] = defaultdict(set)
    devices: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.at > latest - _WINDOW_DAYS * DAY and event.type == LOGIN and event.outcome == "succeeded":
            addresses[event.account].add(event.client.seen.ip)
            countries[event.account].add(event.client.seen.country)
            devices[event.account].add(event.client.device)
    seen = len(addresses)
    yield Figure(f"more than one country in {_WINDOW_DAYS} days", sum(len(one) > 1 for one in countries.values()), seen)
    yield Figure(f"addresses a customer in {_WINDOW_DAYS} days", sum(map(len, addresses.values())), seen)
    yield Figure(f"devices a customer in {_WINDOW_DAYS} days", sum(map(len, devices.values())), seen)


def distance_km(one: Seen, other: Seen) -> float:
    """Return how far two places are apart along the ground."""
    lat1, lat2 = math.radians(one.lat), math.radians(other.lat)
    half = math.radians(other.lon - one.lon) / 2
    a = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(half) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(a)))


def table(description: Description) -> Iterator[str]:
    """Yield the figures as text, a group after the other."""
    titles = {
        "counts": "Customers' events",
        "networks": "Logins that succeeded, by network",
        "customers": "Customers",
        "withdrawals": "Customers' withdrawals in the test window",
        "attacks": "Attackers' withdrawals in the test window",
    }
    for group, figures in description._asdict().items():
        yield titles[group]
        for name, part, whole in figures:
            ratio = part / whole if whole else 0.0
            shown = f"{ratio:8.1f}" if ratio > 1 else f"{100 * ratio:7.1f} %"
            yield f"  {name:<34} {part:>9,.0f}  {shown}"
