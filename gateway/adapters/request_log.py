"""One line of the log for each request, in the words of the Elastic Common Schema, written by a thread of its own."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import orjson
import structlog
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from gateway.adapters.conveyor import Conveyor
from gateway.core.decision import instant_text
from gateway.core.exports import ECS_VERSION
from gateway.core.terms import Outcome

log: Any = structlog.get_logger("gateway")

_EVENTS: Final = {
    Outcome.ALLOW: "access:allowed",
    Outcome.CHALLENGE: "access:challenged",
    Outcome.DENY: "access:denied",
}


class Line(NamedTuple):
    """What one line says; fields without a value are left out."""

    at: int
    """When the request arrived, microseconds since the epoch."""
    took_us: int
    """Until its answer was there whole."""
    told: Any
    """`service.told.Told`; None where the request failed before it was decided."""
    status: int | None
    """What was answered in the end: where it was let through, by what is behind the gateway."""


class RequestLog(Collector):
    """Takes requests without waiting; where the log is slower than they come, lines are dropped and counted."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        """Build. `write` takes whole lines; without it they go to stderr."""
        self._write = write
        self._failed = 0
        # Soon: whoever watches the log waits for it.
        self._conveyor: Conveyor[Callable[[], Line]] = Conveyor(self._carry, name="request-log", every_s=0.1)
        self.put = self._conveyor.put
        """Takes what makes a line, which the thread calls."""
        self.start = self._conveyor.start
        self.close = self._conveyor.close

    @property
    def dropped(self) -> int:
        """Lines that found no room, or could not be written."""
        return self._conveyor.dropped + self._failed

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield how many lines were dropped."""
        yield CounterMetricFamily("gateway_log_lines_dropped", "Requests that the log did not say.", value=self.dropped)

    def _carry(self, batch: Sequence[Callable[[], Line]]) -> None:
        lines = []
        for one in batch:
            try:
                lines.append(_text(one()))
            except (TypeError, ValueError) as fault:
                # The thread goes on: one line that cannot be written must not be the last.
                log.error("log:line_failed", error=type(fault).__name__)  # noqa: TRY400 - it may quote the request
                self._failed += 1
        try:
            # Looked up for each batch: stderr may be replaced.
            (self._write or sys.stderr.write)("".join(lines))
        except (OSError, ValueError):
            # Nobody reads the log any more; there is nowhere to say so.
            self._failed += len(lines)


def _text(line: Line) -> str:
    said = {name: value for name, value in _fields(line).items() if value is not None}
    return orjson.dumps(said).decode() + "\n"


def _fields(line: Line) -> dict[str, object]:
    told, status = line.told, line.status
    fields: dict[str, object] = {
        "@timestamp": instant_text(line.at),
        "log.level": "info" if told is not None and (status or 0) < 500 else "error",
        "ecs.version": ECS_VERSION,
        "event.action": "access:failed",
        "event.outcome": "failure",
        "event.duration": line.took_us * 1000,
        "http.response.status_code": status,
    }
    if told is None:
        return fields
    address = told.address
    whole = address is not None and "/" not in address
    return {
        **fields,
        "event.action": _EVENTS[Outcome(told.outcome)],
        "event.outcome": "success" if told.outcome == Outcome.ALLOW else "failure",
        "event.reason": told.reason,
        "source.address": address,
        "source.ip": address if whole else None,
        "source.geo.country_iso_code": told.country,
        "http.request.method": told.method,
        "url.path": told.path,
        "user.id": told.account,
        "user_agent.original": told.user_agent,
        "rule.id": told.rules[0] if told.rules else None,
        "trace.id": told.trace_id,
        "gateway.decision.id": told.decision_id,
        "gateway.operation": told.operation,
        "gateway.access": told.access,
        "gateway.rules": list(told.rules) or None,
    }
