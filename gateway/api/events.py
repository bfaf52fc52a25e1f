"""The endpoints that take in what others tell: events of the exchange, and security events of other issuers."""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.adapters.security_event_tokens import MAX_BYTES, REPLY_HEADERS, Checked, Err
from gateway.api.bodies import members, read_body
from gateway.api.problems import COMMON_HEADERS, ApiProblem, bad_parameter, json_response
from gateway.api.room import Room, there
from gateway.core.decision import Document
from gateway.core.events import LARGEST_BODY, Event, EventProblem, read_event
from gateway.core.permissions import Permission
from gateway.ports import Events as EventBook
from gateway.ports import Taken, Taking

MOST_EVENTS: Final = 1000
LARGEST: Final = 1024 * 1024
_CLOSE: Final = {"Connection": "close"}
_UNPROVED: Final = frozenset({Err.INVALID_KEY, Err.INVALID_ISSUER, Err.AUTHENTICATION_FAILED})


class Told:
    """The endpoints; the gate admits who tells of events, and a signature who pushes security events."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def take(self, request: Request) -> Response:
        """Answer what became of each event of a batch."""
        token, desk = await self._room.admit(request, Permission.EVENTS_WRITE)
        book = there(desk.events, "events", "[store]")
        told = members(request, await read_body(request, LARGEST), ("events",), ("events",))["events"]
        if not isinstance(told, list):
            raise bad_parameter("events", "events: it is a list of events")
        if len(told) > MOST_EVENTS:
            raise ApiProblem(413, "too-many", f"a batch has at most {MOST_EVENTS} events, this one {len(told)}")
        results = await _taken(book, told, token.identity.name, self._room.now())
        counted = {what: sum(one.what is what for one in results) for what in Taking}
        answers = [
            _answer(place, one, document) for place, (one, document) in enumerate(zip(results, told, strict=True))
        ]
        return json_response(
            {
                "taken": counted[Taking.TAKEN],
                "repeated": counted[Taking.REPEATED],
                "problems": counted[Taking.PROBLEM],
                "results": answers,
            }
        )

    async def take_security_event(self, request: Request) -> Response:
        """Answer 202 where the token's events are stored, or as RFC 8935 says why they are not."""
        self._room.gate.listen(request)
        receiver = there(self._room.desk().security_events, "Security Event Tokens", "[[security_events]]")
        body = await read_body(request, MAX_BYTES)
        done = await receiver.receive(body, request.headers.get("content-type"))
        if isinstance(done, Checked):
            return Response(None, 202, COMMON_HEADERS)
        if done.err in _UNPROVED:
            self._room.gate.failed(request, why=str(done.err))
        return Response(orjson.dumps(done.document()), 400, {**COMMON_HEADERS, **REPLY_HEADERS})


async def _taken(book: EventBook, told: Sequence[Any], source: str, now: int) -> list[Taken]:
    """Return what became of each: what can be read is taken, whatever stands beside it."""
    read: list[Event | EventProblem] = [_read(document, now) for document in told]
    events = [one for one in read if not isinstance(one, EventProblem)]
    taken = iter(await book.take(events, source))
    return [Taken(Taking.PROBLEM, one) if isinstance(one, EventProblem) else next(taken) for one in read]


def _read(document: object, now: int) -> Event | EventProblem:
    if len(orjson.dumps(document)) > LARGEST_BODY:
        return EventProblem("too-large", None, f"an event has at most {LARGEST_BODY} bytes")
    return read_event(document, now=now)


def _answer(place: int, taken: Taken, document: object) -> Document:
    if taken.problem is None:
        told = document.get("id") if isinstance(document, dict) else None
        return {"id": told, "what": str(taken.what)}
    problem = taken.problem
    detail = ApiProblem(422, problem.code, problem.message, parameter=problem.field).document() | {"index": place}
    if problem.id is not None:
        detail["id"] = problem.id
    return {"id": problem.id, "what": str(taken.what), "problem": detail}
