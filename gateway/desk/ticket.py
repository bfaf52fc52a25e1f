"""Tickets: work that people owe, and the hold that is one thing with it. Each step is a pure function of what was.

A step gives back the ticket as it is afterwards with its consequences, or why it is not made. Nobody ends a hold alone:
who approves or declines is another person than who proposed, whatever their roles.
"""

from base64 import b32encode
from collections.abc import Iterable
from typing import Final, NamedTuple

from gateway.core.account import Refused
from gateway.core.decision import instant_text
from gateway.core.messages import Message, Told, message
from gateway.core.obligations import OpenTicket, cause_of
from gateway.core.permissions import Identity, is_same_person, may
from gateway.core.terms import Status
from gateway.core.verdict import RuleRef
from gateway.core.verification_changes import HoldSpec
from gateway.desk.consequences import (
    BecomesFamiliar,
    Consequence,
    HoldEnds,
    HoldStands,
    LetBack,
    Restricted,
    SessionsRevoked,
    Tell,
)
from gateway.desk.evidence import MOST_PIECES, Evidence, EvidenceKind
from gateway.desk.hold import Hold, hold_of, is_over, longest, may_end, started
from gateway.desk.kinds import KINDS, TicketKind, kind_of, required
from gateway.desk.lifecycle import ENDS, TRANSITIONS, Act, Need, TicketState, Way
from gateway.desk.record import End as End  # noqa: PLC0414 - the words of these steps
from gateway.desk.record import Proposal as Proposal  # noqa: PLC0414 - as above
from gateway.desk.record import Ticket as Ticket  # noqa: PLC0414 - as above
from gateway.desk.refusals import impossible, not_allowed, not_over, unmet, unreasoned, wrong_status

ENTROPY: Final = 7
"""Random bytes that a ticket's id is made of."""


class Done(NamedTuple):
    """A step that is made: the ticket afterwards, and what must be done with it in one transaction."""

    ticket: Ticket
    consequences: tuple[Consequence, ...] = ()


def ticket_id(entropy: bytes) -> str:
    """Return the id made of `ENTROPY` random bytes: `T-` and ten letters and digits that are read aloud easily."""
    if len(entropy) < ENTROPY:
        raise ValueError(f"a ticket's id is made of {ENTROPY} random bytes")
    return f"T-{b32encode(entropy)[:10].decode('ascii')}"


def open_ticket(
    new_id: str,
    account: str,
    kind: TicketKind,
    cause: str,
    *,
    at: int,
    hold: Hold | None = None,
    evidence: Iterable[str] = (),
    decision_id: str | None = None,
    about: str = "",
    revokes: bool = False,
) -> Done | Refused:
    """Return the new ticket with its hold. `evidence` is asked for besides what the kind asks for."""
    if KINDS[kind].ways_back and hold is not None and hold.operations:
        return Refused("ticket", f"an `{kind}` holds nothing: its account is closed by its status")
    clock = hold or Hold(frozenset(), at)
    asked = required(kind, evidence)
    ticket = Ticket(
        new_id, account, kind, cause, clock.operations, asked, (), TicketState.OPEN if asked else TicketState.EVIDENCED,
        at, clock.since, clock.until, clock.earliest, decision_id, about,
    )  # fmt: skip
    opened = message(Told.TICKET_OPENED, account, ticket=new_id, kind=str(kind), evidence=list(asked))
    held = (_stands(ticket), Tell(_of_hold(Told.HOLD_PLACED, ticket))) if ticket.operations else ()
    return Done(ticket, (*held, Tell(opened), *(_revoked(ticket) if revokes else ())))


def open_for(errand: OpenTicket, new_id: str, decision_id: str, at: int) -> Done | Refused:
    """Return the ticket that a rule asked for."""
    clock = started(errand.operations, at, errand.length, expeditable=errand.expeditable)
    return open_ticket(
        new_id, errand.account, kind_of(errand.category), errand.cause, at=at, hold=clock, evidence=errand.evidence,
        decision_id=decision_id, about=errand.about,
    )  # fmt: skip


def open_for_change(account: str, spec: HoldSpec, new_id: str, at: int, *, about: str = "") -> Done | Refused:
    """Return the ticket that a change of verification calls for. Where one is open, `renew` it instead."""
    kind, cause = TicketKind.VERIFICATION_CHANGED, cause_of_change(account, spec)
    return open_ticket(
        new_id, account, kind, cause, at=at, hold=hold_of(spec), about=about, revokes=spec.revokes
    )  # fmt: skip


def cause_of_change(account: str, spec: HoldSpec) -> str:
    """Return the cause of such a ticket: each start of the clock is another."""
    rule = RuleRef("verification-changes", str(spec.kind))
    return cause_of(account, rule, "hold", ",".join(sorted(spec.operations)), instant_text(spec.since))


def attach(ticket: Ticket, evidence: Evidence) -> Done | Refused:
    """Return the ticket with a piece of evidence more; as it was where it has that piece."""
    if evidence.id in {piece.id for piece in ticket.evidence}:
        return Done(ticket)
    if (evidence.kind == EvidenceKind.IDENTITY_RESULT) is (evidence.result is None):
        return Refused("evidence", f"`{EvidenceKind.IDENTITY_RESULT}` is what a provider found, and nothing else is")
    if len(ticket.evidence) >= MOST_PIECES:
        return Refused("evidence", f"a ticket has at most {MOST_PIECES} pieces of evidence; propose an end")
    after = ticket._replace(evidence=(*ticket.evidence, evidence))
    way = _way(ticket, Act.ATTACH, _evidence_needs(after))
    return way if isinstance(way, Refused) else Done(_moved(after, way))


def propose(
    ticket: Ticket, who: Identity, outcome: End, reason: str, at: int, *, to: Status | None = None
) -> Done | Refused:
    """Return the ticket with an end proposed. `to` is the status that the release of an appeal gives."""
    refused = unreasoned(reason) or wrong_status(ticket, outcome, to)
    if refused is not None:
        return refused
    met = _evidence_needs(ticket) | _end_needs(ticket, outcome, at)
    way = _way(ticket, Act.PROPOSE, met, who)
    if isinstance(way, Refused):
        return way
    after = _moved(ticket, way)._replace(proposal=Proposal(who.name, at, outcome, reason, to))
    return Done(after, _clock_moved(ticket, after))


def approve(ticket: Ticket, who: Identity, reason: str, at: int) -> Done | Refused:
    """Return the ticket ended as it was proposed, by another person."""
    proposal = ticket.proposal
    refused = unreasoned(reason)
    if refused is not None:
        return refused
    met = _evidence_needs(ticket) | _others(ticket, who)
    if proposal is not None:
        met |= _end_needs(ticket, proposal.outcome, at)
    way = _way(ticket, Act.APPROVE, met, who)
    if isinstance(way, Refused):
        return way
    after = _moved(ticket, way)._replace(closed_at=at, closed_by=who.name)
    return Done(after, _ended(after))


def decline(ticket: Ticket, who: Identity, reason: str, at: int) -> Done | Refused:  # noqa: ARG001 - `at` is for the log
    """Return the ticket as it was before the proposal, which another person turned down."""
    refused = unreasoned(reason)
    if refused is not None:
        return refused
    way = _way(ticket, Act.DECLINE, _evidence_needs(ticket) | _others(ticket, who), who)
    if isinstance(way, Refused):
        return way
    after = _moved(ticket, way)._replace(proposal=None)
    return Done(after, _clock_moved(ticket, after))


def renew(ticket: Ticket, hold: Hold, cause: str, *, revokes: bool = False) -> Done | Refused:
    """Return the ticket after its cause happened again: the longest clock wins, and older evidence counts no more.

    What was proposed is void: whoever proposed it did not know of this.
    """
    clock = longest(ticket.hold, hold)
    if clock == ticket.hold:
        return Done(ticket)
    after = ticket._replace(
        cause=cause, operations=clock.operations, since=clock.since, until=clock.until, earliest=clock.earliest,
        proposal=None,
    )  # fmt: skip
    way = _way(ticket, Act.RENEW, _evidence_needs(after))
    if isinstance(way, Refused):
        return way
    after = _moved(after, way)
    changed = (_stands(after), Tell(_of_hold(Told.HOLD_CHANGED, after))) if after.operations else ()
    return Done(after, (*changed, *(_revoked(after) if revokes else ())))


def expire(ticket: Ticket, at: int) -> Done | Refused:
    """Return the ticket whose time is over."""
    met = {Need.TIME_OVER} if is_over(ticket.hold, at) else set()
    if ticket.proposal is not None and ticket.proposal.outcome is End.RELEASE:
        met.add(Need.RELEASE)
    way = _way(ticket, Act.EXPIRE, frozenset(met))
    if isinstance(way, Refused):
        return way
    after = _moved(ticket, way)._replace(closed_at=at)
    return Done(after, _ended(after))


# What is met, and what is said where it is not -------------------------------------------------------------------


def _evidence_needs(ticket: Ticket) -> frozenset[Need]:
    return frozenset({Need.STILL_MISSING if ticket.missing else Need.ALL_EVIDENCE})


def _end_needs(ticket: Ticket, outcome: End, at: int) -> frozenset[Need]:
    if outcome is End.UPHOLD:
        return frozenset({Need.UPHOLD})
    return frozenset({Need.RELEASE, Need.MAY_END} if may_end(ticket.hold, at) else {Need.RELEASE})


def _others(ticket: Ticket, who: Identity) -> frozenset[Need]:
    same = ticket.proposal is not None and is_same_person(ticket.proposal.by, who.name)
    return frozenset() if same else frozenset({Need.ANOTHER_PERSON})


def _way(ticket: Ticket, act: Act, met: frozenset[Need], who: Identity | None = None) -> Way | Refused:
    """Return the row of the table that is taken, or what would be possible."""
    ways = [way for way in TRANSITIONS[ticket.state] if way.act is act]
    if not ways:
        return impossible(ticket, act)
    if who is not None and ways[0].by is not None and not may(who, ways[0].by):
        return not_allowed(ways[0].by, who)
    taken = next((way for way in ways if way.needs <= met), None)
    if taken is not None:
        return taken
    if act is Act.EXPIRE:
        return not_over(ticket)
    for need in (Need.ANOTHER_PERSON, Need.ALL_EVIDENCE, Need.MAY_END):
        if need not in met and any(need in way.needs for way in ways if not (ENDS & way.needs) - met):
            return unmet(ticket, need)
    return unmet(ticket, Need.ALL_EVIDENCE)


# What follows ----------------------------------------------------------------------------------------------------


def _moved(ticket: Ticket, way: Way) -> Ticket:
    return ticket._replace(state=way.to, version=ticket.version + 1)


def _stands(ticket: Ticket) -> HoldStands:
    return HoldStands(ticket.account, ticket.id, ticket.operations, ticket.ends_at)


def _of_hold(told: Told, ticket: Ticket, **more: object) -> Message:
    until = None if ticket.ends_at is None else instant_text(ticket.ends_at)
    operations = sorted(map(str, ticket.operations))
    return message(told, ticket.account, ticket=ticket.id, operations=operations, until=until, **more)


def _clock_moved(before: Ticket, after: Ticket) -> tuple[Consequence, ...]:
    """Return what follows where a proposal stopped the clock, or let it run again."""
    if not after.operations or before.ends_at == after.ends_at:
        return ()
    return _stands(after), Tell(_of_hold(Told.HOLD_CHANGED, after))


def _revoked(ticket: Ticket) -> tuple[Consequence, ...]:
    return SessionsRevoked(ticket.account), Tell(message(Told.SESSION_REVOKED, ticket.account, ticket=ticket.id))


def _ended(ticket: Ticket) -> tuple[Consequence, ...]:
    rules = KINDS[ticket.kind]
    found: list[Consequence] = []
    if ticket.state is TicketState.UPHELD and (rules.restricts or ticket.operations):
        found += [Restricted(ticket.account, ticket.id), *_revoked(ticket)]
    if ticket.operations:
        found.append(HoldEnds(ticket.account, ticket.id))
        if ticket.state is not TicketState.UPHELD:
            found.append(Tell(_of_hold(Told.HOLD_RELEASED, ticket, how=str(ticket.state))))
    if ticket.state is TicketState.RELEASED:
        if rules.familiar and ticket.about:
            found.append(BecomesFamiliar(ticket.account, ticket.about))
        if ticket.proposal is not None and ticket.proposal.to is not None:
            found.append(LetBack(ticket.account, ticket.id, ticket.proposal.to))
    closed = message(Told.TICKET_CLOSED, ticket.account, ticket=ticket.id, kind=str(ticket.kind), how=str(ticket.state))
    return (*found, Tell(closed))
