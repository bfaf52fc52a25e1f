"""What became of the errands of a decision."""

from enum import StrEnum, unique
from typing import NamedTuple

from gateway.desk.record import Ticket


@unique
class Outcome(StrEnum):
    """What became of an errand."""

    DONE = "done"
    THERE = "there"
    """It was done before: a repeat of the same cause."""
    SETTLED = "settled"
    """People have decided about this cause, and their word stands."""
    WAITING = "waiting"
    """What was seen so far is not enough evidence to act on."""
    REFUSED = "refused"


class Carried(NamedTuple):
    """What became of one errand."""

    cause: str
    outcome: Outcome
    ticket: Ticket | None = None
    """The ticket that stands for the cause, open or closed; None where the errand was about none."""
    why: str = ""
