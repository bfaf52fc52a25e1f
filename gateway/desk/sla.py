"""Time owed: it runs from the customer's first message that nobody has answered, and pauses while we wait for them.

Whoever writes again does not fall back in the queue, and who was answered owes the next word.
"""

from collections.abc import Iterable
from enum import StrEnum, unique
from typing import Final, NamedTuple

from gateway.desk.evidence import missing
from gateway.desk.kinds import KINDS
from gateway.desk.lifecycle import CLOSED
from gateway.desk.record import Ticket

_SECOND: Final = 1_000_000


@unique
class Side(StrEnum):
    """Whose word it was."""

    CUSTOMER = "customer"
    US = "us"


class Word(NamedTuple):
    """A message, a piece of evidence, an answer. `at` is microseconds since the epoch."""

    at: int
    by: Side


def unanswered_since(words: Iterable[Word]) -> int | None:
    """Return when the customer first wrote since our last word; None while we wait for them."""
    since: int | None = None
    for word in sorted(words, key=lambda one: (one.at, one.by)):
        if word.by is Side.US:
            since = None
        elif since is None:
            since = word.at
    return since


def due_at(words: Iterable[Word], owed_s: int) -> int | None:
    """Return by when an answer is owed; None while none is."""
    since = unanswered_since(words)
    return None if since is None else since + owed_s * _SECOND


def is_overdue(words: Iterable[Word], owed_s: int, at: int) -> bool:
    """Return whether an answer is owed and late."""
    due = due_at(words, owed_s)
    return due is not None and due < at


def words_of(ticket: Ticket) -> tuple[Word, ...]:
    """Return what a ticket itself says of who is waited for: us, from the piece of evidence that left nothing missing.

    A piece before that is answered by what it leaves missing. Messages kept elsewhere are added by their keeper.
    """
    if ticket.state in CLOSED or ticket.missing:
        return ()
    pieces = sorted(piece.at for piece in ticket.evidence if piece.at >= ticket.since)
    complete = (
        at
        for at in pieces
        if not missing(ticket.evidence_required, (piece for piece in ticket.evidence if piece.at <= at), ticket.since)
    )
    return (Word(next(complete, ticket.opened_at), Side.CUSTOMER),)


def ticket_due_at(ticket: Ticket, more: Iterable[Word] = ()) -> int | None:
    """Return by when a ticket's customer is owed an answer; None while they are owed none."""
    if ticket.state in CLOSED:
        return None
    return due_at((*words_of(ticket), *more), KINDS[ticket.kind].owed_s)
