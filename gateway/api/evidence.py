"""The endpoints on evidence: attached as a file or as what a provider found, listed, and looked at with a reason."""

import hashlib
from base64 import b32encode
from collections.abc import AsyncIterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.adapters.desk_store import DeskStore
from gateway.adapters.evidence_files import EvidenceStore, NotTaken, Stored
from gateway.adapters.evidence_files import Why as NotTakenFor
from gateway.adapters.identity_results import MAX_BYTES, Problem
from gateway.api.bodies import is_json, media_type, read_body
from gateway.api.documents import evidence_document, ticket_document
from gateway.api.problems import COMMON_HEADERS, ApiProblem, bad_parameter, json_response, of_refusal, parameters
from gateway.api.room import Room, there
from gateway.api.tickets import ticket_of
from gateway.core.account import Refused
from gateway.core.permissions import Permission
from gateway.desk.evidence import Evidence, EvidenceKind
from gateway.desk.lifecycle import CLOSED, Act
from gateway.desk.record import Ticket
from gateway.desk.refusals import impossible

FILES: Final = "[evidence] key_file"
_LONGEST_REFERENCE: Final = 128
_CLOSE: Final = {"Connection": "close"}
_SEALED: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""A browser shows the file or saves it, and runs nothing of it."""


class Pieces:
    """The endpoints, each of which is admitted by the gate."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def list(self, request: Request) -> Response:
        """Answer the evidence of a ticket."""
        _, desk = await self._room.admit(request, Permission.EVIDENCE_READ)
        parameters(request, ())
        ticket = await ticket_of(desk, request)
        return json_response({"evidence": [evidence_document(one, ticket, whole=True) for one in ticket.evidence]})

    async def attach(self, request: Request) -> Response:
        """Answer the ticket with a piece of evidence more."""
        token, desk = await self._room.admit(request, Permission.EVIDENCE_WRITE)
        ticket = await ticket_of(desk, request)
        if ticket.state in CLOSED:
            raise of_refusal(impossible(ticket, Act.ATTACH))
        kind = parameters(request, ("kind",)).get("kind")
        if kind == EvidenceKind.IDENTITY_RESULT or is_json(request):
            # It counts as a selfie with a document: whoever could write one could do without the customer.
            raise bad_parameter(
                "kind",
                f"kind: an `{EvidenceKind.IDENTITY_RESULT}` comes from the provider itself, signed, by POST "
                "/api/v1/identity-results; attach a file",
            )
        if kind is None:
            raise bad_parameter("kind", f"kind: say what the file is: {', '.join(kinds_of_files(ticket))}")
        files = there(desk.evidence, "files of evidence", FILES)
        claimed = media_type(request)
        done = await attach_file(
            desk.tickets, files, ticket, kind, request.stream(), claimed, token.identity.name, self._room.now()
        )
        if isinstance(done, Refused):
            raise of_refusal(done)
        return json_response(ticket_document(done, self._room.now()), etag=f'"{done.version}"')

    async def read(self, request: Request) -> Response:
        """Answer the file of a piece of evidence, once it is noted who looks at it and why."""
        token, desk = await self._room.admit(request, Permission.EVIDENCE_READ)
        parameters(request, ())
        ticket = await ticket_of(desk, request)
        piece = next(
            (one for one in await desk.tickets.evidence(ticket.id) if one.id == request.path_params["piece"]), None
        )
        if piece is None or piece.kept_as is None:
            raise ApiProblem(404, "no-such-thing", "the ticket has no file with this id")
        files = there(desk.evidence, "files of evidence", FILES)
        await self._room.looks.needed(
            request, token, "evidence.read", ticket.account, ticket=ticket.id, evidence=piece.id
        )
        content = await files.open(piece.kept_as, str(piece.document["digest"]))
        headers = {**COMMON_HEADERS, **_SEALED, "Content-Disposition": f'attachment; filename="{piece.id}"'}
        return Response(content, 200, headers, media_type=str(piece.document["media_type"]))

    async def take_result(self, request: Request) -> Response:
        """Answer the ticket that a provider's signed result went to."""
        self._room.gate.listen(request)
        desk = self._room.desk()
        results = there(desk.identity_results, "identity results", "[identity_results]")
        headers = {name: value for name, value in request.headers.items() if name.startswith("webhook-")}
        if len(headers) < sum(name.startswith(b"webhook-") for name, _ in request.headers.raw):
            raise bad_parameter("webhook-signature", "webhook-…: each of these headers is sent once")
        found = await results.check(await read_body(request, MAX_BYTES), headers)
        if isinstance(found, Problem):
            if found.status == 401:
                self._room.gate.failed(request, why="identity-result")
            raise ApiProblem(found.status, "not-believed" if found.status == 401 else "not-readable", found.detail)
        ticket = await desk.tickets.ticket(found.ticket)
        if ticket is not None and not found.repeated:
            done = await desk.tickets.attach(ticket.id, found.evidence)
            if isinstance(done, Refused):
                raise of_refusal(done)
            await results.attached(found)
            ticket = done
        if ticket is None:
            raise ApiProblem(404, "no-such-thing", "there is no ticket with this id")
        return json_response({"ticket": ticket.id, "state": str(ticket.state)})


async def attach_file(  # noqa: PLR0917 - its two callers, the API and the command, have all of them
    tickets: DeskStore,
    files: EvidenceStore,
    ticket: Ticket,
    kind: str,
    content: AsyncIterable[bytes],
    claimed: str,
    who: str,
    now: int,
) -> Ticket | Refused:
    """Return the ticket with a file more; the same file of the same kind is kept once. Raise ApiProblem for no file."""
    allowed = kinds_of_files(ticket)
    if kind not in allowed:
        return Refused("kind", f"kind: `{ascii(kind[:40])[1:-1]}` is none of {', '.join(allowed)}", allowed)
    stored = await files.put(content, claimed, tickets.begin_file)
    if isinstance(stored, NotTaken):
        raise _not_taken(stored)
    piece = _piece(ticket, kind, stored, who, now)
    done = await tickets.attach(ticket.id, piece, kept_as=stored.key)
    # A fault in between leaves a file that no ticket names, rather than a ticket without its file: it is swept away.
    if isinstance(done, Refused) or stored.key not in {one.kept_as for one in await tickets.evidence(ticket.id)}:
        await files.remove(stored.key)
        await tickets.forget_file(stored.key)
    return done


def kinds_of_files(ticket: Ticket) -> tuple[str, ...]:
    """Return what a file may be: what evidence there is, and what this ticket asks for."""
    known = [*map(str, EvidenceKind), *ticket.evidence_required]
    return tuple(dict.fromkeys(one for one in known if one != EvidenceKind.IDENTITY_RESULT))


def _piece(ticket: Ticket, kind: str, stored: Stored, who: str, now: int) -> Evidence:
    return Evidence(_id(ticket.id, kind, stored.sha256), kind, now, who, stored.sha256, stored.size, stored.media_type)


def _id(*parts: str) -> str:
    """Return the id of a piece, the same for the same piece of the same ticket."""
    named = "".join(f"{len(part)}:{part}" for part in parts)
    return f"E-{b32encode(hashlib.sha256(named.encode()).digest())[:16].decode('ascii')}"


def _not_taken(refused: NotTaken) -> ApiProblem:
    match refused.why:
        case NotTakenFor.TOO_LARGE:
            return ApiProblem(413, "too-large", refused.detail, headers=_CLOSE)
        case NotTakenFor.MEDIA_TYPE:
            return ApiProblem(415, "not-evidence", refused.detail, headers=_CLOSE)
        case _:
            return ApiProblem(400, "empty", refused.detail, headers=_CLOSE)
