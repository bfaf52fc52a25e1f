"""New decisions, as they are made."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from gateway.app.finding import Found
from gateway.core.decision import Document, parse_instant
from gateway.core.search import Search

OVERLAP_US: Final = 30_000_000
"""How much later than its instant a decision may become visible: an archive may hear of one machine after another."""


async def follow(found: Found, search: Search, now: int, every_s: float) -> AsyncIterator[Document]:
    """Yield each decision that the search finds, made since `now` or since the search says, until cancelled.

    Each comes once; of those that are seen at one look the oldest comes first.
    """
    since = now if search.since is None else search.since
    told: dict[str, int] = {}
    newest = since
    while not _given_up():
        fresh: list[Document] = []
        looked_from = max(since, newest - OVERLAP_US)
        async for page in found.every(search._replace(since=looked_from)):
            fresh += [one for one in page.documents if one["id"] not in told]
        for document in sorted(fresh, key=lambda one: (one["at"], one["id"])):
            at = parse_instant(document["at"])
            told[document["id"]] = at
            newest = max(newest, at)
            yield document
        told = {one: at for one, at in told.items() if at >= newest - OVERLAP_US}
        await asyncio.sleep(every_s)
        await found.look()


def _given_up() -> bool:
    """Return whether this task was cancelled. A driver that gave up a question at that instant keeps it to itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
