"""Logins observed as they pass: what the app answers on its login route, told as events off the request path."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import structlog

from gateway.core.account import is_uid
from gateway.core.errors import StoreUnavailable
from gateway.core.events import Event, LoginFailed, LoginSucceeded
from gateway.ports import Events, Taking
from gateway.service.pipeline import Passage

log: Any = structlog.get_logger("gateway")

SOURCE: Final = "observed"
MOST: Final = 10_000
"""Logins that wait to be written. What comes beyond is left out and counted: a login never waits for its event."""
AT_ONCE: Final = 250
AGAIN_S: Final = 1.0
LAST_S: Final = 5.0
"""How long what still waits at the end may take."""
_LONGEST: Final = 512

Lines = Iterable[tuple[bytes, bytes]]


class Logins:
    """Watches one route. The app says whose login it was, in a header of its answer: nobody else can be certain."""

    def __init__(
        self,
        events: Events,
        *,
        path: str,
        methods: Iterable[str],
        account_header: str,
        session_header: str | None = None,
        most: int = MOST,
    ) -> None:
        """Build. The headers are taken away from the answer."""
        self._events = events
        self._path = path
        self._methods = frozenset(methods)
        self._account = account_header.lower().encode("ascii")
        self._session = None if session_header is None else session_header.lower().encode("ascii")
        self._most = most
        self.taken_away = frozenset(name for name in (self._account, self._session) if name is not None)
        """Headers of the app's answer that nobody outside needs to see."""
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self.lost = 0
        """Logins since the start that were not written: too many waited, or the store refused them."""
        self.unnamed = 0
        """Logins since the start of which the app did not say whose they were."""

    def watches(self, method: str, path: str) -> bool:
        """Return whether a request is a login."""
        return path == self._path and method in self._methods

    def saw(  # noqa: PLR0917 - the parts of one login
        self, passage: Passage, at: int, status: int, answered: Lines, agent: bytes | None, device: str | None
    ) -> None:
        """Take in what the app answered: a login for 2xx, a failed one for 401, nothing for all else."""
        kind = LoginSucceeded if 200 <= status < 300 else LoginFailed if status == 401 else None
        if kind is None:
            return
        lines = list(answered)
        account = _one(lines, self._account)
        if account is None or not is_uid(account):
            self.unnamed += 1
            return
        if len(self._waiting) >= self._most:
            self.lost += 1
            return
        self._waiting.append(
            kind(
                id=f"login:{passage.decision_id.decode('ascii')}",
                account=account,
                at=at,
                ip=passage.settled.client_ip.address,
                user_agent=agent[:_LONGEST].decode("latin-1") if agent else None,
                device=device,
                session=None if self._session is None else _one(lines, self._session),
            )
        )
        self._arrived.set()

    async def start(self) -> None:
        """Begin to write what is seen."""
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Write what still waits, within `LAST_S`, and stop."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        try:
            async with asyncio.timeout(LAST_S):
                while self._waiting:
                    await self._take()
        except (StoreUnavailable, TimeoutError) as fault:
            self.lost += len(self._waiting)
            log.warning("logins:lost", logins=len(self._waiting), why=str(fault) or "the store was too slow")

    async def _write(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                try:
                    await self._take()
                except StoreUnavailable as fault:
                    log.warning("logins:waiting", logins=len(self._waiting), why=str(fault))
                    await asyncio.sleep(AGAIN_S)
                except Exception:
                    # These cannot be written. Those behind them can.
                    log.exception("logins:failed")
                    for _ in range(min(AT_ONCE, len(self._waiting))):
                        self._waiting.popleft()
                        self.lost += 1

    async def _take(self) -> None:
        batch = [self._waiting[place] for place in range(min(AT_ONCE, len(self._waiting)))]
        taken = await self._events.take(batch, SOURCE)
        # Removed once they are written: whoever is cancelled in between writes them again, which changes nothing.
        for one in taken:
            self._waiting.popleft()
            self.lost += one.what is Taking.PROBLEM


def _one(lines: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Return the value of a header that stands once; None where it says nothing, or two things."""
    found = [value for key, value in lines if key.lower() == name]
    if len(found) != 1 or not 0 < len(found[0]) <= _LONGEST:
        return None
    return found[0].decode("latin-1")
