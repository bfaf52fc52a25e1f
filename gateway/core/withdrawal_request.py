"""What a request to withdraw says of itself: how much, and where to. Read where the operator says, or Unknown.

Nothing is guessed: a body that two readers may read in two ways says nothing, and so does one that is no JSON.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.core.errors import ConfigError
from gateway.core.facts import Fact, Unknown
from gateway.core.terms import Operation, WhyUnknown

MOST_BODY: Final = 64 * 1024
"""Bytes of a body that are read. A request to withdraw is far shorter; of a longer one nothing is known."""
_LONGEST: Final = 512
_HEADER: Final = re.compile(r"header:([A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)\Z")
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])+){1,8}\Z")
_AMOUNT: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?\Z")
_JSON: Final = re.compile(rb"application/(?:[a-z0-9.+-]+\+)?json[ \t]*(?:;|\Z)", re.IGNORECASE)

_NOT_CONFIGURED: Final = Unknown(WhyUnknown.NOT_CONFIGURED)
_NOT_SUPPLIED: Final = Unknown(WhyUnknown.NOT_SUPPLIED)


class Asked(NamedTuple):
    """What a withdrawal says of itself."""

    amount_usd: Fact[float | None] = _NOT_CONFIGURED
    balance_share: Fact[float | None] = _NOT_CONFIGURED
    """How much of the balance it takes, 0 to 1."""
    destination: Fact[str | None] = _NOT_CONFIGURED
    """Where it goes to, as written. Personal: it is digested before it is kept anywhere."""


NOTHING_ASKED: Final = Asked(None, None, None)
"""Of what is no withdrawal nothing is asked, and that is knowledge."""


class _Place(NamedTuple):
    """Where one value stands: in a header, or at a place in the JSON body."""

    header: bytes | None
    pointer: tuple[str, ...]


class WithdrawalRule:
    """Reads withdrawals. It fails when built, never when asked."""

    __slots__ = ("_amount", "_destination", "_share", "operations")

    def __init__(
        self,
        *,
        amount_usd: str | None = None,
        balance_share: str | None = None,
        destination: str | None = None,
        transfers: bool = False,
    ) -> None:
        """Build from places such as `/amount_usd` (a JSON pointer, RFC 6901) or `header:X-Amount-USD`.

        Raise ConfigError for a place that is neither.
        """
        self.operations = frozenset({Operation.WITHDRAW, Operation.TRANSFER} if transfers else {Operation.WITHDRAW})
        """What is read so: transfers too, where they say the same in the same places."""
        self._amount = _place("amount_usd", amount_usd)
        self._share = _place("balance_share", balance_share)
        self._destination = _place("destination", destination)

    @property
    def reads_body(self) -> bool:
        """Whether anything stands in the body, so that it must be read before a decision."""
        return any(
            place is not None and place.header is None for place in (self._amount, self._share, self._destination)
        )

    @property
    def headers(self) -> frozenset[bytes]:
        """The headers that are believed: each may stand once only."""
        places = (self._amount, self._share, self._destination)
        return frozenset(place.header for place in places if place is not None and place.header is not None)

    @property
    def pointers(self) -> tuple[tuple[str, ...], ...]:
        """The places in JSON."""
        places = (self._amount, self._share, self._destination)
        return tuple(place.pointer for place in places if place is not None and place.header is None)

    def of_document(self, document: object) -> Asked:
        """Return what a JSON document says that is no body: no header speaks for it."""
        return self._asked((), document)

    def read(self, headers: Sequence[tuple[bytes, bytes]], body: bytes | None) -> Asked:
        """Return what the request says. `body` is None where it was too long, or is not there."""
        return self._asked(headers, _document(headers, body) if self.reads_body else None)

    def _asked(self, headers: Sequence[tuple[bytes, bytes]], document: object) -> Asked:
        return Asked(
            _number(_found(self._amount, headers, document), math.inf),
            _number(_found(self._share, headers, document), 1.0),
            _text(_found(self._destination, headers, document)),
        )


def asked_of(
    rule: WithdrawalRule | None, operation: Operation, headers: Sequence[tuple[bytes, bytes]], body: bytes | None
) -> Asked | None:
    """Return what a request says of itself; None where nothing says where to read it."""
    if rule is None:
        return None
    return rule.read(headers, body) if operation in rule.operations else NOTHING_ASKED


class _Ambiguous(ValueError):
    """An object that has the same member twice."""


def _place(key: str, said: str | None) -> _Place | None:
    if said is None:
        return None
    header = _HEADER.fullmatch(said)
    if header is not None:
        return _Place(header[1].lower().encode("ascii"), ())
    pointer = _pointer(said)
    if pointer is None:
        raise ConfigError(
            f"withdrawals.{key}: `{said[:80]}` is neither a place in the JSON body, such as `/{key}`, nor a header, "
            f"such as `header:X-{key.replace('_', '-').title()}`"
        )
    return _Place(None, pointer)


def pointer_of(key: str, said: str) -> tuple[str, ...]:
    """Return the names that lead to a place in JSON. Raise ConfigError where the setting `key` is no such place."""
    pointer = _pointer(said)
    if pointer is None:
        raise ConfigError(f"{key}: `{said[:80]}` is no place in JSON: did you mean `/{said[:80].strip('/')}`?")
    return pointer


def _pointer(said: str) -> tuple[str, ...] | None:
    if not _POINTER.fullmatch(said) or len(said) > _LONGEST:
        return None
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in said[1:].split("/"))


def _document(headers: Sequence[tuple[bytes, bytes]], body: bytes | None) -> object:
    """Return what the body holds; None where nobody can say."""
    kinds = [value for name, value in headers if name == b"content-type"]
    encoded = any(name == b"content-encoding" for name, _ in headers)
    if not body or len(body) > MOST_BODY or encoded or len(kinds) != 1 or not _JSON.match(kinds[0]):
        return None
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    # Which of two members counts depends on who reads: RFC 8259, section 4.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Ambiguous
    return found


def _no_constant(_name: str) -> object:
    raise _Ambiguous


def _found(place: _Place | None, headers: Sequence[tuple[bytes, bytes]], document: object) -> object:
    """Return the value at a place, or why there is none."""
    if place is None:
        return _NOT_CONFIGURED
    if place.header is not None:
        lines = [value for name, value in headers if name == place.header]
        return lines[0].decode("latin-1") if len(lines) == 1 else _NOT_SUPPLIED
    for name in place.pointer:
        if not isinstance(document, Mapping) or name not in document:
            return _NOT_SUPPLIED
        document = document[name]
    return document


def _number(value: object, most: float) -> Fact[float | None]:
    if isinstance(value, Unknown):
        return value
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= min(most, 1e18):
        return _NOT_SUPPLIED
    return float(value)


def _text(value: object) -> Fact[str | None]:
    if isinstance(value, Unknown):
        return value
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= _LONGEST
        or value != value.strip()
        or not value.isprintable()
    ):
        return _NOT_SUPPLIED
    return value
