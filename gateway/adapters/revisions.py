"""Revisions of the policies in the store: proposed, approved, in force, returned to, each step in one transaction."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from gateway.adapters.revision_reads import RevisionReads
from gateway.adapters.revision_rows import (
    active_revision,
    insert_revision,
    open_revision,
    read_revision,
    said_of_start,
    tell_of,
    waiting_revisions,
    write_revision,
)
from gateway.adapters.ticket_rows import GATEWAY, Doing, RefusedInside
from gateway.core.account import Refused
from gateway.core.messages import Told
from gateway.core.permissions import Identity
from gateway.desk.revision import (
    Revision,
    activate,
    approve,
    decline,
    expire,
    is_due,
    leave,
    roll_back,
    supersede,
    withdraw,
)
from gateway.desk.revision_lifecycle import RevisionAct, RevisionState

MOST_WAITING: Final = 50
"""Proposals that wait at a time: what nobody approves is kept for good, and each is the whole of the texts."""
FIRST_WHY: Final = "the policies of the configuration, where the store had none"

Write = Callable[[sa.Connection], Revision | Refused]
Kept = Callable[[sa.Connection, Revision], None]
"""What the caller writes beside a step, in its transaction: where it raises, the step is not made."""
Step = Callable[[Revision, int], Revision | Refused]


class RevisionStore(RevisionReads):
    """What people and gateways do with revisions. Every wait is bounded: StoreUnavailable after that.

    A step that is not made is a Refused: `what` is `id` where there is no such revision, `version` where it is not the
    one that the caller saw.
    """

    async def propose(
        self, new: Revision, sources: Mapping[str, str], examined: Mapping[str, Any], kept: Kept | None = None
    ) -> Revision | Refused:
        """Return the new revision with its number, or why it is none: its texts are open, or its base is not active."""

        def write(connection: sa.Connection) -> Revision | Refused:
            known = open_revision(connection, new.digest)
            if known is not None:
                return Refused("digest", f"revision {known.name} has these very texts, and is {known.state}")
            waiting = waiting_revisions(connection)
            if len(waiting) >= MOST_WAITING:
                return Refused("revision", f"{len(waiting)} revisions wait: approve, decline or withdraw some first")
            active = active_revision(connection)
            if new.base != (None if active is None else active.digest):
                return Refused("base", "another revision came into force meanwhile: propose it again")
            doing = Doing(new.author, new.proposed_at, "propose", new.message)
            after = insert_revision(connection, new, sources, examined, doing)
            tell_of(
                connection, Told.POLICY_PUBLISHED, after, doing, widens=after.widens, starts_at=said_of_start(after)
            )
            return after

        return await self._write("propose a revision", write, kept)

    async def approve(  # noqa: PLR0917 - who, why, and what was found
        self,
        number: int,
        who: Identity,
        why: str,
        version: int,
        flips: Mapping[str, Any],
        accepted: str = "",
        kept: Kept | None = None,
    ) -> Revision | Refused:
        """Return the revision with two people behind it; in force, where its instant has come."""

        def write(connection: sa.Connection, before: Revision, at: int) -> Revision | Refused:
            active = active_revision(connection)
            digest = None if active is None else active.digest
            after = approve(before, who, why, at, digest, flips=flips, accepted=accepted)
            if isinstance(after, Refused):
                return after
            doing = Doing(who.name, at, str(RevisionAct.APPROVE), why)
            write_revision(connection, before, after, doing)
            return _into_force(connection, after, active, doing) if is_due(after, at) else after

        return await self._step("approve a revision", number, version, write, kept)

    async def decline(
        self, number: int, who: Identity, why: str, version: int | None = None, kept: Kept | None = None
    ) -> Revision | Refused:
        """Return the revision, turned down."""
        return await self._plain(RevisionAct.DECLINE, number, version, who, why, decline, kept)

    async def withdraw(
        self, number: int, who: Identity, why: str, version: int | None = None, kept: Kept | None = None
    ) -> Revision | Refused:
        """Return the revision, taken back."""
        return await self._plain(RevisionAct.WITHDRAW, number, version, who, why, withdraw, kept)

    async def roll_back(  # noqa: PLR0917 - who, why, and from where
        self,
        number: int,
        who: Identity,
        why: str,
        active: int,
        lately: int,
        reason: str = "",
        kept: Kept | None = None,
    ) -> Revision | Refused:
        """Return the revision, in force again in place of revision `active`.

        `lately` (microseconds): how long ago it may have been active. `reason`: why it may open something.
        """

        def write(connection: sa.Connection, before: Revision, at: int) -> Revision | Refused:
            left = active_revision(connection)
            if left is None or left.number != active:
                return Refused("version", "another revision came into force meanwhile: look again")
            after = roll_back(before, who, why, at, left, lately)
            gone = leave(left, who, why, at)
            if isinstance(after, Refused) or isinstance(gone, Refused):
                return after if isinstance(after, Refused) else gone
            write_revision(connection, left, gone, Doing(who.name, at, str(RevisionAct.LEAVE), why))
            doing = Doing(who.name, at, str(RevisionAct.ROLL_BACK), why)
            write_revision(connection, before, after, doing)
            tell_of(connection, Told.POLICY_ROLLED_BACK, after, doing, left=left.number, reason=reason)
            return after

        return await self._step("return to a revision", number, None, write, kept)

    async def begin(self, first: Revision, sources: Mapping[str, str], examined: Mapping[str, Any]) -> Revision:
        """Return the active revision: the one that there is, else `first`, which nobody proposed, in force at once."""

        def write(connection: sa.Connection) -> Revision:
            active = active_revision(connection)
            if active is not None:
                return active
            new = first._replace(state=RevisionState.ACTIVE, activated_at=first.proposed_at)
            doing = Doing(GATEWAY, first.proposed_at, "begin", FIRST_WHY)
            after = insert_revision(connection, new, sources, examined, doing)
            tell_of(connection, Told.POLICY_ACTIVATED, after, doing)
            return after

        done = await self._write("keep the first revision", write)
        assert isinstance(done, Revision)
        return done

    async def tick(self) -> int:
        """Bring into force what is due and end what has expired; return how many. For any process, at any time."""
        moved = 0

        def write(connection: sa.Connection) -> None:
            nonlocal moved
            at = self._store.clock.now()
            for revision in waiting_revisions(connection):
                active = active_revision(connection)
                digest = None if active is None else active.digest
                over = expire(revision, at, digest)
                if isinstance(over, Revision):
                    write_revision(connection, revision, over, Doing(GATEWAY, at, str(RevisionAct.EXPIRE), "too late"))
                    moved += 1
                elif revision.state is RevisionState.APPROVED and is_due(revision, at):
                    assert revision.approval is not None
                    _into_force(connection, revision, active, Doing(GATEWAY, at, "activate", revision.approval.why))
                    moved += 1

        async with self._store.writing("bring revisions into force") as connection:
            await connection.run_sync(write)
        if moved:
            self._store.bump(accounts=False)
        return moved

    async def _plain(  # noqa: PLR0917 - the parts of one step
        self,
        act: RevisionAct,
        number: int,
        version: int | None,
        who: Identity,
        why: str,
        step: Callable[[Revision, Identity, str, int], Revision | Refused],
        kept: Kept | None,
    ) -> Revision | Refused:
        def write(connection: sa.Connection, before: Revision, at: int) -> Revision | Refused:
            after = step(before, who, why, at)
            if isinstance(after, Refused):
                return after
            return write_revision(connection, before, after, Doing(who.name, at, str(act), why))

        return await self._step(f"{act} a revision", number, version, write, kept)

    async def _step(
        self,
        what: str,
        number: int,
        version: int | None,
        step: Callable[[sa.Connection, Revision, int], Revision | Refused],
        kept: Kept | None,
    ) -> Revision | Refused:
        def write(connection: sa.Connection) -> Revision | Refused:
            before = read_revision(connection, number)
            if before is None:
                return Refused("id", f"there is no revision {number}")
            if version is not None and version != before.version:
                return Refused(
                    "version", f"revision {before.name} is at version {before.version}, not {version}: read it again"
                )
            # The lock is held: nothing that was done before this was done later.
            return step(connection, before, self._store.clock.now())

        return await self._write(what, write, kept)

    async def _write(self, what: str, write: Write, kept: Kept | None = None) -> Revision | Refused:
        try:
            async with self._store.writing(what) as connection:
                result = await connection.run_sync(_or_nothing, write)
                if kept is not None:
                    await connection.run_sync(kept, result)
        except RefusedInside as inside:
            return inside.refused
        self._store.bump(accounts=False)
        return result


def _or_nothing(connection: sa.Connection, write: Write) -> Revision:
    """Return what was written. Raise RefusedInside, which undoes the transaction, where it is refused half-way."""
    result = write(connection)
    if isinstance(result, Refused):
        raise RefusedInside(result)
    return result


def _into_force(connection: sa.Connection, approved: Revision, active: Revision | None, doing: Doing) -> Revision:
    """Return the approved revision in force, and end the one before it."""
    after = activate(
        approved, doing.at, None if active is None else active.digest, None if active is None else active.number
    )
    if isinstance(after, Refused):
        raise RefusedInside(after)
    if active is not None:
        gone = supersede(active, doing.at)
        assert isinstance(gone, Revision), "what is active can be superseded"
        act = str(RevisionAct.SUPERSEDE)
        write_revision(connection, active, gone, Doing(doing.who, doing.at, act, f"revision {approved.name}"))
    write_revision(connection, approved, after, doing._replace(act=str(RevisionAct.ACTIVATE)))
    tell_of(connection, Told.POLICY_ACTIVATED, after, doing, widens=after.widens)
    return after
