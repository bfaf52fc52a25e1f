"""A part that does not answer is left alone for a while, so that nobody waits for it in vain."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from gateway.core.errors import GatewayError
from gateway.ports import MICROSECONDS, Clock

log: Any = structlog.get_logger("gateway")

T = TypeVar("T")
SLOW_US: Final = 50_000
"""A fault that took less made nobody wait: that is no reason to stop asking. One damaged account is such a fault."""
WITHIN_S: Final = 0.5
"""The longest that anybody waits for the store. It has a deadline of its own, half as long, which a driver that is
stuck in the system does not keep: SQLAlchemy waits for the connection of a question that it gave up."""
DISK_WITHIN_S: Final = 3.0
"""The same of the journal's disk, which has two seconds."""


class _LateError(Exception):
    """Nobody waits any longer."""


class Breaker:
    """Asks one part on behalf of everybody. After some slow faults in a row it asks no more, but for one probe a rest.

    Belongs to one event loop.
    """

    def __init__(
        self,
        what: str,
        clock: Clock,
        fault: type[GatewayError],
        *,
        faults: int = 5,
        rest_us: int = MICROSECONDS,
        slow_us: int = SLOW_US,
        within_s: float = WITHIN_S,
    ) -> None:
        """Build. `what` names the part in logs; `fault` is what is raised in place of an answer after `within_s`."""
        self.what = what
        self._now = clock.now
        self._fault = fault
        self._faults = faults
        self._rest_us = rest_us
        self._slow_us = slow_us
        self._within_s = within_s
        self._left: set[asyncio.Future[Any]] = set()
        """Questions that nobody waits for any more, until their part lets go of them."""
        self._in_a_row = 0
        self._opened_at: int | None = None
        self._probing = False
        self.opened = 0
        """How often it stopped asking, since the start."""
        self.refused = 0
        """How often nobody was asked, since the start."""

    @property
    def is_open(self) -> bool:
        """Whether the part is left alone now."""
        return self._opened_at is not None

    async def ask(self, asked: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:  # noqa: ANN401 - whatever is asked takes
        """Return what `asked` answers. Raise what it raises; at once, where it is not asked, the fault."""
        since = self._opened_at
        if since is not None:
            # A clock that was set back must not keep it open.
            if self._probing or 0 <= self._now() - since < self._rest_us:
                self.refused += 1
                raise self._fault(f"{self.what}: not asked for a while, since it did not answer in time")
            self._probing = True
        begun = self._now()
        try:
            answer = await self._within(asked(*arguments))
        except _LateError:
            self._failed()
            raise self._fault(f"{self.what}: no answer within {self._within_s} s") from None
        except BaseException:
            # Whoever gave up waiting has waited as well.
            if self._now() - begun >= self._slow_us:
                self._failed()
            elif since is not None:
                self._close()
            raise
        else:
            self._in_a_row = 0
            if since is not None:
                self._close()
            return answer
        finally:
            if since is not None:
                self._probing = False

    async def _within(self, question: Coroutine[Any, Any, T]) -> T:
        """Return the answer. Raise _LateError where it takes too long: the question is left behind, not waited for."""
        asking = asyncio.ensure_future(question)
        try:
            await asyncio.wait((asking,), timeout=self._within_s)
        finally:
            if not asking.done():
                asking.cancel()
                self._left.add(asking)
                asking.add_done_callback(self._left_behind)
        if asking.done():
            return asking.result()
        raise _LateError

    def _left_behind(self, asking: asyncio.Future[Any]) -> None:
        self._left.discard(asking)
        if not asking.cancelled():
            asking.exception()  # nobody is there to hear it

    def _failed(self) -> None:
        self._in_a_row += 1
        if self._opened_at is None and self._in_a_row < self._faults:
            return
        if self._opened_at is None:
            self.opened += 1
            log.error("breaker:opened", what=self.what, faults=self._in_a_row)
        self._opened_at = self._now()

    def _close(self) -> None:
        if self._opened_at is not None:
            log.warning("breaker:closed", what=self.what)
        self._opened_at = None
        self._in_a_row = 0
