"""Holds: which operations they close, until when, and who may end them sooner. Of several clocks the longest wins."""

from typing import NamedTuple

from gateway.core.account import Refused
from gateway.core.decision import instant_text
from gateway.core.terms import Operations
from gateway.core.verification_changes import HoldSpec


class Hold(NamedTuple):
    """The clock of a hold. Instants are microseconds since the epoch."""

    operations: Operations
    since: int
    """When the clock last started."""
    until: int | None = None
    """When it ends by itself; None where people must end it."""
    earliest: int | None = None
    """The instant before which nobody may end it; None where people may at any time."""

    @property
    def expeditable(self) -> bool:
        """Whether people may end it before its time."""
        return self.earliest is None


def started(operations: Operations, since: int, length: int | None, *, expeditable: bool = True) -> Hold:
    """Return the hold that starts at `since`. One without a length must be ended by people, so it can always be."""
    until = None if length is None else since + length
    return Hold(operations, since, until, None if expeditable else until)


def hold_of(spec: HoldSpec) -> Hold:
    """Return the hold that changes of verification call for."""
    return Hold(spec.operations, spec.since, spec.until, spec.earliest)


def longest(one: Hold, other: Hold) -> Hold:
    """Return the hold that closes what either does, for as long as either does, and is as hard to end as either."""
    untils = (one.until, other.until)
    earliest = [each for each in (one.earliest, other.earliest) if each is not None]
    return Hold(
        one.operations | other.operations,
        max(one.since, other.since),
        None if None in untils else max(each for each in untils if each is not None),
        max(earliest, default=None),
    )


def restarted(running: Hold, at: int) -> Hold:
    """Return the hold with its clock started anew at `at`: all of its length is still to come. Never an earlier end."""
    later = max(at - running.since, 0)
    return running._replace(
        since=running.since + later,
        until=None if running.until is None else running.until + later,
        earliest=None if running.earliest is None else running.earliest + later,
    )


def is_over(running: Hold, at: int) -> bool:
    """Return whether it has ended by itself."""
    return running.until is not None and running.until <= at


def may_end(running: Hold, at: int) -> bool:
    """Return whether two people may end it at `at`."""
    return running.earliest is None or running.earliest <= at


def too_early(running: Hold) -> Refused:
    """Return why nobody may end a hold that is not expeditable."""
    when = "its time is over" if running.earliest is None else instant_text(running.earliest)
    return Refused(
        "hold", f"this hold is not expeditable: nobody may release it before {when}; it can be upheld at any time"
    )
