"""The `Profiles` port: each account's profile from the store, and the counts over all accounts in memory."""

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final
from zlib import crc32

import sqlalchemy as sa
import structlog

from gateway.adapters.dialects import insert_into
from gateway.adapters.everyone_bytes import Copy, unpacked
from gateway.adapters.outbox_store import OutboxStore
from gateway.adapters.schema import EVENTS, EVERYONE, PROFILES
from gateway.adapters.sql import AccountStore
from gateway.core.account import is_uid
from gateway.core.errors import StoreUnavailable
from gateway.core.events import LoginFailed, LoginSucceeded
from gateway.core.everyone import Global
from gateway.core.login import PREFIX, Digests, Login, login_of
from gateway.core.profile import Profile
from gateway.core.stuffing import WINDOW, Networks
from gateway.ports import MICROSECONDS

log: Any = structlog.get_logger("gateway")

LOOK_EVERY_S: Final = 0.1
"""How long until what the store's feed has heard of is looked at."""
SAVE_EVERY_S: Final = 600.0
SAVED_AFTER: Final = 1_000
"""Logins that are counted before it is worth saving."""
AT_ONCE: Final = 200
"""Logins that are counted before others may run: some milliseconds."""
MOST_KEPT: Final = 16_384
"""Profiles that are remembered, some 1 kB each."""
RELIED_ON_US: Final = 600 * MICROSECONDS
"""For how long an answer may be relied on that a profile was read for: twice as long as `service.gather` lets it be."""
_NAME: Final = "everyone"
_TYPES: Final = (LoginSucceeded.type, LoginFailed.type)
_COLUMNS: Final = (
    EVENTS.c.number,
    EVENTS.c.id,
    EVENTS.c.account,
    EVENTS.c.at,
    EVENTS.c.type,
    EVENTS.c.body,
    EVENTS.c.geo,
)


class ProfileStore:
    """Profiles are asked for one at a time; what is common to all accounts is counted from the events as they come."""

    def __init__(self, store: AccountStore, digests: Digests, *, width: int | None = None) -> None:
        """Build with what digests personal values. `width` is that of the sketch: smaller for tests."""
        self._store = store
        self._digests = digests
        self._outbox = OutboxStore(store)
        self._owner = f"{os.getpid()}-{id(self):x}"
        self._everyone = Global() if width is None else Global(width)
        self._networks = Networks()
        self._number = 0
        self._saved = 0
        self._known: dict[str, tuple[int, bytes | None]] = {}
        self._asked: dict[str, int] = {}
        self._generation = 0
        self._looked: int | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def generation(self) -> int:
        """A number that changes whenever a profile did that was read here lately, as far as this process has heard.

        Most events are about accounts that nobody asks for: what is remembered of all others does not end with them.
        """
        return self._generation if self._watching is not None else self._store.commits

    @property
    def everyone(self) -> Global:
        """The counts over all accounts. Only to be read."""
        return self._everyone

    @property
    def networks(self) -> Networks:
        """What each network tried lately. Only to be read."""
        return self._networks

    async def start(self) -> None:
        """Take up the saved counts, and go on counting in the background. Raise StoreUnavailable."""
        if self._watching is None:
            await self._load()
            await self._recall_networks()
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Stop counting, and save what was counted."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            with suppress(StoreUnavailable):
                await self.save()

    async def read(self, uid: str) -> Profile | None:
        """Return the account's profile, the caller's own; None where there is none. Raise StoreUnavailable."""
        if not is_uid(uid):
            return None
        if len(self._asked) >= 4 * MOST_KEPT:
            self._asked.clear()
            self._generation += 1
        # Both are noted before the read: a change that lands in between makes this answer old, not new.
        self._asked[uid] = self._store.clock.now()
        generation = self._store.commits
        known = self._known.get(uid)
        if known is None or known[0] != generation or not self._store.fresh(self._store.clock.now()):
            query = sa.select(PROFILES.c.blob).where(PROFILES.c.account == uid)
            async with self._store.reading("read a profile") as connection:
                blob = (await connection.execute(query)).scalar_one_or_none()
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            known = self._known[uid] = (generation, blob)
        if known[1] is None:
            return None
        try:
            return Profile.from_bytes(known[1])
        except ValueError as fault:
            raise StoreUnavailable(f"store {self._store.name}: the profile of `{uid}` is damaged: {fault}") from fault

    async def catch_up(self) -> int:
        """Look at the events that were taken since the last time, and count the logins; return how many events."""
        counted = 0
        while True:
            query = sa.select(*_COLUMNS).where(EVENTS.c.number > self._number)
            async with self._store.reading("count logins", self._store.write_within_s) as connection:
                rows = (await connection.execute(query.order_by(EVENTS.c.number).limit(AT_ONCE))).all()
            self._count(rows)
            counted += len(rows)
            if len(rows) < AT_ONCE:
                return counted

    async def save(self) -> bool:
        """Keep the counts for who starts next; return whether this process did. Raise StoreUnavailable."""
        if self._number - self._saved < SAVED_AFTER:
            return False
        until = self._store.clock.now() + round(SAVE_EVERY_S) * MICROSECONDS // 2
        if not await self._outbox.lease(_NAME, self._owner, until):
            return False
        number, copy = self._number, Copy(self._everyone)
        blob = await asyncio.to_thread(copy.packed)
        async with self._store.writing("save the counts of all accounts") as connection:
            new = insert_into(connection, EVERYONE).values(name=_NAME, number=number, blob=blob)
            values = {"number": new.excluded.number, "blob": new.excluded.blob}
            newer = EVERYONE.c.number < new.excluded.number
            await connection.execute(
                new.on_conflict_do_update(index_elements=[EVERYONE.c.name], set_=values, where=newer)
            )
        self._saved = number
        return True

    async def _load(self) -> None:
        query = sa.select(EVERYONE.c.number, EVERYONE.c.blob).where(EVERYONE.c.name == _NAME)
        async with self._store.reading("read the counts of all accounts", self._store.write_within_s) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return
        try:
            self._everyone = await asyncio.to_thread(unpacked, row.blob)
        except ValueError as fault:
            # They are counted again from the events: until then everybody is as unusual as on the first day.
            log.warning("everyone:damaged", fault=str(fault))
            return
        self._number = self._saved = row.number

    async def _recall_networks(self) -> None:
        """Take up the attempts of the last hours that are counted already."""
        since = self._store.clock.now() - 2 * WINDOW
        recent = sa.and_(EVENTS.c.number <= self._number, EVENTS.c.type.in_(_TYPES))
        query = sa.select(*_COLUMNS).where(recent).order_by(EVENTS.c.number.desc()).limit(10 * AT_ONCE)
        async with self._store.reading("read the last logins", self._store.write_within_s) as connection:
            rows = (await connection.execute(query)).all()
        for row in reversed(rows):
            if row.at >= since:
                self._attempt(row)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + SAVE_EVERY_S
        while True:
            try:
                # The number is taken before the look: what lands in between is looked at the next time.
                commits = self._store.commits
                if self._looked != commits:
                    await self.catch_up()
                    self._looked = commits
                if loop.time() >= due:
                    due = loop.time() + SAVE_EVERY_S
                    await self.save()
            except StoreUnavailable as fault:
                log.warning("everyone:behind", fault=str(fault))
            except Exception:
                # One damaged event does not end the counting of all others; it is passed over the next time.
                log.exception("everyone:failed")
            await asyncio.sleep(LOOK_EVERY_S)

    def _count(self, rows: Iterable[Any]) -> None:
        since = self._store.clock.now() - RELIED_ON_US
        for row in rows:
            self._number = row.number
            if self._asked.get(row.account, since) > since:
                self._generation += 1
            if row.type == LoginSucceeded.type:
                self._everyone.observe(_login(self._digests, row))
            if row.type in _TYPES:
                self._attempt(row)

    def _attempt(self, row: Any) -> None:  # noqa: ANN401 - a row of `_COLUMNS`
        network = _login(self._digests, row).values[PREFIX]
        if isinstance(network, int):
            self._networks.observe(network, crc32(row.account.encode()), row.at, failed=row.type == LoginFailed.type)


def _login(digests: Digests, row: Any) -> Login:  # noqa: ANN401 - a row of `_COLUMNS`
    body, geo = row.body, row.geo or {}
    return login_of(
        digests, row.at,
        event_id=row.id, ip=body.get("ip"), agent=body.get("user_agent"), device=body.get("device"),
        session=body.get("session"), country=geo.get("country"), asn=geo.get("asn"),
    )  # fmt: skip
