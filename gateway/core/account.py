"""Accounts: where one may stand, who may move it, and what must be shown for it."""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.core.countries import RESERVED, WITHDRAWN, is_country
from gateway.core.messages import Message, Told, message
from gateway.core.terms import Operation, Status, Verification


class Account(NamedTuple):
    """One customer as the store knows it. Flags, documents and holds are sets."""

    uid: str
    status: str
    flags: frozenset[str]
    verification: str
    documents: frozenset[str]
    residence: str | None
    nationality: str | None
    holds: frozenset[str]


@unique
class Author(StrEnum):
    """Who asks for a change of status."""

    POLICY = "policy"
    """A rule's obligation, carried out by the gateway itself."""
    SUPPORT = "support"
    EDITOR = "editor"
    """A person by the admin API, alone."""
    TWO_PEOPLE = "two people"
    """What one person proposed on a ticket and another approved."""
    COMPLIANCE = "compliance"
    """Whoever may run the command on the machine itself."""


class Transition(NamedTuple):
    """What it takes to make one change of status."""

    by: frozenset[Author]
    evidence: bool
    """Whether a reference to what was examined (a ticket, a document) must be given."""


_ANYONE = Transition(frozenset(Author), evidence=False)
_NOT_SUPPORT = Transition(frozenset(Author) - {Author.SUPPORT}, evidence=False)
_WAY_BACK = Transition(frozenset({Author.TWO_PEOPLE}), evidence=True)
_ARCHIVED = Transition(frozenset({Author.TWO_PEOPLE, Author.COMPLIANCE}), evidence=True)

TRANSITIONS: Final[Mapping[Status, Mapping[Status, Transition]]] = MappingProxyType(
    {
        Status.OPEN: MappingProxyType(
            {
                Status.EXIT_ONLY: _NOT_SUPPORT,
                Status.FLAGGED: _ANYONE,
                Status.RESTRICTED: _NOT_SUPPORT,
                Status.ARCHIVED: _ARCHIVED,
            }
        ),
        Status.EXIT_ONLY: MappingProxyType(
            {
                Status.OPEN: _WAY_BACK,
                Status.FLAGGED: _ANYONE,
                Status.RESTRICTED: _NOT_SUPPORT,
                Status.ARCHIVED: _ARCHIVED,
            }
        ),
        Status.FLAGGED: MappingProxyType(
            {
                Status.OPEN: _WAY_BACK,
                Status.EXIT_ONLY: _WAY_BACK,
                Status.RESTRICTED: _NOT_SUPPORT,
                Status.ARCHIVED: _ARCHIVED,
            }
        ),
        Status.RESTRICTED: MappingProxyType(
            {
                Status.EXIT_ONLY: _WAY_BACK,
                Status.FLAGGED: _WAY_BACK,
                Status.ARCHIVED: _ARCHIVED,
            }
        ),
        Status.ARCHIVED: MappingProxyType({Status.RESTRICTED: _WAY_BACK}),
    }
)
"""Every change of status that may be made. A rule only ever narrows, and archives nobody: both are people's work.

Whoever acts alone only narrows too, on the machine itself as by the admin API: a way back takes evidence and two
people. And it is longer than the way down: from `restricted` to `open` leads through `flagged` or `exit_only`, and from
`archived` through `restricted`, so that no single change gives everything back.
"""

NARROWER: Final = (Status.OPEN, Status.EXIT_ONLY, Status.FLAGGED, Status.RESTRICTED, Status.ARCHIVED)
"""The statuses, from the one that leaves most open to the one that leaves nothing."""

CANCELS_ORDERS: Final = frozenset({Status.FLAGGED, Status.RESTRICTED})
"""Statuses on whose entry the exchange is asked to cancel the open futures orders."""


class Refused(NamedTuple):
    """A change that is not made."""

    what: str
    """The part of the account it was about: `status`, `flag`, `verification`, `documents`, …"""
    message: str
    allowed: tuple[str, ...] = ()
    """What could be asked for instead, where that is a short list."""


Step = Callable[[Account | None], Account | Refused]
"""What a change makes of an account (None: there is none). Pure, so that a store may run it inside a transaction."""

_UID = re.compile(r"[\x21-\x7e]{1,255}\Z")
_FLAG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")


def is_uid(text: str) -> bool:
    """Return whether an account may be named so."""
    return _UID.match(text) is not None


def new_account(uid: str) -> Account:
    """Return an account of which nothing is known but that it exists."""
    none: frozenset[str] = frozenset()
    return Account(uid, Status.OPEN, none, Verification.NONE, none, None, None, none)


def may_become(status: str, by: Author) -> tuple[str, ...]:
    """Return the statuses that `by` may give to an account that stands at `status`."""
    return tuple(str(to) for to, transition in TRANSITIONS[Status(status)].items() if by in transition.by)


def set_status(account: Account, status: str, *, by: Author, evidence: str | None = None) -> Account | Refused:
    """Return the account at `status`, or why it may not stand there."""
    allowed = may_become(account.status, by)
    if status == account.status:
        return account
    if status not in tuple(TRANSITIONS):
        return _refused_choice("status", status, tuple(map(str, TRANSITIONS)))
    transition = TRANSITIONS[Status(account.status)].get(Status(status))
    if transition is None:
        ways = ", ".join(f"`{to}`" for to in TRANSITIONS[Status(account.status)])
        return Refused(
            "status", f"an account that is `{account.status}` cannot become `{status}`; it can become {ways}", allowed
        )
    if by not in transition.by:
        first, *others = sorted(transition.by)
        also = f", or for {' or '.join(others)}" if others else ""
        text = f"`{account.status}` to `{status}` is for {first} to decide{also}; not for {by}"
        return Refused("status", text, allowed)
    if transition.evidence and not (evidence and evidence.strip()):
        return Refused(
            "status", f"`{account.status}` to `{status}` needs evidence: name the ticket or document that was examined"
        )
    return account._replace(status=str(Status(status)))


def narrow(account: Account, status: Status, *, by: Author) -> Account | Refused:
    """Return the account at `status`, or where it stands if that leaves no more open.

    For consequences: what was to restrict a customer must not lift one out of the archive.
    """
    if NARROWER.index(Status(account.status)) >= NARROWER.index(status):
        return account
    return set_status(account, status, by=by)


def consequences(before: Account | None, after: Account) -> tuple[Message, ...]:
    """Return what the exchange must be told of a change, to be kept with it in one transaction."""
    was = Status.OPEN if before is None else Status(before.status)
    now = Status(after.status)
    if was == now:
        return ()
    changed = message(Told.STATUS_CHANGED, after.uid, before=str(was), after=str(now))
    if now not in CANCELS_ORDERS:
        return (changed,)
    return changed, message(Told.ORDERS_CANCEL_REQUESTED, after.uid, orders="futures", status=str(now))


def add_flag(account: Account, flag: str) -> Account | Refused:
    """Return the account with the flag on it."""
    if not _FLAG.match(flag):
        return Refused("flag", f"`{flag[:80]}` is no flag: 1 to 64 of a-z, 0-9 and `-`, such as `us-documents`")
    return account._replace(flags=account.flags | {flag})


def remove_flag(account: Account, flag: str) -> Account | Refused:
    """Return the account without the flag."""
    if flag not in account.flags:
        has = tuple(sorted(account.flags))
        return Refused("flag", f"there is no flag `{flag[:80]}` on the account; it has {', '.join(has) or 'none'}", has)
    return account._replace(flags=account.flags - {flag})


def set_verification(account: Account, verification: str) -> Account | Refused:
    """Return the account verified so far."""
    if verification not in tuple(Verification):
        return _refused_choice("verification", verification, tuple(map(str, Verification)))
    return account._replace(verification=str(Verification(verification)))


def set_documents(account: Account, countries: Iterable[str]) -> Account | Refused:
    """Return the account with documents of just these countries."""
    documents = frozenset(countries)
    for code in sorted(documents):
        if (refused := _refused_country("documents", code)) is not None:
            return refused
    return account._replace(documents=documents)


def set_residence(account: Account, country: str | None) -> Account | Refused:
    """Return the account of a customer who lives there; None: nobody knows where."""
    return _refused_country("residence", country) or account._replace(residence=country)


def set_nationality(account: Account, country: str | None) -> Account | Refused:
    """Return the account of a citizen of that country; None: nobody knows of which."""
    return _refused_country("nationality", country) or account._replace(nationality=country)


def checked(account: Account) -> Account | Refused:
    """Return the account if every field holds what it may, whatever made it; otherwise what is wrong."""
    if not is_uid(account.uid):
        return Refused("uid", f"`{ascii(account.uid[:80])[1:-1]}` is no account: 1 to 255 visible ASCII characters")
    if account.status not in tuple(TRANSITIONS):
        return _refused_choice("status", account.status, tuple(map(str, TRANSITIONS)))
    for operation in sorted(account.holds):
        if operation not in tuple(Operation):
            return _refused_choice("holds", operation, tuple(map(str, Operation)))
    return steps(
        lambda one: set_verification(one, account.verification),
        lambda one: set_documents(one, account.documents),
        lambda one: set_residence(one, account.residence),
        lambda one: set_nationality(one, account.nationality),
        *((lambda one, flag=flag: add_flag(one, flag)) for flag in sorted(account.flags)),
    )(account)


def steps(*each: Callable[[Account], Account | Refused]) -> Callable[[Account], Account | Refused]:
    """Return one change that makes all of these, in order, or none of them."""

    def all_or_none(account: Account) -> Account | Refused:
        for step in each:
            result = step(account)
            if isinstance(result, Refused):
                return result
            account = result
        return account

    return all_or_none


def difference(before: Account | None, after: Account) -> tuple[dict[str, object], dict[str, object]]:
    """Return the fields that changed, as JSON values: what they were and what they are."""
    old = {} if before is None else before._asdict()
    changed = [name for name, value in after._asdict().items() if before is None or old[name] != value]
    return {name: _plain(old[name]) for name in changed if name in old}, {
        name: _plain(getattr(after, name)) for name in changed
    }


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


def _refused_choice(what: str, given: str, choices: tuple[str, ...]) -> Refused:
    return Refused(what, f"`{given[:80]}` is no {what}; it is one of {', '.join(choices)}", choices)


def _refused_country(what: str, code: str | None) -> Refused | None:
    if code is None or is_country(code):
        return None
    shown = f"{what}: `{ascii(code[:80])[1:-1]}` is no ISO 3166-1 country code"
    meant = RESERVED.get(code) or WITHDRAWN.get(code)
    if meant is not None:
        return Refused(what, f"{shown} any more; did you mean {meant}?", tuple(re.findall(r"\b[A-Z]{2}\b", meant)))
    if is_country(code.upper()):
        return Refused(what, f"{shown}; did you mean `{code.upper()}`?", (code.upper(),))
    return Refused(what, f"{shown}: two capital letters, such as PT")
