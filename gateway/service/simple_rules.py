"""The rules that others hold withdrawals by, to be judged beside the score on the same history.

Each compares a withdrawal with the logins of other sessions than its own: the login that it begins with shall not make
it familiar.
"""

import marshal
from operator import itemgetter
from typing import Final, NamedTuple, Self

from gateway.core.login import ADDRESS, ASN, COUNTRY, DEVICE, Feature, Login, Place
from gateway.core.travel import distance_km

RULES: Final = (
    "address not in the last 20 logins",
    "new country, or over 1000 km/h",
    "new device",
    "N: new destination by a new device or operator",
)

_LOGINS: Final = 20
_MOST: Final = 64
_FASTEST_KMH: Final = 1000
_NEAREST_KM: Final = 100
_HOUR: Final = 3_600_000_000
_KINDS: Final = (COUNTRY, ASN, DEVICE)
_of_kind: Final = itemgetter(*_KINDS)

_Kept = tuple[int, int, Feature, float | None, float | None]


class Flags(NamedTuple):
    """Which of `RULES` hold a withdrawal, in their order."""

    address: bool
    travel: bool
    device: bool
    new: bool


class SimpleRules:
    """What these rules remember of one account. They have no quarantine: what was seen once is familiar."""

    __slots__ = ("_destinations", "_logins", "_seen")

    def __init__(self) -> None:
        self._logins: list[_Kept] = []
        self._seen: tuple[dict[Feature, int], ...] = tuple({} for _ in _KINDS)
        self._destinations: dict[int, None] = {}

    def observe(self, login: Login) -> None:
        """Take in a successful login."""
        place, session = login.place, login.session or 0
        latitude, longitude = (place.latitude, place.longitude) if place else (None, None)
        self._logins.append((login.at, session, login.values[ADDRESS], latitude, longitude))
        if len(self._logins) > _LOGINS:
            del self._logins[0]
        for value, seen in zip(_of_kind(login.values), self._seen, strict=True):
            if value is not None and value not in seen:
                if len(seen) >= _MOST:
                    del seen[next(iter(seen))]
                seen[value] = session

    def pay(self, destination: int | None) -> None:
        """Take in a withdrawal that was carried out."""
        if destination is not None and destination not in self._destinations:
            if len(self._destinations) >= _MOST:
                del self._destinations[next(iter(self._destinations))]
            self._destinations[destination] = None

    def judge(self, login: Login, destination: int | None) -> Flags:
        """Return which of the rules hold a withdrawal."""
        session = login.session or 0
        others = [one for one in self._logins if not session or one[1] != session]
        country, asn, device = (
            self._is_new(seen, login.values[level], session) for level, seen in zip(_KINDS, self._seen, strict=True)
        )
        address = login.values[ADDRESS]
        return Flags(
            address is None or all(one[2] != address for one in others),
            country or (bool(others) and _too_fast(others[-1], login)),
            device,
            destination not in self._destinations and (device or asn),
        )

    @staticmethod
    def _is_new(seen: dict[Feature, int], value: Feature, session: int) -> bool:
        first = seen.get(value)
        return value is None or first is None or (session != 0 and first == session)

    def to_bytes(self) -> bytes:
        """Return all of it, for memory alone: only the same process may read it back."""
        return marshal.dumps((self._logins, self._seen, self._destinations))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` made."""
        self = cls()
        self._logins, self._seen, self._destinations = marshal.loads(data)  # noqa: S302 - made by this process
        return self


def _too_fast(last: _Kept, login: Login) -> bool:
    at, _, _, latitude, longitude = last
    if login.place is None or latitude is None or longitude is None:
        return False
    km = distance_km(Place(latitude, longitude, None), login.place)
    hours = max(abs(login.at - at) / _HOUR, 1 / 60)
    return km > _NEAREST_KM and km / hours > _FASTEST_KMH
