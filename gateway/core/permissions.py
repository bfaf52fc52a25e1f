"""Who may do what behind the gateway: roles of people, scopes of programs, permissions, in one table."""

import unicodedata
from collections.abc import Iterable, Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.core.account import Author


@unique
class Permission(StrEnum):
    """One thing that may be allowed. The value is also the scope of a token that opens it."""

    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_FLAG = "accounts:flag"
    """Put marks on accounts, and move one to `flagged`."""
    ACCOUNTS_WRITE = "accounts:write"
    """Documents, residence, verification, marks, and every change of status that narrows."""
    TIMELINES_READ = "timelines:read"
    HOLDS_READ = "holds:read"
    HOLDS_PLACE = "holds:place"
    TICKETS_READ = "tickets:read"
    TICKETS_OPEN = "tickets:open"
    """Open one for a customer, such as an appeal."""
    TICKETS_PROPOSE = "tickets:propose"
    TICKETS_APPROVE = "tickets:approve"
    """Approve or decline what another person proposed."""
    EVIDENCE_READ = "evidence:read"
    EVIDENCE_WRITE = "evidence:write"
    EVENTS_WRITE = "events:write"
    OUTBOX_READ = "outbox:read"
    OUTBOX_RETRY = "outbox:retry"
    DECISIONS_READ = "decisions:read"
    DECISIONS_UNMASK = "decisions:unmask"
    """Personal data as it is, where the caller says why; each is written into the audit."""
    DECISIONS_ERASE = "decisions:erase"
    """Personal data of one account or address erased from recorded decisions, for good; written into the audit."""
    POLICIES_READ = "policies:read"
    POLICIES_PROPOSE = "policies:propose"
    """Propose a revision of the policies, and withdraw it."""
    POLICIES_APPROVE = "policies:approve"
    """Approve or decline what another person proposed."""
    POLICIES_ROLL_BACK = "policies:roll-back"
    """Return to a revision that two people published and that was active lately."""
    ALARMS_ACKNOWLEDGE = "alarms:acknowledge"
    METRICS_READ = "metrics:read"
    TOKENS_READ = "tokens:read"
    TOKENS_WRITE = "tokens:write"


@unique
class Role(StrEnum):
    """What a person is to the gateway. One may have several."""

    VIEWER = "viewer"
    AUDITOR = "auditor"
    SUPPORT = "support"
    EDITOR = "editor"
    APPROVER = "approver"
    ADMIN = "admin"


_P = Permission
_LOOK: Final = frozenset(
    {_P.ACCOUNTS_READ, _P.HOLDS_READ, _P.TICKETS_READ, _P.DECISIONS_READ, _P.POLICIES_READ, _P.METRICS_READ}
)
_EXAMINE: Final = _LOOK | {_P.TIMELINES_READ, _P.EVIDENCE_READ}
_SUPPORT: Final = _EXAMINE | {
    _P.ACCOUNTS_FLAG,
    _P.HOLDS_PLACE,
    _P.TICKETS_OPEN,
    _P.EVIDENCE_WRITE,
    _P.TICKETS_PROPOSE,
    _P.ALARMS_ACKNOWLEDGE,
}

ROLES: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.VIEWER: _LOOK,
        Role.AUDITOR: _EXAMINE | {_P.DECISIONS_UNMASK, _P.OUTBOX_READ, _P.TOKENS_READ},
        Role.SUPPORT: _SUPPORT,
        Role.EDITOR: _SUPPORT | {_P.ACCOUNTS_WRITE, _P.DECISIONS_UNMASK, _P.POLICIES_PROPOSE, _P.POLICIES_ROLL_BACK},
        Role.APPROVER: _EXAMINE
        | {
            _P.TICKETS_APPROVE,
            _P.POLICIES_APPROVE,
            _P.POLICIES_ROLL_BACK,
            _P.DECISIONS_UNMASK,
            _P.ALARMS_ACKNOWLEDGE,
        },
        Role.ADMIN: _LOOK
        | {
            _P.TIMELINES_READ,
            _P.OUTBOX_READ,
            _P.OUTBOX_RETRY,
            _P.DECISIONS_ERASE,
            _P.TOKENS_READ,
            _P.TOKENS_WRITE,
        },
    }
)
"""What each role may do.

No role has both halves of a release or of a publication. The administrator has neither: who can make a second person
must not be able to be one. A person may be given several roles; that proposer and approver differ is asked of every
ticket and revision all the same.
"""

PEOPLE_ONLY: Final = frozenset(
    {
        _P.TICKETS_PROPOSE,
        _P.TICKETS_APPROVE,
        _P.POLICIES_PROPOSE,
        _P.POLICIES_APPROVE,
        _P.POLICIES_ROLL_BACK,
        _P.TOKENS_WRITE,
    }
)
"""What no program may do, whatever its token says."""

_LONGEST_NAME: Final = 128


class Person(NamedTuple):
    """Somebody who acts in their own name, by a personal token."""

    name: str
    roles: frozenset[Role]


class Program(NamedTuple):
    """A service that acts by a service token."""

    name: str
    scopes: frozenset[str]


Identity = Person | Program


def person(name: str, roles: Iterable[str]) -> Person:
    """Return the person. Raise ValueError for a name that could not be compared, or a role that is none."""
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise ValueError(f"a person's name is one line of 1 to {_LONGEST_NAME} characters")
    return Person(" ".join(name.split()), frozenset(Role(role) for role in roles))


def permissions_of(identity: Identity) -> frozenset[Permission]:
    """Return everything that somebody may do."""
    if isinstance(identity, Person):
        return frozenset().union(*(ROLES[role] for role in identity.roles))
    return frozenset(one for one in Permission if one in identity.scopes) - PEOPLE_ONLY


def may(identity: Identity, permission: Permission) -> bool:
    """Return whether somebody may do this."""
    return permission in permissions_of(identity)


def roles_with(permission: Permission) -> tuple[Role, ...]:
    """Return the roles that open this, in the order of `Role`."""
    return tuple(role for role in Role if permission in ROLES[role])


def is_same_person(one: str, other: str) -> bool:
    """Return whether two names are one person's. Case, blanks and composed letters make nobody another person."""
    return _folded(one) == _folded(other)


def author_of(identity: Identity) -> Author | None:
    """Return as whom somebody changes an account's status alone; None where they may not at all."""
    held = permissions_of(identity)
    if Permission.ACCOUNTS_WRITE in held:
        return Author.EDITOR
    return Author.SUPPORT if Permission.ACCOUNTS_FLAG in held else None


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())
