"""What is done while something does not answer, as far as an operator may choose it. `docs/failure.md` has it all."""

from pydantic import Field

from gateway.config.table import Table
from gateway.config.values import OperationName, Seconds
from gateway.core.failing import LONGEST_GOING_ON_S


class Streams(Table):
    """What stays open while nobody can decide about it."""

    go_on_s: Seconds = Field(default=10, alias="go_on", ge=0, le=LONGEST_GOING_ON_S)
    end_within_s: Seconds = Field(default=5, alias="end_within", ge=0, le=LONGEST_GOING_ON_S)
    strict: tuple[OperationName, ...] = ()


class Failure(Table):
    """What is done while something does not answer."""

    streams: Streams = Streams()
