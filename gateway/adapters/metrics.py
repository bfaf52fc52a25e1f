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
    "errands": ("gateway_errands_recovered", "Errands that only the journal brought about since shipping began."),
    "errands_unreadable": (
        "gateway_errands_unreadable",
        "Recorded rulings since shipping began that asked for something nobody could make out.",
    ),
}

_SINK: Final = "sink:"
"""What is written down of a sink begins so; its name follows, and then the field, after another colon."""
_SINK_COUNTERS: Final = {
    "sent": ("gateway_sink_decisions", "Decisions that the sink has taken since shipping began, repeats included."),
    "failures": ("gateway_sink_failures", "How often the sink did not take a batch since shipping began."),
    "unreadable": ("gateway_sink_unreadable", "Decisions left out, since they could not be read."),
    "missed": ("gateway_sink_segments_missed", "Segments removed for want of room before the sink had them."),
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
        if "shipped" in progress:
            yield from _archive(progress, now)
        yield GaugeMetricFamily(
            "gateway_journal_bytes", "Room that the journal's segments take.", value=progress.get("journal_bytes") or 0
        )
        for field, (name, what) in _COUNTERS.items():
            if field in progress:
                yield _counter(name, what, progress[field] or 0)
        yield from _sinks(progress, now)


def _archive(progress: Mapping[str, int | None], now: int) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "gateway_shipping_lag_seconds",
        "Age of the oldest decision that the archive does not have; 0 where it has all.",
        value=_lag(progress.get("oldest"), progress, now),
    )
    yield GaugeMetricFamily(
        "gateway_shipping_behind_bytes",
        "Bytes of the journal that the archive does not have.",
        value=progress.get("behind_bytes") or 0,
    )


def _sinks(progress: Mapping[str, int | None], now: int) -> Iterator[Metric]:
    sinks: dict[str, dict[str, int | None]] = {}
    for key, value in progress.items():
        if key.startswith(_SINK):
            name, _, field = key.removeprefix(_SINK).partition(":")
            sinks.setdefault(name, {})[field] = value
    if not sinks:
        return
    lag = GaugeMetricFamily(
        "gateway_sink_lag_seconds", "Age of the oldest decision that the sink does not have.", labels=["sink"]
    )
    behind = GaugeMetricFamily(
        "gateway_sink_behind_bytes", "Bytes of the journal that the sink does not have.", labels=["sink"]
    )
    for name, fields in sinks.items():
        lag.add_metric([name], _lag(fields.get("oldest"), progress, now))
        behind.add_metric([name], fields.get("behind_bytes") or 0)
    yield lag
    yield behind
    for field, (metric, what) in _SINK_COUNTERS.items():
        counter = CounterMetricFamily(metric, what, labels=["sink"])
        for name, fields in sinks.items():
            counter.add_metric([name], fields.get(field) or 0)
        yield counter


def _lag(oldest: int | None, progress: Mapping[str, int | None], now: int) -> float:
    """Return how old what waits is, in seconds. Who ships and fell silent is as far behind as it is silent."""
    at = progress.get("at") or now
    since = at if oldest is None and now - at > _STALE_US else oldest
    return 0 if since is None else max(0, now - since) / MICROSECONDS


def _counter(name: str, what: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(name, what, value=value)
