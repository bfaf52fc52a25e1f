"""Which header lines mean what, and the ways in which they can mean two things.

What depends on the names alone is worked out once for each sequence of names (`plan`); what depends on the values is
looked at on every request (`check`).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.core.client_ip import is_single_address
from gateway.core.errors import ConfigError
from gateway.core.request import Headers
from gateway.core.target import Ambiguous, canonical_host, shown
from gateway.core.terms import Ambiguity
from gateway.core.trace_context import TRACEPARENT

_OWN: Final = b"gateway-"
_SINGLE: Final = frozenset({
    b"authorization", b"content-encoding", b"content-length", b"content-type", b"expect", b"host", b"origin",
    b"sec-websocket-key", b"sec-websocket-version", b"transfer-encoding", b"upgrade", b"x-forwarded-host",
    b"x-forwarded-method", b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-proto", b"x-forwarded-uri",
    b"x-original-method", b"x-original-uri", b"x-real-ip",
})  # fmt: skip
"""Two of these, and each of two readers may believe another one."""
_LISTS: Final = frozenset({b"accept", b"connection", b"cookie", b"forwarded", b"te", b"user-agent", b"x-forwarded-for"})
_METHOD_OVERRIDES: Final = frozenset({b"x-http-method", b"x-http-method-override", b"x-method-override"})
_TARGET_OVERRIDES: Final = {
    b"x-original-url": "some frameworks take it for the target (CVE-2018-14773)",
    b"x-rewrite-url": "some frameworks take it for the target (CVE-2018-14773)",
    b"x-middleware-subrequest": "some frameworks skip their own checks for it (CVE-2025-29927)",
}
_KNOWN: Final = _SINGLE | _LISTS | _METHOD_OVERRIDES | frozenset(_TARGET_OVERRIDES)
_FAMILIES: Final = (_OWN, b"content-", b"sec-websocket-", b"x-forwarded-", b"x-original-")
_HOP_BY_HOP: Final = frozenset({
    b"close", b"http2-settings", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade",
})  # fmt: skip
"""What `Connection` exists to name (RFC 9110 §7.6.1)."""
_ORDINARY: Final = frozenset({b"keep-alive", b"close", b"upgrade", b"keep-alive, upgrade", b"upgrade, keep-alive", b""})

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Gateways to CGI, WSGI and PHP turn other signs than `_` into one as well (CVE-2026-54763, CVE-2026-88011).
_FOLD: Final = bytes(
    byte if 48 <= byte <= 57 or 97 <= byte <= 122 else byte + 32 if 65 <= byte <= 90 else 45 for byte in range(256)
)
_TEXT: Final = bytes(byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127))
"""What a value may hold (RFC 9110 §5.5): anything but control bytes, the tab excepted."""
_AS_TEXT: Final = bytes(byte if byte in _TEXT else 32 for byte in range(256))
"""Changes nothing in what a value may hold: the quickest way to ask."""
_LINE: Final = len(": \r\n")
_LONGEST_QUERY: Final = 8192
_LONGEST_LENGTH: Final = 18
"""Digits of a length below 2⁶³."""
_METHOD_NAMES: Final = frozenset({b"_method", b".method", b"[method"})
_NOT_IN_QUERY: Final = re.compile(rb"[\x00-\x20#\x7f]")
_HOSTS: Final = 1024
_REMEMBERED: Final = 64
"""Hosts of so many bytes at most are remembered, and so many of them: they were read in one way."""


@dataclass(frozen=True)
class HeaderPlan:
    """Where in a sequence of header lines the ones stand that matter."""

    host: int
    client: tuple[int, ...]
    """The lines that may name the client."""
    authorization: int | None
    cookie: tuple[int, ...]
    api_key: int | None
    connection: tuple[int, ...]
    user_agent: int | None
    accept: int | None
    strip: tuple[int, ...]
    """Lines that bear our own names and come from outside: removed before the application sees them."""
    content_length: int | None
    transfer_encoding: int | None
    keyed: tuple[int, ...]
    """Lines that may name the client, or hold a credential, cookies apart: long, and the same in equal requests."""
    count: int
    """How many lines there are."""
    size: int
    """Bytes of all lines without their values."""
    traceparent: int | None = None
    """Said once, or not believed."""


class HeaderRule:
    """Reads header lines in one way only. It fails when built, never when asked."""

    __slots__ = ("_api_key", "_client", "_hosts", "_max_bytes", "_max_count", "_single", "_watched")

    def __init__(
        self,
        *,
        client_header: bytes | None,
        api_key_header: bytes | None,
        max_bytes: int = 32768,
        max_count: int = 100,
    ) -> None:
        """Raise ConfigError for names that cannot be read beside the others."""
        self._client = None if client_header is None else client_header.lower()
        self._api_key = None if api_key_header is None else api_key_header.lower()
        for setting, name in (("client_ip.header", self._client), ("identity.api_key_header", self._api_key)):
            if name is not None and (not _TOKEN.fullmatch(name) or name.translate(_FOLD) != name):
                raise ConfigError(f"{setting}: {shown(name)} is not a header name of letters, digits and hyphens")
        if self._api_key is not None and (
            self._api_key in _KNOWN | _HOP_BY_HOP | {self._client} or self._api_key.startswith(_FAMILIES)
        ):
            raise ConfigError(
                f"identity.api_key_header: {shown(self._api_key)} means something else already: an API key needs a "
                "header of its own, such as `X-API-Key`"
            )
        if min(max_bytes, max_count) < 1:
            raise ConfigError(
                f"server.max_header_bytes: {max_bytes} bytes in {max_count} lines leave room for no request"
            )
        self._max_bytes = max_bytes
        self._hosts: set[bytes] = set()
        self._max_count = max_count
        singles = {name for name in (self._api_key, self._client) if name is not None}
        self._watched = _KNOWN | singles
        if self._client is not None and not is_single_address(self._client.decode("ascii")):
            singles.remove(self._client)
        self._single = _SINGLE | singles

    def plan(self, names: tuple[bytes, ...], websocket: bool) -> HeaderPlan | Ambiguous:
        """Return where the lines stand that matter, or why these names can be read in two ways."""
        size = sum(map(len, names)) + _LINE * len(names)
        if len(names) > self._max_count or size > self._max_bytes:
            return Ambiguous(Ambiguity.HEADER_SIZE, f"{len(names)} header lines, {size} bytes without their values")
        refused = next(filter(None, map(self._check_name, names)), None)
        if refused is not None:
            return refused
        repeated = next((name for name, count in Counter(names).items() if count > 1 and name in self._single), None)
        if repeated is not None:
            return Ambiguous(Ambiguity.HEADER_REPEATED, f"{shown(repeated)} {names.count(repeated)} times")
        if b"host" not in names:
            return Ambiguous(Ambiguity.HOST, "no Host")
        refused = _check_framing(names, websocket)
        if refused is not None:
            return refused
        keyed = {self._client, self._api_key, b"authorization"}
        return HeaderPlan(
            host=names.index(b"host"),
            client=_all(names, self._client),
            authorization=_first(names, b"authorization"),
            cookie=_all(names, b"cookie"),
            api_key=_first(names, self._api_key),
            connection=_all(names, b"connection"),
            user_agent=_first(names, b"user-agent"),
            accept=_first(names, b"accept"),
            strip=tuple(index for index, name in enumerate(names) if name.startswith(_OWN)),
            content_length=_first(names, b"content-length"),
            transfer_encoding=_first(names, b"transfer-encoding"),
            keyed=tuple(index for index, name in enumerate(names) if name in keyed),
            count=len(names),
            size=size,
            traceparent=names.index(TRACEPARENT) if names.count(TRACEPARENT) == 1 else None,
        )

    def check(self, plan: HeaderPlan, headers: Headers, values: list[bytes], vouched: int = 0) -> Ambiguous | None:
        """Return why the values can be read in two ways, None where they cannot.

        `headers` have the names of `plan`, and `values` are theirs: the caller has them at hand. What he vouches for is
        empty there, and its bytes are counted in `vouched`.
        """
        together = b"".join(values)
        size = len(together) + plan.size + vouched
        if size > self._max_bytes:
            return Ambiguous(Ambiguity.HEADER_SIZE, f"{size} bytes of headers")
        if together.translate(_AS_TEXT) != together:
            return _control_bytes(headers)
        host = values[plan.host]
        if host not in self._hosts:
            named = canonical_host(host)
            if isinstance(named, Ambiguous):
                return named
            if len(host) <= _REMEMBERED:
                if len(self._hosts) >= _HOSTS:
                    self._hosts.clear()
                self._hosts.add(host)
        for index in plan.connection:
            nominations = values[index].lower()
            if nominations not in _ORDINARY:
                refused = self._check_nominations(nominations)
                if refused is not None:
                    return refused
        if plan.content_length is None and plan.transfer_encoding is None:
            return None
        return _check_lengths(plan, values)

    def _check_name(self, name: bytes) -> Ambiguous | None:
        if not _TOKEN.fullmatch(name):
            return Ambiguous(Ambiguity.HEADER_BYTES, f"{shown(name)} is not a header name")
        folded = name.translate(_FOLD)
        if folded in _METHOD_OVERRIDES:
            return Ambiguous(Ambiguity.METHOD_OVERRIDE, f"{shown(name)} asks for another method")
        if folded in _TARGET_OVERRIDES:
            return Ambiguous(Ambiguity.HEADER_ALIAS, f"{shown(name)}: {_TARGET_OVERRIDES[folded]}")
        if folded != name and self._is_watched(folded):
            return Ambiguous(Ambiguity.HEADER_ALIAS, f"{shown(name)} may be read as {shown(folded)}")
        return None

    def _check_nominations(self, nominations: bytes) -> Ambiguous | None:
        """Return None where `Connection` names nothing that has to arrive (CVE-2022-31813, CVE-2024-45410)."""
        for part in nominations.split(b","):
            name = part.strip(b" \t")
            if name in _HOP_BY_HOP or not name:
                continue
            if not _TOKEN.fullmatch(name) or self._is_watched(name.translate(_FOLD)):
                return Ambiguous(Ambiguity.HEADER_NOMINATED, f"Connection names {shown(name)}")
        return None

    def _is_watched(self, folded: bytes) -> bool:
        return folded in self._watched or folded.startswith(_FAMILIES)


def check_query(query: bytes) -> Ambiguous | None:
    """Return why what follows the `?` can be read in two ways, None where it cannot.

    `_method` is another method to many frameworks, in the spellings that PHP turns into it as well, and so is what
    begins with it and a bracket: the bracket ends the name, and an index follows.
    """
    if len(query) > _LONGEST_QUERY:
        return Ambiguous(Ambiguity.TARGET_LENGTH, f"the query has {len(query)} bytes, more than {_LONGEST_QUERY}")
    foreign = _NOT_IN_QUERY.search(query)
    if foreign is not None:
        return Ambiguous(Ambiguity.TARGET_BYTES, f"{shown(foreign[0])} at {foreign.start()} in the query")
    if b"method" not in unquote_to_bytes(query).lower():
        return None
    for pair in re.split(b"[&;]", query):
        name = unquote_to_bytes(pair.partition(b"=")[0]).lstrip(b" +").partition(b"\0")[0].lower()
        # In front, a bracket is a sign like others (PHP makes an underscore of it).
        if name[:1] + name[1:].partition(b"[")[0] in _METHOD_NAMES:
            return Ambiguous(Ambiguity.METHOD_OVERRIDE, "the query asks for another method (`_method`)")
    return None


def _check_framing(names: tuple[bytes, ...], websocket: bool) -> Ambiguous | None:
    framing = [name for name in (b"content-length", b"transfer-encoding") if name in names]
    if len(framing) > 1:
        # RFC 9112 §6.1: whoever believes the other one sees another request begin (h11 keeps the connection).
        return Ambiguous(Ambiguity.FRAMING, "both Content-Length and Transfer-Encoding")
    if framing and websocket:
        return Ambiguous(Ambiguity.FRAMING, f"a WebSocket handshake with {shown(framing[0])}")
    return None


def _check_lengths(plan: HeaderPlan, values: Sequence[bytes]) -> Ambiguous | None:
    if plan.content_length is not None:
        length = values[plan.content_length]
        if not length.isdigit() or len(length) > _LONGEST_LENGTH:
            return Ambiguous(Ambiguity.FRAMING, f"Content-Length {shown(length)}")
    if plan.transfer_encoding is not None:
        coding = values[plan.transfer_encoding]
        if coding.lower() != b"chunked":
            return Ambiguous(Ambiguity.FRAMING, f"Transfer-Encoding {shown(coding)}")
    return None


def _all(names: Sequence[bytes], wanted: bytes | None) -> tuple[int, ...]:
    return tuple(index for index, name in enumerate(names) if name == wanted)


def _first(names: Sequence[bytes], wanted: bytes | None) -> int | None:
    return next(iter(_all(names, wanted)), None)


def _control_bytes(headers: Headers) -> Ambiguous:
    """Return which value holds a control byte; the value itself may be a secret."""
    name, found = next((name, rest) for name, value in headers if (rest := value.translate(None, _TEXT)))
    return Ambiguous(Ambiguity.HEADER_BYTES, f"{shown(found[:1])} in the value of {shown(name)}")
