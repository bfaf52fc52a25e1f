"""Requests that are done once: the answer is kept under the caller's own key, and given again for a repeat."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
import structlog
from starlette.requests import Request

from gateway.adapters.once import Answer, OnceStore
from gateway.api.problems import ApiProblem, bad_parameter
from gateway.core.decision import Document
from gateway.core.errors import StoreUnavailable
from gateway.core.service_token import ServiceToken
from gateway.ports import MICROSECONDS

KEY: Final = "Idempotency-Key"
KEPT_US: Final = 24 * 3600 * MICROSECONDS
_LONGEST: Final = 255

log: Any = structlog.get_logger("gateway")


class Once:
    """Remembers what was done. A refusal did nothing, so that it is not remembered and may be asked again."""

    def __init__(self, store: OnceStore) -> None:
        self._store = store
        self._under_way: set[tuple[str, str]] = set()

    async def do(
        self, request: Request, token: ServiceToken, body: bytes, now: int, work: Callable[[], Awaitable[Document]]
    ) -> Document:
        """Return what the work answers, or what it answered to the same request before.

        Raise ApiProblem: 422 where the key is of another request, 409 where that one is still under way.
        """
        key = _key(request)
        if key is None:
            return await work()
        caller = token.token_id
        if (caller, key) in self._under_way:
            raise ApiProblem(409, "under-way", f"a request with this {KEY} is still under way; ask again")
        self._under_way.add((caller, key))
        try:
            asked = _digest(request, body)
            known = await self._store.answer(caller, key)
            if known is not None and known.request != asked:
                raise ApiProblem(422, "key-used", f"this {KEY} was used for another request; each has its own")
            if known is not None:
                answer: Document = orjson.loads(known.body)
                return answer
            done = await work()
            await self._keep(caller, key, Answer(asked, 200, orjson.dumps(done)), now)
            return done
        finally:
            self._under_way.discard((caller, key))

    async def _keep(self, caller: str, key: str, answer: Answer, now: int) -> None:
        try:
            await self._store.keep(caller, key, answer, now + KEPT_US)
        except StoreUnavailable as fault:
            # It is done: whoever is told otherwise does it again.
            log.error("admin:answer_not_kept", why=str(fault))  # noqa: TRY400 - the fault is the message


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
