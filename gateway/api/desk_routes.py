"""The routes on accounts, holds, tickets, evidence, events and the Outbox."""

from typing import Final

from gateway.adapters.desk_reads import MOST
from gateway.adapters.outbox_rows import Sending
from gateway.api.route import Parameter, Proof, Route
from gateway.api.shapes import one_of, text
from gateway.core.permissions import Permission
from gateway.core.terms import Operation
from gateway.desk.evidence import EvidenceKind
from gateway.desk.kinds import TicketKind
from gateway.desk.lifecycle import TicketState

REASON_HEADER: Final = "Gateway-Reason"
LEAST_REASON: Final = 10
LONGEST_REASON: Final = 500
FILE_TYPES: Final = ("image/jpeg", "image/png", "image/webp", "image/heic", "application/pdf")

_FILES: Final = f"What it is: {', '.join(one for one in EvidenceKind if one is not EvidenceKind.IDENTITY_RESULT)}"

_UNMASKED: Final = Parameter(
    REASON_HEADER,
    "Why personal data is to be shown as it is: 10 to 500 characters, written into the audit. Needs the scope "
    f"{Permission.DECISIONS_UNMASK}.",
    text(minLength=LEAST_REASON, maxLength=LONGEST_REASON),
    "header",
)
_LOOKED_AT: Final = Parameter(
    REASON_HEADER,
    "Why the file is looked at: 10 to 500 characters, written into the audit.",
    text(minLength=LEAST_REASON, maxLength=LONGEST_REASON),
    "header",
    needed=True,
)
_IF_MATCH: Final = Parameter(
    "If-Match", "The ETag of what was seen: what another changed meanwhile is not changed.", text(), "header", True
)
_ONCE: Final = Parameter(
    "Idempotency-Key",
    "Whatever names this request alone: sent again within 24 hours it is answered the same and does nothing.",
    text(minLength=1, maxLength=255),
    "header",
)
_UID: Final = Parameter("uid", "The account.", text(maxLength=255), "path")
_TICKET: Final = Parameter("id", "The ticket, such as T-7Q2M4XKDPA.", text(maxLength=64), "path")
_LIMIT: Final = Parameter(
    "limit", "At most so many.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 50}
)
_CURSOR: Final = Parameter("cursor", "What the page before ended with.", text())
_PAGE: Final = (_LIMIT, _CURSOR)
_ACCOUNT: Final = Parameter("account", "Of this account.", text(maxLength=255))
_HOLDS: Final = Parameter("operation", "That hold this operation.", one_of(Operation))
_SENT: Final = (400, 408, 413, 415)
_STEP: Final = (*_SENT, 404, 409, 412, 422, 428)

_P = Permission
LISTS: Final = "/api/v1"

DESK_ROUTES: Final = (
    Route(
        "listAccounts",
        "/api/v1/accounts",
        "Accounts in the order of their names, a page at a time.",
        _P.ACCOUNTS_READ,
        (*_PAGE, _UNMASKED),
        "Accounts",
        problems=(400, 501),
    ),
    Route(
        "readAccount",
        "/api/v1/accounts/{uid}",
        "One account as the gateway knows it.",
        _P.ACCOUNTS_READ,
        (_UID, _UNMASKED),
        "Account",
        problems=(400, 404, 501),
    ),
    Route(
        "changeAccount",
        "/api/v1/accounts/{uid}",
        f"Change an account: all that is said, or nothing. Marks put on and the status `flagged` take the scope; all "
        f"else takes {_P.ACCOUNTS_WRITE} as well. A wider status takes the release of an appeal.",
        _P.ACCOUNTS_FLAG,
        (_UID, _IF_MATCH),
        "Account",
        problems=(*_SENT, 404, 409, 412, 428, 501),
        method="PATCH",
        body="AccountChange",
    ),
    Route(
        "readTimeline",
        "/api/v1/accounts/{uid}/timeline",
        "What happened to an account, the newest first: changes, events, steps of tickets.",
        _P.TIMELINES_READ,
        (_UID, *_PAGE, _UNMASKED),
        "Timeline",
        problems=(400, 404, 501),
    ),
    Route(
        "readAccountHolds",
        "/api/v1/accounts/{uid}/holds",
        "What is held of an account, and for which tickets.",
        _P.HOLDS_READ,
        (_UID,),
        "AccountHolds",
        problems=(400, 404, 501),
    ),
    Route(
        "listHolds",
        "/api/v1/holds",
        "Holds that stand, the newest first. A page may have fewer than `limit` and still not be the last.",
        _P.HOLDS_READ,
        (_ACCOUNT, _HOLDS, *_PAGE),
        "Holds",
        problems=(400, 501),
    ),
    Route(
        "placeHold",
        "/api/v1/holds",
        "Hold operations of an account and open the ticket that two people must close.",
        _P.HOLDS_PLACE,
        (_ONCE,),
        "Ticket",
        problems=(*_SENT, 404, 409, 422, 501),
        method="POST",
        body="HoldOrder",
        status=201,
    ),
    Route(
        "listTickets",
        "/api/v1/tickets",
        "Tickets that all these conditions hold for, the newest first, a page at a time.",
        _P.TICKETS_READ,
        (
            _ACCOUNT,
            Parameter("kind", "Of this kind.", one_of(TicketKind)),
            Parameter("state", "That stand there.", one_of(TicketState)),
            Parameter("open", "`1`: that are open; `0`: that are closed.", one_of(("0", "1"))),
            _HOLDS,
            *_PAGE,
        ),
        "Tickets",
        problems=(400, 501),
    ),
    Route(
        "openTicket",
        "/api/v1/tickets",
        "Open a ticket for a customer: an appeal, or a review. It holds nothing.",
        _P.TICKETS_OPEN,
        (_ONCE,),
        "Ticket",
        problems=(*_SENT, 404, 409, 422, 501),
        method="POST",
        body="TicketOrder",
        status=201,
    ),
    Route(
        "readTicket",
        "/api/v1/tickets/{id}",
        "One ticket with its steps; its ETag is what `If-Match` takes.",
        _P.TICKETS_READ,
        (_TICKET,),
        "Ticket",
        problems=(400, 404, 501),
    ),
    Route(
        "proposeEnd",
        "/api/v1/tickets/{id}/propose",
        "Propose how a ticket is to end. Another person must approve it.",
        _P.TICKETS_PROPOSE,
        (_TICKET, _IF_MATCH, _ONCE),
        "Ticket",
        problems=(*_STEP, 501),
        method="POST",
        body="Proposing",
    ),
    Route(
        "approveEnd",
        "/api/v1/tickets/{id}/approve",
        "End a ticket as another person proposed.",
        _P.TICKETS_APPROVE,
        (_TICKET, _IF_MATCH, _ONCE),
        "Ticket",
        problems=(*_STEP, 501),
        method="POST",
        body="Deciding",
    ),
    Route(
        "declineEnd",
        "/api/v1/tickets/{id}/decline",
        "Turn down what another person proposed.",
        _P.TICKETS_APPROVE,
        (_TICKET, _IF_MATCH, _ONCE),
        "Ticket",
        problems=(*_STEP, 501),
        method="POST",
        body="Deciding",
    ),
    Route(
        "listEvidence",
        "/api/v1/tickets/{id}/evidence",
        "The evidence of a ticket, without what is in its files.",
        _P.EVIDENCE_READ,
        (_TICKET,),
        "EvidenceList",
        problems=(400, 404, 501),
    ),
    Route(
        "attachEvidence",
        "/api/v1/tickets/{id}/evidence",
        "Attach a file. The same again is attached once.",
        _P.EVIDENCE_WRITE,
        (
            _TICKET,
            Parameter("kind", f"{_FILES}, or one that the ticket asks for.", text(), needed=True),
        ),
        "Ticket",
        problems=(*_SENT, 404, 409, 412, 501),
        method="POST",
        body_types=FILE_TYPES,
    ),
    Route(
        "readEvidence",
        "/api/v1/tickets/{id}/evidence/{piece}",
        "The file of a piece of evidence, written into the audit before it is sent.",
        _P.EVIDENCE_READ,
        (_TICKET, Parameter("piece", "The id of the piece.", text(maxLength=64), "path"), _LOOKED_AT),
        None,
        media_type="application/octet-stream",
        problems=(400, 404, 501),
    ),
    Route(
        "takeIdentityResult",
        "/api/v1/identity-results",
        "Take what an identity-verification provider found, signed as the Standard Webhooks specification says.",
        None,
        (
            Parameter("webhook-id", "The message's id; it is taken once.", text(), "header", True),
            Parameter("webhook-timestamp", "When it was sent, seconds since 1970.", text(), "header", True),
            Parameter("webhook-signature", "Its signatures.", text(), "header", True),
        ),
        "ProviderTaken",
        problems=(400, 401, 404, 408, 409, 413, 429, 501, 503),
        method="POST",
        body="ProviderResult",
        proof=Proof.SIGNATURE,
    ),
    Route(
        "listMessages",
        "/api/v1/outbox",
        "Messages to the exchange, the newest first.",
        _P.OUTBOX_READ,
        (
            _ACCOUNT,
            Parameter("type", "Of this type.", text(maxLength=64)),
            Parameter("state", "That stand there.", one_of(Sending)),
            *_PAGE,
        ),
        "Messages",
        problems=(400, 501),
    ),
    Route(
        "readMessage",
        "/api/v1/outbox/{id}",
        "One message to the exchange.",
        _P.OUTBOX_READ,
        (Parameter("id", "Its id.", text(maxLength=64), "path"),),
        "Message",
        problems=(400, 404, 501),
    ),
    Route(
        "retryMessage",
        "/api/v1/outbox/{id}/retry",
        "Try a message again that was given up on.",
        _P.OUTBOX_RETRY,
        (Parameter("id", "Its id.", text(maxLength=64), "path"),),
        "Message",
        problems=(*_SENT, 404, 409, 501),
        method="POST",
        body="Deciding",
    ),
    Route(
        "takeEvents",
        "/v1/events",
        "Take what happened to accounts, 1,000 events and 1 MiB at most. Each is taken once, and answered by itself.",
        _P.EVENTS_WRITE,
        (),
        "EventsTaken",
        problems=(*_SENT, 501),
        method="POST",
        body="EventBatch",
    ),
    Route(
        "takeSecurityEvent",
        "/v1/security-events",
        "Take a Security Event Token (RFC 8417) as RFC 8935 pushes it. Its signature says whose it is.",
        None,
        (),
        None,
        problems=(400, 408, 413, 415, 429, 501, 503),
        method="POST",
        body_types=("application/secevent+jwt",),
        proof=Proof.SIGNATURE,
        status=202,
    ),
)
