"""Messages: what the exchange is told of an account. Each is owed from the moment its cause is written down."""

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import NamedTuple


@unique
class Told(StrEnum):
    """What a message is about: the `type` of the webhook that carries it."""

    STATUS_CHANGED = "account.status_changed"
    ORDERS_CANCEL_REQUESTED = "orders.cancel_requested"
    HOLD_PLACED = "hold.placed"
    HOLD_CHANGED = "hold.changed"
    """It ends at another time, or closes more."""
    HOLD_RELEASED = "hold.released"
    """It closes nothing any more, because two people said so or its time was over."""
    TICKET_OPENED = "ticket.opened"
    TICKET_CLOSED = "ticket.closed"
    SESSION_REVOKED = "session.revoked"
    POLICY_PUBLISHED = "policy.published"
    """A revision of the policies was proposed: another person must approve it. `account` is empty."""
    POLICY_ACTIVATED = "policy.activated"
    POLICY_ROLLED_BACK = "policy.rolled_back"
    NOTICE = "notice"
    """What a rule wants told; its own name is in `data.event`."""


class Message(NamedTuple):
    """One thing to tell. Who keeps it gives it the id by which a repeat is known."""

    type: Told
    account: str
    data: Mapping[str, object]
    """JSON values. No evidence and no secret."""


def message(told: Told, account: str, **data: object) -> Message:
    """Return the message, its data such that nobody changes them."""
    return Message(told, account, MappingProxyType(data))
