"""What became of Redis, as Prometheus reads it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

RESULTS: Final = ("used", "missing", "old", "refused", "away")


class RedisCounts(NamedTuple):
    """What one process saw of it since it started."""

    up: bool
    faults: int
    results: Mapping[str, int]
    rung: int
    heard: int
    buckets: list[tuple[str, float]]
    sum_s: float


class RedisMetrics(Collector):
    """The metrics of one process."""

    def __init__(self, counts: Callable[[], RedisCounts]) -> None:
        self._counts = counts

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        counts = self._counts()
        yield GaugeMetricFamily("gateway_redis_up", "Whether Redis answered last.", value=int(counts.up))
        yield CounterMetricFamily(
            "gateway_redis_faults", "How often it was lost, or could not be reached.", value=counts.faults
        )
        reads = CounterMetricFamily(
            "gateway_redis_reads", "What came of reads of accounts and revocations in Redis.", labels=["result"]
        )
        for result in RESULTS:
            reads.add_metric([result], counts.results.get(result, 0))
        yield reads
        rings = CounterMetricFamily("gateway_redis_rings", "Rings of the bell.", labels=["direction"])
        rings.add_metric(["sent"], counts.rung)
        rings.add_metric(["heard"], counts.heard)
        yield rings
        yield HistogramMetricFamily(
            "gateway_redis_command_seconds",
            "How long commands took that were answered.",
            buckets=counts.buckets,
            sum_value=counts.sum_s,
        )
