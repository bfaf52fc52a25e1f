"""A whole history: every customer's year, the attacks laid over it, in order of time."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from gateway.service.synth.attacks import ATTACKERS, Campaign, Victim, attacks
from gateway.service.synth.chance import Chance
from gateway.service.synth.events import DAY, LOGIN, Event, line
from gateway.service.synth.networks import Internet
from gateway.service.synth.people import person
from gateway.service.synth.year import Year

FIRST_DAY: Final = datetime(2025, 1, 1, tzinfo=UTC)
_VALIDATION: Final = (240, 300)
_TEST: Final = (300, 365)
_SPAN: Final = 365


class Size(NamedTuple):
    """How large a history is."""

    accounts: int = 5_000
    days: int = 365
    attacks: int = 800
    """Of each kind within the last 65 days of a year, and half as many within the 60 days before."""


def window(days: tuple[int, int], span: int) -> tuple[int, int]:
    """Return days of a year as instants of a history of another length."""
    return days[0] * span * DAY // _SPAN, days[1] * span * DAY // _SPAN


def test_window(size: Size) -> tuple[int, int]:
    """Return the part of a history on which detectors are compared."""
    return window(_TEST, size.days)


def history(seed: int, size: Size, done: Callable[[int], None] = lambda _accounts: None) -> list[Event]:
    """Return every event in order of time. `done` is told how many accounts are made."""
    internet = Internet(seed)
    span = size.days * DAY
    events: list[Event] = []
    victims: list[Victim] = []
    for number in range(size.accounts):
        someone = person(internet, number, span, Chance.of(seed, "person", number))
        own = Year(internet, someone, span, Chance.of(seed, "year", number)).run()
        victims.append(Victim(someone, [one for one in own if one.type == LOGIN and one.outcome == "succeeded"]))
        events += own
        done(number + 1)
    for label in ATTACKERS:
        for days, how_many in ((_VALIDATION, size.attacks // 2), (_TEST, size.attacks)):
            chance = Chance.of(seed, "attacks", label, days[0])
            campaign = Campaign(label, window(days, size.days), how_many)
            events += attacks(internet, victims, campaign, chance)
    # The sort is stable: what happens in one millisecond stays in the order in which it was made.
    events.sort(key=lambda event: event.at)
    return events


def ndjson(events: list[Event], start: datetime = FIRST_DAY) -> Iterator[bytes]:
    """Yield each event as a line of NDJSON, without its end."""
    for number, event in enumerate(events):
        yield line(event, number, start)
