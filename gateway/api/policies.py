"""The endpoints on revisions of the policies: proposed by one person, approved by another, returned to by one."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.adapters.once import Keep
from gateway.adapters.revision_reads import MOST
from gateway.adapters.revisions import Kept
from gateway.api.bodies import members, read_body, text_of
from gateway.api.documents import log_document
from gateway.api.policy_documents import revision_document, run_document
from gateway.api.problems import ApiProblem, bad_parameter, choice, json_response, of_refusal, page_of, parameters
from gateway.api.room import Room, seen_version, there
from gateway.api.services import PolicyDesk
from gateway.core.account import Refused
from gateway.core.decision import Document, parse_instant
from gateway.core.permissions import Permission
from gateway.core.service_token import ServiceToken
from gateway.desk.revision import Revision
from gateway.desk.revision_lifecycle import RevisionState

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a proposal: all texts of a revision come at once."""
Work = Callable[[Kept | None], Awaitable[Revision | Refused]]
Step = Callable[[PolicyDesk, int, ServiceToken, Mapping[str, Any], int, Kept | None], Awaitable[Revision | Refused]]
End = Callable[[PolicyDesk], Callable[..., Awaitable[Revision | Refused]]]


class Policies:
    """The endpoints, each of which is admitted by the gate."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def list(self, request: Request) -> Response:
        """Answer a page of revisions."""
        _, desk = await self._admit(request, Permission.POLICIES_READ)
        asked = parameters(request, ("state", "limit", "cursor"))
        state = choice(asked, "state", RevisionState)
        limit, cursor = page_of(asked, MOST)
        if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
            raise bad_parameter("cursor", f"cursor: `{cursor[:20]}` is none that a page ended with")
        found = await desk.revisions.revisions(state, before=None if cursor is None else int(cursor), limit=limit)
        more = str(found[-1].number) if len(found) == limit and found[-1].number > 1 else None
        return json_response({"revisions": [revision_document(one) for one in found], "cursor": more})

    async def read(self, request: Request) -> Response:
        """Answer one revision with its steps, what was found, and its texts where they are asked for."""
        _, desk = await self._admit(request, Permission.POLICIES_READ)
        asked = parameters(request, ("texts",))
        revision = await _wanted(desk, request)
        document = {
            **revision_document(revision),
            "examined": dict(await desk.revisions.examined(revision.number)),
            "log": [log_document(one) for one in await desk.revisions.log(revision.number)],
        }
        if choice(asked, "texts", ("0", "1")) == "1":
            document["texts"] = dict(await desk.revisions.texts(revision.digest) or {})
        return _answer(document)

    async def runs(self, request: Request) -> Response:
        """Answer what each process runs."""
        _, desk = await self._admit(request, Permission.POLICIES_READ)
        parameters(request, ())
        active = await desk.revisions.active()
        digest, now = None if active is None else active.digest, self._room.now()
        runs = [run_document(one, digest, now) for one in await desk.revisions.runs()]
        return json_response({"active": digest, "runs": runs})

    async def propose(self, request: Request) -> Response:
        """Answer the revision that was proposed."""
        token, desk = await self._admit(request, Permission.POLICIES_PROPOSE)
        body = await read_body(request, LARGEST)
        known = ("texts", "message", "allow_widening", "reason", "starts_at")
        asked = members(request, body, known, ("texts", "message"))
        texts, message = _texts(asked), text_of(asked, "message")
        allowed, reason, starts_at = _flag(asked, "allow_widening"), _optional(asked, "reason"), _instant(asked)

        async def work(kept: Kept | None) -> Revision | Refused:
            return await desk.publishing.propose(
                texts, token.identity, message, allow_widening=allowed, reason=reason, starts_at=starts_at, kept=kept
            )

        return _answer(await self._once(request, token, body, work), 201)

    async def approve(self, request: Request) -> Response:
        """Answer the revision with two people behind it."""

        async def step(  # noqa: PLR0917 - the parts of one step
            desk: PolicyDesk,
            number: int,
            token: ServiceToken,
            asked: Mapping[str, Any],
            version: int,
            kept: Kept | None,
        ) -> Revision | Refused:
            accept = _optional(asked, "accept_flips")
            why = text_of(asked, "why")
            return await desk.publishing.approve(
                number, token.identity, why, version=version, accept_flips=accept, kept=kept
            )

        return await self._step(request, Permission.POLICIES_APPROVE, step, ("why", "accept_flips"))

    async def decline(self, request: Request) -> Response:
        """Answer the revision, turned down."""
        return await self._ended(request, Permission.POLICIES_APPROVE, lambda desk: desk.publishing.decline)

    async def withdraw(self, request: Request) -> Response:
        """Answer the revision, taken back."""
        return await self._ended(request, Permission.POLICIES_PROPOSE, lambda desk: desk.publishing.withdraw)

    async def roll_back(self, request: Request) -> Response:
        """Answer the revision that is in force again."""
        token, desk = await self._admit(request, Permission.POLICIES_ROLL_BACK)
        body = await read_body(request)
        asked = members(request, body, ("why", "revision", "allow_widening"), ("why",))
        why, wanted = text_of(asked, "why"), _optional(asked, "revision") or None
        allowed = _flag(asked, "allow_widening")

        async def work(kept: Kept | None) -> Revision | Refused:
            return await desk.publishing.roll_back(wanted, token.identity, why, allow_widening=allowed, kept=kept)

        return _answer(await self._once(request, token, body, work))

    async def _admit(self, request: Request, permission: Permission) -> tuple[ServiceToken, PolicyDesk]:
        token, desk = await self._room.admit(request, permission)
        return token, there(desk.policies, "revisions of the policies", "[store]")

    async def _ended(self, request: Request, permission: Permission, end: End) -> Response:
        async def step(  # noqa: PLR0917 - the parts of one step
            desk: PolicyDesk,
            number: int,
            token: ServiceToken,
            asked: Mapping[str, Any],
            version: int,
            kept: Kept | None,
        ) -> Revision | Refused:
            return await end(desk)(number, token.identity, text_of(asked, "why"), version=version, kept=kept)

        return await self._step(request, permission, step)

    async def _step(
        self, request: Request, permission: Permission, step: Step, known: tuple[str, ...] = ("why",)
    ) -> Response:
        token, desk = await self._admit(request, permission)
        version = seen_version(request)
        body = await read_body(request)
        asked = members(request, body, known, ("why",))
        number = (await _wanted(desk, request)).number

        async def work(kept: Kept | None) -> Revision | Refused:
            return await step(desk, number, token, asked, version, kept)

        return _answer(await self._once(request, token, body, work))

    async def _once(self, request: Request, token: ServiceToken, body: bytes, work: Work) -> Document:
        """Return what the work answers; its answer is kept with what it does, so that a repeat is known."""
        assert self._room.once is not None, "whoever has a desk has it"

        async def done(keep: Keep | None) -> Document:
            return _done(await work(None if keep is None else partial(_keep, keep)))

        return await self._room.once.do(request, token, body, self._room.now(), done)


def _keep(keep: Keep, connection: Any, revision: Revision) -> None:  # noqa: ANN401 - the store's own
    keep(connection, orjson.dumps(revision_document(revision)))


async def _wanted(desk: PolicyDesk, request: Request) -> Revision:
    """Return the revision that the path names. Raise ApiProblem, 404."""
    found = await desk.revisions.revision(request.path_params["id"])
    if found is None:
        raise ApiProblem(404, "no-such-thing", "there is no revision with this number or digest")
    return found


def _done(result: Revision | Refused) -> Document:
    if isinstance(result, Refused):
        raise of_refusal(result)
    return revision_document(result)


def _texts(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return texts by name. Raise ApiProblem."""
    texts = asked["texts"]
    if not (isinstance(texts, dict) and texts and all(isinstance(one, str) for one in texts.values())):
        raise bad_parameter("texts", "texts: it is an object of texts by the names of their files")
    return texts


def _optional(asked: Mapping[str, Any], name: str) -> str:
    return "" if asked.get(name) is None else text_of(asked, name)


def _flag(asked: Mapping[str, Any], name: str) -> bool:
    value = asked.get(name, False)
    if not isinstance(value, bool):
        raise bad_parameter(name, f"{name}: true or false")
    return value


def _instant(asked: Mapping[str, Any]) -> int | None:
    text = _optional(asked, "starts_at")
    try:
        return parse_instant(text) if text else None
    except ValueError as fault:
        raise bad_parameter("starts_at", f"starts_at: {fault}") from None


def _answer(document: Document, status: int = 200) -> Response:
    return json_response(document, status, etag=f'"{document["version"]}"')
