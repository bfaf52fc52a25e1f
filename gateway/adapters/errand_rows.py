"""Errands carried out inside a transaction: each once per cause, however often it is asked for."""

import hashlib
from typing import Final

import sqlalchemy as sa

from gateway.adapters.account_book import AuditEntry
from gateway.adapters.account_rows import read_account, write_account
from gateway.adapters.dialects import insert_into
from gateway.adapters.outbox_rows import tell
from gateway.adapters.schema import AUDIT, OUTBOX, SIGHTINGS
from gateway.adapters.ticket_rows import (
    GATEWAY,
    Doing,
    latest_ticket_of,
    new_ticket_id,
    open_ticket_of,
    write_step,
)
from gateway.core.account import NARROWER, Account, Refused
from gateway.core.evidence import UNSEEN, Sightings, enough, from_text, merged, seen, to_text
from gateway.core.messages import Told, message
from gateway.core.obligations import Errand, Errands, Notify, OpenTicket, SetFlag, SetStatus, on_account
from gateway.core.terms import Status
from gateway.core.verdict import RuleRef
from gateway.desk.lifecycle import Act, TicketState
from gateway.desk.record import Ticket
from gateway.desk.ticket import expire, open_for
from gateway.ports import Carried, Outcome

_DAY: Final = 86_400_000_000


def look_at_all(connection: sa.Connection, errands: Errands, now: int) -> tuple[Carried | None, ...]:
    """Return for each errand what became of it before; None where there is something to do."""
    return tuple(_look(connection, errand, errands.at, now) for errand in errands.todo)


def carry_out_all(connection: sa.Connection, errands: Errands, now: int) -> tuple[Carried, ...]:
    """Return what became of each errand, now carried out."""
    return tuple(
        _look(connection, errand, errands.at, now) or _carry_out(connection, errand, errands, now)
        for errand in errands.todo
    )


def _look(connection: sa.Connection, errand: Errand, at: int, now: int) -> Carried | None:
    cause = errand.cause
    match errand:
        case OpenTicket():
            ticket = open_ticket_of(connection, cause) or latest_ticket_of(connection, cause)
            return None if ticket is None else _stands(ticket, at)
        case Notify():
            known = sa.select(OUTBOX.c.id).where(OUTBOX.c.id == _notice_id(errand, at))
            return None if connection.execute(known).one_or_none() is None else Carried(cause, Outcome.THERE)
        case _:
            account = read_account(connection, errand.account, now)
            if account is None:
                why = f"there is no account `{errand.account}` to mark or move"
                return Carried(cause, Outcome.REFUSED, why=why)
            after = on_account(account, errand)
            if isinstance(after, Refused):
                return Carried(cause, Outcome.REFUSED, why=after.message)
            outcome = Outcome.THERE if after == account else _hindered(connection, errand, at)
            return None if outcome is None else Carried(cause, outcome)


def _hindered(connection: sa.Connection, errand: SetFlag | SetStatus, at: int) -> Outcome | None:
    """Return why an account is not marked or moved now; None where it is, or a sighting is to be kept."""
    if _lifted_at(connection, errand, at) is not None:
        # It may be carried out from the record long after its decision: it does not undo what people did meanwhile.
        return Outcome.SETTLED
    sightings = _sightings(connection, errand)
    if errand.after is None or seen(sightings, at) != sightings or _enough(connection, errand, sightings, at):
        return None
    return Outcome.WAITING


def _enough(connection: sa.Connection, errand: SetFlag | SetStatus, sightings: Sightings, at: int) -> bool:
    """Return whether what was seen is what the rule asks for."""
    if errand.after is None:
        return True
    lifted_at = _lifted_at(connection, errand, at - errand.after.within_days * _DAY)
    return enough(_counting(sightings, lifted_at), errand.after, at)


def _stands(ticket: Ticket, at: int) -> Carried | None:
    """Return what a ticket means for its cause at the instant of a decision; None where the cause is a new one."""
    if ticket.state in {TicketState.RELEASED, TicketState.UPHELD}:
        return Carried(ticket.cause, Outcome.SETTLED, ticket)
    ended = ticket.until if ticket.state is TicketState.EXPIRED else ticket.ends_at
    return Carried(ticket.cause, Outcome.THERE, ticket) if ended is None or at <= ended else None


def _carry_out(connection: sa.Connection, errand: Errand, errands: Errands, now: int) -> Carried:
    match errand:
        case OpenTicket():
            return _open(connection, errand, errands, now)
        case Notify():
            told = message(
                Told.NOTICE, errand.account or "", event=errand.event, policy=errand.rule.policy, rule=errand.rule.rule,
                decision=errands.decision_id,
            )  # fmt: skip
            tell(connection, (told,), now, row_id=_notice_id(errand, errands.at))
            return Carried(errand.cause, Outcome.DONE)
        case _:
            return _mark(connection, errand, errands, now)


def _open(connection: sa.Connection, errand: OpenTicket, errands: Errands, now: int) -> Carried:
    lapsed = open_ticket_of(connection, errand.cause)
    if lapsed is not None:
        over = expire(lapsed, max(now, errands.at))
        if isinstance(over, Refused):
            return Carried(errand.cause, Outcome.THERE, lapsed, over.message)
        write_step(connection, lapsed, over, Doing(GATEWAY, now, str(Act.EXPIRE), "its time was over"))
    opened = open_for(errand, new_ticket_id(), errands.decision_id, errands.at)
    if isinstance(opened, Refused):
        return Carried(errand.cause, Outcome.REFUSED, why=opened.message)
    doing = Doing(_author(errand.rule), now, "open", f"decision {errands.decision_id}")
    return Carried(errand.cause, Outcome.DONE, write_step(connection, None, opened, doing))


def _mark(connection: sa.Connection, errand: SetFlag | SetStatus, errands: Errands, now: int) -> Carried:
    if errand.after is not None:
        sightings = seen(_sightings(connection, errand), errands.at)
        _keep(connection, errand, sightings, now)
        if not _enough(connection, errand, sightings, errands.at):
            return Carried(errand.cause, Outcome.WAITING)
    before = read_account(connection, errand.account, now)
    after = None if before is None else on_account(before, errand)
    if before is None or not isinstance(after, Account):
        return Carried(errand.cause, Outcome.REFUSED)
    action = "flag.add" if isinstance(errand, SetFlag) else "status.set"
    why = f"decision {errands.decision_id}"
    entry = AuditEntry(now, _author(errand.rule), action, errand.account, {}, {"decision": errands.decision_id}, why)
    write_account(connection, before, after, entry)
    return Carried(errand.cause, Outcome.DONE)


def _lifted_at(connection: sa.Connection, errand: SetFlag | SetStatus, since: int) -> int | None:
    """Return when people last gave the account back what the errand takes away; None where nobody did since then."""
    query = sa.select(AUDIT.c.at, AUDIT.c.before, AUDIT.c.after)
    mine = sa.and_(AUDIT.c.account == errand.account, AUDIT.c.at >= since)
    for at, before, after in connection.execute(query.where(mine).order_by(AUDIT.c.number.desc())):
        if isinstance(errand, SetFlag):
            if errand.flag in before.get("flags", ()) and errand.flag not in after.get("flags", ()):
                return int(at)
        elif "status" in before and "status" in after:
            was, now = (NARROWER.index(Status(one["status"])) for one in (before, after))
            if now < was and was >= NARROWER.index(errand.status):
                return int(at)
    return None


def _counting(sightings: Sightings, lifted_at: int | None) -> Sightings:
    """Return what was seen on the days after people gave back: what they have examined counts no second time."""
    apart = sightings.latest - (lifted_at or 0) // _DAY
    if lifted_at is None:
        return sightings
    return Sightings(sightings.latest, sightings.days & ((1 << apart) - 1)) if apart > 0 else UNSEEN


def _sightings(connection: sa.Connection, errand: SetFlag | SetStatus) -> Sightings:
    mine = sa.and_(SIGHTINGS.c.account == errand.account, SIGHTINGS.c.cause == errand.cause)
    text = connection.execute(sa.select(SIGHTINGS.c.days).where(mine)).scalar_one_or_none()
    return from_text(text or "")


def _keep(connection: sa.Connection, errand: SetFlag | SetStatus, sightings: Sightings, now: int) -> None:
    row = {
        "account": errand.account,
        "cause": errand.cause,
        "days": to_text(merged(sightings, _sightings(connection, errand))),
        "seen_at": now,
    }
    new = insert_into(connection, SIGHTINGS).values(row)
    keys = [SIGHTINGS.c.account, SIGHTINGS.c.cause]
    values = {"days": new.excluded.days, "seen_at": new.excluded.seen_at}
    connection.execute(new.on_conflict_do_update(index_elements=keys, set_=values))


def _author(rule: RuleRef) -> str:
    return f"policy {rule.policy}/{rule.rule}"


def _notice_id(errand: Notify, at: int) -> str:
    """Return the id of a notice: one for each cause and day, the same however often it is carried out."""
    named = f"{errand.cause}|{at // _DAY}".encode("utf-8", "surrogatepass")
    return f"msg_{hashlib.sha256(named).hexdigest()[:28]}"
