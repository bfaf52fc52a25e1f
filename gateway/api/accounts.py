"""The endpoints on accounts: looked at, changed by one person as far as one person may, and their timelines."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.adapters.desk_reads import MOST, TicketFilter
from gateway.api.bodies import members, read_body, text_of, texts_of
from gateway.api.documents import account_document, hold_document, moment_document
from gateway.api.problems import ApiProblem, bad_parameter, json_response, of_refusal, page_of, parameters
from gateway.api.room import Room, seen_tag
from gateway.api.services import Desk
from gateway.api.tickets import stands
from gateway.core import account as rules
from gateway.core.account import Account, Author, Refused
from gateway.core.errors import SearchError
from gateway.core.permissions import Permission, author_of
from gateway.core.terms import Status

_MEMBERS = ("why", "status", "verification", "documents", "residence", "nationality", "add_flags", "remove_flags")
_FOR_FLAGGERS = frozenset({"why", "add_flags"})
Change = Callable[[Account], Account | Refused]


class Accounts:
    """The endpoints, each of which is admitted by the gate."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def list(self, request: Request) -> Response:
        """Answer a page of accounts."""
        token, desk = await self._room.admit(request, Permission.ACCOUNTS_READ)
        limit, cursor = page_of(parameters(request, ("limit", "cursor")), MOST)
        found = await desk.accounts.accounts(cursor or "", limit + 1)
        whole = await self._room.looks.whole(request, token, "accounts.unmask", "")
        page = found[:limit]
        after = page[-1].uid if len(found) > limit else None
        return json_response({"accounts": [account_document(one, whole=whole) for one in page], "cursor": after})

    async def read(self, request: Request) -> Response:
        """Answer one account."""
        token, desk = await self._room.admit(request, Permission.ACCOUNTS_READ)
        parameters(request, ())
        account = await _account(desk, request)
        whole = await self._room.looks.whole(request, token, "account.unmask", account.uid)
        return json_response(account_document(account, whole=whole), etag=etag_of(account))

    async def change(self, request: Request) -> Response:
        """Answer the account after a change that the caller may make alone."""
        token, desk = await self._room.admit(request, Permission.ACCOUNTS_FLAG)
        tag = seen_tag(request)
        asked = members(request, await read_body(request), _MEMBERS, ("why",))
        if not asked.keys() <= _FOR_FLAGGERS | ({"status"} if asked.get("status") == Status.FLAGGED else set()):
            self._room.gate.require(token, Permission.ACCOUNTS_WRITE)
        author = author_of(token.identity)
        assert author is not None, "the permission makes one"
        changes = _changes(asked, author)
        if not changes:
            raise bad_parameter("body", f"say what to change: {', '.join(_MEMBERS[1:])}")
        step = rules.steps(partial(_as_seen, tag), *changes)
        changed = await desk.accounts.change(
            request.path_params["uid"], step, who=token.identity.name, why=text_of(asked, "why")
        )
        if isinstance(changed, Refused):
            raise _refusal(changed)
        return json_response(account_document(changed, whole=False), etag=etag_of(changed))

    async def timeline(self, request: Request) -> Response:
        """Answer a page of what happened to an account."""
        token, desk = await self._room.admit(request, Permission.TIMELINES_READ)
        limit, cursor = page_of(parameters(request, ("limit", "cursor")), MOST)
        uid = request.path_params["uid"]
        try:
            page = await desk.tickets.timeline(uid, cursor=cursor, limit=limit)
        except SearchError as fault:
            raise bad_parameter("cursor", str(fault)) from None
        if not page.moments and cursor is None:
            await _account(desk, request)
        whole = await self._room.looks.whole(request, token, "timeline.unmask", uid)
        return json_response(
            {"moments": [moment_document(one, whole=whole) for one in page.moments], "cursor": page.cursor}
        )

    async def holds(self, request: Request) -> Response:
        """Answer what is held of an account."""
        _, desk = await self._room.admit(request, Permission.HOLDS_READ)
        parameters(request, ())
        account = await _account(desk, request)
        page = await desk.tickets.tickets(TicketFilter(account.uid, is_open=True), limit=MOST)
        now = self._room.now()
        return json_response(
            {
                "account": account.uid,
                "operations": sorted(map(str, account.holds)),
                "holds": [hold_document(one) for one in page.tickets if stands(one, now)],
            }
        )


def etag_of(account: Account) -> str:
    """Return the ETag of an account as it stands, its holds and flags included."""
    plain = orjson.dumps(account_document(account, whole=True), option=orjson.OPT_SORT_KEYS)
    return f'"{hashlib.sha256(plain).hexdigest()[:32]}"'


async def _account(desk: Desk, request: Request) -> Account:
    account = await desk.accounts.read(request.path_params["uid"])
    if account is None:
        raise ApiProblem(404, "no-such-account", "there is no account of this name")
    return account


def _as_seen(tag: str, account: Account) -> Account | Refused:
    """Return the account where it is still the one that was seen: asked inside the transaction of the change."""
    if etag_of(account) == tag:
        return account
    return Refused("version", "the account was changed since you saw it: read it again")


def _changes(asked: Mapping[str, Any], author: Author) -> list[Change]:
    changes: list[Change] = []
    if "status" in asked:
        changes.append(partial(rules.set_status, status=text_of(asked, "status"), by=author))
    if "verification" in asked:
        changes.append(partial(rules.set_verification, verification=text_of(asked, "verification")))
    if "documents" in asked:
        changes.append(partial(rules.set_documents, countries=texts_of(asked, "documents")))
    if "residence" in asked:
        changes.append(partial(rules.set_residence, country=_country(asked, "residence")))
    if "nationality" in asked:
        changes.append(partial(rules.set_nationality, country=_country(asked, "nationality")))
    changes += [partial(rules.add_flag, flag=flag) for flag in texts_of(asked, "add_flags")]
    changes += [partial(rules.remove_flag, flag=flag) for flag in texts_of(asked, "remove_flags")]
    return changes


def _country(asked: Mapping[str, Any], name: str) -> str | None:
    return None if asked[name] is None else text_of(asked, name)


def _refusal(refused: Refused) -> ApiProblem:
    problem = of_refusal(refused)
    # What was asked for is not possible as the account stands; what is no status at all is a bad parameter.
    if refused.what == "status" and " is no status" in refused.message:
        return bad_parameter("status", refused.message)
    return problem
