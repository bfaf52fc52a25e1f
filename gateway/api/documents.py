"""What is shown of accounts, tickets and messages, as JSON objects; personal data is masked where not told whole."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.adapters.desk_reads import LogEntry, Moment
from gateway.core.account import Account
from gateway.core.decision import Document, instant_text
from gateway.core.masking import COUNTRY_FACTS, HIDDEN, masked_address, masked_text
from gateway.desk.evidence import Evidence, counts
from gateway.desk.lifecycle import Act, acts
from gateway.desk.record import Ticket
from gateway.desk.sla import ticket_due_at
from gateway.ports import OutboxRow

_OURS: Final = frozenset({Act.RENEW, Act.EXPIRE})
_ADDRESSES: Final = frozenset({"ip", "address"})
_HIDDEN: Final = frozenset({"device", "session", "destination"})


def account_document(account: Account, *, whole: bool) -> Document:
    """Return an account; of a person's countries how many there are, where it is not to be `whole`."""
    document: Document = {
        name: sorted(map(str, value)) if isinstance(value, frozenset) else value
        for name, value in account._asdict().items()
    }
    return document if whole else _masked(document)


def ticket_document(ticket: Ticket, now: int) -> Document:
    """Return a ticket as it stands."""
    proposal = ticket.proposal
    return {
        "id": ticket.id,
        "account": ticket.account,
        "kind": str(ticket.kind),
        "state": str(ticket.state),
        "operations": sorted(map(str, ticket.operations)),
        "cause": ticket.cause,
        "about": ticket.about,
        "decision_id": ticket.decision_id,
        "opened_at": instant_text(ticket.opened_at),
        "since": instant_text(ticket.since),
        "ends_at": _instant(ticket.ends_at),
        "earliest": _instant(ticket.earliest),
        "expeditable": ticket.expeditable,
        "evidence_required": list(ticket.evidence_required),
        "missing": list(ticket.missing),
        "evidence": [evidence_document(piece, ticket, whole=False) for piece in ticket.evidence],
        "proposal": None
        if proposal is None
        else {
            "by": proposal.by,
            "at": instant_text(proposal.at),
            "outcome": str(proposal.outcome),
            "reason": proposal.reason,
            "to": None if proposal.to is None else str(proposal.to),
        },
        "closed_at": _instant(ticket.closed_at),
        "closed_by": ticket.closed_by,
        "due_at": _instant(ticket_due_at(ticket)),
        "overdue": (ticket_due_at(ticket) or now) < now,
        "possible": [str(act) for act in acts(ticket.state) if act not in _OURS],
        "version": ticket.version,
    }


def hold_document(ticket: Ticket) -> Document:
    """Return the hold of a ticket."""
    return {
        "ticket": ticket.id,
        "account": ticket.account,
        "kind": str(ticket.kind),
        "state": str(ticket.state),
        "operations": sorted(map(str, ticket.operations)),
        "since": instant_text(ticket.since),
        "ends_at": _instant(ticket.ends_at),
        "expeditable": ticket.expeditable,
        "missing": list(ticket.missing),
    }


def evidence_document(piece: Evidence, ticket: Ticket, *, whole: bool) -> Document:
    """Return a piece of evidence, without what is in it; what a provider found where it is to be `whole`."""
    document: Document = {
        "id": piece.id,
        "kind": str(piece.kind),
        "at": instant_text(piece.at),
        "by": piece.by,
        "size": piece.size,
        "media_type": piece.media_type,
        "counts": counts(piece, ticket.since),
    }
    if whole:
        result = piece.result
        document["digest"] = piece.digest
        document["result"] = None if result is None else {**result._asdict(), "passed": result.passed}
    return document


def log_document(entry: LogEntry) -> Document:
    """Return one step of a ticket."""
    return {**entry._asdict(), "at": instant_text(entry.at)}


def moment_document(moment: Moment, *, whole: bool) -> Document:
    """Return one entry of a timeline; masked where it is not to be `whole`."""
    details, why = dict(moment.details), moment.why
    if not whole:
        details, why = _masked(details), masked_text(why)
    return {
        "at": instant_text(moment.at),
        "kind": moment.kind,
        "who": moment.who,
        "what": moment.what,
        "details": details,
        "why": why,
    }


def message_document(row: OutboxRow) -> Document:
    """Return a message of the Outbox."""
    return {
        "id": row.id,
        "account": row.account,
        "type": row.type,
        "data": dict(row.data),
        "state": row.state,
        "tries": row.tries,
        "created_at": instant_text(row.created_at),
        "next_try_at": instant_text(row.next_try_at) if row.state == "pending" else None,
        "delivered_at": _instant(row.delivered_at),
        "last_error": row.last_error,
    }


def _instant(at: int | None) -> str | None:
    return None if at is None else instant_text(at)


def _masked(document: Mapping[str, Any]) -> Document:
    return {name: _masked_value(name, value) for name, value in document.items()}


def _masked_value(name: str, value: Any) -> Any:  # noqa: ANN401 - a JSON value
    if value is None:
        return None
    if isinstance(value, Mapping):
        return _masked(value)
    if name in COUNTRY_FACTS:
        return {"count": len(value) if isinstance(value, list) else 1}
    if name in _ADDRESSES:
        return masked_address(str(value)) or HIDDEN
    if name in _HIDDEN:
        return HIDDEN
    return None if name == "user_agent" else value
