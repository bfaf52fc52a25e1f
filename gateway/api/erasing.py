"""The endpoint that erases a customer's personal data from recorded decisions."""

import asyncio
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.access import Gate
from gateway.api.bodies import is_json, read_body
from gateway.api.problems import ApiProblem, bad_parameter, json_response
from gateway.api.services import Services
from gateway.core.account import Refused
from gateway.core.addresses import canonical
from gateway.core.permissions import Permission
from gateway.ports import Erasing

_LONGEST: Final = 256
_BODY: Final = 'the body is {"account": "…", "why": "…"} or {"address": "…", "why": "…"}'


class Erasings:
    """The endpoint, which is admitted by the gate."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate
        self._one = asyncio.Lock()

    async def erase(self, request: Request) -> Response:
        """Answer how many decisions of one account or address are now without personal data, and what is left."""
        token = await self._gate.admit(request, Permission.DECISIONS_ERASE)
        erasing, why = await _asked(request)
        # One after the other: each may write the whole archive anew.
        async with self._one:
            done = await self._services.erase(erasing, token.identity.name, why)
        if isinstance(done, Refused):
            raise bad_parameter(done.what, f"{done.what}: {done.message}")
        return json_response(done)


async def _asked(request: Request) -> tuple[Erasing, str]:
    """Return whose data is to be erased, and why. Raise ApiProblem."""
    if not is_json(request):
        raise ApiProblem(415, "not-json", f"send `Content-Type: application/json`; {_BODY}")
    body = await read_body(request)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or not all(isinstance(text, str) for text in document.values()):
        raise bad_parameter("why", f"why: {_BODY}")
    why = document.pop("why", None)
    if why is None or set(document) not in ({"account"}, {"address"}):
        raise bad_parameter("why" if why is None else "account", f"{'why' if why is None else 'account'}: {_BODY}")
    if "account" in document:
        if not 1 <= len(document["account"]) <= _LONGEST:
            raise bad_parameter("account", f"account: 1 to {_LONGEST} characters")
        return Erasing(account=document["account"]), why
    address = canonical(document["address"])
    if address is None:
        raise bad_parameter("address", "address: it is not one address such as 203.0.113.7")
    return Erasing(address=address), why
