"""What a shadow found, in a small file beside the journal: whoever follows it writes it, every process can read it."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

_NAME: Final = "shadow.json"
_LARGEST: Final = 16 * 1024 * 1024


class ShadowFile:
    """The file of one journal folder."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / _NAME

    def write(self, found: Mapping[str, Any]) -> None:
        """Write it down, whole or not at all, for nobody else to read. Raise OSError."""
        beside = self.path.with_suffix(f".{os.getpid()}")
        private = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(private, "wb") as file:
            file.write(orjson.dumps(found))
        beside.replace(self.path)

    def read(self) -> dict[str, Any]:
        """Return what was written last; nothing where there is nothing that can be read."""
        try:
            with self.path.open("rb") as file:
                found = orjson.loads(file.read(_LARGEST))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


class ShadowMetrics(Collector):
    """The same, as metrics. `read` returns what was written down last."""

    def __init__(self, read: Callable[[], Mapping[str, Any]]) -> None:
        self._read = read

    @override
    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now; nothing where no candidate is followed."""
        found = self._read()
        if "decisions" not in found:
            return
        yield CounterMetricFamily(
            "gateway_shadow_decisions", "Decisions weighed under the candidate.", value=found["decisions"]
        )
        diverged = CounterMetricFamily(
            "gateway_shadow_divergences",
            "Decisions that the candidate would have given another outcome.",
            labels=["from", "to", "rule"],
        )
        for one in found.get("divergences", ()):
            diverged.add_metric([one["from"], one["to"], one["rule"]], one["decisions"])
        yield diverged
        yield GaugeMetricFamily(
            "gateway_shadow_refused",
            "1 where the candidate as it is now does not load, and the one before it is followed on.",
            value=1 if found.get("refused") else 0,
        )
