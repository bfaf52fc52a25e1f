"""The endpoints on alarms: what was refused unusually, and that somebody has seen it."""

import asyncio

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.access import Gate
from gateway.api.bodies import is_json, read_body
from gateway.api.problems import ApiProblem, bad_parameter, json_response, parameters
from gateway.api.routes import ACKNOWLEDGE, MOST_ALARMS
from gateway.api.services import Services
from gateway.core.account import Refused
from gateway.core.alarms import to_json
from gateway.core.permissions import Permission


class Alarms:
    """The endpoints, each of which is admitted by the gate."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate

    async def list(self, request: Request) -> Response:
        """Answer the alarms on record, the newest first."""
        await self._gate.admit(request, Permission.DECISIONS_READ)
        asked = parameters(request, ("open", "limit"))
        lasting, limit = asked.get("open", "0"), asked.get("limit", "100")
        if lasting not in {"0", "1"}:
            raise bad_parameter("open", f"open: `{lasting[:40]}` is none of 0, 1")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:6]) <= MOST_ALARMS):
            raise bad_parameter("limit", f"limit: `{limit[:20]}` is not a number from 1 to {MOST_ALARMS}")
        record = await asyncio.to_thread(self._services.alarms.read)
        found = [kept for kept in reversed(record.alarms) if lasting == "0" or kept.ended is None]
        return json_response({"alarms": [to_json(kept) for kept in found[: int(limit)]]})

    async def acknowledge(self, request: Request) -> Response:
        """Answer the alarm, acknowledged by whoever did so first."""
        token = await self._gate.admit(request, ACKNOWLEDGE)
        why = await _why(request)
        who = token.identity.name
        done = await asyncio.to_thread(
            self._services.alarms.acknowledge, request.path_params["id"], who, why, self._services.clock.now()
        )
        if isinstance(done, Refused):
            if done.what == "alarm":
                raise ApiProblem(404, "no-such-alarm", "no alarm with this id is on record here")
            raise bad_parameter("why", f"why: {done.message}")
        return json_response(to_json(done))


async def _why(request: Request) -> str:
    """Return what the body says. Raise ApiProblem where it is not `{"why": "…"}`."""
    if not is_json(request):
        raise ApiProblem(415, "not-json", 'send `Content-Type: application/json` and a body such as {"why": "…"}')
    body = await read_body(request)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or {*document} != {"why"} or not isinstance(document["why"], str):
        raise bad_parameter("why", 'why: the body is an object with the text `why` and nothing else: {"why": "…"}')
    return document["why"]
