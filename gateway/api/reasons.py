"""Why somebody wants to see personal data as it is: a header, and an entry in the audit before the look."""

from typing import Final

from starlette.requests import Request

from gateway.api.access import Gate
from gateway.api.desk_routes import LEAST_REASON, LONGEST_REASON, REASON_HEADER
from gateway.api.problems import ApiProblem, bad_parameter
from gateway.api.services import Services
from gateway.core.account import Refused
from gateway.core.permissions import Permission
from gateway.core.service_token import ServiceToken

_SAYS: Final = f"{REASON_HEADER}: say why in one line of {LEAST_REASON} to {LONGEST_REASON} characters"


def reason_of(request: Request) -> str | None:
    """Return the reason that the header says; None where it is not there. Raise ApiProblem where it says none."""
    lines = request.headers.getlist(REASON_HEADER)
    if not lines:
        return None
    if len(lines) > 1:
        raise bad_parameter(REASON_HEADER, f"{REASON_HEADER}: it is there {len(lines)} times; send it once")
    try:
        # Headers are bytes; what people write in them today is UTF-8.
        reason = " ".join(lines[0].encode("latin-1").decode("utf-8").split())
    except UnicodeDecodeError:
        raise bad_parameter(REASON_HEADER, f"{REASON_HEADER}: it is not UTF-8") from None
    if not LEAST_REASON <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise bad_parameter(REASON_HEADER, _SAYS)
    return reason


class Looks:
    """Leave to see more, each written into the audit before anybody sees it."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate

    async def whole(self, request: Request, token: ServiceToken, action: str, account: str) -> bool:
        """Return whether the caller may see personal data as it is, which is noted then. Raise ApiProblem."""
        reason = reason_of(request)
        if reason is None:
            return False
        self._gate.require(token, Permission.DECISIONS_UNMASK)
        await self.note(token, action, account, reason)
        return True

    async def needed(self, request: Request, token: ServiceToken, action: str, account: str, **what: object) -> None:
        """Note a look that takes a reason. Raise ApiProblem where there is none."""
        reason = reason_of(request)
        if reason is None:
            raise bad_parameter(REASON_HEADER, _SAYS)
        await self.note(token, action, account, reason, **what)

    async def note(self, token: ServiceToken, action: str, account: str, reason: str, **what: object) -> None:
        """Write a look into the audit. Raise ApiProblem, StoreUnavailable."""
        refused = await self._services.tokens.note_seen(action, account, token.identity.name, reason, **what)
        if isinstance(refused, Refused):
            raise ApiProblem(400, "bad-parameter", refused.message, parameter=REASON_HEADER)
