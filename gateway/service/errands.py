"""What verdicts ask for besides an answer, carried out: at once where that can be had, and again from the record."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import orjson
import structlog

from gateway.core.decision import instant_text
from gateway.core.errors import StoreUnavailable
from gateway.core.facts import Facts
from gateway.core.obligations import Errands, OpenTicket, errands_of
from gateway.core.reply import TicketTold
from gateway.desk.record import Ticket
from gateway.ports import Carried, Desk, Outcome, Stretch

log: Any = structlog.get_logger("gateway")

WITHIN_S: Final = 0.25
"""How long an answer waits for what follows from it. What takes longer goes on, and is done again from the record."""
_DAY: Final = 86_400_000_000
_NONE: Final = b'"obligations":[]'
_AMBIGUOUS: Final = b'"verdict":null'


class AtOnce:
    """Carries out what a verdict asks for before its reply is given, so that the reply can name the ticket."""

    def __init__(self, desk: Desk, *, within_s: float = WITHIN_S) -> None:
        self._desk = desk
        self._within_s = within_s
        self.put_off = 0
        """Decisions since the start whose errands were not done within the wait: they are done from the record."""
        self.outcomes: Counter[Outcome] = Counter()

    async def carry_out(self, errands: Errands, facts: Facts) -> tuple[Carried, ...]:
        """Return what became of each errand; nothing where the store did not do it in time. Never raises."""
        errands = wanted(errands, facts.holds if isinstance(facts.holds, frozenset) else ())
        for refused in errands.refused:
            log.warning("errand:refused", decision=errands.decision_id, what=refused.what, why=refused.message)
        if not errands.todo:
            return ()
        try:
            async with asyncio.timeout(self._within_s):
                carried = await self._desk.carry_out(errands)
        except (StoreUnavailable, TimeoutError) as fault:
            self._put_off(errands, str(fault) or f"not done within {self._within_s} s")
        except Exception:
            log.exception("errands:failed")
            self._put_off(errands, "a fault that nobody thought of")
        else:
            self.outcomes.update(one.outcome for one in carried)
            return carried
        return ()

    async def ticket(self, carried: Iterable[Carried], facts: Facts) -> TicketTold | None:
        """Return the ticket that the refused operation waits for; None where there is none, or it cannot be read."""
        open_now = [one.ticket for one in carried if one.ticket is not None and one.ticket.closed_at is None]
        holding = [one for one in open_now if facts.operation in one.operations]
        if holding:
            return told(max(holding, key=_lasts))
        uid, held = facts.account, facts.holds
        if not isinstance(uid, str) or not isinstance(held, frozenset) or facts.operation not in held:
            return None
        try:
            async with asyncio.timeout(self._within_s):
                ticket = await self._desk.open_ticket_for(uid, str(facts.operation))
        except (StoreUnavailable, TimeoutError):
            return None
        except Exception:
            log.exception("ticket:unread")
            return None
        return None if ticket is None else told(ticket)

    def _put_off(self, errands: Errands, why: str) -> None:
        self.put_off += 1
        log.warning("errands:put_off", decision=errands.decision_id, errands=len(errands.todo), why=why)


class Carrier:
    """Carries out what recorded decisions ask for: called by whoever ships the journal, before the archive has them.

    At least once: a process that died between its answer and the store leaves the record, and nothing else is needed.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.unreadable = 0
        """Rulings since the start that asked for something nobody could make out."""

    async def carry(self, stretch: Stretch) -> int:
        """Return how many errands were new. Raise StoreUnavailable: then the stretch is to be carried again."""
        new = 0
        done: set[tuple[bytes, int]] = set()
        for decision in stretch.decisions:
            # Once for a day: what is asked for after some days' evidence counts days.
            key = (decision.ruling, decision.at // _DAY)
            ruling = stretch.rulings[decision.ruling]
            if key in done or _NONE in ruling or _AMBIGUOUS in ruling:
                continue
            done.add(key)
            try:
                document = orjson.loads(ruling)
                named = {"id": str(UUID(bytes=decision.id)), "at": instant_text(decision.at)}
                errands = wanted(errands_of({**document, **named}), (document["facts"] or {}).get("holds", ()))
            except (ValueError, KeyError, TypeError) as fault:
                # One that cannot be read must not keep all that follows from the archive.
                self.unreadable += 1
                log.error("errands:unreadable", decision=str(UUID(bytes=decision.id)), why=repr(fault))  # noqa: TRY400 - the fault is the message
                continue
            if errands.todo:
                new += sum(one.outcome is Outcome.DONE for one in await self._desk.carry_out(errands))
        return new


def wanted(todo: Errands, held: Iterable[str]) -> Errands:
    """Return the errands with one ticket where several rules ask for the same hold, and none for what is `held`.

    A customer waits for one ticket and people work on one, though two rules see the same thing: the one that is about
    most stands for all, since its release makes most of it familiar. And whoever tries a new destination each time must
    not make a ticket each time: while the operations are held there is nothing to hold, and when that ends, the next
    try finds the same rule. It follows from the decision alone, so that its record gives the same causes.
    """
    closed = frozenset(held)
    alike: dict[tuple[object, ...], OpenTicket] = {}
    rest = [
        one for one in todo.todo if not (isinstance(one, OpenTicket) and one.operations and one.operations <= closed)
    ]
    for one in rest:
        if isinstance(one, OpenTicket):
            key = _alike(one)
            alike[key] = max(alike.get(key, one), one, key=lambda each: each.about.count("=") if each.about else -1)
    kept = [one for one in rest if not isinstance(one, OpenTicket) or alike[_alike(one)] is one]
    return todo._replace(todo=tuple(kept))


def _alike(one: OpenTicket) -> tuple[object, ...]:
    return one.account, one.category, one.operations, frozenset(one.evidence), one.length, one.expeditable


def told(ticket: Ticket) -> TicketTold:
    """Return what the customer may know of a ticket."""
    return TicketTold(ticket.id, ticket.ends_at, ticket.missing)


def _lasts(ticket: Ticket) -> tuple[bool, int, str]:
    return ticket.ends_at is None, ticket.ends_at or 0, ticket.id
