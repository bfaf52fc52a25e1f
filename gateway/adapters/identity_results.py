"""Results of an identity-verification provider, by signed webhook: checked, and turned into pieces of evidence."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.adapters.jws import read_object
from gateway.adapters.security_event_tokens import SeenOnce
from gateway.adapters.webhooks import Secrets, Unverified, verify
from gateway.core.errors import StoreUnavailable
from gateway.desk.evidence import Evidence, EvidenceKind, IdentityResult
from gateway.ports import MICROSECONDS, Clock

MAX_BYTES: Final = 16 * 1024
_KEPT: Final = 7 * 86_400 * MICROSECONDS
"""Longer than providers repeat a webhook. A repeat after that is known by the evidence that it would be once more."""
_TICKET: Final = re.compile(r"T-[A-Z2-7]{10}", re.ASCII)
_LONGEST_REFERENCE: Final = 128
_PASSED: Final[Mapping[object, bool]] = {"pass": True, "fail": False}


class Result(NamedTuple):
    """What a provider found, as evidence for a ticket."""

    ticket: str
    evidence: Evidence
    delivery: str
    """The id of the webhook."""
    repeated: bool
    """It came before, and was attached: it is answered as then, and nothing is done."""


class Problem(NamedTuple):
    """A result that is not taken."""

    status: int
    """401 where it is not believed, 400 where it cannot be read."""
    detail: str
    """For the provider. Never a value of what was sent."""


class IdentityResults:
    """Takes the results of one provider."""

    def __init__(self, provider: str, secrets: Secrets, *, seen: SeenOnce, clock: Clock) -> None:
        """Build. `provider` names it in the tickets; `secrets` are asked for each time."""
        self._provider = provider
        self._names = f"identity-results:{provider}"
        self._secrets = secrets
        self._seen = seen
        self._clock = clock

    async def check(self, body: bytes, headers: Mapping[str, str]) -> Result | Problem:
        """Return what was found, or why it is not taken. Nothing is changed by it.

        Whoever has attached the evidence says `attached`. Raise StoreUnavailable where nothing can be said now: it is
        to be sent again. `headers` have their names in small letters.
        """
        if len(body) > MAX_BYTES:
            return Problem(400, f"a result has at most {MAX_BYTES} bytes")
        try:
            secrets = self._secrets()
        except OSError as fault:
            raise StoreUnavailable(f"identity results of {self._provider}: {fault}") from None
        now = self._clock.now()
        verified = verify(headers, body, secrets, now // MICROSECONDS)
        if isinstance(verified, Unverified):
            return Problem(401, verified.why)
        try:
            ticket, found = _read(read_object(body))
        except ValueError as why:
            return Problem(400, str(why))
        # The same each time that the webhook comes, so that a ticket has it once, however often it is attached.
        named = hashlib.sha256(f"{self._provider}\0{verified.id}".encode()).hexdigest()[:32]
        evidence = Evidence(f"idr_{named}", EvidenceKind.IDENTITY_RESULT, now, self._provider, result=found)
        return Result(ticket, evidence, verified.id, await self._seen.seen(self._names, verified.id))

    async def attached(self, result: Result) -> None:
        """Remember that a result has been attached. Raise StoreUnavailable: then a repeat is attached once more."""
        await self._seen.first(self._names, result.delivery, self._clock.now() + _KEPT)


def _read(content: Mapping[str, Any]) -> tuple[str, IdentityResult]:
    """Return ticket and result. Raise ValueError for what is missing or has no such value.

    Members that are not known are passed over: providers add some.
    """
    ticket, reference, match = content.get("ticket"), content.get("provider_reference"), content.get("face_match")
    if not isinstance(ticket, str) or not _TICKET.fullmatch(ticket):
        raise ValueError("`ticket` is the id of a ticket, such as T-ABCDEFGH23")
    if not isinstance(reference, str) or not 0 < len(reference) <= _LONGEST_REFERENCE or not reference.isprintable():
        raise ValueError(f"`provider_reference` is a line of 1 to {_LONGEST_REFERENCE} characters")
    if not isinstance(match, int | float) or isinstance(match, bool) or not 0 <= match <= 1:
        raise ValueError("`face_match` is a number from 0 to 1")
    return ticket, IdentityResult(_passed(content, "document"), _passed(content, "liveness"), float(match), reference)


def _passed(content: Mapping[str, Any], name: str) -> bool:
    value = content.get(name)
    if not isinstance(value, str) or value not in _PASSED:
        raise ValueError(f"`{name}` is `pass` or `fail`")
    return _PASSED[value]
