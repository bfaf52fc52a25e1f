"""What became of the events of a batch."""

from enum import StrEnum, unique
from typing import NamedTuple

from gateway.core.events import EventProblem


@unique
class Taking(StrEnum):
    """What became of an event."""

    TAKEN = "taken"
    REPEATED = "repeated"
    PROBLEM = "problem"


class Taken(NamedTuple):
    """What became of one event of a batch."""

    what: Taking
    problem: EventProblem | None = None
