"""What is asked of revisions: which there are, what they say, which decides, and who runs which."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from gateway.adapters.desk_reads import LogEntry
from gateway.adapters.dialects import insert_into
from gateway.adapters.revision_rows import active_revision, waiting_revisions
from gateway.adapters.schema import BUNDLES, POLICY_RUNS, REVISION_LOG, REVISIONS
from gateway.adapters.sql import AccountStore
from gateway.desk.revision import Revision, revision_of
from gateway.desk.revision_lifecycle import RevisionState
from gateway.ports import MICROSECONDS

MOST: Final = 500
FORGOTTEN_US: Final = 24 * 3600 * MICROSECONDS
"""After so long nobody is told any more of a process that said nothing."""
_NUMBER: Final = re.compile(r"[0-9]{1,5}")
_DIGEST: Final = re.compile(r"[0-9a-f]{6,64}")


class Run(NamedTuple):
    """What one process decides by, as it says itself."""

    worker: str
    machine: str
    digest: str
    since: int
    """When it began to, microseconds since the epoch."""
    seen_at: int
    """When it last said so."""
    refused: str | None = None
    """The digest of what it should run and cannot; None where there is none."""
    why: str | None = None


class Standing(NamedTuple):
    """What is in force, and when something changes by itself."""

    active: Revision | None
    due: int | None
    """The first instant at which a revision comes into force or expires; None where none waits."""
    coming: Revision | None = None
    """What two people stand for and comes into force next; None where nothing does."""


class RevisionReads:
    """Reads. Every wait is bounded: StoreUnavailable after that."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def standing(self) -> Standing:
        """Return which revision decides, and when that changes by itself."""
        async with self._store.reading("see which revision is active") as connection:
            return await connection.run_sync(_standing)

    async def active(self) -> Revision | None:
        """Return the revision that decides, or None."""
        return (await self.standing()).active

    async def revision(self, wanted: str) -> Revision | None:
        """Return the revision of a number, or the newest whose digest begins so (6 digits or more); None: none is."""
        columns = REVISIONS.c
        if _NUMBER.fullmatch(wanted):
            where = columns.number == int(wanted)
        elif _DIGEST.fullmatch(wanted):
            where = columns.digest.startswith(wanted)
        else:
            return None
        query = sa.select(columns.document).where(where).order_by(columns.number.desc()).limit(1)
        async with self._store.reading("read a revision", self._store.write_within_s) as connection:
            document = (await connection.execute(query)).scalar_one_or_none()
        return None if document is None else revision_of(document)

    async def revisions(
        self, state: str | None = None, *, before: int | None = None, limit: int = 50
    ) -> tuple[Revision, ...]:
        """Return revisions, the newest first: those that stand there, and of a number below `before`."""
        query = sa.select(REVISIONS.c.document).order_by(REVISIONS.c.number.desc()).limit(limit)
        if state is not None:
            query = query.where(REVISIONS.c.state == state)
        if before is not None:
            query = query.where(REVISIONS.c.number < before)
        async with self._store.reading("list revisions", self._store.write_within_s) as connection:
            return tuple(map(revision_of, (await connection.execute(query)).scalars()))

    async def returnable(self, before: int, since: int) -> Revision | None:
        """Return the newest superseded revision with a number below `before` that was active after `since`."""
        found = await self.revisions(str(RevisionState.SUPERSEDED), before=before)
        return next((one for one in found if one.ended_at is not None and one.ended_at >= since), None)

    async def texts(self, digest: str) -> Mapping[str, str] | None:
        """Return the texts with this digest by name; None where they were never proposed."""
        query = sa.select(BUNDLES.c.sources).where(BUNDLES.c.digest == digest)
        async with self._store.reading("read the texts of a revision", self._store.write_within_s) as connection:
            sources: Mapping[str, str] | None = (await connection.execute(query)).scalar_one_or_none()
        return sources

    async def examined(self, number: int) -> Mapping[str, Any]:
        """Return what was found when a revision was proposed; nothing where there is none of this number."""
        query = sa.select(REVISIONS.c.examined).where(REVISIONS.c.number == number)
        async with self._store.reading("read what was examined", self._store.write_within_s) as connection:
            return (await connection.execute(query)).scalar_one_or_none() or {}

    async def log(self, number: int) -> tuple[LogEntry, ...]:
        """Return the steps of a revision, the oldest first."""
        columns = REVISION_LOG.c
        query = sa.select(
            columns.number, columns.at, columns.who, columns.act, columns.before, columns.after, columns.version,
            columns.why,
        ).where(columns.revision == number)  # fmt: skip
        async with self._store.reading("read the steps of a revision", self._store.write_within_s) as connection:
            return tuple(LogEntry(*row) for row in await connection.execute(query.order_by(columns.number).limit(MOST)))

    async def runs(self) -> tuple[Run, ...]:
        """Return what each process runs that said so within a day, by name."""
        query = sa.select(*(POLICY_RUNS.c[name] for name in Run._fields))
        since = self._store.clock.now() - FORGOTTEN_US
        query = query.where(POLICY_RUNS.c.seen_at >= since).order_by(POLICY_RUNS.c.machine, POLICY_RUNS.c.worker)
        async with self._store.reading("see who runs what", self._store.write_within_s) as connection:
            return tuple(Run(*row) for row in await connection.execute(query))

    async def acknowledge(self, run: Run) -> None:
        """Write down what a process runs, and forget those that said nothing for a day."""
        async with self._store.writing("say which policies run here") as connection:
            new = insert_into(connection, POLICY_RUNS).values(run._asdict())
            values = {name: new.excluded[name] for name in Run._fields if name != "worker"}
            await connection.execute(new.on_conflict_do_update(index_elements=[POLICY_RUNS.c.worker], set_=values))
            gone = POLICY_RUNS.c.seen_at < run.seen_at - FORGOTTEN_US
            await connection.execute(sa.delete(POLICY_RUNS).where(gone))
        self._store.bump(accounts=False)

    async def depart(self, worker: str) -> None:
        """Take away what a process said, since it ends."""
        async with self._store.writing("say that policies run here no more") as connection:
            await connection.execute(sa.delete(POLICY_RUNS).where(POLICY_RUNS.c.worker == worker))


def _standing(connection: sa.Connection) -> Standing:
    waiting = waiting_revisions(connection)
    dues = (one.starts_at if one.state is RevisionState.APPROVED else one.expires_at for one in waiting)
    coming = min((one for one in waiting if one.starts_at is not None and one.approval), key=_start, default=None)
    return Standing(active_revision(connection), min((due for due in dues if due is not None), default=None), coming)


def _start(revision: Revision) -> int:
    return revision.starts_at or 0
