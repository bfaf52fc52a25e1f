"""The desk's store: what verdicts ask for is done once, and tickets are stepped by the table, in transactions."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

import sqlalchemy as sa

from gateway.adapters.account_book import LONGEST_WHY, absent, is_line
from gateway.adapters.account_rows import read_account
from gateway.adapters.desk_reads import DeskReads
from gateway.adapters.errand_rows import carry_out_all, look_at_all
from gateway.adapters.schema import EVIDENCE, FILES_BEGUN, TICKETS
from gateway.adapters.sql import AccountStore
from gateway.adapters.ticket_rows import GATEWAY, Doing, RefusedInside, new_ticket_id, read_ticket, write_step
from gateway.core.account import Refused, is_uid
from gateway.core.errors import StoreUnavailable
from gateway.core.obligations import Errands, cause_of
from gateway.core.permissions import Identity
from gateway.core.terms import Operation, Status
from gateway.core.verdict import RuleRef
from gateway.desk.evidence import Evidence
from gateway.desk.hold import started
from gateway.desk.kinds import TicketKind
from gateway.desk.lifecycle import Act
from gateway.desk.record import End, Ticket
from gateway.desk.ticket import Done, approve, attach, decline, expire, open_ticket, propose
from gateway.ports import Carried

_DAY: Final = 86_400_000_000
AT_ONCE: Final = 200
"""Tickets that one sweep ends at most, and files that one removes."""

Step = Callable[[Ticket, int], Done | Refused]
Kept = Callable[[sa.Connection, Ticket], None]
"""What the caller writes beside a step, in its transaction: where it raises, the step is not made."""
_Flight = asyncio.Task[tuple[Carried, ...]]


class DeskStore(DeskReads):
    """The `Desk` port on the embedded store, and what people do with tickets.

    A step that is not made is a Refused: `what` is `id` where there is no such ticket, and `version` where it is not
    the one that the caller saw.
    """

    def __init__(self, store: AccountStore) -> None:
        super().__init__(store)
        self._flights: dict[object, _Flight] = {}

    async def carry_out(self, errands: Errands) -> tuple[Carried, ...]:
        """Return what became of each errand of a decision, all of them stored in one transaction.

        Whoever asks for the same while it is carried out gets the same answer. A caller that stops waiting stops
        nothing. Raise StoreUnavailable: then nothing was done.
        """
        if not errands.todo:
            return ()
        key = (tuple(errands.todo), errands.at // _DAY)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.get_running_loop().create_task(self._carry_out(errands))
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
            flight.add_done_callback(_heard)
        return await asyncio.shield(flight)

    async def close(self) -> None:
        """Wait for what is being carried out; the store itself stays open."""
        for flight in list(self._flights.values()):
            with suppress(StoreUnavailable):
                await flight

    async def open(
        self,
        account: str,
        kind: TicketKind,
        who: Identity,
        reason: str,
        *,
        operations: Iterable[Operation] = (),
        length: int | None = None,
        expeditable: bool = True,
        evidence: Iterable[str] = (),
        kept: Kept | None = None,
    ) -> Ticket | Refused:
        """Return a new ticket that somebody opens, with its hold where it has operations.

        `length` in microseconds; None: people must end it. Whether somebody may is asked by whoever calls.
        """
        refused = _unreasoned(reason)
        if refused is not None:
            return refused
        new_id, held = new_ticket_id(), frozenset(operations)
        cause = cause_of(
            account, RuleRef("desk", str(kind)), "hold" if held else "ticket", ",".join(sorted(held)), new_id
        )
        at = self._store.clock.now()
        opened = open_ticket(
            new_id, account, kind, cause, at=at, evidence=evidence,
            hold=started(held, at, length, expeditable=expeditable or length is None),
        )  # fmt: skip
        if isinstance(opened, Refused):
            return opened

        def write(connection: sa.Connection) -> Ticket | Refused:
            if not is_uid(account) or read_account(connection, account, at) is None:
                return absent(account)
            return write_step(connection, None, opened, Doing(who.name, at, "open", reason))

        return await self._write("open a ticket", write, kept)

    async def propose(
        self,
        ticket: str,
        who: Identity,
        outcome: End,
        reason: str,
        *,
        to: Status | None = None,
        version: int | None = None,
        kept: Kept | None = None,
    ) -> Ticket | Refused:
        """Return the ticket with an end proposed, or why not."""

        def step(before: Ticket, at: int) -> Done | Refused:
            return propose(before, who, outcome, reason, at, to=to)

        return await self._step(ticket, Act.PROPOSE, step, who.name, reason, version, kept=kept)

    async def approve(
        self, ticket: str, who: Identity, reason: str, *, version: int | None = None, kept: Kept | None = None
    ) -> Ticket | Refused:
        """Return the ticket ended as it was proposed, or why not."""

        def step(before: Ticket, at: int) -> Done | Refused:
            return approve(before, who, reason, at)

        return await self._step(ticket, Act.APPROVE, step, who.name, reason, version, kept=kept)

    async def decline(
        self, ticket: str, who: Identity, reason: str, *, version: int | None = None, kept: Kept | None = None
    ) -> Ticket | Refused:
        """Return the ticket as it was before the proposal, or why not."""

        def step(before: Ticket, at: int) -> Done | Refused:
            return decline(before, who, reason, at)

        return await self._step(ticket, Act.DECLINE, step, who.name, reason, version, kept=kept)

    async def attach(
        self, ticket: str, evidence: Evidence, *, kept_as: str | None = None, version: int | None = None
    ) -> Ticket | Refused:
        """Return the ticket with a piece of evidence more, or why not. `kept_as` is the name of its file."""

        def also(connection: sa.Connection, before: Ticket, after: Ticket) -> None:
            if after != before:
                known = sa.select(EVIDENCE.c.ticket).where(EVIDENCE.c.id == evidence.id)
                other = connection.execute(known).scalar_one_or_none()
                if other is not None:
                    text = f"evidence `{evidence.id}` is on ticket {other}; what is shown again is attached anew"
                    raise RefusedInside(Refused("evidence", text))
                result = None if evidence.result is None else evidence.result._asdict()
                row = {
                    "id": evidence.id, "ticket": after.id, "account": after.account, "at": evidence.at,
                    "kept_as": kept_as, "document": {**evidence._asdict(), "result": result},
                }  # fmt: skip
                connection.execute(sa.insert(EVIDENCE), row)
                connection.execute(sa.delete(FILES_BEGUN).where(FILES_BEGUN.c.key == kept_as))

        def step(before: Ticket, _: int) -> Done | Refused:
            return attach(before, evidence)

        return await self._step(ticket, Act.ATTACH, step, evidence.by, str(evidence.kind), version, also)

    async def begin_file(self, key: str) -> None:
        """Note that a file of evidence is about to be written: until a ticket names it, it may be removed."""
        row = {"key": key, "at": self._store.clock.now()}
        async with self._store.writing("note a file of evidence") as connection:
            await connection.execute(sa.insert(FILES_BEGUN), row)

    async def unnamed_files(self, before: int) -> Sequence[str]:
        """Return keys of files that were begun before an instant and that no ticket names, some at a time."""
        named = sa.exists().where(EVIDENCE.c.kept_as == FILES_BEGUN.c.key)
        due = sa.select(FILES_BEGUN.c.key).where(FILES_BEGUN.c.at < before, ~named).order_by(FILES_BEGUN.c.at)
        async with self._store.reading("look for files of evidence", self._store.write_within_s) as connection:
            return (await connection.execute(due.limit(AT_ONCE))).scalars().all()

    async def forget_file(self, key: str) -> None:
        """Forget a file that was begun: it is removed."""
        async with self._store.writing("forget a file of evidence") as connection:
            await connection.execute(sa.delete(FILES_BEGUN).where(FILES_BEGUN.c.key == key))

    async def expire(self) -> int:
        """End the tickets whose time is over; return how many. To be called every so often, by any process."""
        now = self._store.clock.now()
        due = sa.select(TICKETS.c.id).where(TICKETS.c.open_cause.is_not(None), TICKETS.c.until <= now)
        async with self._store.reading("look for tickets that are over") as connection:
            ids = (await connection.execute(due.order_by(TICKETS.c.until).limit(AT_ONCE))).scalars().all()
        ended = [await self._step(one, Act.EXPIRE, expire, GATEWAY, "its time was over", None) for one in ids]
        return sum(isinstance(one, Ticket) for one in ended)

    async def _carry_out(self, errands: Errands) -> tuple[Carried, ...]:
        now = self._store.clock.now()
        async with self._store.reading("see what was carried out", self._store.write_within_s) as connection:
            seen = await connection.run_sync(look_at_all, errands, now)
        done = tuple(one for one in seen if one is not None)
        if len(done) == len(seen):
            return done
        async with self._store.writing("carry out what a decision asks for") as connection:
            done = await connection.run_sync(carry_out_all, errands, now)
        whose = {errand.account for errand in errands.todo}
        self._store.bump(whose.pop() if len(whose) == 1 else None)
        return done

    async def _step(  # noqa: PLR0917 - the parts of one step
        self,
        ticket: str,
        act: Act,
        step: Step,
        who: str,
        why: str,
        version: int | None,
        also: Callable[[sa.Connection, Ticket, Ticket], None] | None = None,
        kept: Kept | None = None,
    ) -> Ticket | Refused:
        at = self._store.clock.now()

        def write(connection: sa.Connection) -> Ticket | Refused:
            before = read_ticket(connection, ticket)
            if before is None:
                return Refused("id", f"there is no ticket `{ascii(ticket[:40])[1:-1]}`")
            if version is not None and version != before.version:
                return Refused(
                    "version", f"{before.id} is at version {before.version}, not {version} any more: read it again"
                )
            done = step(before, at)
            if isinstance(done, Refused):
                return done
            after = write_step(connection, before, done, Doing(who, at, str(act), why))
            if also is not None:
                also(connection, before, after)
            return after

        return await self._write(f"{act} a ticket", write, kept)

    async def _write(
        self, what: str, write: Callable[[sa.Connection], Ticket | Refused], kept: Kept | None
    ) -> Ticket | Refused:
        try:
            async with self._store.writing(what) as connection:
                result = await connection.run_sync(write)
                if kept is not None and isinstance(result, Ticket):
                    await connection.run_sync(kept, result)
        except RefusedInside as inside:
            return inside.refused
        self._store.bump(None if isinstance(result, Refused) else result.account)
        return result


def _heard(flight: _Flight) -> None:
    """Take note of a fault that nobody waits for any more: the record is carried out again by who ships it."""
    if not flight.cancelled():
        flight.exception()


def _unreasoned(reason: str) -> Refused | None:
    return None if is_line(reason, LONGEST_WHY) else Refused("reason", f"say why, in one line of 1 to {LONGEST_WHY}")
