"""The API as an ASGI app: the routes of the table, and one way to say that something went wrong."""

from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute
from starlette.types import Lifespan

from gateway.api.access import Gate
from gateway.api.accounts import Accounts
from gateway.api.alarms import Alarms
from gateway.api.decisions import Decisions
from gateway.api.erasing import Erasings
from gateway.api.events import Told
from gateway.api.evidence import Pieces
from gateway.api.openapi import openapi
from gateway.api.outbox import Messages
from gateway.api.policies import Policies
from gateway.api.problems import COMMON_HEADERS, ApiProblem, json_response, unavailable
from gateway.api.room import Room
from gateway.api.routes import ROUTES
from gateway.api.services import Services
from gateway.api.tickets import Tickets
from gateway.core.errors import GatewayError
from gateway.core.permissions import Permission
from gateway.service.health import failing

log: Any = structlog.get_logger("gateway")

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
Endpoint = Callable[[Request], Awaitable[Response]]


def create_api(services: Services, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """Return the app, which lives within `lifespan`. All that it keeps is who failed to prove who they are."""
    gate = Gate(services)
    decisions = Decisions(services, gate)
    alarms = Alarms(services, gate)
    erasings = Erasings(services, gate)
    room = Room(services, gate)
    described = openapi(ROUTES, _version())

    async def health(_request: Request) -> Response:
        await services.archive.taken()
        return json_response({"status": "ok"})

    async def live(_request: Request) -> Response:
        return json_response({"status": "ok"})

    async def ready(request: Request) -> Response:
        checks = services.checks()
        bad = failing(checks)
        if bad:
            raise ApiProblem(503, "not-ready", f"not well: {', '.join(bad)}")
        document: dict[str, Any] = {"status": "ok"}
        if "verbose" in request.query_params:
            document["checks"] = [check._asdict() for check in checks]
        return json_response(document)

    async def description(_request: Request) -> Response:
        return json_response(described)

    async def metrics(request: Request) -> Response:
        await gate.admit(request, Permission.METRICS_READ)
        return Response(services.metrics(), 200, {**COMMON_HEADERS, "Content-Type": METRICS_TYPE})

    endpoints: Mapping[str, Endpoint] = {
        "searchDecisions": decisions.search,
        "countDecisions": decisions.count,
        "readDecision": decisions.read,
        "eraseDecisions": erasings.erase,
        "listAlarms": alarms.list,
        "acknowledgeAlarm": alarms.acknowledge,
        **_desk(room),
        **_policies(room),
        "readHealth": health,
        "readLive": live,
        "readReady": ready,
        "readOpenapi": description,
        "readMetrics": metrics,
    }
    return Starlette(
        lifespan=lifespan,
        routes=[
            HttpRoute(route.path, endpoints[route.name], name=route.name, methods=[route.method]) for route in ROUTES
        ],
        exception_handlers={ApiProblem: _problem, GatewayError: _fault, HTTPException: _http, Exception: _bug},
    )


def _desk(room: Room) -> dict[str, Endpoint]:
    accounts, tickets, pieces, messages, told = (
        Accounts(room),
        Tickets(room),
        Pieces(room),
        Messages(room),
        Told(room),
    )
    return {
        "listAccounts": accounts.list,
        "readAccount": accounts.read,
        "changeAccount": accounts.change,
        "readTimeline": accounts.timeline,
        "readAccountHolds": accounts.holds,
        "listHolds": tickets.list_holds,
        "placeHold": tickets.place_hold,
        "listTickets": tickets.list,
        "openTicket": tickets.open,
        "readTicket": tickets.read,
        "proposeEnd": tickets.propose,
        "approveEnd": tickets.approve,
        "declineEnd": tickets.decline,
        "listEvidence": pieces.list,
        "attachEvidence": pieces.attach,
        "readEvidence": pieces.read,
        "takeIdentityResult": pieces.take_result,
        "listMessages": messages.list,
        "readMessage": messages.read,
        "retryMessage": messages.retry,
        "takeEvents": told.take,
        "takeSecurityEvent": told.take_security_event,
    }


def _policies(room: Room) -> dict[str, Endpoint]:
    policies = Policies(room)
    return {
        "listRevisions": policies.list,
        "proposeRevision": policies.propose,
        "readRevision": policies.read,
        "approveRevision": policies.approve,
        "declineRevision": policies.decline,
        "withdrawRevision": policies.withdraw,
        "rollBack": policies.roll_back,
        "listRuns": policies.runs,
    }


async def _problem(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, ApiProblem)
    return problem.response()


async def _fault(request: Request, fault: Exception) -> Response:
    # What does not answer is named in the log; the caller is told that it may pass.
    log.error("admin:unavailable", path=request.url.path, why=str(fault))
    return unavailable("a part that this needs does not answer; the log of the gateway says which").response()


async def _http(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    detail = {
        404: "there is nothing here; /api/v1/openapi.json says what there is",
        405: "this path answers another method",
    }
    code = {404: "no-such-path", 405: "method-not-allowed"}.get(fault.status_code, "refused")
    return ApiProblem(
        fault.status_code, code, detail.get(fault.status_code, fault.detail), headers=dict(fault.headers or {})
    ).response()


async def _bug(request: Request, fault: Exception) -> Response:
    log.error("admin:failed", path=request.url.path, what=type(fault).__name__)
    return ApiProblem(500, "failed", "this went wrong inside; the log of the gateway says more").response()


def _version() -> str:
    try:
        return version("geofence-gateway")
    except PackageNotFoundError:
        return "unknown"
