"""Revisions of the policies: texts that one person proposes and another approves. Each step is a pure function.

A step gives back the revision as it is afterwards, or why it is not made. What a revision says never changes: its
texts are known by their digest, and an approval is of exactly these.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.core.account import Refused
from gateway.core.decision import instant_text
from gateway.core.permissions import Identity, Permission, is_same_person, may
from gateway.desk.refusals import not_allowed, unreasoned
from gateway.desk.revision_lifecycle import REVISION_TRANSITIONS, RevisionAct, RevisionNeed, RevisionState, RevisionWay

_A, _N = RevisionAct, RevisionNeed
_ORDER: Final = (_N.AUTHOR, _N.ANOTHER_PERSON, _N.IN_TIME, _N.BASE, _N.BEFORE, _N.LATELY)
"""What is said first where several things are lacking."""


class Approval(NamedTuple):
    """Who stands for a revision besides its author."""

    by: str
    at: int
    why: str
    flips: Mapping[str, Any]
    """What it would have changed of the decisions of the day before, or why that is not known."""
    accepted: str = ""
    """Why it is approved although that is more than it may be; empty where it is not."""


class Revision(NamedTuple):
    """One revision. Instants are microseconds since the epoch."""

    number: int
    digest: str
    base: str | None
    """The digest of what was active when it was proposed, which it was compared with; None where nothing was."""
    author: str
    message: str
    widens: bool
    reason: str
    """Why it may open something; empty where it opens nothing."""
    proposed_at: int
    expires_at: int
    """Until when it must be approved."""
    starts_at: int | None
    """When it is to come into force; None: with its approval."""
    state: RevisionState = RevisionState.PROPOSED
    approval: Approval | None = None
    activated_at: int | None = None
    """When it came into force, the last time."""
    ended_at: int | None = None
    """When it last ceased to be active, or came to another end."""
    replaced: int | None = None
    """The number of the revision in whose place it first came: a rollback leads there."""
    version: int = 1
    """Counts the steps: a step is stored only over the version that it was made of."""

    @property
    def name(self) -> str:
        """How people read it: number and the beginning of the digest."""
        return f"{self.number} ({self.digest[:12]})"


def approve(
    revision: Revision, who: Identity, why: str, at: int, active: str | None, *, flips: Mapping[str, Any], accepted: str
) -> Revision | Refused:
    """Return the revision with a second person behind it. `active` is the digest of what decides now."""
    refused = unreasoned(why)
    if refused is not None:
        return refused
    met = _others(revision, who) | _base(revision, active)
    if at < revision.expires_at:
        met |= {_N.IN_TIME}
    approval = Approval(who.name, at, why, flips, accepted)
    return _step(revision, _A.APPROVE, met, who, approval=approval)


def decline(revision: Revision, who: Identity, why: str, at: int) -> Revision | Refused:
    """Return the revision, turned down."""
    return unreasoned(why) or _step(revision, _A.DECLINE, _others(revision, who), who, ended_at=at)


def withdraw(revision: Revision, who: Identity, why: str, at: int) -> Revision | Refused:
    """Return the revision, taken back before it came into force."""
    author = frozenset({_N.AUTHOR}) if is_same_person(revision.author, who.name) else frozenset()
    return unreasoned(why) or _step(revision, _A.WITHDRAW, author, who, ended_at=at)


def activate(revision: Revision, at: int, active: str | None, replaced: int | None) -> Revision | Refused:
    """Return the revision in force, where its instant has come. `replaced` was in force until now."""
    met = _base(revision, active)
    if is_due(revision, at):
        met |= {_N.DUE}
    return _step(revision, _A.ACTIVATE, met, activated_at=at, replaced=replaced)


def supersede(revision: Revision, at: int) -> Revision | Refused:
    """Return the revision after another came in its place."""
    return _step(revision, _A.SUPERSEDE, frozenset(), ended_at=at)


def leave(revision: Revision, who: Identity, why: str, at: int) -> Revision | Refused:
    """Return the revision after somebody returned to an earlier one."""
    return unreasoned(why) or _step(revision, _A.LEAVE, frozenset(), who, ended_at=at)


def roll_back(  # noqa: PLR0917 - who, why and when, as of every step
    revision: Revision, who: Identity, why: str, at: int, active: Revision, lately: int
) -> Revision | Refused:
    """Return the revision in force again, by one person, where it was not longer ago than `lately` (microseconds)."""
    met = frozenset({_N.BEFORE}) if revision.number < active.number else frozenset()
    if revision.ended_at is not None and at - revision.ended_at <= lately:
        met |= {_N.LATELY}
    return unreasoned(why) or _step(revision, _A.ROLL_BACK, met, who, activated_at=at)


def expire(revision: Revision, at: int, active: str | None) -> Revision | Refused:
    """Return the revision whose time is over.

    A proposal's is when nobody approved it in time. What was approved for an instant comes too late when something
    else was published before it: the comparison that was approved is not true any more.
    """
    over = at >= revision.expires_at
    if revision.state is RevisionState.APPROVED:
        over = is_due(revision, at) and not _base(revision, active)
    return _step(revision, _A.EXPIRE, frozenset({_N.TIME_OVER}) if over else frozenset(), ended_at=at)


def is_due(revision: Revision, at: int) -> bool:
    """Return whether the instant has come at which it is to be in force."""
    return revision.starts_at is None or revision.starts_at <= at


def possible(revision: Revision) -> tuple[RevisionAct, ...]:
    """Return what people may do with a revision that stands there, in the order of the table."""
    return tuple(
        way.act for way in REVISION_TRANSITIONS[revision.state] if way.by is not None and way.act is not _A.LEAVE
    )


def not_permitted(who: Identity, permission: Permission) -> Refused | None:
    """Return why somebody may not; None where they may."""
    return None if may(who, permission) else not_allowed(permission, who)


def revision_document(revision: Revision) -> dict[str, Any]:
    """Return the revision as a JSON object that `revision_of` reads as the same revision."""
    approval = revision.approval
    return {**revision._asdict(), "approval": None if approval is None else approval._asdict()}


def revision_of(document: Mapping[str, Any]) -> Revision:
    """Return the revision of such an object. Raise KeyError, TypeError or ValueError for any other."""
    approval = document["approval"]
    return Revision(
        **{
            **document,
            "state": RevisionState(document["state"]),
            "approval": None if approval is None else Approval(**approval),
        }
    )


def _others(revision: Revision, who: Identity) -> frozenset[RevisionNeed]:
    return frozenset() if is_same_person(revision.author, who.name) else frozenset({_N.ANOTHER_PERSON})


def _base(revision: Revision, active: str | None) -> frozenset[RevisionNeed]:
    return frozenset({_N.BASE}) if revision.base == active else frozenset()


def _step(
    revision: Revision,
    act: RevisionAct,
    met: frozenset[RevisionNeed],
    who: Identity | None = None,
    **changes: Any,  # noqa: ANN401 - fields of a revision
) -> Revision | Refused:
    way = _way(revision, act, met, who)
    if isinstance(way, Refused):
        return way
    return revision._replace(state=way.to, version=revision.version + 1, **changes)


def _way(
    revision: Revision, act: RevisionAct, met: frozenset[RevisionNeed], who: Identity | None
) -> RevisionWay | Refused:
    """Return the row of the table that is taken, or why none is."""
    way = next((one for one in REVISION_TRANSITIONS[revision.state] if one.act is act), None)
    if way is None:
        can = tuple(str(one) for one in possible(revision))
        doing = "return to" if act is _A.ROLL_BACK else str(act)
        return Refused("revision", f"revision {revision.name} is {_state(revision)}: nobody can {doing} it", can)
    if way.by is not None and (who is None or not may(who, way.by)):
        assert who is not None, "what a person may do is not done by nobody"
        return not_allowed(way.by, who)
    lacking = way.needs - met
    if not lacking:
        return way
    return _unmet(revision, next((need for need in _ORDER if need in lacking), next(iter(lacking))))


def _unmet(revision: Revision, need: RevisionNeed) -> Refused:
    """Return what a step lacks, in words that say what would be possible."""
    base = "nothing" if revision.base is None else revision.base[:12]
    said = {
        _N.ANOTHER_PERSON: f"was proposed by {revision.author}: another person approves or declines it",
        _N.AUTHOR: f"is {revision.author}'s: another person declines it instead",
        _N.IN_TIME: f"expired at {instant_text(revision.expires_at)}: propose it again",
        _N.BASE: f"was compared with {base}, and that is not what is active any more: propose it again, so that what "
        "it changes is seen",
        _N.BEFORE: "came after what is active: going forward takes two people; propose its texts again",
        _N.LATELY: "was not active lately: one person does not return to it; propose its texts again",
    }.get(need, "cannot yet: its time has not come")
    what = {_N.ANOTHER_PERSON: "proposal", _N.AUTHOR: "proposal", _N.BASE: "base"}.get(need, "revision")
    return Refused(what, f"revision {revision.name} {said}")


def _state(revision: Revision) -> str:
    since = "" if revision.ended_at is None else f" since {instant_text(revision.ended_at)}"
    return f"{str(revision.state).replace('_', ' ')}{since}"
