"""What is told of each request while it is answered, as the configuration says: spans, and lines of the log."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from prometheus_client.registry import Collector

from gateway.adapters.request_log import RequestLog
from gateway.adapters.spans import SpanExport
from gateway.app.terms import read_pseudonyms
from gateway.config import Settings
from gateway.core.addresses import Networks
from gateway.enforce.asgi import App
from gateway.enforce.request_log import Logged, Saying
from gateway.enforce.tracing import Traced
from gateway.ports import Clock
from gateway.service.told import Shown, Teller


class Watching:
    """What watches requests being answered. Where nothing is configured there is nothing, and it costs nothing."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Build. Raise ConfigError where the extra for traces, or a file, is missing."""
        self._settings = settings
        self._clock = clock
        said = settings.log.requests
        self._log = None if said == "none" else RequestLog()
        self.saying = None
        """Says decisions; None where none is to be said."""
        if self._log is not None:
            teller = _teller(settings.log.personal, settings.archive.digest_key)
            self.saying = Saying(put=self._log.put, teller=teller, clock=clock, allowed=said == "all")
        tracing = settings.tracing
        self._spans = None
        self._traced: Traced | None = None
        if tracing is not None:
            self._spans = SpanExport(
                tracing.endpoint,
                service_name=tracing.service_name,
                service_version=version("geofence-gateway"),
                headers_file=tracing.headers_file,
                ca_file=tracing.ca_file,
            )

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """What counts the lines and spans that were dropped."""
        return tuple(one for one in (self._log, self._spans) if one is not None)

    @property
    def has_spans(self) -> bool:
        """Whether requests have spans."""
        return self._spans is not None

    @property
    def has_any(self) -> bool:
        """Whether anything watches requests being answered."""
        return self._spans is not None or self._log is not None

    def around(self, app: App) -> App:
        """Return the app with whatever watches it; the app itself where nothing does."""
        if self.saying is not None:
            app = Logged(app, self.saying)
        tracing = self._settings.tracing
        if tracing is None or self._spans is None:
            return app
        self._traced = Traced(
            app,
            put=self._spans.put,
            teller=_teller(tracing.personal, self._settings.archive.digest_key),
            clock=self._clock,
            sample=tracing.sample,
            believed=_trusted(self._settings),
        )
        return self._traced

    def changing(self, settings: Settings) -> Callable[[], None]:
        """Return what takes changed settings into use. Raise ConfigError where they cannot be."""
        believed = _trusted(settings)

        def take() -> None:
            if self._traced is not None:
                self._traced.believed = believed

        return take

    def start(self) -> None:
        """Begin to write and to send."""
        for one in (self._log, self._spans):
            if one is not None:
                one.start()

    def close(self) -> None:
        """Write and send what waits, within some seconds."""
        for one in (self._log, self._spans):
            if one is not None:
                one.close()


def _trusted(settings: Settings) -> Networks:
    return Networks(settings.client_ip.trusted_proxies, what="client_ip.trusted_proxies")


def _teller(shown: Shown, key: Path | None) -> Teller:
    return Teller(shown, read_pseudonyms(key) if shown == "digest" else None)
