"""The endpoints on the Outbox: what the exchange was told, is still to be told, and what was given up on."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.adapters.outbox_rows import Sending
from gateway.adapters.outbox_store import MOST, OutboxFilter
from gateway.api.bodies import members, read_body, text_of
from gateway.api.documents import message_document
from gateway.api.problems import ApiProblem, bad_parameter, choice, json_response, of_refusal, page_of, parameters
from gateway.api.room import Room
from gateway.core.account import Refused
from gateway.core.errors import SearchError
from gateway.core.permissions import Permission


class Messages:
    """The endpoints, each of which is admitted by the gate."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def list(self, request: Request) -> Response:
        """Answer a page of messages."""
        _, desk = await self._room.admit(request, Permission.OUTBOX_READ)
        asked = parameters(request, ("account", "type", "state", "limit", "cursor"))
        wanted = OutboxFilter(asked.get("account"), asked.get("type"), choice(asked, "state", Sending))
        limit, cursor = page_of(asked, MOST)
        try:
            page = await desk.outbox.rows(wanted, cursor=cursor, limit=limit)
        except SearchError as fault:
            raise bad_parameter("cursor", str(fault)) from None
        return json_response({"messages": [message_document(one) for one in page.rows], "cursor": page.cursor})

    async def read(self, request: Request) -> Response:
        """Answer one message."""
        _, desk = await self._room.admit(request, Permission.OUTBOX_READ)
        parameters(request, ())
        row = await desk.outbox.row(request.path_params["id"])
        if row is None:
            raise ApiProblem(404, "no-such-thing", "there is no message with this id in the Outbox")
        return json_response(message_document(row))

    async def retry(self, request: Request) -> Response:
        """Answer a message that is tried again."""
        token, desk = await self._room.admit(request, Permission.OUTBOX_RETRY)
        asked = members(request, await read_body(request), ("why",), ("why",))
        row = await desk.outbox.retry(request.path_params["id"], who=token.identity.name, why=text_of(asked, "why"))
        if isinstance(row, Refused):
            raise of_refusal(row)
        return json_response(message_document(row))
