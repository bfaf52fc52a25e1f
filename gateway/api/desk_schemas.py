"""The shapes of what is sent and answered about accounts, holds, tickets, evidence, events and the Outbox."""

from typing import Final

from gateway.adapters.account_book import LONGEST_WHY
from gateway.adapters.outbox_rows import Sending
from gateway.api.shapes import (
    INSTANT,
    MAY_BE_INSTANT,
    MAY_BE_TEXT,
    NUMBER,
    TEXT,
    YES_OR_NO,
    Schema,
    listed,
    named,
    one_of,
    text,
    whole,
)
from gateway.core.messages import Told
from gateway.core.terms import Operation, Status, Verification
from gateway.desk.evidence import EvidenceKind
from gateway.desk.kinds import TicketKind
from gateway.desk.lifecycle import Act, TicketState
from gateway.desk.record import End
from gateway.ports import Taking

CURSOR: Final[Schema] = {**MAY_BE_TEXT, "description": "Asks for the next page; null on the last."}
WHY: Final = text(minLength=1, maxLength=LONGEST_WHY)
STATUSES: Final = tuple(one for one in Status if one is not Status.NONE)
OPENED_BY_PEOPLE: Final = (TicketKind.APPEAL, TicketKind.REVIEW)
"""Tickets that somebody opens without a hold; the others are opened by what happened."""
HELD_BY_PEOPLE: Final = (TicketKind.REVIEW, TicketKind.WITHDRAWAL_REVIEW, TicketKind.UNFAMILIAR_LOGIN)
"""Tickets of holds that somebody places."""
MOST_HOURS: Final = 24 * 366

_OPERATIONS: Final = listed(one_of(Operation))
_COUNTRIES: Final[Schema] = {
    "type": ["array", "object"],
    "items": TEXT,
    "description": 'Codes of ISO 3166-1; masked: how many, {"count": 2}.',
}
_COUNTRY: Final[Schema] = {"type": ["string", "object", "null"], "description": 'A code; masked: {"count": 1}.'}
_FOUND: Final[Schema] = {
    "document": YES_OR_NO,
    "liveness": YES_OR_NO,
    "face_match": {"type": "number", "description": "0 to 1."},
    "reference": TEXT,
}
_PIECE: Final[Schema] = {
    "id": TEXT,
    "kind": {**TEXT, "description": f"{', '.join(EvidenceKind)}, or one that a rule names."},
    "at": INSTANT,
    "by": TEXT,
    "size": {"type": ["integer", "null"]},
    "media_type": MAY_BE_TEXT,
    "counts": {**YES_OR_NO, "description": "Whether it proves anything: a failed result does not, nor what is older."},
}
_PROPOSAL: Final[Schema] = {
    **whole(by=TEXT, at=INSTANT, outcome=one_of(End), reason=TEXT, to=one_of(STATUSES, or_null=True)),
    "type": ["object", "null"],
}
_TICKET: Final = whole(
    id=TEXT,
    account=TEXT,
    kind=one_of(TicketKind),
    state=one_of(TicketState),
    operations={**_OPERATIONS, "description": "What is held for it."},
    cause=TEXT,
    about={**TEXT, "description": "Digests of the network, device or destination that triggered it."},
    decision_id=MAY_BE_TEXT,
    opened_at=INSTANT,
    since={**INSTANT, "description": "When its clock last started: evidence from before does not count."},
    ends_at=MAY_BE_INSTANT,
    earliest=MAY_BE_INSTANT,
    expeditable={**YES_OR_NO, "description": "Whether people may release it before its time."},
    evidence_required=listed(TEXT),
    missing=listed(TEXT),
    evidence=listed(named("Piece")),
    proposal=_PROPOSAL,
    closed_at=MAY_BE_INSTANT,
    closed_by=MAY_BE_TEXT,
    due_at=MAY_BE_INSTANT,
    overdue=YES_OR_NO,
    possible=listed(one_of(Act)),
    version={**NUMBER, "description": 'Of the ETag, as in `"3"`.'},
)
_TICKET["properties"]["log"] = {
    **listed(
        whole(number=NUMBER, at=INSTANT, who=TEXT, act=TEXT, before=MAY_BE_TEXT, after=TEXT, version=NUMBER, why=TEXT)
    ),
    "description": "Its steps, the oldest first; not in lists.",
}


def _some(needed: tuple[str, ...], **properties: Schema) -> Schema:
    """Return the schema of an object of which only some properties must be there."""
    return {**whole(**properties), "required": sorted(needed)}


DESK_SCHEMAS: Final[dict[str, Schema]] = {
    "Account": whole(
        uid=TEXT,
        status=one_of(STATUSES),
        flags=listed(TEXT),
        verification=one_of(Verification),
        documents=_COUNTRIES,
        residence=_COUNTRY,
        nationality=_COUNTRY,
        holds=_OPERATIONS,
    ),
    "Accounts": whole(accounts=listed(named("Account")), cursor=CURSOR),
    "AccountChange": _some(
        ("why",),
        why=WHY,
        status=one_of(STATUSES),
        verification=one_of(Verification),
        documents=listed(TEXT),
        residence=MAY_BE_TEXT,
        nationality=MAY_BE_TEXT,
        add_flags=listed(TEXT),
        remove_flags=listed(TEXT),
    ),
    "Timeline": whole(
        moments=listed(
            whole(
                at=INSTANT,
                kind=one_of(("change", "event", "step")),
                who=TEXT,
                what=TEXT,
                details={"type": "object"},
                why=TEXT,
            )
        ),
        cursor=CURSOR,
    ),
    "Hold": whole(
        ticket=TEXT,
        account=TEXT,
        kind=one_of(TicketKind),
        state=one_of(TicketState),
        operations=_OPERATIONS,
        since=INSTANT,
        ends_at=MAY_BE_INSTANT,
        expeditable=YES_OR_NO,
        missing=listed(TEXT),
    ),
    "Holds": whole(holds=listed(named("Hold")), cursor=CURSOR),
    "AccountHolds": whole(
        account=TEXT,
        operations={**_OPERATIONS, "description": "Everything that is held now."},
        holds=listed(named("Hold")),
    ),
    "HoldOrder": _some(
        ("account", "operations", "why"),
        account=TEXT,
        operations=_OPERATIONS,
        why=WHY,
        kind={**one_of(HELD_BY_PEOPLE), "default": str(TicketKind.REVIEW)},
        hours={
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": MOST_HOURS,
            "description": "For how long; null or left out: until two people end it.",
        },
        expeditable={**YES_OR_NO, "default": True, "description": "Whether two people may end it before."},
        evidence={**listed(TEXT), "description": "Kinds that are asked for besides those of its kind."},
    ),
    "TicketOrder": whole(account=TEXT, kind=one_of(OPENED_BY_PEOPLE), why=WHY),
    "Piece": whole(**_PIECE),
    "Ticket": _TICKET,
    "Tickets": whole(tickets=listed(named("Ticket")), cursor=CURSOR),
    "Proposing": _some(("outcome", "why"), outcome=one_of(End), why=WHY, to=one_of(STATUSES)),
    "Deciding": whole(why=WHY),
    "EvidenceList": whole(
        evidence=listed(
            whole(
                **_PIECE, digest=MAY_BE_TEXT, result={**whole(**_FOUND, passed=YES_OR_NO), "type": ["object", "null"]}
            )
        )
    ),
    "Message": whole(
        id={**TEXT, "description": "The idempotency key that its receiver knows a repeat by."},
        account=TEXT,
        type=one_of(Told),
        data={"type": "object"},
        state=one_of(Sending),
        tries=NUMBER,
        created_at=INSTANT,
        next_try_at=MAY_BE_INSTANT,
        delivered_at=MAY_BE_INSTANT,
        last_error=MAY_BE_TEXT,
    ),
    "Messages": whole(messages=listed(named("Message")), cursor=CURSOR),
    "EventBatch": whole(events=listed({"type": "object"})),
    "EventsTaken": whole(
        taken=NUMBER,
        repeated=NUMBER,
        problems=NUMBER,
        results={
            **listed(_some(("what",), id=MAY_BE_TEXT, what=one_of(Taking), problem=named("Problem"))),
            "description": "One for each event, in their order.",
        },
    ),
    "ProviderResult": whole(
        ticket=TEXT,
        document=one_of(("pass", "fail")),
        liveness=one_of(("pass", "fail")),
        face_match={"type": "number", "description": "0 to 1."},
        provider_reference=TEXT,
    ),
    "ProviderTaken": whole(ticket=TEXT, state=one_of(TicketState)),
    "SetRefused": _some(("err",), err=TEXT, description=TEXT),
}
