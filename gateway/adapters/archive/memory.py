"""The archive in memory: the plain meaning of the port, which other archives are compared with."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.adapters.archive.alike import HeldMoment
from gateway.adapters.archive.documents import (
    Kind,
    ReadRuling,
    archived_document,
    day_of,
    hour_of,
    id_of,
    read_ruling,
)
from gateway.adapters.clock import SystemClock
from gateway.core.decision import Document, request_line
from gateway.core.errors import StoreUnavailable
from gateway.core.keeping import Keep, keep_of
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import MOST, Findable, Page, Search, cursor_of, packed, packed_range, read_cursor
from gateway.ports import Clock, Count, Erasing, RecordedDecision, RuleCount, Step, Stretch, ruling_digest

QUIET_US: Final = 30 * 86_400_000_000
"""How long a worker must have been quiet, and named by nobody, before it is forgotten. Longer than a machine is away:
what a journal still holds must not be taken anew when it comes back."""


class MemoryArchive:
    """The `Archive` port without a store: for tests, and for gateways that keep nothing. It answers by looking at all.

    What it was given lasts as long as it does, whether it is closed or not.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._rulings: dict[bytes, tuple[bytes, ReadRuling]] = {}
        self._decisions: dict[bytes, RecordedDecision] = {}
        self._taken: dict[str, tuple[int, int]] = {}
        self._taken_at: dict[str, int] = {}
        self._counts: Counter[tuple[int, Kind]] = Counter()
        self._rule_counts: Counter[tuple[int, str, str]] = Counter()

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
                read, hour = self._rulings[decision.ruling][1], hour_of(decision.at)
                self._counts[hour, read.kind] += 1
                self._rule_counts.update((hour, rule, read.kind.bundle) for rule in read.refused_by)
                new += 1
        reached = (stretch.segment, stretch.end)
        self._taken[stretch.worker] = max(reached, self._taken.get(stretch.worker, reached))
        self._taken_at[stretch.worker] = self._clock.now()
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
            and (search.trace is None or search.trace == request_line(decision.request).trace_id)
            and fits(self._rulings[decision.ruling][1].found_by, search)
        ]
        page = tuple(self._document(decision) for decision in found[:limit])
        return Page(page, cursor_of(found[limit - 1].id) if len(found) > limit else None)

    async def counts(self, since: int, until: int, *, step: Step = Step.HOUR) -> Sequence[Count]:
        """Return how many decisions of each kind the hours that begin in `[since, until)` had, oldest first."""
        added: Counter[tuple[int, Kind]] = Counter()
        for (hour, kind), number in self._counts.items():
            if since <= hour < until:
                added[{Step.HOUR: hour, Step.DAY: day_of(hour), Step.ALL: since}[step], kind] += number
        counts = [Count(begun, *kind, number) for (begun, kind), number in added.items()]
        return sorted(counts, key=lambda count: count.start)

    async def rule_counts(self, since: int, until: int) -> Sequence[RuleCount]:
        """Return how many refusals each rule determined in the hours that begin in `[since, until)`, oldest first."""
        return [RuleCount(*key, number) for key, number in sorted(self._rule_counts.items()) if since <= key[0] < until]

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[HeldMoment]:
        """Give all of the archive as it is now."""
        yield HeldMoment(dict(self._rulings), self._decisions.values(), self._taken)

    async def forget(self, before: Mapping[Keep, int]) -> int:
        """Remove decisions of each class that were made before its instant; return how many."""
        kept = {key: decision for key, decision in self._decisions.items() if not self._is_over(decision, before)}
        gone = len(self._decisions) - len(kept)
        self._decisions = kept
        self._forget_rulings()
        return gone

    async def erase(self, erasing: Erasing, pseudonyms: Pseudonyms) -> int:
        """Replace personal data by digests in the decisions that this is about; return how many it changed."""
        changed = 0
        for key, decision in self._decisions.items():
            document, read = self._rulings[decision.ruling]
            if not read.erased and is_about(erasing, read.found_by, decision.at):
                document = pseudonyms.of_ruling(document)
                digest = ruling_digest(document)
                self._rulings[digest] = (document, read_ruling(document))
                request = pseudonyms.of_request(decision.request)
                self._decisions[key] = decision._replace(ruling=digest, request=request)
                changed += 1
        self._forget_rulings()
        return changed

    async def forget_workers(self, keep: Collection[str]) -> None:
        """Forget how far workers were taken whom for 30 days nobody named, and from whom nothing was taken."""
        now = self._clock.now()
        self._taken_at |= dict.fromkeys(self._taken.keys() & set(keep), now)
        for worker in [one for one in self._taken if self._taken_at[one] < now - QUIET_US]:
            del self._taken[worker], self._taken_at[worker]

    def _is_over(self, decision: RecordedDecision, before: Mapping[Keep, int]) -> bool:
        kind = self._rulings[decision.ruling][1].kind
        limit = before.get(keep_of(kind.operation, kind.outcome))
        return limit is not None and decision.at < limit

    def _forget_rulings(self) -> None:
        named = {decision.ruling for decision in self._decisions.values()}
        self._rulings = {digest: ruling for digest, ruling in self._rulings.items() if digest in named}

    def _document(self, decision: RecordedDecision) -> Document:
        return archived_document(self._rulings[decision.ruling][0], decision)


def fits(found_by: Findable, search: Search) -> bool:
    """Return whether a ruling satisfies every condition of the search but those on the one request."""
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
    if search.ticket is not None:
        asked.append(found_by.ticket == search.ticket)
    return all(asked)


def is_about(erasing: Erasing, found_by: Findable, at: int) -> bool:
    """Return whether the personal data of a decision made at this instant is to be erased."""
    if erasing.account is not None:
        return found_by.account == erasing.account
    if erasing.address is not None:
        return found_by.address == packed(erasing.address)
    return erasing.before is not None and at < erasing.before


def check_rulings(stretch: Stretch) -> None:
    """Raise StoreUnavailable where a decision names a ruling that the stretch does not bring."""
    for decision in stretch.decisions:
        if decision.ruling not in stretch.rulings:
            raise StoreUnavailable(
                f"journal of {stretch.worker}, segment {stretch.segment}, {stretch.start} to {stretch.end}: "
                f"decision {decision.id.hex()} names a ruling that the stretch does not bring"
            )
