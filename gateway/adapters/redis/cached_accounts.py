"""Accounts and revocations by way of Redis: used where provably no older than what this process heard of the store."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import orjson
import structlog

from gateway.adapters.numbered import Numbered
from gateway.adapters.redis.known import Known
from gateway.adapters.redis.link import Away, Unanswerable, end
from gateway.adapters.redis.wrapping import LARGEST, Wrapping
from gateway.core.account import Account, is_uid
from gateway.ports import MICROSECONDS, Clock, Revocation

log: Any = structlog.get_logger("gateway")

WAITING: Final = 1024
"""Snapshots that wait to be written; more are not kept."""

T = TypeVar("T")


class Asked(Protocol):
    """A Redis."""

    @property
    def up(self) -> bool:
        """Whether it answered last."""

    async def ask(self, *command: Any) -> Any:  # noqa: ANN401 - whatever the command answers
        """Return the answer. Raise Away or Unanswerable within a bounded time."""


class Reads(Protocol):
    """Numbered reads of the store itself."""

    async def account(self, uid: str) -> Numbered[Account] | None:
        """Return the account; None where there is none. Raise StoreUnavailable."""

    async def sessions(self, uid: str) -> Numbered[tuple[Revocation, ...]] | None:
        """Return the account's revocations. Raise StoreUnavailable."""


class _Kind(NamedTuple, Generic[T]):
    """One kind of snapshot."""

    letter: bytes
    read: Callable[[str], Awaitable[Numbered[T] | None]]
    plain: Callable[[T], object]
    """To what JSON has."""
    of: Callable[[str, Any], T]
    """And back."""


class CachedAccounts:
    """Reads accounts for requests that move no money. Belongs to one event loop.

    What is read of the store is written into Redis behind the reader's back: nobody waits for that.
    """

    def __init__(
        self, link: Asked, reads: Reads, known: Known, wrapping: Wrapping, *, clock: Clock, keep_s: int
    ) -> None:
        self.results: Counter[str] = Counter()
        """What came of the reads: `used`; `missing`; `old`, not provably new enough; `refused`, not ours; `away`."""
        self._link = link
        self._known = known
        self._wrapping = wrapping
        self._clock = clock
        self._keep_us = keep_s * MICROSECONDS
        self._waiting: asyncio.Queue[tuple[bytes, bytes, int]] = asyncio.Queue(WAITING)
        self._writing: asyncio.Task[None] | None = None
        self._accounts = _Kind(b"a", reads.account, _plain_account, _account_of)
        self._sessions = _Kind(b"s", reads.sessions, _plain_sessions, _sessions_of)

    async def start(self) -> None:
        """Write from now on."""
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write(), name="redis-cache")

    async def close(self) -> None:
        """Stop. What was not written is not missed."""
        writing, self._writing = self._writing, None
        if writing is not None:
            await end([writing])

    async def written(self) -> None:
        """Return once nothing waits to be written."""
        await self._waiting.join()

    async def read(self, uid: str) -> Account | None:
        """Return the account, or None. Raise StoreUnavailable within a bounded time."""
        return await self._read(self._accounts, uid)

    async def of(self, uid: str) -> tuple[Revocation, ...]:
        """Return the account's revocations. Raise StoreUnavailable within a bounded time."""
        return await self._read(self._sessions, uid) or ()

    async def _read(self, kind: _Kind[T], uid: str) -> T | None:
        if not is_uid(uid):
            return None
        snapshot = await self._recalled(kind, uid)
        if snapshot is not None:
            return snapshot.what
        numbered = await kind.read(uid)
        if numbered is None:
            return None
        self._keep(kind, uid, numbered)
        return numbered.what

    async def _recalled(self, kind: _Kind[T], uid: str) -> Numbered[T] | None:
        """Return what lies in Redis, where it may be used."""
        if not self._link.up:
            self.results["away"] += 1
            return None
        try:
            # No more than a snapshot can have, whatever somebody put there.
            value = await self._link.ask("GETRANGE", self._wrapping.name(kind.letter, uid), 0, LARGEST)
        except Away:
            self.results["away"] += 1
            return None
        except Unanswerable:
            self.results["refused"] += 1
            return None
        result, snapshot = self._judged(kind, uid, value)
        self.results[result] += 1
        return snapshot

    def _judged(self, kind: _Kind[T], uid: str, value: object) -> tuple[str, Numbered[T] | None]:
        if value == b"":
            return "missing", None
        content = self._wrapping.unwrapped(kind.letter, uid, value)
        if content is None:
            return "refused", None
        try:
            number, read_at, ends, plain = orjson.loads(content)
            snapshot = Numbered(kind.of(uid, plain), int(number), int(read_at), ends)
        except (ValueError, TypeError):
            # We wrapped it, and cannot read it: a version of ours that forgot to say that it is another.
            return "refused", None
        now = self._clock.now()
        # Read before now, by a clock that is not ours: a hold that it saw end may not have ended here.
        lives = read_at <= now < read_at + self._keep_us and (ends is None or now < ends)
        # Judged last, after the wait: of what was heard while it was on its way nothing is missed.
        if not lives or not self._known.holds(uid, snapshot.number, snapshot.read_at):
            return "old", None
        return "used", snapshot

    def _keep(self, kind: _Kind[T], uid: str, snapshot: Numbered[T]) -> None:
        """Have a snapshot written, with the number that it was read with, as soon as may be."""
        if not self._link.up or self._waiting.full():
            return
        lasts_us = self._keep_us
        if snapshot.ends is not None:
            lasts_us = min(lasts_us, snapshot.ends - snapshot.read_at)
        content = orjson.dumps((snapshot.number, snapshot.read_at, snapshot.ends, kind.plain(snapshot.what)))
        value = self._wrapping.wrapped(kind.letter, uid, content)
        if value is not None:
            self._waiting.put_nowait((self._wrapping.name(kind.letter, uid), value, max(1, lasts_us // 1000)))

    async def _write(self) -> None:
        while True:
            name, value, lasts_ms = await self._waiting.get()
            try:
                await self._link.ask("SET", name, value, "PX", lasts_ms)
            except (Away, Unanswerable):
                pass  # who reads it next looks into the store, and says why
            except Exception:
                log.exception("redis:not_written")
            finally:
                self._waiting.task_done()


def _plain_account(account: Account) -> object:
    return tuple(sorted(one) if isinstance(one, frozenset) else one for one in account[1:])


def _account_of(uid: str, plain: Any) -> Account:  # noqa: ANN401 - JSON
    status, flags, verification, documents, residence, nationality, holds = plain
    return Account(
        uid, status, frozenset(flags), verification, frozenset(documents), residence, nationality, frozenset(holds)
    )


def _plain_sessions(revocations: tuple[Revocation, ...]) -> object:
    return tuple(map(tuple, revocations))


def _sessions_of(_: str, plain: Any) -> tuple[Revocation, ...]:  # noqa: ANN401 - JSON
    return tuple(Revocation(*one) for one in plain)
