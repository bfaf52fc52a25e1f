"""Publishing policies: what is examined before two people may put a revision in force, or one may return to another.

What was found is kept with the revision, and what was asked here is asked again inside the transaction.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from gateway.core.account import Refused
from gateway.core.decision import instant_text
from gateway.core.errors import PolicyError
from gateway.core.permissions import Identity, Permission
from gateway.desk.refusals import unreasoned
from gateway.desk.revision import Revision, approve, not_permitted
from gateway.policies.bundle import digest_of
from gateway.ports import MICROSECONDS, Clock
from gateway.service.examining import Examining

T = TypeVar("T")

MOST_TEXT: Final = 16 * 1024**2
"""Characters of all texts of a revision."""
Kept = Callable[[Any, Revision], None]
"""What is written beside a step, in its transaction, by whoever has it made."""
_FURTHEST_US: Final = 366 * 86_400 * MICROSECONDS


class Revisions(Protocol):
    """Where revisions are kept; each step in one transaction that asks again what was asked before."""

    async def active(self) -> Revision | None:
        """Return the revision that decides, or None."""

    async def revision(self, wanted: str) -> Revision | None:
        """Return the revision of a number or of a digest's beginning, or None."""

    async def returnable(self, before: int, since: int) -> Revision | None:
        """Return the newest revision before that one which may be returned to, or None."""

    async def texts(self, digest: str) -> Mapping[str, str] | None:
        """Return the texts with this digest, or None."""

    async def propose(
        self, new: Revision, sources: Mapping[str, str], examined: Mapping[str, Any], kept: Kept | None = None
    ) -> Revision | Refused:
        """Return the revision with its number."""

    async def approve(  # noqa: PLR0917 - who, why, and what was found
        self,
        number: int,
        who: Identity,
        why: str,
        version: int,
        flips: Mapping[str, Any],
        accepted: str = "",
        kept: Kept | None = None,
    ) -> Revision | Refused:
        """Return the revision with two people behind it."""

    async def decline(
        self, number: int, who: Identity, why: str, version: int | None = None, kept: Kept | None = None
    ) -> Revision | Refused:
        """Return the revision, turned down."""

    async def withdraw(
        self, number: int, who: Identity, why: str, version: int | None = None, kept: Kept | None = None
    ) -> Revision | Refused:
        """Return the revision, taken back."""

    async def roll_back(  # noqa: PLR0917 - who, why, and from where
        self,
        number: int,
        who: Identity,
        why: str,
        active: int,
        lately: int,
        reason: str = "",
        kept: Kept | None = None,
    ) -> Revision | Refused:
        """Return the revision, in force again."""


class Terms(NamedTuple):
    """On which terms revisions are published."""

    approve_within: int
    """Microseconds from a proposal to its end."""
    return_within: int
    """Microseconds for which one person may return to what was active."""
    flips_at_most: float
    """The part of yesterday's decisions that may have another outcome without a reason, 0 to 1."""
    read_only: str | None = None
    """Why nothing is published here; None: it is."""


class Publishing:
    """What people do with revisions, whoever asks: a command or the API."""

    def __init__(self, revisions: Revisions, examining: Examining, terms: Terms, clock: Clock) -> None:
        self._revisions = revisions
        self._examining = examining
        self._terms = terms
        self._clock = clock
        # One at a time: examining takes the processor of whoever else is served here.
        self._one = asyncio.Lock()

    @property
    def read_only(self) -> str | None:
        """Why nothing is published here; None where it is."""
        return self._terms.read_only

    async def propose(
        self,
        sources: Mapping[str, str],
        who: Identity,
        message: str,
        *,
        allow_widening: bool = False,
        reason: str = "",
        starts_at: int | None = None,
        kept: Kept | None = None,
    ) -> Revision | Refused:
        """Return the revision that waits for another person, or why it is none. Raise StoreUnavailable.

        Args:
            sources: texts by name.
            who: its author.
            message: what it changes and why, in one line.
            allow_widening: that it may open what is closed.
            reason: why it may.
            starts_at: when it is to come into force, microseconds; None: with its approval.
            kept: what the caller writes beside the step, in its transaction; so of the other steps.
        """
        refused = (
            self._closed(who, Permission.POLICIES_PROPOSE) or unreasoned(message) or self._ill_timed(starts_at, sources)
        )
        if refused is not None:
            return refused
        async with self._one:
            now = self._clock.now()
            at = now if starts_at is None else starts_at
            new = await self._examining.loaded(sources)
            if isinstance(new, Refused):
                return new
            active = await self._revisions.active()
            if active is not None and active.digest == new.digest:
                return Refused("digest", f"these very texts are active, as revision {active.name}")
            old = None if active is None else await self._texts(active)
            difference = await self._examining.compared(old, new, at, allowed=allow_widening, reason=reason)
            if isinstance(difference, Refused):
                return difference
            widens = difference is not None and difference.widens
            examined = await self._examining.found(old, new, difference, at)
            draft = Revision(
                0,
                new.digest,
                None if active is None else active.digest,
                who.name,
                message,
                widens,
                reason if widens else "",
                now,
                now + self._terms.approve_within,
                starts_at,
            )
            return await self._revisions.propose(draft, new.sources, examined, kept)

    async def approve(
        self,
        number: int,
        who: Identity,
        why: str,
        *,
        version: int,
        accept_flips: str = "",
        kept: Kept | None = None,
    ) -> Revision | Refused:
        """Return the revision with two people behind it, in force where its instant has come; or why not.

        `accept_flips`: why it may change more of the decisions than is stated. Raise StoreUnavailable.
        """
        refused = self._closed(who, Permission.POLICIES_APPROVE) or unreasoned(why)
        if refused is None and accept_flips:
            refused = unreasoned(accept_flips)
        if refused is not None:
            return refused
        async with self._one:
            revision = await self._revisions.revision(str(number))
            if revision is None:
                return Refused("id", f"there is no revision {number}")
            active = await self._revisions.active()
            now = self._clock.now()
            # Whoever may not, or comes too late, is told that, and not what they would have to accept.
            digest = None if active is None else active.digest
            early = approve(revision, who, why, now, digest, flips={}, accepted=accept_flips)
            new = early if isinstance(early, Refused) else await self._examining.loaded(await self._texts(revision))
            if isinstance(new, Refused):
                return new
            at = max(now, revision.starts_at or 0)
            locked = await self._examining.locks_out(new, at)
            if locked is not None:
                return locked
            old = None if active is None else await self._texts(active)
            share, simulated = await self._examining.simulated(old, new)
            if not accept_flips and (said := self._too_many(share, simulated)) is not None:
                return Refused("flips", said)
            return await self._revisions.approve(number, who, why, version, simulated, accept_flips, kept)

    async def decline(
        self, number: int, who: Identity, why: str, *, version: int | None = None, kept: Kept | None = None
    ) -> Revision | Refused:
        """Return the revision, turned down. Raise StoreUnavailable."""
        refused = self._closed(who, Permission.POLICIES_APPROVE)
        return refused or await self._revisions.decline(number, who, why, version, kept)

    async def withdraw(
        self, number: int, who: Identity, why: str, *, version: int | None = None, kept: Kept | None = None
    ) -> Revision | Refused:
        """Return the revision, taken back. Raise StoreUnavailable."""
        refused = self._closed(who, Permission.POLICIES_PROPOSE)
        return refused or await self._revisions.withdraw(number, who, why, version, kept)

    async def roll_back(
        self,
        wanted: str | None,
        who: Identity,
        why: str,
        *,
        allow_widening: bool = False,
        kept: Kept | None = None,
    ) -> Revision | Refused:
        """Return the revision that is in force again: the one that is wanted, or the one before the active one.

        One person may, since two published it. What it opens again takes a word, as everywhere; `why` is its reason.
        Raise StoreUnavailable.
        """
        refused = self._closed(who, Permission.POLICIES_ROLL_BACK) or unreasoned(why)
        if refused is not None:
            return refused
        async with self._one:
            active = await self._revisions.active()
            if active is None:
                return Refused("revision", "nothing is active: there is nothing to leave")
            target = await self._target(wanted, active)
            if isinstance(target, Refused):
                return target
            return await self._return_to(target, active, who, why, allow_widening, kept)

    async def _return_to(  # noqa: PLR0917 - the parts of one step
        self, target: Revision, active: Revision, who: Identity, why: str, allowed: bool, kept: Kept | None
    ) -> Revision | Refused:
        new = await self._examining.loaded(await self._texts(target))
        if isinstance(new, Refused):
            return new
        old, now = await self._texts(active), self._clock.now()
        difference = await self._examining.compared(old, new, now, allowed=allowed, reason=why)
        if isinstance(difference, Refused):
            return difference
        reason = why if difference is not None and difference.widens else ""
        lately = self._terms.return_within
        return await self._revisions.roll_back(target.number, who, why, active.number, lately, reason, kept)

    def _closed(self, who: Identity, permission: Permission) -> Refused | None:
        if self._terms.read_only is not None:
            return Refused("source", self._terms.read_only)
        return not_permitted(who, permission)

    def _ill_timed(self, starts_at: int | None, sources: Mapping[str, str]) -> Refused | None:
        """Return what is wrong with an instant, or with the length of the texts; None where nothing is."""
        if sum(map(len, sources.values())) > MOST_TEXT:
            return Refused("policies", f"the texts have more than {MOST_TEXT} characters together")
        now = self._clock.now()
        if starts_at is None or now < starts_at <= now + _FURTHEST_US:
            return None
        return Refused("starts_at", f"it starts at an instant after {instant_text(now)}, and within a year")

    async def _target(self, wanted: str | None, active: Revision) -> Revision | Refused:
        """Return which revision is to be returned to."""
        if wanted is not None:
            return await self._revisions.revision(wanted) or Refused("id", f"there is no revision {wanted}")
        now, lately = self._clock.now(), self._terms.return_within
        days = lately // (86_400 * MICROSECONDS)
        return await self._revisions.returnable(active.number, now - lately) or Refused(
            "revision", f"nothing else was active within {days} days: propose the texts that you want"
        )

    async def _texts(self, revision: Revision) -> Mapping[str, str]:
        """Return what a revision says. Raise PolicyError where that is not what was proposed."""
        texts = await self._revisions.texts(revision.digest)
        if texts is None or digest_of(texts) != revision.digest:
            raise PolicyError(f"the texts of revision {revision.name} are not in the store as they were proposed")
        return texts

    def _too_many(self, share: float | None, simulated: Mapping[str, Any]) -> str | None:
        """Return why a reason is needed for what it changes; None where none is."""
        most = self._terms.flips_at_most
        if most >= 1 or (share is not None and share <= most):
            return None
        accept = "say why that may be, with `--accept-flips`, or `accept_flips` over the API"
        if share is None:
            return f"what it changes of yesterday's decisions is not known: {simulated['not_run']}; {accept}"
        return f"it changes {share:.1%} of yesterday's decisions, and at most {most:.1%} are to change; {accept}"
