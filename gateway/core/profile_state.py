"""All that is kept of one account's history, and its form in bytes: some 1 kB, version 1.

Weights are stored as shares of one fresh login at the last day learned, in 4 bytes; days and seconds as numbers.
Waiting logins name their values by place in the tables, since most of them repeat.
"""

import struct
from typing import Final, NamedTuple, Self

from gateway.core.forgetting import unit
from gateway.core.login import LEVELS, Feature, Features, Place

VERSION: Final = 1
_LARGEST: Final = 1 << 16
"""Bytes. A profile at all its caps has less than a tenth of it."""
_NONE: Final = 255
_TEXT: Final = frozenset({0, 4, 5})
_SMALL: Final = frozenset({8})
_KINDS: Final = (
    *("hosting", "mobile", "public_proxy", "relay", "residential_proxy", "satellite", "tor", "vpn"),
    *("corporate", "anonymous"),
)
_KINDS_KNOWN: Final = 1 << 15
_NO_PLACE: Final = 1000.0

_HEAD: Final = struct.Struct("<BfIIQIBBBB")
_WAITING: Final = struct.Struct("<IIB9B")
_SEEN: Final = struct.Struct("<QI2sIQQQQHfff")
_CHANGE: Final = struct.Struct("<IB")
_DESTINATION: Final = struct.Struct("<QII")


Known = dict[Feature, list[float]]
"""Values of one level: the weight of each, and the day (a whole number) it was last seen.

A list, since it is added to in place: that is most of what a login costs.
"""


class Waiting(NamedTuple):
    """A login in quarantine."""

    at_s: int
    id: int
    """Four bytes of the event's digest; 0 for none."""
    values: Features
    learned: bool
    """It counts already, because an old factor confirmed its device. It stays so that a repeat is known as one."""


class Seen(NamedTuple):
    """One of the latest logins, as far as travel and sessions need it."""

    at: int
    id: int
    country: str | None
    asn: int | None
    prefix: int | None
    address: int | None
    device: int | None
    session: int | None
    networks: frozenset[str] | None
    place: Place | None


class Change(NamedTuple):
    """The latest change of one verification method."""

    at_s: int
    recovered: bool
    """Whether it went by a recovery path: no older factor proved it."""


class Use(NamedTuple):
    """When a destination's first and latest withdrawal were confirmed."""

    first_s: int
    last_s: int


class State:
    """What one account's profile holds; `core.profile.Profile` is what is done with it."""

    __slots__ = (
        "active",
        "changes",
        "destinations",
        "ids",
        "known",
        "latest",
        "learned_day",
        "returned_s",
        "since_s",
        "total",
        "waiting",
    )

    def __init__(self) -> None:
        self.known: tuple[Known, ...] = tuple({} for _ in LEVELS)
        """For each level, the trusted values: weight, and the day each was last seen."""
        self.total = 0.0
        """The weight of all trusted logins."""
        self.learned_day = 0
        self.since_s = 0
        """When the account was first seen; 0 where it never was."""
        self.active = 0
        """When the account was last used, microseconds; 0 where it never was."""
        self.returned_s = 0
        """When the account was last used again after 60 days of silence; 0 where it never was."""
        self.waiting: list[Waiting] = []
        """By time."""
        self.ids: set[int] | None = None
        """The ids of what waits; None until somebody asks. Not stored."""
        self.latest: tuple[Seen, ...] = ()
        """By time."""
        self.changes: dict[str, Change] = {}
        self.destinations: dict[int, Use] = {}

    def to_bytes(self) -> bytes:
        """Return all of it as bytes."""
        scale = unit(self.learned_day * 86_400_000_000)
        head = _HEAD.pack(
            VERSION, self.total / scale, self.learned_day, self.since_s, self.active, self.returned_s,
            len(self.waiting), len(self.latest), len(self.changes), len(self.destinations),
        )  # fmt: skip
        out = [head]
        places: list[dict[Feature, int]] = []
        for level, known in enumerate(self.known):
            fresh = {one.values[level] for one in self.waiting} - known.keys() - {None}
            table: list[Feature] = [*known, *sorted(fresh, key=repr)][:_NONE]
            places.append({value: place for place, value in enumerate(table)})
            kept = min(len(known), _NONE)
            out.append(bytes((len(table), kept)))
            out.append(_pack_values(level, table))
            pairs = list(known.values())[:kept]
            weights, days = [one[0] / scale for one in pairs], [int(one[1]) for one in pairs]
            out.append(struct.pack(f"<{kept}f{kept}H", *weights, *days))
        for one in self.waiting:
            numbers = (index.get(value, _NONE) for index, value in zip(places, one.values, strict=True))
            out.append(_WAITING.pack(one.at_s, one.id, one.learned, *numbers))
        out.extend(_pack_seen(seen) for seen in self.latest)
        for method, change in self.changes.items():
            name = method.encode()[:_NONE]
            out.append(bytes((len(name),)) + name + _CHANGE.pack(*change))
        out.extend(_DESTINATION.pack(digest, *use) for digest, use in self.destinations.items())
        return b"".join(out)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` wrote. Raise ValueError for anything else."""
        if not data or data[0] != VERSION or len(data) > _LARGEST:
            raise ValueError(f"not a profile of version {VERSION}")
        self = cls()
        try:
            self._fill(data)
        except (struct.error, IndexError, UnicodeDecodeError, OverflowError) as error:
            raise ValueError(f"a damaged profile: {error}") from error
        return self

    def _fill(self, data: bytes) -> None:
        _, total, self.learned_day, self.since_s, self.active, self.returned_s, waiting, latest, changes, book = (
            _HEAD.unpack_from(data)
        )
        scale = unit(self.learned_day * 86_400_000_000)
        self.total = total * scale
        at = _HEAD.size
        tables: list[list[Feature]] = []
        for level, known in enumerate(self.known):
            count, kept = data[at], data[at + 1]
            table, at = _unpack_values(level, data, at + 2, count)
            numbers = struct.unpack_from(f"<{kept}f{kept}H", data, at)
            at += 6 * kept
            known.update(
                (value, [weight * scale, seen])
                for value, weight, seen in zip(table, numbers[:kept], numbers[kept:], strict=False)
            )
            tables.append(table)
        for _ in range(waiting):
            at_s, event, learned, *places = _WAITING.unpack_from(data, at)
            at += _WAITING.size
            values = tuple(None if n == _NONE else table[n] for n, table in zip(places, tables, strict=True))
            self.waiting.append(Waiting(at_s, event, values, bool(learned)))
        self.latest = tuple(_unpack_seen(data, at + number * _SEEN.size) for number in range(latest))
        at += latest * _SEEN.size
        for _ in range(changes):
            name = data[at + 1 : at + 1 + data[at]].decode()
            at += 1 + data[at]
            at_s, recovered = _CHANGE.unpack_from(data, at)
            self.changes[name] = Change(at_s, bool(recovered))
            at += _CHANGE.size
        for _ in range(book):
            digest, first, last = _DESTINATION.unpack_from(data, at)
            self.destinations[digest] = Use(first, last)
            at += _DESTINATION.size
        if at != len(data):
            raise ValueError("a damaged profile: it goes on after its end")


def _pack_values(level: int, table: list[Feature]) -> bytes:
    if level in _TEXT:
        texts = [str(value).encode()[:_NONE] for value in table]
        return b"".join(bytes((len(text),)) + text for text in texts)
    code = "B" if level in _SMALL else "I" if level == 1 else "Q"
    return struct.pack(f"<{len(table)}{code}", *table)


def _unpack_values(level: int, data: bytes, at: int, count: int) -> tuple[list[Feature], int]:
    if level in _TEXT:
        texts: list[Feature] = []
        for _ in range(count):
            texts.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        return texts, at
    code, size = ("B", 1) if level in _SMALL else ("I", 4) if level == 1 else ("Q", 8)
    return list(struct.unpack_from(f"<{count}{code}", data, at)), at + size * count


def _pack_seen(seen: Seen) -> bytes:
    kinds = 0
    if seen.networks is not None:
        kinds = _KINDS_KNOWN | sum(1 << bit for bit, kind in enumerate(_KINDS) if kind in seen.networks)
    place = seen.place
    radius = -1.0 if place is None or place.radius_km is None else place.radius_km
    where = (_NO_PLACE, 0.0, radius) if place is None else (place.latitude, place.longitude, radius)
    digests = (seen.prefix or 0, seen.address or 0, seen.device or 0, seen.session or 0)
    return _SEEN.pack(seen.at, seen.id, (seen.country or "").encode(), seen.asn or 0, *digests, kinds, *where)


def _unpack_seen(data: bytes, at: int) -> Seen:
    instant, event, country, asn, prefix, address, device, session, kinds, latitude, longitude, radius = (
        _SEEN.unpack_from(data, at)
    )
    networks = frozenset(kind for bit, kind in enumerate(_KINDS) if kinds >> bit & 1) if kinds else None
    place = None if latitude == _NO_PLACE else Place(latitude, longitude, radius if radius >= 0 else None)
    name = country.rstrip(b"\0").decode() or None
    return Seen(
        instant, event, name, asn or None, prefix or None, address or None, device or None, session or None,
        networks, place,
    )  # fmt: skip
