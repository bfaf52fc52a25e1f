"""How much is in work, what was refused for want of time, and what is not asked since it did not answer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from gateway.core.failing import Kind


class Working(Protocol):
    """What is counted of the work."""

    @property
    def in_work(self) -> int:
        """Requests that are decided anew now."""

    @property
    def late(self) -> float:
        """Seconds by which the event loop is late."""

    @property
    def shed(self) -> Mapping[Kind, int]:
        """Requests refused since the start."""


class Guarding(Protocol):
    """What is counted of a part that may be left alone."""

    @property
    def what(self) -> str:
        """Which part."""

    @property
    def is_open(self) -> bool:
        """Whether it is left alone now."""

    @property
    def opened(self) -> int:
        """How often that began."""

    @property
    def refused(self) -> int:
        """How often it was not asked."""


class FailingMetrics(Collector):
    """What one process counts while something fails."""

    def __init__(self, working: Working, guarding: Sequence[Guarding]) -> None:
        self._working = working
        self._guarding = guarding

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        work = self._working
        yield GaugeMetricFamily("gateway_requests_in_work", "Requests that are decided anew now.", value=work.in_work)
        yield GaugeMetricFamily(
            "gateway_loop_late_seconds",
            "By how much the event loop was late in each of its last looks.",
            value=work.late,
        )
        shed = CounterMetricFamily(
            "gateway_requests_shed", "Requests refused since there was too much to do.", labels=["kind"]
        )
        for kind in Kind:
            shed.add_metric([str(kind)], work.shed.get(kind, 0))
        yield shed
        is_open = GaugeMetricFamily(
            "gateway_breaker_open", "1 where the part did not answer in time and is left alone.", labels=["part"]
        )
        opened = CounterMetricFamily("gateway_breaker_opened", "How often that began.", labels=["part"])
        refused = CounterMetricFamily("gateway_breaker_refused", "How often the part was not asked.", labels=["part"])
        for one in self._guarding:
            is_open.add_metric([one.what], one.is_open)
            opened.add_metric([one.what], one.opened)
            refused.add_metric([one.what], one.refused)
        yield is_open
        yield opened
        yield refused
