"""What a process does besides deciding, as Prometheus reads it: errands, messages of the Outbox, observed logins."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from gateway.desk.carried import Outcome


class Delivered(NamedTuple):
    """What became of messages since the process started."""

    delivered: int
    failed: int
    """Tries that failed and are repeated."""
    parked: int


class Observed(NamedTuple):
    """What became of observed logins since the process started."""

    lost: int
    unnamed: int


class DeskCounts(NamedTuple):
    """What one process did since it started."""

    errands: Mapping[Outcome, int]
    put_off: int
    """Decisions whose errands were not done before the answer."""
    files_removed: int = 0
    """Files of evidence that no ticket came to name."""
    outbox: Delivered | None = None
    """None where nobody is to be told."""
    logins: Observed | None = None
    """None where no route is watched."""


_OUTBOX: Final = {
    "delivered": ("gateway_outbox_delivered", "Messages that this process delivered."),
    "failed": ("gateway_outbox_failed_tries", "Tries of this process that failed and are repeated."),
    "parked": ("gateway_outbox_parked", "Messages that this process gave up on: `gateway outbox list` shows them."),
}
_LOGINS: Final = {
    "lost": ("gateway_logins_lost", "Observed logins that were not written."),
    "unnamed": ("gateway_logins_unnamed", "Observed logins of which the app did not say whose they were."),
}


class DeskMetrics(Collector):
    """The metrics of one process."""

    def __init__(self, counts: Callable[[], DeskCounts]) -> None:
        self._counts = counts

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        counts = self._counts()
        errands = CounterMetricFamily(
            "gateway_errands", "What became of errands that were carried out before the answer.", labels=["outcome"]
        )
        for outcome in Outcome:
            errands.add_metric([outcome], counts.errands.get(outcome, 0))
        yield errands
        yield CounterMetricFamily(
            "gateway_errands_put_off",
            "Decisions whose errands were not done before the answer: they are done from the journal.",
            value=counts.put_off,
        )
        yield CounterMetricFamily(
            "gateway_evidence_removed",
            "Files of evidence that a fault had left without a ticket, and that this process removed.",
            value=counts.files_removed,
        )
        for told, metrics in ((counts.outbox, _OUTBOX), (counts.logins, _LOGINS)):
            for field, (name, what) in metrics.items() if told is not None else ():
                yield CounterMetricFamily(name, what, value=getattr(told, field))
