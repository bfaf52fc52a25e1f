"""What is usual among all accounts together: the other half of every comparison."""

from operator import itemgetter
from typing import Final

from gateway.core.forgetting import unit
from gateway.core.login import ADDRESS, AGENT, ASN, BROWSER, COUNTRY, DEVICE, HOURS, PREFIX, SYSTEM, Feature, Login
from gateway.core.sketch import WIDTH, Sketch

ENOUGH: Final = 10_000
"""Logins before the comparison says much; until then see `anomaly.Score.learning`."""

_COUNTED: Final = (COUNTRY, ASN, SYSTEM, BROWSER, HOURS)
_SKETCHED: Final = (PREFIX, ADDRESS, AGENT, DEVICE)
_sketched: Final = itemgetter(*_SKETCHED)
_MOST: Final = 1 << 17
"""Different values of a level that are counted one by one: more than there are autonomous systems."""


class Global:
    """Weights of every value over all accounts, halved every 90 days. Bounded: about 13 MB, and what is few in maps."""

    __slots__ = ("_counts", "_rest", "_sketch", "seen", "total")

    def __init__(self, width: int = WIDTH) -> None:
        self._counts: tuple[dict[Feature, float], ...] = tuple({} for _ in range(HOURS + 1))
        self._rest = [0.0] * (HOURS + 1)
        self._sketch = Sketch(width)
        self.total = 0.0
        """The weight of all logins, in the units of `forgetting.unit`."""
        self.seen = 0
        """How many logins there were."""

    def observe(self, login: Login) -> None:
        """Count a login. No quarantine here: what is common among all is evidence for nobody."""
        weight = unit(login.at)
        values, every = login.values, self._counts
        for level in _COUNTED:
            value = values[level]
            if value is not None:
                counts = every[level]
                if value in counts:
                    counts[value] += weight
                elif len(counts) < _MOST:
                    counts[value] = weight
                else:
                    # Browsers name themselves, so a map can be filled on purpose: then all that came later is one.
                    self._rest[level] += weight
        self._sketch.add([value for value in _sketched(values) if type(value) is int], weight)
        self.total += weight
        self.seen += 1

    def weight(self, level: int, value: Feature) -> float:
        """Return the weight of a value among all logins; at least the true one, as far as it was counted."""
        if level in _SKETCHED_SET:
            return self._sketch.weight(value) if type(value) is int else 0.0
        return self._counts[level].get(value, self._rest[level])


_SKETCHED_SET: Final = frozenset(_SKETCHED)
