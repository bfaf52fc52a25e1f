"""Spans on their way to a collector, over OTLP. A collector that is slow or away costs spans, which are counted."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from gateway.adapters.conveyor import Conveyor
from gateway.core.errors import ConfigError

log: Any = structlog.get_logger("gateway")

_ROOM: Final = 4096
"""Spans that wait at most."""
_TRY_S: Final = 5.0
"""How long a batch is tried, again and again."""
_SAY_EVERY_S: Final = 60.0
_LARGEST_HEADERS: Final = 16 * 1024
_SAMPLED: Final = 1


class Done(Protocol):
    """A span as `enforce.tracing` makes it."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def trace_id(self) -> int:
        """Of the trace."""

    @property
    def span_id(self) -> int:
        """Of the span."""

    @property
    def parent_id(self) -> int | None:
        """Of the span that it belongs under; None where the trace begins here."""

    @property
    def start(self) -> int:
        """Microseconds since the epoch."""

    @property
    def end(self) -> int:
        """Microseconds since the epoch."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What it says."""

    @property
    def failed(self) -> bool:
        """Whether it is an error."""


class SpanExport(Collector):
    """A bounded queue, and a thread that sends what is in it."""

    def __init__(
        self,
        endpoint: str,
        *,
        service_name: str,
        service_version: str,
        headers_file: Path | None = None,
        ca_file: Path | None = None,
        room: int = _ROOM,
    ) -> None:
        """Raise ConfigError where the extra is not installed, or the headers cannot be read."""
        try:
            exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
            self._sdk = import_module("opentelemetry.sdk.trace")
            self._api = import_module("opentelemetry.trace")
            resources = import_module("opentelemetry.sdk.resources")
            scope = import_module("opentelemetry.sdk.util.instrumentation")
        except ImportError as fault:
            raise ConfigError(
                f"`[tracing]`: `{fault.name}` is missing; install the extra: pip install 'geofence-gateway[otel]'"
            ) from None
        # What fails is said below, as an event. These libraries would write lines of their own to stderr.
        theirs = logging.getLogger("opentelemetry")
        theirs.addHandler(logging.NullHandler())
        theirs.propagate = False
        self._resource = resources.Resource.create({"service.name": service_name, "service.version": service_version})
        self._scope = scope.InstrumentationScope("gateway", service_version)
        self._exporter = exporter.OTLPSpanExporter(
            endpoint=endpoint,
            headers={} if headers_file is None else _headers(headers_file),
            certificate_file=None if ca_file is None else str(ca_file),
            timeout=_TRY_S,
        )
        self._conveyor = Conveyor(self._send, name="spans", room=room, hurry=self._exporter.shutdown)
        self.put: Callable[[Done], None] = self._conveyor.put
        """Takes a span; drops it where too many wait. Never waits."""
        self.start = self._conveyor.start
        self.close = self._conveyor.close
        self._said_at: float | None = None
        self.sent = 0
        """Spans that the collector took."""
        self._refused = 0

    @property
    def dropped(self) -> int:
        """Spans that found no room, or that the collector did not take."""
        return self._conveyor.dropped + self._refused

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield what was sent and what was not."""
        yield CounterMetricFamily("gateway_spans_sent", "Spans that the collector took.", value=self.sent)
        yield CounterMetricFamily(
            "gateway_spans_dropped", "Spans that found no room, or that the collector did not take.", value=self.dropped
        )

    def _send(self, batch: Sequence[Done]) -> None:
        try:
            taken = self._exporter.export(self._spans(batch)).name == "SUCCESS"
        except Exception as fault:  # noqa: BLE001 - whatever it is, requests go on, and so does this thread
            log.error("tracing:failed", error=type(fault).__name__)  # noqa: TRY400 - it may quote a request
            taken = False
        if taken:
            self.sent += len(batch)
            return
        self._refused += len(batch)
        now = time.monotonic()
        if self._said_at is None or now - self._said_at >= _SAY_EVERY_S:
            self._said_at = now
            log.warning("tracing:not_exported", dropped=self.dropped)

    def _spans(self, batch: Sequence[Done]) -> list[Any]:
        trace, status = self._api, self._api.status
        flags = trace.TraceFlags(_SAMPLED)

        def context(trace_id: int, span_id: int, *, remote: bool) -> Any:  # noqa: ANN401 - the extra's
            return trace.SpanContext(trace_id, span_id, is_remote=remote, trace_flags=flags)

        return [
            self._sdk.ReadableSpan(
                one.name,
                context=context(one.trace_id, one.span_id, remote=False),
                parent=None if one.parent_id is None else context(one.trace_id, one.parent_id, remote=True),
                resource=self._resource,
                attributes=one.attributes,
                kind=trace.SpanKind.SERVER,
                status=status.Status(status.StatusCode.ERROR if one.failed else status.StatusCode.UNSET),
                start_time=one.start * 1000,
                end_time=max(one.start, one.end) * 1000,
                instrumentation_scope=self._scope,
            )
            for one in batch
        ]


def _headers(path: Path) -> dict[str, str]:
    """Return headers as a file has them, `Name: value` on each line. Raise ConfigError, never with what it holds."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = [line.strip() for line in file.read(_LARGEST_HEADERS).splitlines()]
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"tracing.headers_file: `{path}` cannot be read: {type(fault).__name__}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, colon, value = line.partition(":")
        if not line or line.startswith("#"):
            continue
        if not colon or not name.strip().replace("-", "").isalnum() or not value.strip():
            raise ConfigError(
                f"tracing.headers_file: `{path}`, line {number}: write a name, a colon and a value, such as "
                "`Authorization: Bearer …`"
            )
        found[name.strip().lower()] = value.strip()
    return found
