"""Archives that hold digests in place of personal data: what goes in, and how it is found."""

from collections.abc import Collection, Mapping, Sequence

from gateway.core.decision import Document
from gateway.core.errors import SearchError
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import Page, Search, merged
from gateway.ports import Archive, Count, Erasing, Keep, Step, Stretch, ruling_digest


def digested(stretch: Stretch, pseudonyms: Pseudonyms) -> Stretch:
    """Return the stretch without personal data."""
    rulings: dict[bytes, bytes] = {}
    named: dict[bytes, bytes] = {}
    for digest, document in stretch.rulings.items():
        erased = pseudonyms.of_ruling(document)
        named[digest] = ruling_digest(erased)
        rulings[named[digest]] = erased
    decisions = [
        # One without its ruling is named as it is, for the archive to refuse.
        one._replace(ruling=named.get(one.ruling, one.ruling), request=pseudonyms.of_request(one.request))
        for one in stretch.decisions
    ]
    return stretch._replace(rulings=rulings, decisions=decisions)


class FoundByDigest:
    """The `Archive` port on another archive, in which accounts and addresses are found as themselves and as digests.

    `all_erased` is whether digests are all that the archive is given: then what they cannot answer is refused.
    """

    def __init__(self, archive: Archive, pseudonyms: Pseudonyms, *, all_erased: bool) -> None:
        self._archive = archive
        self._pseudonyms = pseudonyms
        self._all_erased = all_erased

    async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return the decisions that a search finds, the newest id first. Raise SearchError, StoreUnavailable."""
        try:
            other = self._pseudonyms.of_search(search)
        except SearchError:
            if self._all_erased:
                raise
            other = search
        found = await self._archive.search(search, limit=limit, cursor=cursor)
        if other == search:
            return found
        return merged((found, await self._archive.search(other, limit=limit, cursor=cursor)), limit)

    async def start(self) -> None:
        """Open it. Raise StoreUnavailable."""
        await self._archive.start()

    async def close(self) -> None:
        """Let go of everything."""
        await self._archive.close()

    async def taken(self) -> Mapping[str, tuple[int, int]]:
        """Return how far each worker's journal was taken. Raise StoreUnavailable."""
        return await self._archive.taken()

    async def take(self, stretch: Stretch) -> int:
        """Take a stretch; return how many decisions were new. Raise StoreUnavailable."""
        return await self._archive.take(digested(stretch, self._pseudonyms) if self._all_erased else stretch)

    async def find(self, decision_id: str) -> Document | None:
        """Return the decision document, or None. Raise StoreUnavailable."""
        return await self._archive.find(decision_id)

    async def counts(self, since: int, until: int, *, step: Step = Step.HOUR) -> Sequence[Count]:
        """Return how many decisions of each kind the hours that begin in `[since, until)` had, oldest first."""
        return await self._archive.counts(since, until, step=step)

    async def forget(self, before: Mapping[Keep, int]) -> int:
        """Remove decisions of each class that were made before its instant; return how many."""
        return await self._archive.forget(before)

    async def erase(self, erasing: Erasing, pseudonyms: Pseudonyms) -> int:
        """Replace personal data by digests; return in how many decisions."""
        return await self._archive.erase(erasing, pseudonyms)

    async def forget_workers(self, keep: Collection[str]) -> None:
        """Forget how far workers were taken whose journal is gone."""
        await self._archive.forget_workers(keep)
