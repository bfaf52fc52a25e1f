"""How many requests were answered in each way, and how long deciding took, as Prometheus reads it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from gateway.core.tallies import TOOK, Tally, Way
from gateway.ports import MICROSECONDS, Clock

_FIRST, _LAST = 5, 20
"""Bits of the microseconds in the lowest and the highest bucket: 32 µs, and a second."""
_BOUNDS: Final = [(bits, str((1 << bits) / MICROSECONDS)) for bits in range(_FIRST, _LAST + 1)]


class DecisionMetrics(Collector):
    """What this process decided."""

    def __init__(
        self,
        tallies: Callable[[], Iterable[tuple[Way, Tally]]],
        ages: Callable[[int], Iterable[tuple[str, int | None]]],
        clock: Clock,
    ) -> None:
        """Build. `ages` are those of the databases in use at an instant, in seconds."""
        self._tallies = tallies
        self._ages = ages
        self._clock = clock

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        decisions = CounterMetricFamily(
            "gateway_decisions", "Requests that this process decided.", labels=["operation", "outcome", "reason"]
        )
        by_outcome: dict[str, Tally] = defaultdict(lambda: [0] * (TOOK + 1))
        for way, tally in self._tallies():
            decisions.add_metric(list(way), sum(tally[:TOOK]))
            together = by_outcome[way.outcome]
            by_outcome[way.outcome] = [one + other for one, other in zip(together, tally, strict=True)]
        yield decisions
        duration = HistogramMetricFamily(
            "gateway_decision_duration_seconds", "From a request's arrival to its decision.", labels=["outcome"]
        )
        for outcome, tally in by_outcome.items():
            up_to = list(accumulate(tally[:TOOK]))
            buckets = [(bound, float(up_to[bits])) for bits, bound in _BOUNDS]
            duration.add_metric([outcome], [*buckets, ("+Inf", float(up_to[-1]))], tally[TOOK] / MICROSECONDS)
        yield duration
        age = GaugeMetricFamily(
            "gateway_geo_database_age_seconds", "How old a database in use is.", labels=["database"]
        )
        for name, seconds in self._ages(self._clock.now()):
            if seconds is not None:
                age.add_metric([name], seconds)
        yield age
