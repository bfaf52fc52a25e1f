"""How often each country, reason, operation and rule is usually refused, hour by hour, and what has left its band.

Everything can be checked by hand; docs/alarms.md does so once. In short: the usual rate is that of the middle half of
the same hours of the last four weeks; the band around it leaves room for what counting them cannot tell, and for the
odds to double or halve; and an hour alarms when even at the edge of the band chance would hardly ever make it so.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import exp, log, sqrt
from statistics import median
from typing import Final

from gateway.core.alarms import HOUR, Alarm, Band, Dimension, Tally
from gateway.core.terms import Outcome

KEPT: Final = 28 * 24 + 1
"""Hours that are looked back on."""

_WEEKLY: Final = tuple(168 * weeks + beside for weeks in range(1, 5) for beside in (-1, 0, 1))
_DAILY: Final = tuple(24 * days + beside for days in range(1, 8) for beside in (-1, 0, 1))
_DAYS: Final = tuple(24 * days for days in range(1, 8))
_LEAST_POINTS: Final = 6
"""Hours, or days, that there must be to compare with."""
_FEW: Final = 100 * 24
"""Where a day has fewer decisions, it is looked at as a whole, too: an hour of so few tells little."""
_SIGMAS: Final = 3
_ROOM: Final = 9
"""Refusals that may have been missing, or too many, among those compared with, beyond three standard deviations."""
_LEAST_FACTOR: Final = 2.0
_CLEAR: Final = 20
"""Refused, and not refused, in an hour that tells how much rates vary: chance alone then hardly moves the odds."""
_CLEAR_HOURS: Final = 24
_MAD_TO_SIGMA: Final = 1.4826
_SURPRISE: Final = log(1_000_000)

Row = tuple[int, str, str, str | None, str | None, str, int]
"""Hour, operation, outcome, reason, country, bundle, decisions: what `ports.Count` holds."""
RuleRow = tuple[int, str, str, int]
"""Hour, rule, bundle, refusals: what `ports.RuleCount` holds."""

Key = tuple[str, str | None]
"""A dimension, and one of its values."""
RULE: Final = "rule"
"""The dimension of the rules that determined refusals."""
_OF_ALL: Final = frozenset({str(Dimension.REASON), RULE})
"""What only refusals have: its rate is that among all decisions."""


class _Hour:
    """What is kept of one hour."""

    def __init__(self, rows: Iterable[Row], rules: Iterable[RuleRow]) -> None:
        self.decisions = 0
        self.refused: Counter[Key] = Counter()
        self.seen: Counter[Key] = Counter()
        self.bundles: Counter[str] = Counter()
        for _, operation, outcome, reason, country, bundle, decisions in rows:
            if not outcome:
                continue  # what something else wrote, and nobody can read
            self.decisions += decisions
            self.bundles[bundle] += decisions
            keys: list[Key] = [(Dimension.COUNTRY, country), (Dimension.OPERATION, operation)]
            for key in keys:
                self.seen[key] += decisions
            if outcome == Outcome.DENY:
                for key in (*keys, (Dimension.REASON, reason)):
                    self.refused[key] += decisions
        for _, rule, _, decisions in rules:
            # Whichever bundle it stands in: a new one changes few of its rules.
            self.refused[RULE, rule] += decisions

    def tally(self, key: Key) -> Tally:
        """Return the tally of a key; one without decisions where the hour has none of it."""
        of = self.decisions if key[0] in _OF_ALL else self.seen.get(key, 0)
        # What is counted by rule was read a moment after the rest, and something may have come in between.
        return Tally(min(self.refused.get(key, 0), of), of)


class History:
    """The hours that a new one is compared with."""

    def __init__(self) -> None:
        self._hours: dict[int, _Hour] = {}

    def put(self, hour: int, rows: Iterable[Row], rules: Iterable[RuleRow] = ()) -> None:
        """Take in an hour, in place of what was known of it, and forget those too old for it to be compared with."""
        self._hours[hour] = _Hour(rows, rules)
        for old in [one for one in self._hours if one < hour - KEPT * HOUR]:
            del self._hours[old]

    def alarms(self, hour: int, rows: Sequence[Row], rules: Iterable[RuleRow] = ()) -> tuple[Alarm, ...]:
        """Take in an hour; return what left its band in it."""
        self.put(hour, rows, rules)
        now = self._hours[hour]
        compared = [known for ago in (*_WEEKLY, *_DAILY) if (known := self._hours.get(hour - ago * HOUR))]
        keys = {*now.seen, *now.refused, *(key for known in compared for key in known.refused)}
        found = []
        new = {hours: self._new_bundles(hour, hours) for hours in (1, 24)}
        for key in sorted(keys, key=lambda one: (one[0], one[1] or "")):
            for hours in (1, 24):
                tally = self._tally(key, hour, hours)
                band = None if hours > 1 and tally.decisions >= _FEW else self._left(key, tally, hour, hours)
                if band is not None:
                    rose = tally.refused > band.usual * tally.decisions
                    mostly = tuple(_mostly(key, rows))
                    dimension = Dimension(key[0])
                    found.append(Alarm(hour, dimension, key[1], rose, tally, band, mostly, new[hours], hours))
                    break
        return tuple(found)

    def band(self, dimension: str, value: str | None, hour: int, hours: int = 1) -> Band | None:
        """Return the band of an hour, or of the 24 that end with it; None where there is too little to compare with."""
        key = (dimension, value)
        points = self._comparable(key, hour, hours)
        return None if points is None else band_of(points, self._factor(key, hour))

    def returned(self, alarm: Alarm, hour: int) -> bool:
        """Return whether a later hour is within the band that an alarm left; without decisions it does not tell."""
        band = self.band(alarm.dimension, alarm.value, hour, alarm.hours)
        if band is None:
            return True  # nothing is usual any more
        refused, decisions = self._tally((alarm.dimension, alarm.value), hour, alarm.hours)
        return decisions > 0 and band.low <= refused / decisions <= band.high

    def bundle_before(self, alarm: Alarm) -> str | None:
        """Return the bundle that most decisions were made by in the newest hour before an alarm's; None without one."""
        first = alarm.hour - alarm.hours * HOUR
        hours = (self._hours.get(first - ago * HOUR) for ago in range(1, 25))
        known = next((one for one in hours if one and one.bundles), None)
        return None if known is None else known.bundles.most_common(1)[0][0]

    def _left(self, key: Key, tally: Tally, hour: int, hours: int) -> Band | None:
        """Return the band that a tally left; None where it did not."""
        points = self._comparable(key, hour, hours) if tally.decisions else None
        if points is None or not leaves(tally, band_of(points, _LEAST_FACTOR)):
            return None
        # The wider band needs every hour that is kept, so only what left the narrow one is asked for it.
        band = band_of(points, self._factor(key, hour))
        return band if leaves(tally, band) else None

    def _factor(self, key: Key, hour: int) -> float:
        return spread_factor(self._tally(key, hour - ago * HOUR, 1) for ago in range(1, KEPT))

    def _comparable(self, key: Key, hour: int, hours: int) -> list[Tally] | None:
        """Return the same hours of other weeks (of days, while there are not enough weeks), or other days."""
        for lags in (_WEEKLY, _DAILY) if hours == 1 else (_DAYS,):
            tallies = [self._tally(key, hour - ago * HOUR, hours) for ago in lags]
            points = [tally for tally in tallies if tally.decisions]
            if len(points) >= _LEAST_POINTS:
                return points
        return None

    def _tally(self, key: Key, hour: int, hours: int) -> Tally:
        """Return the tally of so many hours that end with this one; those that are not known count nothing."""
        refused = decisions = 0
        for number in range(hours):
            known = self._hours.get(hour - number * HOUR)
            if known is not None:
                one = known.tally(key)
                refused, decisions = refused + one.refused, decisions + one.decisions
        return Tally(refused, decisions)

    def _new_bundles(self, hour: int, hours: int) -> tuple[str, ...]:
        def seen(lags: Iterable[int]) -> set[str]:
            hours = (self._hours.get(hour - ago * HOUR) for ago in lags)
            return {bundle for known in hours if known for bundle in known.bundles}

        before = seen(range(hours + 1, hours + 25))
        return tuple(sorted(seen(range(hours + 1)) - before)) if before else ()


def band_of(points: Sequence[Tally], factor: float) -> Band:
    """Return the band of the rate, from hours to compare with and from how far its odds may be multiplied."""
    ordered = sorted(points, key=lambda tally: tally.refused / tally.decisions)
    outer = len(ordered) // 4
    middle = ordered[outer : len(ordered) - outer]
    refused, decisions = sum(one.refused for one in middle), sum(one.decisions for one in middle)
    room = _SIGMAS * sqrt(refused * (decisions - refused) / decisions) + _ROOM
    low, high = max(0.0, (refused - room) / decisions), min(1.0, (refused + room) / decisions)
    return Band(refused / decisions, _multiplied(low, 1 / factor), _multiplied(high, factor))


def spread_factor(tallies: Iterable[Tally]) -> float:
    """Return how far the odds of a refusal usually stray, as a factor: three standard deviations, and at least two."""
    odds = [
        log((refused + 0.5) / (decisions - refused + 0.5))
        for refused, decisions in tallies
        if refused >= _CLEAR and decisions - refused >= _CLEAR
    ]
    if len(odds) < _CLEAR_HOURS:
        return _LEAST_FACTOR
    middle = median(odds)
    return max(_LEAST_FACTOR, exp(_SIGMAS * _MAD_TO_SIGMA * median(abs(one - middle) for one in odds)))


def leaves(tally: Tally, band: Band) -> bool:
    """Return whether a tally is out of the band, and chance would make it so less than once in a million hours.

    The bound is Chernoff's: at a true rate p, the chance of a share as far out as x among n is at most
    exp(-n · (x·ln(x/p) + (1-x)·ln((1-x)/(1-p)))).
    """
    if not tally.decisions:
        return False
    rate = tally.refused / tally.decisions
    edge = band.high if rate > band.high else band.low
    if band.low <= rate <= band.high:
        return False
    return tally.decisions * (_term(rate, edge) + _term(1 - rate, 1 - edge)) > _SURPRISE


def _term(share: float, expected: float) -> float:
    return share * log(share / expected) if share > 0 else 0.0


def _multiplied(rate: float, factor: float) -> float:
    """Return the rate whose odds are `factor` times those of `rate`."""
    return rate * factor / (1 - rate + rate * factor)


def _mostly(key: Key, rows: Iterable[Row]) -> Iterator[tuple[Dimension, str | None, int]]:
    """Yield, for each other dimension, what most refusals of a key had in common; of a rule's that is not counted."""
    if key[0] == RULE:
        return
    counts: defaultdict[Dimension, Counter[str | None]] = defaultdict(Counter)
    for _, operation, outcome, reason, country, _, decisions in rows:
        values = {Dimension.COUNTRY: country, Dimension.REASON: reason, Dimension.OPERATION: operation}
        if outcome == Outcome.DENY and values.pop(Dimension(key[0])) == key[1]:
            for dimension, value in values.items():
                counts[dimension][value] += decisions
    for dimension, counted in counts.items():
        ((value, count),) = counted.most_common(1)
        yield dimension, value, count
