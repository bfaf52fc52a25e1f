"""Requests that are done once: the answer is kept under the caller's own key, and given again for a repeat."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

import orjson
from starlette.requests import Request

from gateway.adapters.once import Keep, KeptBefore, OnceStore
from gateway.api.problems import ApiProblem, bad_parameter
from gateway.core.decision import Document
from gateway.core.service_token import ServiceToken
from gateway.ports import MICROSECONDS

Work = Callable[[Keep | None], Awaitable[Document]]

KEY: Final = "Idempotency-Key"
KEPT_US: Final = 24 * 3600 * MICROSECONDS
_LONGEST: Final = 255


class Once:
    """Remembers what was done. A refusal did nothing, so that it is not remembered and may be asked again."""

    def __init__(self, store: OnceStore) -> None:
        self._store = store
        self._under_way: set[tuple[str, str]] = set()

    async def do(self, request: Request, token: ServiceToken, body: bytes, now: int, work: Work) -> Document:
        """Return what the work answers, or what it answered to the same request before.

        The work is given what keeps its answer in the transaction of what it does, so that whoever asks again after a
        crash finds both or neither; None where nothing is to be kept. Raise ApiProblem: 422 where the key is of another
        request, 409 where that one is still under way.
        """
        key = _key(request)
        if key is None:
            return await work(None)
        caller, asked = token.token_id, _digest(request, body)
        if (caller, key) in self._under_way:
            raise _under_way()
        self._under_way.add((caller, key))
        try:
            known = await self._known(caller, key, asked)
            if known is not None:
                return known
            try:
                return await work(self._store.keeping(caller, key, asked, now + KEPT_US))
            except KeptBefore:  # by another process, which had it under way as well
                known = await self._known(caller, key, asked)
                if known is None:
                    raise _under_way() from None
                return known
        finally:
            self._under_way.discard((caller, key))

    async def _known(self, caller: str, key: str, asked: bytes) -> Document | None:
        known = await self._store.answer(caller, key)
        if known is not None and known.request != asked:
            raise ApiProblem(422, "key-used", f"this {KEY} was used for another request; each has its own")
        if known is None:
            return None
        answer: Document = orjson.loads(known.body)
        return answer


def _under_way() -> ApiProblem:
    return ApiProblem(409, "under-way", f"a request with this {KEY} is still under way; ask again")


def _key(request: Request) -> str | None:
    lines = request.headers.getlist(KEY)
    if not lines:
        return None
    if len(lines) > 1 or not 1 <= len(lines[0]) <= _LONGEST or not (lines[0].isascii() and lines[0].isprintable()):
        raise bad_parameter(KEY, f"{KEY}: send it once, 1 to {_LONGEST} visible ASCII characters")
    return lines[0]


def _digest(request: Request, body: bytes) -> bytes:
    """Return what makes two requests the same: method, path, what was seen, and what was sent."""
    parts = (request.method, request.url.path, request.url.query, request.headers.get("if-match", ""))
    named = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(named.encode("utf-8", "surrogatepass") + hashlib.sha256(body).digest()).digest()
