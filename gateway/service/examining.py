"""Examining a revision of the policies before it may decide: checks, tests, what it opens, whom it would refuse."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.core.account import Refused
from gateway.core.decision import instant_text
from gateway.core.errors import GatewayError, PolicyError
from gateway.policies.bundle import Bundle
from gateway.policies.findings import Finding
from gateway.policies.lock_out import Guarded, locked_out

SIMULATE_WITHIN_S: Final = 120.0
"""How long recorded decisions are decided again before that is given up, and said."""
_MOST_SAID: Final = 5


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
    simulate: Callable[[Bundle, Bundle | None], Awaitable[Flips]]
    """What the first makes of the decisions of the day before against the second; None: against what was answered.

    Raises GatewayError where that cannot be known.
    """
    guarded: tuple[Guarded, ...] = ()

    async def loaded(self, sources: Mapping[str, str]) -> Bundle | Refused:
        """Return the bundle of texts, or why they are none."""
        try:
            return await asyncio.to_thread(self.load, sources)
        except PolicyError as fault:
            return Refused("policies", str(fault))

    async def compared(
        self, old: Mapping[str, str] | None, new: Bundle, at: int, *, allowed: bool, reason: str
    ) -> Difference | Refused | None:
        """Return what it opens and closes (None: there is nothing old), or why it may not come into force at `at`."""
        difference = None
        before = await self._before(old)
        if isinstance(before, Bundle):
            difference = await asyncio.to_thread(self.compare, before, new, at)
            said = self.refuse_widening(difference, allowed, reason)
            if said is not None:
                return Refused("widening", said)
        elif before is not None and not (allowed and reason.strip()):
            return Refused("widening", f"{before}, so it may open anything: allow that, with a reason")
        return await self.locks_out(new, at) or difference

    async def found(
        self, old: Mapping[str, str] | None, new: Bundle, difference: Difference | None, at: int
    ) -> Mapping[str, Any]:
        """Return what is kept with a revision, as a JSON object."""
        findings = await asyncio.to_thread(self.notices, new, at)
        _, simulated = await self.simulated(old, new)
        return {
            "policies": len(new.policies),
            "rules": len(new.rules),
            "lists": len(new.lists),
            "tests": sum(len(policy.tests) for policy in new.policies),
            "findings": [{**one.place._asdict(), **_said(one)} for one in findings],
            "diff": None if difference is None else difference.to_json(),
            "simulation": simulated,
        }

    async def _before(self, old: Mapping[str, str] | None) -> Bundle | str | None:
        """Return what was active; why it cannot be read any more, as when the language became stricter; or None."""
        try:
            return None if old is None else await asyncio.to_thread(self.assemble, old)
        except PolicyError as fault:
            return f"what is active cannot be read any more ({fault})"

    async def locks_out(self, new: Bundle, at: int) -> Refused | None:
        """Return whom it would refuse from an instant on; None: nobody who must not be."""
        locked = await asyncio.to_thread(locked_out, new, self.guarded, at)
        if not locked:
            return None
        said = "; ".join(f"{one.text()}, from {instant_text(one.at)} on" for one in locked[:_MOST_SAID])
        more = f", and {len(locked) - _MOST_SAID} more" if len(locked) > _MOST_SAID else ""
        return Refused("lock-out", f"{said}{more}; `[[policies.never_lock_out]]` says who that must not happen to")

    async def simulated(self, old: Mapping[str, str] | None, new: Bundle) -> tuple[float | None, Mapping[str, Any]]:
        """Return which part of recorded decisions would flip, and all that is known of it; None where it is not."""
        try:
            before = await self._before(old)
            async with asyncio.timeout(SIMULATE_WITHIN_S):
                flips = await self.simulate(new, before if isinstance(before, Bundle) else None)
        except TimeoutError:
            return None, {"not_run": f"it took longer than {SIMULATE_WITHIN_S:.0f} s"}
        except GatewayError as fault:
            return None, {"not_run": str(fault)}
        return flips.share, flips.to_json()


def _said(finding: Finding) -> dict[str, str]:
    return {"message": finding.message, "code": finding.code, "severity": str(finding.severity)}
