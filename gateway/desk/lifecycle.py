"""The life of a ticket, as a table: from where, by which act, to where, who may, and what must be so."""

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.core.permissions import Permission


@unique
class TicketState(StrEnum):
    """Where a ticket stands."""

    OPEN = "open"
    """It waits for the customer."""
    EVIDENCED = "evidenced"
    """Everything that is required is there: it waits for us."""
    PROPOSED = "proposed"
    """One person has proposed an end; it waits for another."""
    RELEASED = "released"
    UPHELD = "upheld"
    EXPIRED = "expired"


CLOSED: Final = frozenset({TicketState.RELEASED, TicketState.UPHELD, TicketState.EXPIRED})


@unique
class Act(StrEnum):
    """What may be done with a ticket."""

    ATTACH = "attach"
    PROPOSE = "propose"
    APPROVE = "approve"
    DECLINE = "decline"
    RENEW = "renew"
    """The cause happened again, and the clock starts anew."""
    EXPIRE = "expire"


@unique
class Need(StrEnum):
    """What must be so for a way to be taken."""

    RELEASE = "to release"
    UPHOLD = "to uphold"
    STILL_MISSING = "evidence is still missing"
    ALL_EVIDENCE = "all required evidence is there"
    ANOTHER_PERSON = "another person than the proposer"
    MAY_END = "not before its earliest end"
    TIME_OVER = "its time is over"


ENDS: Final = frozenset({Need.RELEASE, Need.UPHOLD})
"""Which of the two ends a row is for."""


class Way(NamedTuple):
    """One row of the table."""

    act: Act
    to: TicketState
    by: Permission | None
    """Who may; None: the gateway itself."""
    needs: frozenset[Need]
    """All of them."""


_S = TicketState


def _way(act: Act, to: TicketState, by: Permission | None, *needs: Need) -> Way:
    return Way(act, to, by, frozenset(needs))


_ATTACH: Final = Permission.EVIDENCE_WRITE
_PROPOSE: Final = Permission.TICKETS_PROPOSE
_APPROVE: Final = Permission.TICKETS_APPROVE
_STAYS_OPEN: Final = _way(Act.RENEW, _S.OPEN, None, Need.STILL_MISSING)
_RENEW: Final = (
    _STAYS_OPEN,
    _way(Act.RENEW, _S.EVIDENCED, None, Need.ALL_EVIDENCE),
)
_EXPIRE: Final = _way(Act.EXPIRE, _S.EXPIRED, None, Need.TIME_OVER)

TRANSITIONS: Final[Mapping[TicketState, tuple[Way, ...]]] = MappingProxyType(
    {
        _S.OPEN: (
            _way(Act.ATTACH, _S.OPEN, _ATTACH, Need.STILL_MISSING),
            _way(Act.ATTACH, _S.EVIDENCED, _ATTACH, Need.ALL_EVIDENCE),
            _way(Act.PROPOSE, _S.PROPOSED, _PROPOSE, Need.UPHOLD),
            _STAYS_OPEN,
            _EXPIRE,
        ),
        _S.EVIDENCED: (
            _way(Act.ATTACH, _S.EVIDENCED, _ATTACH),
            _way(Act.PROPOSE, _S.PROPOSED, _PROPOSE, Need.RELEASE, Need.ALL_EVIDENCE, Need.MAY_END),
            _way(Act.PROPOSE, _S.PROPOSED, _PROPOSE, Need.UPHOLD),
            *_RENEW,
            _EXPIRE,
        ),
        _S.PROPOSED: (
            _way(Act.ATTACH, _S.PROPOSED, _ATTACH),
            _way(
                Act.APPROVE,
                _S.RELEASED,
                _APPROVE,
                Need.RELEASE,
                Need.ANOTHER_PERSON,
                Need.ALL_EVIDENCE,
                Need.MAY_END,
            ),
            _way(Act.APPROVE, _S.UPHELD, _APPROVE, Need.UPHOLD, Need.ANOTHER_PERSON),
            _way(Act.DECLINE, _S.EVIDENCED, _APPROVE, Need.ANOTHER_PERSON, Need.ALL_EVIDENCE),
            _way(Act.DECLINE, _S.OPEN, _APPROVE, Need.ANOTHER_PERSON, Need.STILL_MISSING),
            *_RENEW,
            _way(Act.EXPIRE, _S.EXPIRED, None, Need.TIME_OVER, Need.RELEASE),
        ),
        _S.RELEASED: (),
        _S.UPHELD: (),
        _S.EXPIRED: (),
    }
)
"""Every step of a ticket. Of one act, the needs of at most one row are met, so their order decides nothing.

A proposal to uphold stops the clock, or a hold would lapse while people agree that it must not.
"""


def acts(state: TicketState) -> tuple[Act, ...]:
    """Return what may be done with a ticket that stands there, in the order of the table."""
    return tuple(dict.fromkeys(way.act for way in TRANSITIONS[state]))
