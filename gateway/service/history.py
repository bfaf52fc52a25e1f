"""A recorded history, one event a line: read, checked, and put in order of time. What is missing is Unknown."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

import orjson

from gateway.core.countries import CONTINENT_OF
from gateway.core.login import Digests, Login, Place, login_of, made
from gateway.core.profile import FACTORS
from gateway.core.withdrawal_context import Withdrawal
from gateway.ports import MICROSECONDS, Geo
from gateway.service import history_words as words

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
_OUTCOMES: Final = {**dict.fromkeys(words.SUCCEEDED, True), **dict.fromkeys(words.FAILED, False)}
_PLAIN: Final = frozenset({"succeeded", "failed"})
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
_LATEST_S: Final = _LATEST // MICROSECONDS
_COUNTRIES: Final = {code: code for code in CONTINENT_OF}
"""Each in one place of memory, since every login has one."""
_DIGITS: Final = 10
_MARK: Final = b"\xef\xbb\xbf"
"""What some editors write before the first line."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_KIND: Final = frozenset[str]()
_TEXTS: Final = ("account", "id", "ip", "user_agent", "device", "session")
_GEO_KEYS: Final = frozenset({"country", "asn", "subdivision", "lat", "lon", "radius_km", "network"})


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
        self.taken = words.Taken()
        """Words that were taken for ours."""

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
        found = orjson.loads(line.removeprefix(_MARK) if number == 1 else line)
        if type(found) is not dict:
            raise ValueError('an event is an object such as {"type": "login", "account": "a1", "at": 1735689600}')
        if not found.keys() <= _KEYS:
            found = self.taken.keys(number, found, words.KEYS)
            self._ignore(found.keys() - _KEYS, number)
        kind = found.get("type")
        what, done = (_TYPES.get(kind) if type(kind) is str else None) or self._type(kind, number)
        account, event_id, ip, agent, device, session = _texts(found)
        if account is None:
            raise ValueError("`account` is missing: whose event is it?")
        if done is None:
            done = self._outcome(found, number)
        at = self._instant(found.get("at"), number)
        country, asn, networks, place = self._where(found.get("geo"), ip, at, number)
        login = login_of(
            self._digests, at,
            event_id=event_id, ip=ip, agent=agent, device=device, session=session, country=country, asn=asn,
            networks=networks, place=place,
        )  # fmt: skip
        named = found.get("label")
        attacker = None if named is None else self._label(named, number)
        withdrawal = None
        method = None
        recovered = False
        said = found.get("proved_with")
        proofs = () if said is None else self._proofs(said, number)
        if what == WITHDRAWAL:
            share = _number(found, "balance_share", 0, 1)
            _number(found, "amount_usd", 0, 1e15)
            withdrawal = Withdrawal(self._digests.text(b"destination", _text(found, "destination")), share)
        elif what == CHANGE:
            changed = _text(found, "method")
            if changed is None:
                raise ValueError("`method` is missing: what was changed?")
            method = self._method(changed, number)
            recovered = found.get("change") == "reset" or not proofs
        return made(Event, (
            number, what, event_id, account, login, done, withdrawal, method, recovered, proofs,
            attacker,
        ))  # fmt: skip

    def _where(
        self,
        geo: Any,  # noqa: ANN401 - a JSON value
        ip: str | None,
        at: int,
        number: int,
    ) -> tuple[str | None, int | None, frozenset[str] | None, Place | None]:
        if geo is None:
            return self._looked_up(ip, at)
        if type(geo) is not dict:
            raise ValueError(f"`geo` is {geo!r:.60}; it is an object with country, asn, lat, lon, radius_km, network")
        if not geo.keys() <= _GEO_KEYS:
            geo = self.taken.keys(number, geo, words.GEO_KEYS)
        country = _text(geo, "country")
        if country is not None:
            country = _COUNTRIES.get(country) or self._country(country, number)
        asn = geo.get("asn")
        if asn is not None and (type(asn) is not int or not 0 < asn <= _MAX_ASN):
            asn = self._asn(asn, number)
        networks = geo.get("network")
        kinds = None
        if networks is not None:
            if type(networks) is str:
                self.taken.note(number, "geo.network", networks, "a list of one name")
                networks = [networks] if networks else []
            kinds = self._kinds_of(networks)
        place = None
        latitude, longitude = _number(geo, "lat", -90, 90), _number(geo, "lon", -180, 180)
        if latitude is not None and longitude is not None:
            place = made(Place, (latitude, longitude, _number(geo, "radius_km", 0, 20_100)))
        return country, asn, kinds, place

    def _kinds_of(self, networks: Any) -> frozenset[str]:  # noqa: ANN401 - a JSON value
        if not networks and type(networks) is list:
            return _NO_KIND
        if type(networks) is not list or not all(type(one) is str for one in networks) or len(networks) > 32:
            raise ValueError(f"`geo.network` is {networks!r:.60}; it is a list of names such as `vpn`")
        key = tuple(networks)
        kinds = self._kinds.get(key)
        if kinds is None:
            kinds = frozenset(networks)
            if len(self._kinds) < 1024:
                self._kinds[key] = kinds
        return kinds

    def _looked_up(self, ip: str | None, at: int) -> tuple[str | None, int | None, frozenset[str] | None, Place | None]:
        if ip is None or self._geo is None:
            return None, None, None, None
        told = self._geo.look_up(ip, at)
        return (
            told.country if type(told.country) is str else None,
            told.asn if type(told.asn) is int else None,
            told.network if type(told.network) is frozenset else None,
            told.place,
        )

    def _type(self, said: object, number: int) -> tuple[str, bool | None]:
        word = said.strip().lower() if isinstance(said, str) else ""
        meant = words.TYPES.get(word, word)
        known = _TYPES.get(meant)
        if known is None:
            raise ValueError(f"`type` is {said!r:.60}{_meant(said, _TYPES)}; it is one of {', '.join(_TYPES)}")
        self.taken.note(number, "type", said, f"`{meant}`")
        return known

    def _label(self, said: object, number: int) -> str | None:
        attacker = words.label(said)
        if said not in (attacker, "legitimate"):
            self.taken.note(number, "label", said, f"the attacker `{attacker}`" if attacker else "a customer")
        return attacker

    def _country(self, said: str, number: int) -> str | None:
        """Return the country that was meant; None for one that nobody knows, which is no reason for trust."""
        code = said.strip().upper()
        known = code in CONTINENT_OF
        if not known and code not in words.NOWHERE:
            raise ValueError(f"`geo.country` is {said!r:.20}, not a country code of ISO 3166-1, such as `DE`")
        self.taken.note(number, "geo.country", said, f"`{code}`" if known else "not known")
        return code if known else None

    def _asn(self, said: object, number: int) -> int | None:
        digits = said.strip().upper().removeprefix("AS").strip() if type(said) is str else ""
        asn = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS else said
        if type(asn) is not int or not 0 <= asn <= _MAX_ASN:
            raise ValueError(f"`geo.asn` is {said!r:.40}, not the number of an autonomous system")
        self.taken.note(number, "geo.asn", said, f"AS{asn}" if asn else "not known")
        return asn or None

    def _outcome(self, found: Mapping[str, Any], number: int) -> bool | None:
        value = found.get("outcome")
        if value is None:
            return None
        done = words.outcome(value)
        if done is None:
            raise ValueError(
                f"`outcome` is {value!r:.60}{_meant(value, _OUTCOMES)}; it is one of {', '.join(_OUTCOMES)}"
            )
        if value not in _PLAIN:
            self.taken.note(number, "outcome", value, "`succeeded`" if done else "`failed`")
        return done

    def _proofs(
        self,
        value: Any,  # noqa: ANN401 - a JSON value
        number: int,
    ) -> tuple[str, ...]:
        if value is None or value is False or value == "" or value == "none":  # noqa: PLR1714 - may be a list
            return ()
        if type(value) is str:
            return (self._method(value, number),)
        if type(value) is list and len(value) <= 8 and all(type(one) is str for one in value):
            return tuple(self._method(one, number) for one in value)
        raise ValueError(f"`proved_with` is {value!r:.60}; it is a method such as `totp`, or a list of a few")

    def _method(self, said: str, number: int) -> str:
        if said in FACTORS or said == "password":
            return said
        meant = words.method(said)
        if meant != said:
            self.taken.note(number, "method", said, f"`{meant}`")
        return meant

    def _instant(
        self,
        value: Any,  # noqa: ANN401 - a JSON value
        number: int,
    ) -> int:
        if type(value) is str:
            at = self._written(value, number)
        elif type(value) is int or type(value) is float:
            at = self._counted(value, number)
        else:
            raise ValueError(f"`at` is {value!r:.60}; write RFC 3339 or seconds since 1970")
        if not _EARLIEST <= at < _LATEST:
            raise ValueError(f"`at` is {value!r:.60}, which is not between 2000 and 2100")
        return at

    def _written(self, text: str, number: int) -> int:
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            if text.isascii() and text.isdigit() and len(text) <= _DIGITS + 6:
                return self._counted(int(text), number)
            raise ValueError(f"`at` is {text!r:.60}; write RFC 3339, such as 2025-01-31T12:00:00Z") from None
        if instant.tzinfo is None:
            self.taken.note(number, "at", "without a time zone", "UTC")
            instant = instant.replace(tzinfo=UTC)
        since = instant - _EPOCH
        return (since.days * 86_400 + since.seconds) * MICROSECONDS + since.microseconds

    def _counted(self, number_of: float, number: int) -> int:
        """Return an instant that was told as seconds, or as thousandths or millionths: no year fits two of these."""
        for unit, scale in (("", 1), ("milliseconds", 1_000), ("microseconds", MICROSECONDS)):
            if number_of < _LATEST_S * scale:
                if unit:
                    self.taken.note(number, "at", "of that length", unit)
                return int(number_of * MICROSECONDS) if scale == 1 else int(number_of) * (MICROSECONDS // scale)
        raise ValueError(f"`at` is {number_of!r:.60}, which is not between 2000 and 2100 in any unit")

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
    waiting: deque[Event] = deque()
    last = latest = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = reader.read(number, line)
        except BadLine as error:
            bad(error)
            continue
        at = event.login.at
        if at >= latest:
            waiting.append(event)
            latest = at
        else:
            # Rare, so that a place in the middle may cost something; of one instant, the earlier line stays before.
            waiting.insert(bisect_right(waiting, at, key=_at), event)
        if len(waiting) <= held_back:
            continue
        event = waiting.popleft()
        at = event.login.at
        if at < last:
            raise BadLine(
                event.number,
                f"it is older than the {held_back} events before it could be put in order with; sort the file by `at`",
            )
        last = at
        yield event
    yield from waiting


def _at(event: Event) -> int:
    return event.login.at


def _text(found: Mapping[str, Any], key: str) -> str | None:
    value = found.get(key)
    if value is None or value == "":
        return None
    if type(value) is not str:
        if type(value) is int:
            return str(value)
        raise ValueError(f"`{key}` is {value!r:.60}; it must be text")
    return value


def _texts(found: Mapping[str, Any]) -> list[str | None]:
    """Return the values of `_TEXTS`: at once where all are there, as in most lines."""
    told = [found.get(key) for key in _TEXTS]
    for one in told:
        if type(one) is not str or not one:
            return [_text(found, key) for key in _TEXTS]
    return told


def _number(found: Mapping[str, Any], key: str, least: float, most: float) -> float | None:
    value = found.get(key)
    if value is None:
        return None
    if (type(value) is not float and type(value) is not int) or not least <= value <= most:
        raise ValueError(f"`{key}` is {value!r:.60}; it is a number from {least:g} to {most:g}")
    return float(value)


def _meant(value: object, known: Iterable[str]) -> str:
    near = get_close_matches(value, list(known), 1) if isinstance(value, str) else []
    return f" (did you mean `{near[0]}`?)" if near else ""
