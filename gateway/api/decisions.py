"""The endpoints on decisions: search, count, one with its explanation."""

import asyncio
from collections.abc import Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.adapters.service_tokens import Unmasked
from gateway.api.access import Gate
from gateway.api.problems import ApiProblem, bad_parameter, json_response, parameters
from gateway.api.routes import REASON_HEADER
from gateway.api.services import Services, Wanted
from gateway.core.account import Refused
from gateway.core.decision import Document, instant_text
from gateway.core.errors import MaskingError, SearchError
from gateway.core.masking import EVERYTHING, SEES, Reader, Unmasking, masked, unmasking
from gateway.core.permissions import Permission
from gateway.core.search import MOST, Search, read_search
from gateway.core.service_token import ServiceToken
from gateway.service.overview import GROUPS, overview, step_for

_HOUR: Final = 3_600_000_000
_LONGEST_SPAN: Final = 366 * 24 * _HOUR
_EXPLAINED_AT_ONCE: Final = 2
"""Explaining is work of the processor; the rest of this process answers requests meanwhile."""


class Decisions:
    """The endpoints, each of which is admitted by the gate."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate
        self._explaining = asyncio.Semaphore(_EXPLAINED_AT_ONCE)

    async def search(self, request: Request) -> Response:
        """Answer a page of decisions."""
        token = await self._gate.admit(request, Permission.DECISIONS_READ)
        asked = parameters(request, (*Search._fields, "limit", "cursor"))
        limit, cursor = asked.pop("limit", "50"), asked.pop("cursor", None)
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:6]) <= MOST):
            raise bad_parameter("limit", f"limit: `{limit[:20]}` is not a number from 1 to {MOST}")
        search = _search(asked, self._services.clock.now())
        why = self._why(request, token)
        try:
            page = await self._services.archive.search(search, limit=int(limit), cursor=cursor)
        except SearchError as fault:
            raise bad_parameter("cursor", str(fault)) from None
        leaves = await self._leaves(page.documents, Reader.SUPPORT, token, why)
        documents = [
            one if leave is not None else masked(one, SEES[Reader.SUPPORT])
            for one, leave in zip(page.documents, leaves, strict=True)
        ]
        return json_response({"decisions": documents, "cursor": page.cursor})

    async def count(self, request: Request) -> Response:
        """Answer how many decisions there were."""
        await self._gate.admit(request, Permission.DECISIONS_READ)
        asked = parameters(request, ("since", "until", "by"))
        groups = asked.pop("by", ",".join(GROUPS)).split(",")
        wrong = next((name for name in groups if name not in GROUPS), None)
        if wrong is not None:
            raise bad_parameter("by", f"by: `{wrong[:40]}` is none of {', '.join(GROUPS)}")
        now = self._services.clock.now()
        search = _search({"since": "24h", **asked}, now)
        assert search.since is not None
        since, until = search.since - search.since % _HOUR, search.until if search.until is not None else now + 1
        if not 0 <= until - since <= _LONGEST_SPAN:
            raise bad_parameter("since", "since: it lies at most 366 days before `until`, and not after it")
        counts = await self._services.archive.counts(since, until, step=step_for(groups))
        found = overview(counts, groups)
        return json_response({"since": instant_text(since), "until": instant_text(until), **found})

    async def read(self, request: Request) -> Response:
        """Answer one decision, with its explanation where that is asked for."""
        token = await self._gate.admit(request, Permission.DECISIONS_READ)
        asked = parameters(request, ("explain", "now", "role", "language"))
        explained = _one_of("explain", asked.get("explain", "0"), ("0", "1")) == "1"
        now = _one_of("now", asked.get("now", "0"), ("0", "1")) == "1"
        role = Reader(_one_of("role", asked.get("role", str(Reader.SUPPORT)), list(map(str, Reader))))
        language = _one_of("language", asked.get("language", "en"), self._services.languages)
        why = self._why(request, token)
        if SEES[role] - SEES[Reader.SUPPORT] and why is None:
            self._gate.require(token, Permission.DECISIONS_UNMASK)
            raise bad_parameter(
                REASON_HEADER, f"the role `{role}` sees more than `support`: say why in {REASON_HEADER}"
            )
        document = await self._services.find(request.path_params["id"])
        if document is None:
            raise ApiProblem(404, "no-such-decision", "no decision with this id is on record here")
        # Noted as more than support sees, whatever the role: the role alone would open it without a word.
        (noted,) = await self._leaves([document], Reader.SUPPORT, token, why)
        # The leave is the role's own, where the role does not see everything anyway.
        leave = None if noted is None or not EVERYTHING - SEES[role] else noted._replace(reader=role)
        answer = {"decision": document if noted is not None else masked(document, SEES[Reader.SUPPORT])}
        if explained:
            wanted = Wanted(role, language, leave, now)
            async with self._explaining:
                answer["explanation"] = await asyncio.to_thread(self._services.explain, document, wanted)
        return json_response(answer)

    def _why(self, request: Request, token: ServiceToken) -> str | None:
        """Return why the caller wants to see more; None where that is not asked. Raise ApiProblem where it may not."""
        lines = request.headers.getlist(REASON_HEADER)
        if not lines:
            return None
        self._gate.require(token, Permission.DECISIONS_UNMASK)
        if len(lines) > 1:
            raise bad_parameter(REASON_HEADER, f"{REASON_HEADER}: it is there {len(lines)} times; send it once")
        try:
            # Headers are bytes; what people write in them today is UTF-8.
            return lines[0].encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            raise bad_parameter(REASON_HEADER, f"{REASON_HEADER}: it is not UTF-8") from None

    async def _leaves(
        self, documents: Iterable[Document], reader: Reader, token: ServiceToken, why: str | None
    ) -> list[Unmasking | None]:
        """Return the leave to see each document whole, written down before anybody sees it; None where not asked."""
        found = list(documents)
        if why is None:
            return [None] * len(found)
        who = token.identity.name
        now = self._services.clock.now()
        try:
            leaves = [unmasking(document, reader, who, now, why) for document in found]
        except MaskingError as fault:
            raise bad_parameter(REASON_HEADER, f"{REASON_HEADER}: {fault}") from None
        refused = await self._services.tokens.note_unmasked(
            who, leaves[0].why if leaves else why, [Unmasked(str(one["id"]), _account(one)) for one in found]
        )
        if isinstance(refused, Refused):
            raise bad_parameter(REASON_HEADER, f"{REASON_HEADER}: {refused.message}")
        return list(leaves)


def _account(document: Document) -> str | None:
    account = (document["facts"] or {}).get("account")
    return account if isinstance(account, str) else None


def _search(asked: dict[str, str], now: int) -> Search:
    for name, text in asked.items():
        try:
            read_search({name: text}, now)
        except SearchError as fault:
            raise bad_parameter(name, str(fault)) from None
    return read_search(asked, now)


def _one_of(name: str, text: str, choices: Iterable[str]) -> str:
    names = list(choices)
    if text not in names:
        raise bad_parameter(name, f"{name}: `{text[:40]}` is none of {', '.join(names)}")
    return text
