"""Obligations as errands: what a verdict asks for, each with the cause by which a repeat is known.

A rule acts unseen, so what it may do to an account is bounded here: it narrows, and it archives nobody.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from gateway.core.account import NARROWER, Account, Author, Refused, add_flag, is_uid, narrow
from gateway.core.decision import parse_instant
from gateway.core.evidence import After, after_of
from gateway.core.terms import Operation, Operations, Status
from gateway.core.verdict import Obligation, RuleRef

_SECOND: Final = 1_000_000
_BARRED: Final = re.compile(r"[|%]")
NARROWS_TO: Final = tuple(status for status in NARROWER if status not in {Status.OPEN, Status.ARCHIVED})
"""The statuses that a rule may give, each only to an account that has more open."""


class SetFlag(NamedTuple):
    """Put a mark on the account."""

    account: str
    cause: str
    rule: RuleRef
    flag: str
    after: After | None = None
    """How much evidence it takes; None: at once. What carries it out asks `core.evidence.enough`."""


class SetStatus(NamedTuple):
    """Move the account to a status that leaves less open."""

    account: str
    cause: str
    rule: RuleRef
    status: Status
    after: After | None = None


class OpenTicket(NamedTuple):
    """Hold operations and open the ticket, which is one thing. Without operations it is work alone."""

    account: str
    cause: str
    rule: RuleRef
    category: str | None
    """As the rule names it; None where it only holds."""
    operations: Operations = frozenset()
    evidence: tuple[str, ...] = ()
    length: int | None = None
    """How long the hold lasts, microseconds; None where people must end it."""
    expeditable: bool = True
    about: str = ""
    """What triggered it, as digests."""


class Notify(NamedTuple):
    """Tell the exchange, by a name that the rule chose."""

    account: str | None
    """None where nobody is signed in."""
    cause: str
    rule: RuleRef
    event: str


Errand = SetFlag | SetStatus | OpenTicket | Notify


class Errands(NamedTuple):
    """What a decision asks for, and what of it is not done, with the reason."""

    decision_id: str
    at: int
    """The instant of the decision."""
    todo: tuple[Errand, ...]
    refused: tuple[Refused, ...]


def cause_of(account: str | None, rule: RuleRef, kind: str, value: str, about: str = "") -> str:
    """Return the text by which a repeat of the same cause is known. No two causes have the same."""
    parts = (account or "", rule.policy, rule.rule, kind, value, about)
    return "|".join(_BARRED.sub(lambda found: f"%{ord(found[0]):02X}", part) for part in parts)


def about_of(signals: Iterable[str], *, network: str = "", device: str = "", destination: str = "") -> str:
    """Return what signals were about: the digests of what they found new, named, in a fixed order.

    The empty text where no signal is about a thing that could become familiar.
    """
    there = {_ABOUT[signal] for signal in signals if signal in _ABOUT}
    digests = {"network": network, "device": device, "destination": destination}
    return ",".join(f"{name}={digest}" for name, digest in digests.items() if name in there and digest)


def parts_of(about: str) -> Mapping[str, str]:
    """Return the digests that `about_of` joined, by their names."""
    pairs = (part.partition("=") for part in about.split(",") if part)
    return MappingProxyType({name: digest for name, _, digest in pairs})


_ABOUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unfamiliar_network": "network",
        "unfamiliar_country": "network",
        "anonymous_network": "network",
        "impossible_travel": "network",
        "session_moved": "network",
        "credential_stuffing": "network",
        "unfamiliar_device": "device",
        "new_destination": "destination",
    }
)
"""What each signal is about."""


def errands(
    account: str | None,
    obligations: Iterable[Obligation],
    *,
    decision_id: str,
    at: int,
    about: Mapping[RuleRef, str] = MappingProxyType({}),
) -> Errands:
    """Return what a verdict's obligations ask for.

    `about` says for rules that spoke of signals what those were about. A hold and a ticket of one rule are one errand.
    """
    todo: list[Errand] = []
    refused: list[Refused] = []
    wanted = tuple(obligations)
    categories = {RuleRef(one.policy, one.rule): one.value for one in wanted if one.kind == "ticket"}
    holding = {RuleRef(one.policy, one.rule) for one in wanted if one.kind == "hold"}
    for one in wanted:
        rule = RuleRef(one.policy, one.rule)
        if one.kind == "ticket" and rule in holding:
            continue
        found = _errand(account, one, rule, about.get(rule, ""), categories.get(rule))
        if isinstance(found, Refused):
            refused.append(found)
        else:
            todo.append(found)
    return Errands(decision_id, at, tuple(dict.fromkeys(todo)), tuple(refused))


def errands_of(document: Mapping[str, Any]) -> Errands:
    """Return the same of a recorded decision, to be carried out again by whoever ships the journal.

    What its signals were about stands in `about`, as `about_document` wrote it: without it no repeat would be known.
    """
    verdict = document["verdict"] or {}
    told = (document["facts"] or {}).get("account")
    account = told if isinstance(told, str) else None
    found = (obligation_of(one) for one in verdict.get("obligations", ()))
    named = {name.partition("/"): text for name, text in (document.get("about") or {}).items()}
    about = {RuleRef(policy, rule): text for (policy, _, rule), text in named.items()}
    return errands(account, found, decision_id=str(document["id"]), at=parse_instant(document["at"]), about=about)


def about_document(about: Mapping[RuleRef, str]) -> dict[str, str]:
    """Return what rules' signals were about, as a decision records it; nothing of rules whose were about nothing."""
    return {f"{rule.policy}/{rule.rule}": text for rule, text in sorted(about.items()) if text}


def obligation_of(recorded: Mapping[str, Any]) -> Obligation:
    """Return an obligation as a decision records it. What a newer gateway wrote besides is left out."""
    known = {name: value for name, value in recorded.items() if name in Obligation._fields}
    more = {"evidence": tuple(known.get("evidence", ())), "after": after_of(known.get("after"))}
    return Obligation(**{**known, **more})


def on_account(account: Account, errand: SetFlag | SetStatus) -> Account | Refused:
    """Return the account after the errand; as it is where it stands there, or lower, already."""
    if isinstance(errand, SetFlag):
        return add_flag(account, errand.flag)
    return narrow(account, errand.status, by=Author.POLICY)


def _errand(account: str | None, one: Obligation, rule: RuleRef, about: str, category: str | None) -> Errand | Refused:
    if one.kind == "notify":
        return Notify(account, cause_of(account, rule, one.kind, one.value, about), rule, one.value)
    if account is None or not is_uid(account):
        return Refused(one.kind, f"`{rule.policy}/{rule.rule}` asks for a {one.kind}, and there is no account for it")
    if one.kind in {"hold", "ticket"}:
        return _ticket(account, one, rule, about, category)
    cause = cause_of(account, rule, one.kind, one.value)
    if one.kind == "flag":
        return SetFlag(account, cause, rule, one.value, one.after)
    if one.kind == "status" and one.value in NARROWS_TO:
        return SetStatus(account, cause, rule, Status(one.value), one.after)
    allowed = tuple(map(str, NARROWS_TO)) if one.kind == "status" else ()
    only = f": a rule may only give {', '.join(allowed)}" if allowed else ", which this gateway does not know"
    return Refused(one.kind, f"`{rule.policy}/{rule.rule}` asks for {one.kind} `{one.value[:64]}`{only}", allowed)


def _ticket(account: str, one: Obligation, rule: RuleRef, about: str, category: str | None) -> OpenTicket | Refused:
    cause = cause_of(account, rule, one.kind, one.value, about)
    if one.kind == "ticket":
        return OpenTicket(account, cause, rule, one.value, about=about)
    names = one.value.split(",")
    unknown = next((name for name in names if name not in tuple(Operation)), None)
    if unknown is not None:
        return Refused("hold", f"`{rule.policy}/{rule.rule}` asks to hold `{unknown[:64]}`, which is no operation")
    length = None if one.expires_s is None else one.expires_s * _SECOND
    # What people must end in any way can be ended by them; only a length can be insisted on.
    expeditable = length is None or one.expeditable
    held = frozenset(map(Operation, names))
    return OpenTicket(account, cause, rule, category, held, one.evidence, length, expeditable, about)
