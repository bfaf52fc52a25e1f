"""A recorded history, one event a line: read, checked, and put in order of time. What is missing is Unknown."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from heapq import heappop, heappush, heappushpop
from typing import Any, Final, NamedTuple

import orjson

from gateway.core.countries import CONTINENT_OF
from gateway.core.decision import parse_instant
from gateway.core.login import Digests, Login, Place, login_of
from gateway.core.withdrawal_context import Withdrawal
from gateway.ports import MICROSECONDS, Geo

LOGIN: Final = "login"
WITHDRAWAL: Final = "withdrawal"
CHANGE: Final = "verification.changed"

LONGEST: Final = 1 << 16
"""Bytes of a line."""
OUT_OF_ORDER: Final = 10_000
"""Events that are held back, so that lines which are a little out of order fall into place."""

_TYPES: Final = {
    LOGIN: (LOGIN, None),
    "login.succeeded": (LOGIN, True),
    "login.failed": (LOGIN, False),
    WITHDRAWAL: (WITHDRAWAL, None),
    "withdrawal.completed": (WITHDRAWAL, True),
    CHANGE: (CHANGE, None),
}
_OUTCOMES: Final = {
    **dict.fromkeys(("succeeded", "success", "completed", "confirmed", "ok"), True),
    **dict.fromkeys(("failed", "failure", "denied", "rejected", "cancelled", "canceled", "held"), False),
}
_KEYS: Final = frozenset(
    {
        *("type", "id", "account", "at", "ip", "user_agent", "device", "session", "session_kind", "geo", "outcome"),
        *("destination", "balance_share", "amount_usd", "method", "change", "proved_with", "label"),
    }
)
_EARLIEST: Final = 946_684_800 * MICROSECONDS
_LATEST: Final = 4_102_444_800 * MICROSECONDS
"""2000 to 2100: outside it, a unit was probably confused."""
_MAX_ASN: Final = 0xFFFF_FFFF
_LEGITIMATE: Final = "legitimate"


class BadLine(ValueError):
    """A line that cannot be read as an event, with its number."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"line {number}: {why}")
        self.number = number


class Event(NamedTuple):
    """One event of an account."""

    number: int
    """The line that it stands on."""
    type: str
    id: str | None
    account: str
    login: Login
    """Where and with what it was done, whatever it was."""
    done: bool | None
    """Whether it succeeded; None where nobody says."""
    withdrawal: Withdrawal | None
    method: str | None
    recovered: bool
    proofs: tuple[str, ...]
    label: str | None
    """The attacker's name; None for a customer's own. For the reader of the report alone."""


class Reader:
    """Turns lines into events. What it had to leave out is counted in it."""

    def __init__(self, digests: Digests, geo: Geo | None = None) -> None:
        """Build with what answers for addresses that have no `geo` beside them; without it they are Unknown."""
        self._digests = digests
        self._geo = geo
        self._kinds: dict[tuple[str, ...], frozenset[str]] = {}
        self.ignored: dict[str, int] = {}
        """Keys that mean nothing here, with the line each first stood on."""

    def read(self, number: int, line: bytes) -> Event:
        """Return the event of one line. Raise BadLine saying what is wrong with it."""
        try:
            return self._read(number, line)
        except orjson.JSONDecodeError as error:
            raise BadLine(number, f"not JSON: {error}") from None
        except BadLine:
            raise
        except ValueError as error:
            raise BadLine(number, str(error)) from None

    def _read(self, number: int, line: bytes) -> Event:
        if len(line) > LONGEST:
            raise ValueError(f"{len(line)} bytes; an event has at most {LONGEST}")
        found = orjson.loads(line)
        if type(found) is not dict:
            raise ValueError('an event is an object such as {"type": "login", "account": "a1", "at": 1735689600}')
        if not found.keys() <= _KEYS:
            self._ignore(found.keys() - _KEYS, number)
        kind = found.get("type")
        known = _TYPES.get(kind) if type(kind) is str else None
        if known is None:
            raise ValueError(f"`type` is {kind!r:.60}{_meant(kind, _TYPES)}; it is one of {', '.join(_TYPES)}")
        what, done = known
        account = _text(found, "account")
        if account is None:
            raise ValueError("`account` is missing: whose event is it?")
        if done is None:
            done = _outcome(found)
        at = _instant(found.get("at"))
        event_id = _text(found, "id")
        ip = _text(found, "ip")
        country, asn, networks, place = self._where(found.get("geo"), ip, at)
        login = login_of(
            self._digests, at,
            event_id=event_id, ip=ip, agent=_text(found, "user_agent"), device=_text(found, "device"),
            session=_text(found, "session"), country=country, asn=asn, networks=networks, place=place,
        )  # fmt: skip
        label = _text(found, "label")
        withdrawal = None
        method = None
        recovered = False
        proofs = _proofs(found.get("proved_with"))
        if what == WITHDRAWAL:
            share = _number(found, "balance_share", 0, 1)
            _number(found, "amount_usd", 0, 1e15)
            withdrawal = Withdrawal(self._digests.text(b"destination", _text(found, "destination")), share)
        elif what == CHANGE:
            method = _text(found, "method")
            if method is None:
                raise ValueError("`method` is missing: what was changed?")
            recovered = found.get("change") == "reset" or not proofs
        return Event(
            number, what, event_id, account, login, done, withdrawal, method, recovered, proofs,
            None if label == _LEGITIMATE else label,
        )  # fmt: skip

    def _where(
        self,
        geo: Any,  # noqa: ANN401 - a JSON value
        ip: str | None,
        at: int,
    ) -> tuple[str | None, int | None, frozenset[str] | None, Place | None]:
        if geo is None:
            return self._looked_up(ip, at)
        if type(geo) is not dict:
            raise ValueError(f"`geo` is {geo!r:.60}; it is an object with country, asn, lat, lon, radius_km, network")
        country = _text(geo, "country")
        if country is not None and country not in CONTINENT_OF:
            raise ValueError(f"`geo.country` is {country!r:.20}, not a country code of ISO 3166-1, such as `DE`")
        asn = geo.get("asn")
        if asn is not None and (type(asn) is not int or not 0 < asn <= _MAX_ASN):
            raise ValueError(f"`geo.asn` is {asn!r:.40}, not the number of an autonomous system")
        networks = geo.get("network")
        kinds = None
        if networks is not None:
            if type(networks) is not list or not all(type(one) is str for one in networks) or len(networks) > 32:
                raise ValueError(f"`geo.network` is {networks!r:.60}; it is a list of names such as `vpn`")
            key = tuple(networks)
            kinds = self._kinds.get(key)
            if kinds is None:
                kinds = frozenset(networks)
                if len(self._kinds) < 1024:
                    self._kinds[key] = kinds
        place = None
        latitude, longitude = _number(geo, "lat", -90, 90), _number(geo, "lon", -180, 180)
        if latitude is not None and longitude is not None:
            place = Place(latitude, longitude, _number(geo, "radius_km", 0, 20_100))
        return country, asn, kinds, place

    def _looked_up(self, ip: str | None, at: int) -> tuple[str | None, int | None, frozenset[str] | None, Place | None]:
        if ip is None or self._geo is None:
            return None, None, None, None
        told = self._geo.look_up(ip, at)
        return (
            told.country if type(told.country) is str else None,
            told.asn if type(told.asn) is int else None,
            told.network if type(told.network) is frozenset else None,
            None,
        )

    def _ignore(self, keys: Iterable[object], number: int) -> None:
        for key in keys:
            if len(self.ignored) < 100:
                self.ignored.setdefault(f"{key}{_meant(key, _KEYS)}", number)


def events(
    lines: Iterable[bytes], reader: Reader, bad: Callable[[BadLine], object], held_back: int = OUT_OF_ORDER
) -> Iterator[Event]:
    """Yield the events in order of time; each bad line goes to `bad`, which may raise it.

    Raise BadLine for an event that is further out of order than the ones held back can mend.
    """
    waiting: list[tuple[int, int, Event]] = []
    last = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = reader.read(number, line)
        except BadLine as error:
            bad(error)
            continue
        entry = (event.login.at, number, event)
        if len(waiting) < held_back:
            heappush(waiting, entry)
            continue
        at, _, event = heappushpop(waiting, entry)
        if at < last:
            raise BadLine(
                event.number,
                f"it is older than the {held_back} events before it could be put in order with; sort the file by `at`",
            )
        last = at
        yield event
    while waiting:
        yield heappop(waiting)[2]


def _text(found: Mapping[str, Any], key: str) -> str | None:
    value = found.get(key)
    if value is None or value == "":
        return None
    if type(value) is not str:
        if type(value) is int:
            return str(value)
        raise ValueError(f"`{key}` is {value!r:.60}; it must be text")
    return value


def _number(found: Mapping[str, Any], key: str, least: float, most: float) -> float | None:
    value = found.get(key)
    if value is None:
        return None
    if (type(value) is not float and type(value) is not int) or not least <= value <= most:
        raise ValueError(f"`{key}` is {value!r:.60}; it is a number from {least:g} to {most:g}")
    return float(value)


def _instant(value: Any) -> int:  # noqa: ANN401 - a JSON value
    if type(value) is str:
        try:
            at = parse_instant(value)
        except ValueError:
            raise ValueError(f"`at` is {value!r:.60}; write RFC 3339, such as 2025-01-31T12:00:00Z") from None
    elif type(value) is int or type(value) is float:
        at = int(value * MICROSECONDS)
    else:
        raise ValueError(f"`at` is {value!r:.60}; write RFC 3339 or seconds since 1970")
    if not _EARLIEST <= at < _LATEST:
        raise ValueError(f"`at` is {value!r:.60}, which is not between 2000 and 2100: is it in milliseconds?")
    return at


def _outcome(found: Mapping[str, Any]) -> bool | None:
    value = found.get("outcome")
    if value is None:
        return None
    done = _OUTCOMES.get(value) if type(value) is str else None
    if done is None:
        raise ValueError(f"`outcome` is {value!r:.60}{_meant(value, _OUTCOMES)}; it is one of {', '.join(_OUTCOMES)}")
    return done


def _proofs(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - a JSON value
    if value is None:
        return ()
    if type(value) is str:
        return (value,)
    if type(value) is list and len(value) <= 8 and all(type(one) is str for one in value):
        return tuple(value)
    raise ValueError(f"`proved_with` is {value!r:.60}; it is a method such as `totp`, or a list of a few")


def _meant(value: object, known: Iterable[str]) -> str:
    near = get_close_matches(value, list(known), 1) if isinstance(value, str) else []
    return f" (did you mean `{near[0]}`?)" if near else ""
