"""The decisions on record: found, explained, made again."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from gateway.adapters.archive.documents import archived_document
from gateway.adapters.clock import SystemClock
from gateway.adapters.follow import Follower, find_untaken
from gateway.adapters.policy_files import BundleArchive
from gateway.adapters.recorded import find, read_documents
from gateway.app.again import asked_again
from gateway.app.parts import archive_to_ask, bundle_of
from gateway.config import Settings, load
from gateway.core.customer import DEFAULT
from gateway.core.decision import Document
from gateway.core.errors import ConfigError, GatewayError, ReplayError, SearchError, StoreUnavailable
from gateway.core.masking import Reader, Unmasking
from gateway.core.search import MOST, Search, read_instant
from gateway.policies.compare import Comparison
from gateway.policies.compile import Bundle
from gateway.policies.explain import Explanation, explain
from gateway.ports import Archive
from gateway.service.replay import Replayed, Replayer

log: Any = structlog.get_logger("gateway")


class Records:
    """The journal and the archive of one configuration, and the bundles that its decisions were made by."""

    def __init__(self, settings: Settings) -> None:
        self.directory = settings.journal.directory
        self._settings = settings
        self._archive = BundleArchive(self.directory / "bundles")
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
        """Return the decision with this id, or None: from the archive, else from what it has not taken yet.

        Where the archive cannot be asked, all of the journal is searched. Raise JournalDamaged. Not for use in a loop.
        """
        try:
            archive = archive_to_ask(self._settings)
            if archive is not None:
                return asyncio.run(self._find(archive, decision_id))
        except StoreUnavailable as fault:
            log.warning("archive:not_asked", why=str(fault))
        return find(self.directory, decision_id)

    async def _find(self, archive: Archive, decision_id: str) -> Document | None:
        try:
            await archive.start()
            # Asked first: what is taken while we look is found in the archive or in the journal, or in both.
            taken = await archive.taken()
            found = await archive.find(decision_id)
        finally:
            await archive.close()
        return found or find_untaken(self.directory, taken, decision_id)

    def since(self, text: str) -> Iterator[Document]:
        """Yield the decisions since an instant (RFC 3339) or for so long (`90m`, `24h`, `7d`), each once.

        Raise ConfigError for a text that says neither, StoreUnavailable where the archive cannot be asked: the journal
        alone may not go back that far. Not for use in a loop.
        """
        try:
            since = read_instant("--since", text, SystemClock().now())
        except SearchError as fault:
            raise ConfigError(str(fault)) from None
        archive = archive_to_ask(self._settings)
        return read_documents(self.directory, since) if archive is None else self._since(archive, since)

    def _since(self, archive: Archive, since: int) -> Iterator[Document]:
        with asyncio.Runner() as runner:
            try:
                runner.run(archive.start())
                # Asked first: what is taken while we read is in the archive and in the journal, and told once.
                taken = runner.run(archive.taken())
                told: set[bytes] = set()
                for stretch in Follower(self.directory).stretches(taken):
                    for decision in stretch.decisions:
                        if decision.at >= since:
                            told.add(decision.id)
                            yield archived_document(stretch.rulings[decision.ruling], decision)
                cursor: str | None = None
                while True:
                    page = runner.run(archive.search(Search(since=since), limit=MOST, cursor=cursor))
                    yield from (one for one in page.documents if UUID(one["id"]).bytes not in told)
                    cursor = page.cursor
                    if cursor is None:
                        return
            finally:
                runner.run(archive.close())

    def explain(
        self,
        document: Document,
        reader: Reader = Reader.SUPPORT,
        leave: Unmasking | None = None,
        language: str = DEFAULT,
        comparison: Comparison | None = None,
    ) -> Explanation:
        """Return the decision in sentences; without the rules' own words where its bundle is not at hand.

        `reader`, `leave` and `language` are as in `policies.explain`: without leave, support sees personal data masked.
        """
        return explain(document, self._bundle_of(document), reader, leave, comparison, language)

    def compare(self, document: Document) -> Comparison:
        """Return the recorded answer beside that of now. Raise ReplayError where none is. Not for use in a loop."""
        return asyncio.run(asked_again(self._settings, document, self._bundle_of(document)))

    def _bundle_of(self, document: Document) -> Bundle | None:
        try:
            return self._replayer.bundle(str(document.get("bundle")))
        except ReplayError:
            return None

    def replay(self, document: Document) -> Replayed:
        """Return whether the document's facts give its verdict again."""
        return self._replayer.replay(document)
