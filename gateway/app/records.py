"""The decisions on record: found, explained, made again."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.adapters.clock import SystemClock
from gateway.adapters.policy_files import BundleArchive
from gateway.adapters.recorded import RecordedDecisions, read_documents
from gateway.app.parts import bundle_of
from gateway.config import Settings, load
from gateway.core.decision import Document, parse_instant
from gateway.core.errors import ConfigError, GatewayError, ReplayError
from gateway.policies.explain import Explanation, explain
from gateway.service.replay import Replayed, Replayer

_AGO = re.compile(r"([0-9]{1,6})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Records:
    """The journal of one configuration, and the bundles that its decisions were made by."""

    def __init__(self, settings: Settings) -> None:
        self.directory = settings.journal.directory
        self._settings = settings
        self._archive = BundleArchive(self.directory / "bundles")
        self._decisions = RecordedDecisions(self.directory)
        self._replayer = Replayer(self._sources_of)

    @classmethod
    def of(cls, config: Path) -> "Records":
        """Return the records that a gateway with this configuration writes. Raise ConfigError."""
        return cls(load(config))

    def _sources_of(self, digest: str) -> Mapping[str, str] | None:
        """Return the texts of the bundle: as archived, or as configured now where they are the same."""
        archived = self._archive.get(digest)
        if archived is not None:
            return archived
        try:
            configured = bundle_of(self._settings)
        except GatewayError:
            return None
        return configured.sources if configured.digest == digest else None

    def find(self, decision_id: str) -> Document | None:
        """Return the decision with this id, or None."""
        return self._decisions.find(decision_id)

    def since(self, text: str) -> Iterator[Document]:
        """Yield the decisions since an instant (RFC 3339) or for so long (`90m`, `24h`, `7d`). Raise ConfigError."""
        ago = _AGO.match(text)
        if ago:
            since = SystemClock().now() - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000
        else:
            try:
                since = parse_instant(text)
            except ValueError as fault:
                raise ConfigError(
                    f"--since: {fault}; write an instant such as 2026-11-01T00:00:00Z, or how long ago: 90m, 24h, 7d"
                ) from None
        return read_documents(self.directory, since)

    def explain(self, document: Document) -> Explanation:
        """Return the decision in sentences; without the rules' own words where its bundle is not at hand."""
        try:
            bundle = self._replayer.bundle(str(document.get("bundle")))
        except ReplayError:
            bundle = None
        return explain(document, bundle)

    def replay(self, document: Document) -> Replayed:
        """Return whether the document's facts give its verdict again."""
        return self._replayer.replay(document)
