"""The life of a revision of the policies, as a table: from where, by which act, to where, who may, what must be so."""

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.core.permissions import Permission


@unique
class RevisionState(StrEnum):
    """Where a revision stands."""

    PROPOSED = "proposed"
    """One person has proposed it; it waits for another."""
    APPROVED = "approved"
    """Two people stand for it; it waits for its instant."""
    ACTIVE = "active"
    """It decides."""
    SUPERSEDED = "superseded"
    """Another took its place. It may be returned to."""
    ROLLED_BACK = "rolled_back"
    """It was left for an earlier one. It comes back only as a new proposal."""
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@unique
class RevisionAct(StrEnum):
    """What may be done with a revision."""

    APPROVE = "approve"
    DECLINE = "decline"
    WITHDRAW = "withdraw"
    ACTIVATE = "activate"
    SUPERSEDE = "supersede"
    ROLL_BACK = "roll_back"
    """It is returned to."""
    LEAVE = "leave"
    """Another is returned to in its place."""
    EXPIRE = "expire"


@unique
class RevisionNeed(StrEnum):
    """What must be so for a way to be taken."""

    AUTHOR = "its proposer"
    ANOTHER_PERSON = "another person than the proposer"
    BASE = "what is active is what it was compared with"
    IN_TIME = "before it expires"
    DUE = "its instant has come"
    TIME_OVER = "its time is over"
    BEFORE = "published before what is active"
    LATELY = "it was active lately"


class RevisionWay(NamedTuple):
    """One row of the table."""

    act: RevisionAct
    to: RevisionState
    by: Permission | None
    """Who may; None: the gateway itself, when something else is done."""
    needs: frozenset[RevisionNeed]
    """All of them."""


_S, _A, _N = RevisionState, RevisionAct, RevisionNeed


def _way(act: RevisionAct, to: RevisionState, by: Permission | None, *needs: RevisionNeed) -> RevisionWay:
    return RevisionWay(act, to, by, frozenset(needs))


_PROPOSE: Final = Permission.POLICIES_PROPOSE
_APPROVE: Final = Permission.POLICIES_APPROVE
_ROLL_BACK: Final = Permission.POLICIES_ROLL_BACK
_EXPIRE: Final = _way(_A.EXPIRE, _S.EXPIRED, None, _N.TIME_OVER)

REVISION_TRANSITIONS: Final[Mapping[RevisionState, tuple[RevisionWay, ...]]] = MappingProxyType(
    {
        _S.PROPOSED: (
            _way(_A.APPROVE, _S.APPROVED, _APPROVE, _N.ANOTHER_PERSON, _N.BASE, _N.IN_TIME),
            _way(_A.DECLINE, _S.DECLINED, _APPROVE, _N.ANOTHER_PERSON),
            _way(_A.WITHDRAW, _S.WITHDRAWN, _PROPOSE, _N.AUTHOR),
            _EXPIRE,
        ),
        _S.APPROVED: (
            _way(_A.ACTIVATE, _S.ACTIVE, None, _N.DUE, _N.BASE),
            _way(_A.DECLINE, _S.DECLINED, _APPROVE),
            _way(_A.WITHDRAW, _S.WITHDRAWN, _PROPOSE),
            _EXPIRE,
        ),
        _S.ACTIVE: (
            _way(_A.SUPERSEDE, _S.SUPERSEDED, None),
            _way(_A.LEAVE, _S.ROLLED_BACK, _ROLL_BACK),
        ),
        _S.SUPERSEDED: (_way(_A.ROLL_BACK, _S.ACTIVE, _ROLL_BACK, _N.BEFORE, _N.LATELY),),
        _S.ROLLED_BACK: (),
        _S.DECLINED: (),
        _S.WITHDRAWN: (),
        _S.EXPIRED: (),
    }
)
"""Every step of a revision. What waits for its instant anybody of either half may stop: stopping publishes nothing.

There is no way forward but by two people: one person returns to what two people published and what was active lately,
and what was left so stays left.
"""

OPEN: Final = frozenset({RevisionState.PROPOSED, RevisionState.APPROVED, RevisionState.ACTIVE})
"""While it stands there, the same texts make no other revision."""
WAITING: Final = frozenset({RevisionState.PROPOSED, RevisionState.APPROVED})
"""It comes into force, or its time ends, without anybody doing more."""
