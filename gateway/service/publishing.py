"""Publishing policies: what is examined before two people may put a revision in force, or one may return to another.

The texts are checked and their tests run, what they open and close is compared with what decides now, recorded
decisions are decided again, and nobody who must not be locked out is. What was found is kept with the revision.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from gateway.core.account import Refused
from gateway.core.decision import instant_text
from gateway.core.errors import GatewayError, PolicyError
from gateway.core.permissions import Identity, Permission
from gateway.desk.refusals import unreasoned
from gateway.desk.revision import Revision, not_permitted
from gateway.policies.bundle import Bundle, digest_of
from gateway.policies.findings import Finding
from gateway.policies.lock_out import Guarded, locked_out
from gateway.ports import MICROSECONDS, Clock

T = TypeVar("T")

SIMULATE_WITHIN_S: Final = 120.0
"""How long recorded decisions are decided again before that is given up, and said."""
MOST_TEXT: Final = 16 * 1024**2
"""Characters of all texts of a revision."""
_MOST_SAID: Final = 5
_FURTHEST_US: Final = 366 * 86_400 * MICROSECONDS


class Difference(Protocol):
    """What one bundle opens and closes against another."""

    @property
    def widens(self) -> bool:
        """Whether it opens anything, or may."""

    def text(self) -> str:
        """Return it for people, a line each."""

    def to_json(self) -> Mapping[str, Any]:
        """Return it as a JSON object."""


class Flips(Protocol):
    """What recorded decisions would have been."""

    @property
    def share(self) -> float:
        """The part of them that would have another outcome, 0 to 1."""

    def to_json(self) -> Mapping[str, Any]:
        """Return it as a JSON object."""


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
        self, new: Revision, sources: Mapping[str, str], examined: Mapping[str, Any]
    ) -> Revision | Refused:
        """Return the revision with its number."""

    async def approve(  # noqa: PLR0917 - who, why, and what was found
        self, number: int, who: Identity, why: str, version: int, flips: Mapping[str, Any], accepted: str = ""
    ) -> Revision | Refused:
        """Return the revision with two people behind it."""

    async def decline(self, number: int, who: Identity, why: str, version: int | None = None) -> Revision | Refused:
        """Return the revision, turned down."""

    async def withdraw(self, number: int, who: Identity, why: str, version: int | None = None) -> Revision | Refused:
        """Return the revision, taken back."""

    async def roll_back(  # noqa: PLR0917 - who, why, and from where
        self, number: int, who: Identity, why: str, active: int, lately: int, reason: str = ""
    ) -> Revision | Refused:
        """Return the revision, in force again."""


@dataclass(frozen=True, kw_only=True)
class Examining:
    """How revisions are examined. Everything but `simulate` computes, and is called in a thread."""

    load: Callable[[Mapping[str, str]], Bundle]
    """The bundle of texts, their tests run. Raises PolicyError."""
    assemble: Callable[[Mapping[str, str]], Bundle]
    """The bundle of texts that were in force. Raises PolicyError."""
    notices: Callable[[Bundle, int], list[Finding]]
    """What somebody should look at, at an instant."""
    compare: Callable[[Bundle, Bundle, int], Difference]
    """What the second opens and closes against the first, from an instant on."""
    refuse_widening: Callable[[Difference, bool, str], str | None]
    """Why it may not be published, where widening is allowed or not, for a reason or none; None: it may."""
    simulate: Callable[[Bundle], Awaitable[Flips]]
    """What the decisions of the day before would have been. Raises GatewayError where that cannot be known."""
    guarded: tuple[Guarded, ...] = ()


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
    ) -> Revision | Refused:
        """Return the revision that waits for another person, or why it is none. Raise StoreUnavailable.

        Args:
            sources: texts by name.
            who: its author.
            message: what it changes and why, in one line.
            allow_widening: that it may open what is closed.
            reason: why it may.
            starts_at: when it is to come into force, microseconds; None: with its approval.
        """
        refused = (
            self._closed(who, Permission.POLICIES_PROPOSE) or unreasoned(message) or self._ill_timed(starts_at, sources)
        )
        if refused is not None:
            return refused
        async with self._one:
            now = self._clock.now()
            at = now if starts_at is None else starts_at
            new = await self._loaded(sources)
            if isinstance(new, Refused):
                return new
            active = await self._revisions.active()
            if active is not None and active.digest == new.digest:
                return Refused("digest", f"these very texts are active, as revision {active.name}")
            difference = await self._compared(active, new, at, allow_widening, reason)
            if isinstance(difference, Refused):
                return difference
            findings = await asyncio.to_thread(self._examining.notices, new, at)
            _, simulated = await self._simulated(new)
            widens = difference is not None and difference.widens
            examined = {
                **_counted(new),
                "findings": [{**one.place._asdict(), **_said(one)} for one in findings],
                "diff": None if difference is None else difference.to_json(),
                "simulation": simulated,
            }
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
            return await self._revisions.propose(draft, new.sources, examined)

    async def approve(
        self, number: int, who: Identity, why: str, *, version: int, accept_flips: str = ""
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
            new = await self._loaded(await self._texts(revision))
            if isinstance(new, Refused):
                return new
            at = max(self._clock.now(), revision.starts_at or 0)
            locked = await self._locks_out(new, at)
            if locked is not None:
                return locked
            share, simulated = await self._simulated(new)
            if not accept_flips and (said := self._too_many(share, simulated)) is not None:
                return Refused("flips", said)
            return await self._revisions.approve(number, who, why, version, simulated, accept_flips)

    async def decline(self, number: int, who: Identity, why: str, *, version: int | None = None) -> Revision | Refused:
        """Return the revision, turned down. Raise StoreUnavailable."""
        refused = self._closed(who, Permission.POLICIES_APPROVE)
        return refused or await self._revisions.decline(number, who, why, version)

    async def withdraw(self, number: int, who: Identity, why: str, *, version: int | None = None) -> Revision | Refused:
        """Return the revision, taken back. Raise StoreUnavailable."""
        refused = self._closed(who, Permission.POLICIES_PROPOSE)
        return refused or await self._revisions.withdraw(number, who, why, version)

    async def roll_back(
        self, wanted: str | None, who: Identity, why: str, *, allow_widening: bool = False
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
            return await self._return_to(target, active, who, why, allow_widening)

    async def _return_to(
        self, target: Revision, active: Revision, who: Identity, why: str, allowed: bool
    ) -> Revision | Refused:
        new = await self._loaded(await self._texts(target))
        if isinstance(new, Refused):
            return new
        difference = await self._compared(active, new, self._clock.now(), allowed, why)
        if isinstance(difference, Refused):
            return difference
        reason = why if difference is not None and difference.widens else ""
        lately = self._terms.return_within
        return await self._revisions.roll_back(target.number, who, why, active.number, lately, reason)

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

    async def _compared(
        self, active: Revision | None, new: Bundle, at: int, allowed: bool, reason: str
    ) -> Difference | Refused | None:
        """Return what it opens and closes (None: nothing was active), or why it may not come into force."""
        difference = None
        if active is not None:
            old = await asyncio.to_thread(self._examining.assemble, await self._texts(active))
            difference = await asyncio.to_thread(self._examining.compare, old, new, at)
            said = self._examining.refuse_widening(difference, allowed, reason)
            if said is not None:
                return Refused("widening", said)
        return await self._locks_out(new, at) or difference

    async def _locks_out(self, new: Bundle, at: int) -> Refused | None:
        """Return whom it would refuse from an instant on; None: nobody who must not be."""
        locked = await asyncio.to_thread(locked_out, new, self._examining.guarded, at)
        if not locked:
            return None
        said = "; ".join(f"{one.text()}, from {instant_text(one.at)} on" for one in locked[:_MOST_SAID])
        more = f", and {len(locked) - _MOST_SAID} more" if len(locked) > _MOST_SAID else ""
        return Refused("lock-out", f"{said}{more}; `[[policies.never_lock_out]]` says who that must not happen to")

    async def _loaded(self, sources: Mapping[str, str]) -> Bundle | Refused:
        try:
            return await asyncio.to_thread(self._examining.load, sources)
        except PolicyError as fault:
            return Refused("policies", str(fault))

    async def _texts(self, revision: Revision) -> Mapping[str, str]:
        """Return what a revision says. Raise PolicyError where that is not what was proposed."""
        texts = await self._revisions.texts(revision.digest)
        if texts is None or digest_of(texts) != revision.digest:
            raise PolicyError(f"the texts of revision {revision.name} are not in the store as they were proposed")
        return texts

    async def _simulated(self, bundle: Bundle) -> tuple[float | None, Mapping[str, Any]]:
        """Return which part of recorded decisions would flip, and all that is known of it; None where it is not."""
        try:
            async with asyncio.timeout(SIMULATE_WITHIN_S):
                flips = await self._examining.simulate(bundle)
        except TimeoutError:
            return None, {"not_run": f"it took longer than {SIMULATE_WITHIN_S:.0f} s"}
        except GatewayError as fault:
            return None, {"not_run": str(fault)}
        return flips.share, flips.to_json()

    def _too_many(self, share: float | None, simulated: Mapping[str, Any]) -> str | None:
        """Return why a reason is needed for what it changes; None where none is."""
        most = self._terms.flips_at_most
        if most >= 1 or (share is not None and share <= most):
            return None
        accept = "say why that may be, with `--accept-flips`, or `accept_flips` over the API"
        if share is None:
            return f"what it changes of yesterday's decisions is not known: {simulated['not_run']}; {accept}"
        return f"it changes {share:.1%} of yesterday's decisions, and at most {most:.1%} are to change; {accept}"


def _counted(bundle: Bundle) -> dict[str, int]:
    return {
        "policies": len(bundle.policies),
        "rules": len(bundle.rules),
        "lists": len(bundle.lists),
        "tests": sum(len(policy.tests) for policy in bundle.policies),
    }


def _said(finding: Finding) -> dict[str, str]:
    return {"message": finding.message, "code": finding.code, "severity": str(finding.severity)}
