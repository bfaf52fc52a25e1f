"""The archive in memory: the plain meaning of the port, which other archives are compared with."""

from collections import Counter
from collections.abc import Mapping, Sequence

from gateway.adapters.archive.documents import Kind, ReadRuling, archived_document, hour_of, id_of, read_ruling
from gateway.core.decision import Document
from gateway.core.errors import StoreUnavailable
from gateway.core.search import MOST, Findable, Page, Search, cursor_of, packed_range, read_cursor
from gateway.ports import Count, RecordedDecision, Stretch


class MemoryArchive:
    """The `Archive` port without a store: for tests, and for gateways that keep nothing. It answers by looking at all.

    What it was given lasts as long as it does, whether it is closed or not.
    """

    def __init__(self) -> None:
        self._rulings: dict[bytes, tuple[bytes, ReadRuling]] = {}
        self._decisions: dict[bytes, RecordedDecision] = {}
        self._taken: dict[str, tuple[int, int]] = {}
        self._counts: Counter[tuple[int, Kind]] = Counter()

    async def start(self) -> None:
        """Do nothing: there is nothing to open."""

    async def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    async def taken(self) -> Mapping[str, tuple[int, int]]:
        """Return how far each worker's journal was taken: the segment, and the offset in it."""
        return dict(self._taken)

    async def take(self, stretch: Stretch) -> int:
        """Return how many decisions of the stretch were new. Raise StoreUnavailable where one lacks its ruling."""
        check_rulings(stretch)
        new = 0
        for decision in stretch.decisions:
            if decision.id not in self._decisions:
                if decision.ruling not in self._rulings:
                    document = stretch.rulings[decision.ruling]
                    self._rulings[decision.ruling] = (document, read_ruling(document))
                self._decisions[decision.id] = decision
                self._counts[hour_of(decision.at), self._rulings[decision.ruling][1].kind] += 1
                new += 1
        reached = (stretch.segment, stretch.end)
        self._taken[stretch.worker] = max(reached, self._taken.get(stretch.worker, reached))
        return new

    async def find(self, decision_id: str) -> Document | None:
        """Return the decision document, or None."""
        decision = self._decisions.get(id_of(decision_id) or b"")
        return None if decision is None else self._document(decision)

    async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return the decisions that a search finds, newest id first. Raise SearchError for a cursor that is none."""
        before = None if cursor is None else read_cursor(cursor)
        limit = min(max(limit, 1), MOST)
        found = [
            decision
            for _, decision in sorted(self._decisions.items(), reverse=True)
            if (before is None or decision.id < before)
            and (search.since is None or decision.at >= search.since)
            and (search.until is None or decision.at < search.until)
            and fits(self._rulings[decision.ruling][1].found_by, search)
        ]
        page = tuple(self._document(decision) for decision in found[:limit])
        return Page(page, cursor_of(found[limit - 1].id) if len(found) > limit else None)

    async def counts(self, since: int, until: int) -> Sequence[Count]:
        """Return how many decisions each hour that begins in `[since, until)` had, of each kind, oldest first."""
        counts = [Count(hour, *kind, number) for (hour, kind), number in self._counts.items() if since <= hour < until]
        return sorted(counts, key=lambda count: count.hour)

    async def forget(self, before: int) -> int:
        """Remove decisions made before this instant, and rulings that nothing else names; return how many decisions."""
        kept = {key: decision for key, decision in self._decisions.items() if decision.at >= before}
        named = {decision.ruling for decision in kept.values()}
        gone = len(self._decisions) - len(kept)
        self._decisions = kept
        self._rulings = {digest: ruling for digest, ruling in self._rulings.items() if digest in named}
        return gone

    def _document(self, decision: RecordedDecision) -> Document:
        return archived_document(self._rulings[decision.ruling][0], decision)


def fits(found_by: Findable, search: Search) -> bool:
    """Return whether a ruling satisfies every condition of the search but those on time."""
    asked: list[bool] = []
    if search.account is not None:
        asked.append(found_by.account == search.account)
    if search.address is not None:
        first, last = packed_range(search.address)
        asked.append(found_by.address is not None and first <= found_by.address <= last)
    if search.country is not None:
        asked.append(search.country in found_by.countries)
    if search.asn is not None:
        asked.append(search.asn in found_by.asns)
    if search.operation is not None:
        asked.append(found_by.operation == search.operation)
    if search.outcome is not None:
        asked.append(found_by.outcome == search.outcome)
    if search.reason is not None:
        asked.append(found_by.reason == search.reason)
    if search.rule is not None:
        asked.append(search.rule in found_by.rules)
    if search.bundle is not None:
        asked.append(found_by.bundle.startswith(search.bundle))
    return all(asked)


def check_rulings(stretch: Stretch) -> None:
    """Raise StoreUnavailable where a decision names a ruling that the stretch does not bring."""
    for decision in stretch.decisions:
        if decision.ruling not in stretch.rulings:
            raise StoreUnavailable(
                f"journal of {stretch.worker}, segment {stretch.segment}, {stretch.start} to {stretch.end}: "
                f"decision {decision.id.hex()} names a ruling that the stretch does not bring"
            )
