"""The book of events: what the exchange tells is stored once, and applied in the same transaction."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from gateway.adapters.event_rows import Batch, take_all
from gateway.adapters.profile_rows import Where
from gateway.adapters.schema import EVENTS
from gateway.adapters.sql import AccountStore
from gateway.core.events import TOLERANCE, Event, EventProblem, LoginFailed, LoginSucceeded, WithdrawalCompleted
from gateway.core.facts import Uncertain
from gateway.core.login import Digests
from gateway.ports import MICROSECONDS, Geo, Taken, Taking

AT_ONCE: Final = 64
"""Events of one transaction at least, where there are so many. Between two others write, and requests are decided."""
MOST: Final = 1000
"""Events of one account in one transaction."""
KEPT_US: Final = 201 * 86_400 * MICROSECONDS
"""The store itself refuses to remove younger ones."""
_OF_HABITS: Final = (LoginSucceeded, LoginFailed, WithdrawalCompleted)
_FORGET_AT_ONCE: Final = 5_000


class EventBook:
    """The `Events` port on the embedded store."""

    def __init__(self, store: AccountStore, digests: Digests | None, geo: Geo | None = None) -> None:
        """Build with what digests personal values, the same for every process, and what knows where addresses are.

        Without digests events are taken all the same, but nobody's habits are kept.
        """
        self._store = store
        self._digests = digests
        self._geo = geo

    async def take(self, events: Sequence[Event], source: str) -> tuple[Taken, ...]:
        """Return what became of each event. Each is stored and applied whole, or not at all.

        Events of one account are taken in one transaction, as long as they are not too many. Raise StoreUnavailable:
        some may be taken then, and all may be sent again.
        """
        now = self._store.clock.now()
        results: dict[int, Taken] = {}
        for places in _groups(events):
            sound = [place for place in places if events[place].at <= now + TOLERANCE]
            results |= {place: _early(events[place]) for place in places if events[place].at > now + TOLERANCE}
            group = [events[place] for place in sound]
            if not group:
                continue
            batch = Batch(group, self._where(group, now), source, now, self._digests)
            async with self._store.writing("take events") as connection:
                taken = await connection.run_sync(take_all, batch)
            results |= dict(zip(sound, taken, strict=True))
            # Most events are logins, which change no account: what is remembered of accounts holds on.
            self._store.bump(accounts=not all(isinstance(event, _OF_HABITS) for event in group))
        return tuple(results[place] for place in range(len(events)))

    async def forget(self) -> int:
        """Remove events that no profile looks back to any more; return how many. To be called now and then."""
        old = EVENTS.c.received_at < self._store.clock.now() - KEPT_US
        some = sa.select(EVENTS.c.number).where(old).order_by(EVENTS.c.number).limit(_FORGET_AT_ONCE)
        async with self._store.writing("forget events") as connection:
            return (await connection.execute(sa.delete(EVENTS).where(EVENTS.c.number.in_(some)))).rowcount

    def _where(self, events: Sequence[Event], now: int) -> dict[str, Where]:
        found: dict[str, Where] = {}
        for event in events:
            address = getattr(event, "ip", None)
            if address is None or self._geo is None:
                continue
            told = self._geo.look_up(address, now)
            facts = {"country": told.country, "asn": told.asn, "network": told.network}
            known = {name: value for name, value in facts.items() if not isinstance(value, Uncertain)}
            there = {} if told.place is None else {"place": list(told.place)}
            found[event.id] = there | {
                name: sorted(value) if isinstance(value, frozenset) else value for name, value in known.items()
            }
        return found


def _groups(events: Sequence[Event]) -> Iterator[list[int]]:
    """Yield the places of events, those of one account together."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, event in enumerate(events):
        places[event.account].append(place)
    group: list[int] = []
    for of_account in places.values():
        for start in range(0, len(of_account), MOST):
            group += of_account[start : start + MOST]
            if len(group) >= AT_ONCE:
                yield group
                group = []
    if group:
        yield group


def _early(event: Event) -> Taken:
    text = f"`at` is more than {TOLERANCE // MICROSECONDS} s ahead of this clock"
    return Taken(Taking.PROBLEM, EventProblem("in-the-future", "at", text, event.id))
