"""What the gateway counts, as Prometheus reads it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from gateway.ports import MICROSECONDS, Clock

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_STALE_US: Final = 10 * MICROSECONDS
"""Shipping that said nothing for so long has stopped: from then on it is as far behind as it is silent."""

_COUNTERS: Final = {
    "shipped": ("gateway_shipping_decisions", "Decisions taken into the archive since shipping began."),
    "faults": ("gateway_shipping_faults", "How often the archive could not be written since shipping began."),
    "damaged": ("gateway_journal_damaged", "Places of the journal that could not be read since shipping began."),
    "removed": ("gateway_journal_segments_removed", "Segments removed since shipping began."),
}


class Metrics(Collector):
    """The registry of one gateway."""

    def __init__(
        self, *, progress: Callable[[], Mapping[str, int | None]], unrecorded: Callable[[], int], clock: Clock
    ) -> None:
        """Build.

        Args:
            progress: what shipping wrote down last: see `service.shipping.Progress`; empty where nothing is shipped.
            unrecorded: how many requests this process answered without a record.
            clock: for the age of what was written down.
        """
        self.registry = CollectorRegistry()
        self._progress = progress
        self._unrecorded = unrecorded
        self._clock = clock
        self.registry.register(self)

    def exposition(self) -> bytes:
        """Return everything in the text format, to be sent as `CONTENT_TYPE`."""
        return generate_latest(self.registry)

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        yield _counter(
            "gateway_decisions_unrecorded", "Requests that this process answered without a record.", self._unrecorded()
        )
        progress = self._progress()
        at = progress.get("at")
        if at is None:
            return
        now = self._clock.now()
        since = progress.get("oldest")
        if since is None and now - at > _STALE_US:
            since = at
        lag = 0 if since is None else max(0, now - since)
        yield GaugeMetricFamily(
            "gateway_shipping_lag_seconds",
            "Age of the oldest decision that the archive does not have; 0 where it has all.",
            value=lag / MICROSECONDS,
        )
        for name, field, what in (
            ("gateway_shipping_behind_bytes", "behind_bytes", "Bytes of the journal that the archive does not have."),
            ("gateway_journal_bytes", "journal_bytes", "Room that the journal's segments take."),
        ):
            yield GaugeMetricFamily(name, what, value=progress.get(field) or 0)
        for field, (name, what) in _COUNTERS.items():
            yield _counter(name, what, progress.get(field) or 0)


def _counter(name: str, what: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(name, what, value=value)
