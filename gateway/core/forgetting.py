"""How the past loses weight, at no cost: instead of all old weights shrinking, new ones are heavier.

Shares are what count, and a share is the same whichever of the two is done.
"""

from typing import Final

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
HALF_LIFE: Final = 90 * DAY
EXPIRY_DAYS: Final = 180
"""What was not seen for so long is forgotten; older history adds little (Wiefling et al. 2022)."""
QUARANTINE: Final = 30 * DAY
"""How long a new value waits before it counts, so that nobody becomes familiar by trying for a fortnight."""

_ORIGIN: Final = 1_577_836_800 * SECOND
"""2020-01-01. A double reaches to some 250 years from it."""
_PER_MICROSECOND: Final = 1 / HALF_LIFE


def unit(at: int) -> float:
    """Return the weight of one event at `at`: twice as much as of one that is 90 days older."""
    weight: float = 2.0 ** ((at - _ORIGIN) * _PER_MICROSECOND)
    return weight


def day(at: int) -> int:
    """Return the number of the UTC day since the epoch."""
    return at // DAY
