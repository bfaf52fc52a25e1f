"""Evidence over time: on which days something was seen of an account, and whether that is enough to act on.

One address in a closed country closes the request that it came with. It says little of the customer: databases err,
people travel, a VPN forgets to connect. What is seen on several days says more, so that a rule may ask for that before
an account is marked. A day is one of UTC; what is seen twice on it is seen once.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

LONGEST_WITHIN: Final = 180
"""Days over which evidence may be asked for."""
KEPT: Final = 366
"""Days that are remembered, the latest one included.

More than twice what can be asked for: a sighting that arrives, or is asked about, up to half a year late counts as if
it had come in time.
"""
MOST_TEXT: Final = 128
"""Characters of a text of sightings, at most."""

_DAY: Final = 86_400_000_000
_TEXT: Final = re.compile(r"([1-9][0-9]{0,6}):([1-9a-f][0-9a-f]*)")


class After(NamedTuple):
    """How much evidence it takes: seen on so many of so many days, today included."""

    days: int
    within_days: int


class Sightings(NamedTuple):
    """The days on which something was seen of one account for one cause."""

    latest: int = 0
    """The last of them, counted from 1 January 1970."""
    days: int = 0
    """A bit for each day: the lowest for the latest, the next one for the day before. 0 where nothing was seen."""


UNSEEN: Final = Sightings()


def seen(sightings: Sightings, at: int) -> Sightings:
    """Return the sightings with one more at an instant, microseconds since the epoch. In whatever order they come."""
    return merged(sightings, Sightings(max(at, 0) // _DAY, 1))


def merged(one: Sightings, other: Sightings) -> Sightings:
    """Return the sightings of both, as two gateways or two readings of a journal made them."""
    if not one.days or not other.days:
        return one if one.days else other
    early, late = sorted((one, other))
    apart = late.latest - early.latest
    older = early.days << apart if apart < KEPT else 0
    return Sightings(late.latest, (late.days | older) & ((1 << KEPT) - 1))


def days_seen(sightings: Sightings, within_days: int, at: int) -> int:
    """Return on how many days it was seen in the days that end with that of an instant."""
    later = sightings.latest - at // _DAY
    # What was seen after the day that is asked about does not count; only a late question has such days.
    days = sightings.days >> later if later > 0 else sightings.days << -later if -later < within_days else 0
    return (days & ((1 << within_days) - 1)).bit_count()


def enough(sightings: Sightings, after: After | None, at: int) -> bool:
    """Return whether what was seen by an instant is what is asked for; nothing is asked for where `after` is None."""
    return after is None or days_seen(sightings, after.within_days, at) >= after.days


def to_text(sightings: Sightings) -> str:
    """Return sightings as a short text, empty where there are none."""
    return f"{sightings.latest}:{sightings.days:x}" if sightings.days else ""


def from_text(text: str) -> Sightings:
    """Return the sightings of a text. Raise ValueError where it is none that `to_text` writes."""
    if not text:
        return UNSEEN
    found = _TEXT.fullmatch(text) if len(text) <= MOST_TEXT else None
    days = int(found[2], 16) if found else 0
    if found is None or not days & 1 or days >> KEPT:
        msg = f"`{text[:MOST_TEXT]}` is no record of sightings, such as `20000:5`"
        raise ValueError(msg)
    return Sightings(int(found[1]), days)


def after_document(after: After) -> dict[str, int]:
    """Return what is asked for as a decision records it."""
    return {"days": after.days, "within_days": after.within_days}


def after_of(recorded: Mapping[str, Any] | None) -> After | None:
    """Return what is asked for from a decision's record; None where it is done at once."""
    return None if recorded is None else After(int(recorded["days"]), int(recorded["within_days"]))
