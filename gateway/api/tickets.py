"""The endpoints on holds and tickets: looked at, opened, and ended by two people."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.adapters.desk_reads import MOST, TicketFilter
from gateway.adapters.desk_store import Kept
from gateway.adapters.once import Keep
from gateway.api.bodies import members, read_body, text_of, texts_of
from gateway.api.desk_schemas import HELD_BY_PEOPLE, MOST_HOURS, OPENED_BY_PEOPLE, STATUSES
from gateway.api.documents import hold_document, log_document, ticket_document
from gateway.api.problems import ApiProblem, bad_parameter, choice, json_response, of_refusal, page_of, parameters
from gateway.api.room import Room, seen_version
from gateway.api.services import Desk
from gateway.core.account import Refused
from gateway.core.decision import Document
from gateway.core.errors import SearchError
from gateway.core.permissions import Permission
from gateway.core.service_token import ServiceToken
from gateway.core.terms import Operation, Status
from gateway.desk.kinds import TicketKind
from gateway.desk.lifecycle import TicketState
from gateway.desk.record import End, Ticket
from gateway.policies.fields import NAME
from gateway.ports import MICROSECONDS

_MOST_KINDS: Final = 16
_HOUR_US: Final = 3600 * MICROSECONDS
Work = Callable[[Kept | None], Awaitable[Ticket | Refused]]
Step = Callable[[Desk, ServiceToken, Mapping[str, Any], int, Kept | None], Awaitable[Ticket | Refused]]


class Tickets:
    """The endpoints, each of which is admitted by the gate."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def list(self, request: Request) -> Response:
        """Answer a page of tickets."""
        _, desk = await self._room.admit(request, Permission.TICKETS_READ)
        asked = parameters(request, ("account", "kind", "state", "open", "operation", "limit", "cursor"))
        is_open = choice(asked, "open", ("0", "1"))
        wanted = TicketFilter(
            account=asked.get("account"),
            kind=choice(asked, "kind", TicketKind),
            state=choice(asked, "state", TicketState),
            is_open=None if is_open is None else is_open == "1",
            holds=choice(asked, "operation", Operation),
        )
        tickets, cursor = await _page(desk, wanted, asked)
        now = self._room.now()
        return json_response({"tickets": [ticket_document(one, now) for one in tickets], "cursor": cursor})

    async def list_holds(self, request: Request) -> Response:
        """Answer a page of holds that stand."""
        _, desk = await self._room.admit(request, Permission.HOLDS_READ)
        asked = parameters(request, ("account", "operation", "limit", "cursor"))
        wanted = TicketFilter(asked.get("account"), is_open=True, holds=choice(asked, "operation", Operation))
        tickets, cursor = await _page(desk, wanted, asked)
        now = self._room.now()
        standing = [hold_document(one) for one in tickets if stands(one, now)]
        return json_response({"holds": standing, "cursor": cursor})

    async def read(self, request: Request) -> Response:
        """Answer one ticket with its steps."""
        _, desk = await self._room.admit(request, Permission.TICKETS_READ)
        parameters(request, ())
        ticket = await ticket_of(desk, request)
        document = ticket_document(ticket, self._room.now())
        document["log"] = [log_document(one) for one in await desk.tickets.log(ticket.id)]
        return _answer(document)

    async def place_hold(self, request: Request) -> Response:
        """Answer the ticket of a new hold."""
        token, desk = await self._room.admit(request, Permission.HOLDS_PLACE)
        known = ("account", "operations", "why", "kind", "hours", "expeditable", "evidence")
        body = await read_body(request)
        asked = members(request, body, known, ("account", "operations", "why"))
        kind = _one(asked, "kind", HELD_BY_PEOPLE, TicketKind.REVIEW)
        operations = [_operation(name) for name in texts_of(asked, "operations")]
        if not operations:
            raise bad_parameter("operations", "operations: say at least one")
        hours, expeditable = asked.get("hours"), asked.get("expeditable", True)
        if hours is not None and not (type(hours) is int and 1 <= hours <= MOST_HOURS):
            raise bad_parameter("hours", f"hours: a whole number from 1 to {MOST_HOURS}, or null")
        if not isinstance(expeditable, bool) or (hours is None and not expeditable):
            raise bad_parameter(
                "expeditable", "expeditable: true or false; false takes `hours`, or nobody could end it"
            )
        account, why, evidence = text_of(asked, "account"), text_of(asked, "why"), texts_of(asked, "evidence")
        strange = no_kind(evidence)
        if strange is not None:
            raise bad_parameter("evidence", f"evidence: {strange}")

        async def work(kept: Kept | None) -> Ticket | Refused:
            return await desk.tickets.open(
                account,
                kind,
                token.identity,
                why,
                operations=operations,
                length=None if hours is None else hours * _HOUR_US,
                expeditable=expeditable,
                evidence=evidence,
                kept=kept,
            )

        return _answer(await self._once(request, token, body, work), 201)

    async def open(self, request: Request) -> Response:
        """Answer a new ticket that holds nothing."""
        token, desk = await self._room.admit(request, Permission.TICKETS_OPEN)
        body = await read_body(request)
        asked = members(request, body, ("account", "kind", "why"), ("account", "kind", "why"))
        kind = _one(asked, "kind", OPENED_BY_PEOPLE)
        account, why = text_of(asked, "account"), text_of(asked, "why")

        async def work(kept: Kept | None) -> Ticket | Refused:
            return await desk.tickets.open(account, kind, token.identity, why, kept=kept)

        return _answer(await self._once(request, token, body, work), 201)

    async def propose(self, request: Request) -> Response:
        """Answer the ticket with an end proposed."""

        async def step(
            desk: Desk, token: ServiceToken, asked: Mapping[str, Any], version: int, kept: Kept | None
        ) -> Ticket | Refused:
            outcome = _one(asked, "outcome", End)
            to = None if asked.get("to") is None else Status(_one(asked, "to", STATUSES))
            who, why = token.identity, text_of(asked, "why")
            return await desk.tickets.propose(
                request.path_params["id"], who, outcome, why, to=to, version=version, kept=kept
            )

        return await self._step(request, Permission.TICKETS_PROPOSE, step, ("outcome", "why", "to"), ("outcome", "why"))

    async def approve(self, request: Request) -> Response:
        """Answer the ticket, ended as another person proposed."""

        async def step(
            desk: Desk, token: ServiceToken, asked: Mapping[str, Any], version: int, kept: Kept | None
        ) -> Ticket | Refused:
            who, why = token.identity, text_of(asked, "why")
            return await desk.tickets.approve(request.path_params["id"], who, why, version=version, kept=kept)

        return await self._step(request, Permission.TICKETS_APPROVE, step, ("why",), ("why",))

    async def decline(self, request: Request) -> Response:
        """Answer the ticket without the proposal, which another person made."""

        async def step(
            desk: Desk, token: ServiceToken, asked: Mapping[str, Any], version: int, kept: Kept | None
        ) -> Ticket | Refused:
            who, why = token.identity, text_of(asked, "why")
            return await desk.tickets.decline(request.path_params["id"], who, why, version=version, kept=kept)

        return await self._step(request, Permission.TICKETS_APPROVE, step, ("why",), ("why",))

    async def _step(
        self, request: Request, permission: Permission, step: Step, known: tuple[str, ...], needed: tuple[str, ...]
    ) -> Response:
        token, desk = await self._room.admit(request, permission)
        version = seen_version(request)
        body = await read_body(request)
        asked = members(request, body, known, needed)

        async def work(kept: Kept | None) -> Ticket | Refused:
            return await step(desk, token, asked, version, kept)

        return _answer(await self._once(request, token, body, work))

    async def _once(self, request: Request, token: ServiceToken, body: bytes, work: Work) -> Document:
        """Return the document of the ticket that the work makes of it. Raise ApiProblem where it is refused."""
        assert self._room.once is not None, "whoever has a desk has it"
        now = self._room.now()

        async def keeping(keep: Keep | None) -> Document:
            kept = None if keep is None else partial(_keep, keep, now)
            result = await work(kept)
            if isinstance(result, Refused):
                raise of_refusal(result)
            return ticket_document(result, now)

        return await self._room.once.do(request, token, body, now, keeping)


def no_kind(names: Sequence[str]) -> str | None:
    """Return what is wrong with names of kinds of evidence; None where nothing is."""
    if len(names) > _MOST_KINDS:
        return f"a ticket asks for at most {_MOST_KINDS} kinds besides its own"
    wrong = next((name for name in names if not NAME.fullmatch(name)), None)
    said = None if wrong is None else ascii(wrong[:40])[1:-1]
    return (
        None
        if said is None
        else f"`{said}` names no kind: 1 to 64 of a-z, 0-9, `.`, `_` and `-`, such as `signed_note`"
    )


def stands(ticket: Ticket, now: int) -> bool:
    """Return whether an open ticket holds anything now."""
    return bool(ticket.operations) and (ticket.ends_at is None or ticket.ends_at > now)


async def ticket_of(desk: Desk, request: Request) -> Ticket:
    """Return the ticket that the path names. Raise ApiProblem, 404."""
    ticket = await desk.tickets.ticket(request.path_params["id"])
    if ticket is None:
        raise ApiProblem(404, "no-such-thing", "there is no ticket with this id")
    return ticket


async def _page(desk: Desk, wanted: TicketFilter, asked: Mapping[str, str]) -> tuple[tuple[Ticket, ...], str | None]:
    limit, cursor = page_of(asked, MOST)
    try:
        page = await desk.tickets.tickets(wanted, cursor=cursor, limit=limit)
    except SearchError as fault:
        raise bad_parameter("cursor", str(fault)) from None
    return page.tickets, page.cursor


def _one(asked: Mapping[str, Any], name: str, choices: Any, default: Any = None) -> Any:  # noqa: ANN401 - of an enum
    """Return a member that is one of these. Raise ApiProblem."""
    value = asked.get(name, default)
    found = next((one for one in choices if value == str(one)), None) if isinstance(value, str) else None
    if found is None:
        names = ", ".join(map(str, choices))
        raise bad_parameter(name, f"{name}: it is one of {names}")
    return found


def _operation(name: str) -> Operation:
    if name not in tuple(Operation):
        raise bad_parameter("operations", f"operations: `{name[:40]}` is none of {', '.join(Operation)}")
    return Operation(name)


def _answer(document: Document, status: int = 200) -> Response:
    return json_response(document, status, etag=f'"{document["version"]}"')


def _keep(keep: Keep, now: int, connection: Any, ticket: Ticket) -> None:  # noqa: ANN401 - the store's own
    keep(connection, orjson.dumps(ticket_document(ticket, now)))
