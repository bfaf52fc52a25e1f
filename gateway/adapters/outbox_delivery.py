"""The Outbox, delivered: each message at least once, those of one account in order, none of them forgotten silently.

A message counts as delivered when every target that wants it has answered so. One that nobody takes is tried again,
less and less often, and parked in the end: it stays visible, and the account's next one goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import orjson
import structlog

from gateway.adapters.webhook_target import Tried
from gateway.core.decision import instant_text
from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.ports import MICROSECONDS, Clock, Outbox, OutboxRow

LEASE: Final = "outbox"
_LEASE_S: Final = 60
_NOTED_AGAIN_S: Final = 1.0
_CLOSED_WITHIN_S: Final = 5.0
_MOST_REMEMBERED: Final = 10_000
_LONGEST_ERROR: Final = 500

_log: Any = structlog.get_logger("gateway.outbox")


class Target(Protocol):
    """One receiver."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def longest_s(self) -> float:
        """How long a try takes at most."""

    def wants(self, kind: str) -> bool:
        """Return whether messages of this type go here."""

    async def send(self, message_id: str, at_s: int, body: bytes) -> Tried:
        """Return what one try came to, within a bounded time."""

    async def close(self) -> None:
        """Let go of connections."""


class Tries(NamedTuple):
    """How often a message is tried, and with what pauses. As it stands: 12 times over about a day."""

    most: int = 12
    first_pause_s: float = 5
    factor: float = 2.5
    jitter: float = 0.2
    """The share of a pause by which chance makes it longer at most, so that not all come back at once."""

    def pause_s(self, made: int, chance: float) -> float:
        """Return the pause after so many tries. `chance` is between 0 and 1."""
        return self.first_pause_s * self.factor ** (made - 1) * (1 + self.jitter * chance)


class Delivery:
    """Delivers one store's Outbox. Of several processes the one that has the lease does it; the others stand by."""

    def __init__(
        self,
        outbox: Outbox,
        targets: Sequence[Target],
        *,
        clock: Clock,
        owner: str,
        chance: Callable[[], float],
        tries: Tries = Tries(),  # noqa: B008 - a tuple of numbers
        at_once: int = 16,
        look_s: float = 1.0,
    ) -> None:
        """Build. Raise ConfigError where it could never deliver.

        Args:
            outbox: what is owed.
            targets: who gets it.
            clock: the only source of time.
            owner: names this process among all that share the store.
            chance: draws a number between 0 and 1, for the pauses.
            tries: how often, with what pauses.
            at_once: accounts whose messages are under way at a time.
            look_s: how often to look for news without being told.
        """
        if not targets or len({target.name for target in targets}) < len(targets):
            raise ConfigError("webhooks: at least one target is needed, each with a name of its own")
        if max(target.longest_s for target in targets) > _LEASE_S / 3:
            raise ConfigError(f"webhooks: a try may take {_LEASE_S // 3} s at most, so that it ends within the lease")
        self._outbox = outbox
        self._targets = tuple(targets)
        self._clock = clock
        self._owner = owner
        self._chance = chance
        self._tries = tries
        self._at_once = at_once
        self._look_s = look_s
        self._lease_until = 0
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._took: dict[str, set[str]] = {}
        self._away: set[str] = set()
        self._store_away = False
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.delivered = 0
        self.failed = 0
        """Tries that failed and will be repeated."""
        self.parked = 0

    def nudge(self) -> None:
        """Look for news now: something was written into the Outbox. From the event loop's own thread."""
        self._news.set()

    async def start(self) -> None:
        """Begin to deliver."""
        if self._task is None:
            self._news = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._keep_up(), name="gateway outbox")

    async def close(self) -> None:
        """Return once nothing is under way any more. What was cut off is sent again, under the same key."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        if self._under_way:
            await asyncio.wait(tuple(self._under_way.values()), timeout=_CLOSED_WITHIN_S)
        left = tuple(self._under_way.values())
        for one in left:
            one.cancel()
        if left:
            await asyncio.wait(left)
        if self._clock.now() < self._lease_until:
            with suppress(StoreUnavailable):
                await self._outbox.lease(LEASE, self._owner, self._clock.now())
        self._lease_until = 0
        for target in self._targets:
            await target.close()

    async def round(self) -> int:
        """Return how many messages were begun: those that are due, one of each account. Raise StoreUnavailable."""
        now = self._clock.now()
        room = self._at_once - len(self._under_way)
        if not await self._has_lease(now) or room <= 0:
            return 0
        # As of before the look: what ends meanwhile may still look due, and would go out twice.
        busy = set(self._under_way)
        rows = [row for row in await self._outbox.due(now, self._at_once + len(busy)) if row.account not in busy]
        for row in rows[:room]:
            task = asyncio.get_running_loop().create_task(self._try(row), name=f"gateway outbox {row.id}")
            self._under_way[row.account] = task
            task.add_done_callback(partial(self._ended, row.account))
        return min(len(rows), room)

    async def settled(self) -> None:
        """Return once nothing is under way."""
        while self._under_way:
            await asyncio.wait(tuple(self._under_way.values()))
            await asyncio.sleep(0)

    async def _keep_up(self) -> None:
        while True:
            self._news.clear()
            try:
                await self.round()
                self._store_away = False
            except Exception as fault:  # noqa: BLE001 - whatever it is, what is owed must be looked for again
                if not self._store_away:
                    _log.warning("outbox:store_away", why=_words(fault))
                self._store_away = True
                await asyncio.sleep(self._look_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_s):
                    await self._news.wait()

    def _ended(self, account: str, _: asyncio.Task[None]) -> None:
        self._under_way.pop(account, None)
        self._news.set()

    async def _has_lease(self, now: int) -> bool:
        """Return whether this process delivers: for long enough that each try that begins now ends within it."""
        if self._lease_until - now > _LEASE_S * MICROSECONDS // 2:
            return True
        until = now + _LEASE_S * MICROSECONDS
        had = self._lease_until > now
        got = await self._outbox.lease(LEASE, self._owner, until)
        self._lease_until = until if got else 0
        if got and not had:
            _log.info("outbox:lease_taken")
        return got

    async def _try(self, row: OutboxRow) -> None:
        """Try a message once, and note what came of it."""
        try:
            tried = await self._sent(row)
        except Exception as fault:  # noqa: BLE001 - a message that breaks us must be parked in the end, not tried for ever
            _log.exception("outbox:try_broke", id=row.id, type=row.type)
            tried = Tried(ok=False, why=f"the gateway itself failed: {type(fault).__name__}")
        now, made = self._clock.now(), row.tries + 1
        if tried.ok:
            if await self._noted(lambda: self._outbox.delivered(row.id, now)):
                self.delivered += 1
            self._took.pop(row.id, None)
        elif tried.gone or made >= self._tries.most:
            _log.warning("outbox:parked", id=row.id, type=row.type, tries=made, why=tried.why)
            if await self._noted(lambda: self._outbox.parked(row.id, tried.why)):
                self.parked += 1
            self._took.pop(row.id, None)
        else:
            pause = max(self._tries.pause_s(made, self._chance()), tried.retry_after_s or 0)
            again = now + int(pause * MICROSECONDS)
            if await self._noted(lambda: self._outbox.failed(row.id, tried.why, again)):
                self.failed += 1

    async def _sent(self, row: OutboxRow) -> Tried:
        """Return what came of sending it to each target that wants it and, as far as we remember, lacks it."""
        body, at_s = body_of(row), self._clock.now() // MICROSECONDS
        took = self._took.get(row.id, set())
        lacking = [target for target in self._targets if target.wants(row.type) and target.name not in took]
        answers = await asyncio.gather(*(target.send(row.id, at_s, body) for target in lacking))
        failures = []
        for target, answer in zip(lacking, answers, strict=True):
            self._told(target.name, answer)
            if answer.ok:
                took = took | {target.name}
            else:
                failures.append((target.name, answer))
        if not failures:
            return Tried(ok=True)
        if took:
            self._took[row.id] = took
            if len(self._took) > _MOST_REMEMBERED:
                # Forgotten, it gets there twice, and its key says so.
                del self._took[next(iter(self._took))]
        return Tried(
            ok=False,
            why="; ".join(f"{name}: {answer.why}" for name, answer in failures)[:_LONGEST_ERROR],
            retry_after_s=max((answer.retry_after_s or 0 for _, answer in failures), default=0),
            # Where others are still to get it, trying goes on.
            gone=all(answer.gone for _, answer in failures),
        )

    async def _noted(self, note: Callable[[], Awaitable[None]]) -> bool:
        """Return whether the store took the note. The account waits for it, as long as the lease is ours."""
        while True:
            try:
                await note()
            except Exception as fault:  # noqa: BLE001 - without the note it would go out again at once, and again
                _log.warning("outbox:not_noted", why=_words(fault))
                if self._clock.now() >= self._lease_until:
                    return False
                await asyncio.sleep(_NOTED_AGAIN_S)
            else:
                return True

    def _told(self, name: str, answer: Tried) -> None:
        """Log when a target goes away and when it is back, not each try."""
        if answer.ok and name in self._away:
            self._away.discard(name)
            _log.info("webhook:back", target=name)
        elif not answer.ok and name not in self._away:
            self._away.add(name)
            _log.warning("webhook:away", target=name, why=answer.why)


def _words(fault: Exception) -> str:
    return str(fault) if isinstance(fault, StoreUnavailable) else type(fault).__name__


def body_of(row: OutboxRow) -> bytes:
    """Return a message as it is sent: the same bytes each time."""
    content = {
        "type": row.type,
        "timestamp": instant_text(row.created_at),
        "number": row.number,
        # A rule may tell of a request that nobody had signed in to.
        "data": {**row.data, "account": row.account or None},
    }
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
