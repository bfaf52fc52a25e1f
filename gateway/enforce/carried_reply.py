"""A refusal on its way through a proxy that passes no body on: the reply as the value of one header."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final
from uuid import UUID

import orjson

from gateway.core.reply import Reply, TicketTold
from gateway.core.terms import Access, Ambiguity, Operation, Proof, Reason
from gateway.core.verdict import Challenge

REPLY_HEADER: Final = b"gateway-refusal"
LONGEST: Final = 6144
"""Bytes of the value. Proxies hold the head of an answer in a buffer of 8 KiB."""
_LONGEST_TEXT: Final = 480
"""Characters, of up to four bytes each."""


def packed(reply: Reply, decision_id: bytes) -> bytes:
    """Return the value that `unpacked` reads. Texts beyond 480 characters are cut."""
    document = {
        **reply._asdict(),
        "detail": reply.detail[:_LONGEST_TEXT],
        "message": reply.message and reply.message[:_LONGEST_TEXT],
        "challenge": reply.challenge and [reply.challenge.proof, reply.challenge.max_age_s],
        "ticket": reply.ticket and list(reply.ticket),
        "id": decision_id.decode("ascii"),
    }
    return urlsafe_b64encode(orjson.dumps(document))


def unpacked(value: bytes) -> tuple[Reply, str] | None:
    """Return the reply and the id of its decision; None where the value is not one of `packed`."""
    if not value or len(value) > LONGEST:
        return None
    try:
        return _read(orjson.loads(urlsafe_b64decode(value)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _read(told: dict[str, Any]) -> tuple[Reply, str]:
    """Return what a document holds. Raise what comes where it holds something else."""
    status = int(told["status"])
    if not 400 <= status <= 599:
        raise ValueError("no refusal")
    retry = told["retry_after_s"]
    reply = Reply(
        status,
        None if told["reason"] is None else Reason(told["reason"]),
        str(told["title"]),
        str(told["detail"]),
        None if told["operation"] is None else Operation(told["operation"]),
        Access(told["access"]),
        tuple(Operation(one) for one in told["allowed_operations"]),
        None if told["challenge"] is None else Challenge(Proof(told["challenge"][0]), _whole(told["challenge"][1])),
        _whole(retry),
        None if told["message"] is None else str(told["message"]),
        None if told["ambiguity"] is None else Ambiguity(told["ambiguity"]),
        None if told["ticket"] is None else _ticket(*told["ticket"]),
    )
    return reply, str(UUID(told["id"]))


def _ticket(ticket_id: object, until: object, evidence: list[object]) -> TicketTold:
    return TicketTold(str(ticket_id), _whole(until), tuple(map(str, evidence)))


def _whole(value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError("no whole number")
