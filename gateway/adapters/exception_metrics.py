"""How many exceptions to rules there are, as Prometheus reads it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from gateway.policies.excepting import NOTICE_DAYS, Standing, days_left, standing
from gateway.policies.rules import PolicyException
from gateway.ports import Clock


class ExceptionMetrics(Collector):
    """The exceptions of the bundle that decides."""

    def __init__(self, exceptions: Callable[[], Sequence[PolicyException]], clock: Clock) -> None:
        self._exceptions = exceptions
        self._clock = clock

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        now, some = self._clock.now(), self._exceptions()
        count = Counter(standing(one, now) for one in some)
        states = GaugeMetricFamily(
            "gateway_policy_exceptions", "Exceptions to rules, by where they stand.", labels=["state"]
        )
        for state in Standing:
            states.add_metric([state.replace(" ", "_")], count[state])
        yield states
        soon = sum(one.in_force(now) and days_left(one, now) <= NOTICE_DAYS for one in some)
        yield GaugeMetricFamily(
            "gateway_policy_exceptions_expiring", f"Exceptions in force that end within {NOTICE_DAYS} days.", value=soon
        )
