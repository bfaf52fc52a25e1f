"""Which policies a process decides by, as Prometheus reads it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from gateway.ports import MICROSECONDS


class Status(NamedTuple):
    """What a process decides by."""

    digest: str
    since: int
    """Microseconds since the epoch."""
    adoptions: int
    """How often it took another bundle since it started."""
    refused: bool
    """Whether something else should decide here, and cannot."""


class PolicyMetrics(Collector):
    """The metrics of one process."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        status = self._status()
        bundle = GaugeMetricFamily(
            "gateway_policy_bundle", "1, with the digest of the bundle that decides.", labels=["digest"]
        )
        bundle.add_metric([status.digest], 1)
        yield bundle
        yield GaugeMetricFamily(
            "gateway_policy_since_seconds",
            "When this process began to decide by it, seconds since 1970.",
            value=status.since / MICROSECONDS,
        )
        yield GaugeMetricFamily(
            "gateway_policy_refused",
            "1 where another bundle should decide here and cannot be taken; the log says why.",
            value=int(status.refused),
        )
        yield CounterMetricFamily(
            "gateway_policy_adoptions", "How often this process took another bundle.", value=status.adoptions
        )
