"""Consequences: what a step of a ticket does to the world, as values. Who stores the step does all of them with it."""

from collections.abc import Callable
from typing import NamedTuple

from gateway.core.account import Account, Author, Refused, narrow, set_status
from gateway.core.messages import Message
from gateway.core.terms import Operations, Status


class HoldStands(NamedTuple):
    """The account's operations are held for this ticket, in place of what it held before."""

    account: str
    ticket_id: str
    operations: Operations
    until: int | None
    """None: people must end it."""


class HoldEnds(NamedTuple):
    """The ticket holds nothing any more."""

    account: str
    ticket_id: str


class BecomesFamiliar(NamedTuple):
    """What the ticket was about is the customer's own from now on."""

    account: str
    about: str


class Restricted(NamedTuple):
    """The account is moved to `restricted`, unless it stands lower already."""

    account: str
    ticket_id: str


class LetBack(NamedTuple):
    """The account gets the status that two people agreed on. Where it may not, the whole step is refused."""

    account: str
    ticket_id: str
    status: Status


class SessionsRevoked(NamedTuple):
    """Every session of the account that began before now ends."""

    account: str


class Tell(NamedTuple):
    """A message goes to the Outbox."""

    message: Message


Consequence = HoldStands | HoldEnds | BecomesFamiliar | Restricted | LetBack | SessionsRevoked | Tell


def account_step(consequence: Consequence) -> Callable[[Account], Account | Refused] | None:
    """Return what a consequence makes of the account; None where it leaves the record of it alone.

    What the exchange is told of that is `core.account.consequences` of the account before and after.
    """
    match consequence:
        case Restricted():
            return lambda account: narrow(account, Status.RESTRICTED, by=Author.TWO_PEOPLE)
        case LetBack(ticket_id=evidence, status=status):
            return lambda account: set_status(account, status, by=Author.TWO_PEOPLE, evidence=evidence)
        case _:
            return None
