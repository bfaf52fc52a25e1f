"""Which address we hold responsible for a request, and how we chose it."""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from enum import StrEnum, unique
from typing import Final, NamedTuple

from gateway.core.addresses import Nat64, Networks, Parsed, key_of, parse, reserved_for, spell
from gateway.core.errors import ConfigError
from gateway.core.forwarded import Element, forwarded_elements, is_obfuscated, list_address, list_elements, node_address


@unique
class How(StrEnum):
    """How the client address was chosen."""

    PEER = "peer"
    """The connection's own other end: it is not a trusted proxy, or nothing may speak for others."""
    FORWARDED = "forwarded"
    """The address nearest us that no trusted proxy claims."""
    HOPS = "hops"
    """The n-th address from the right."""
    SINGLE_HEADER = "single-header"
    UNRESOLVED = "unresolved"


@unique
class Unresolved(StrEnum):
    """Why no address could be held responsible."""

    NO_PEER = "no-peer"
    PEER_INVALID = "peer-invalid"
    PEER_NOT_TRUSTED = "peer-not-trusted"
    HEADER_MISSING = "header-missing"
    HEADER_REPEATED = "header-repeated"
    HEADER_TOO_LONG = "header-too-long"
    HEADER_SYNTAX = "header-syntax"
    ELEMENT_INVALID = "element-invalid"
    ELEMENT_OBFUSCATED = "element-obfuscated"
    TOO_FEW_HOPS = "too-few-hops"
    ALL_TRUSTED = "all-trusted"
    NOT_GLOBAL = "not-global"


@unique
class Role(StrEnum):
    """What one hop of the chain was taken for."""

    PEER = "peer"
    """The other end of the connection, where it may speak for others."""
    TRUSTED = "trusted"
    CLIENT = "client"
    REFUSED = "refused"
    """The element that made the header unusable."""
    IGNORED = "ignored"
    """To the left of the client: anyone can have written it."""


class Hop(NamedTuple):
    """One element of the path from us to the client, nearest first."""

    text: str
    """As written, at most 64 characters of it."""
    role: Role


class ClientIP(NamedTuple):
    """The address held responsible, or the reason why there is none."""

    address: str | None
    """Canonical text (RFC 5952; IPv4-mapped as IPv4)."""
    how: How
    reason: Unresolved | None = None
    chain: tuple[Hop, ...] = ()
    geo_key: str | None = None
    """The address that databases are asked about: the embedded IPv4 of NAT64 and 6to4; None where none may be asked."""


UNIX_SOCKET: Final = "unix-socket"
"""How a peer without an address stands in the chain."""
_LONGEST: Final = 4096
_MOST: Final = 32
_SHOWN: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
_KNOWN: Final = (
    "X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Pseudo-IPv4",
    "True-Client-IP", "Fly-Client-IP", "Fastly-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Azure-ClientIP",
    "X-Azure-SocketIP", "X-Envoy-External-Address", "X-Appengine-User-IP", "X-Original-Forwarded-For",
    "X-Vercel-Forwarded-For", "X-NF-Client-Connection-IP", "DO-Connecting-IP", "Client-IP",
)  # fmt: skip
_BY_FOLDED: Final = {name.lower(): name for name in _KNOWN}
_NOT_ADDRESSES: Final = {
    "authorization": "a credential",
    "cloudfront-viewer-address": "IPv6 and port without brackets, so that the port cannot be told from the address",
    "cookie": "a credential",
    "host": "the name that the client asked for",
    "user-agent": "the client's software",
    "via": "the names of proxies",
    "x-forwarded": "no format that is agreed on",
    "x-forwarded-host": "the name that the client asked for",
    "x-forwarded-port": "a port",
    "x-forwarded-proto": "a scheme",
}


def is_single_address(header: str) -> bool:
    """Return whether the header holds one address; one named `…Forwarded-For`, or `Forwarded`, holds a list."""
    folded = header.lower()
    return folded != "forwarded" and not folded.endswith("forwarded-for")


class ClientIPRule:
    """Finds the address nearest us that no trusted proxy claims. It fails when built, never when asked."""

    __slots__ = (
        "_elements",
        "_hops",
        "_name",
        "_nat64",
        "_private",
        "_read",
        "_reject",
        "_single",
        "_trusted",
        "_unix",
    )

    def __init__(
        self,
        *,
        trusted_proxies: Sequence[str],
        header: str = "X-Forwarded-For",
        trusted_hops: int | None = None,
        untrusted_peer: str = "use_peer",
        private_clients: Sequence[str] = (),
        trust_unix_socket: bool = False,
        nat64_prefixes: Sequence[str] = (),
    ) -> None:
        """Raise ConfigError for what cannot work, naming the setting.

        `trusted_hops` counts the proxies, the peer included: the client is that element of the header from the right.
        Without it, elements are skipped while they lie in `trusted_proxies`.
        """
        self._trusted = Networks(trusted_proxies, what="client_ip.trusted_proxies")
        self._private = Networks(private_clients, what="client_ip.private_clients")
        self._nat64 = Nat64(nat64_prefixes, what="client_ip.nat64_prefixes")
        self._unix = trust_unix_socket
        self._name = _header_name(header) if self._trusted or trust_unix_socket else None
        self._single = is_single_address(header)
        self._hops = trusted_hops
        if trusted_hops is not None:
            if not 1 <= trusted_hops <= _MOST:
                raise ConfigError(
                    f"client_ip.trusted_hops: {trusted_hops} is not a number of proxies: the peer itself is the first, "
                    f"and at most {_MOST} are read"
                )
            if self._single:
                raise ConfigError(f"client_ip.trusted_hops: `{header}` holds one address; there is nothing to count")
            if self._name is None:
                raise ConfigError(
                    "client_ip.trusted_hops: nobody is trusted, so no hop can be; name the proxies in trusted_proxies"
                )
        if untrusted_peer not in {"use_peer", "reject"}:
            raise ConfigError(f"client_ip.untrusted_peer: `{untrusted_peer}` is neither `use_peer` nor `reject`")
        self._reject = untrusted_peer == "reject"
        rfc7239 = header.lower() == "forwarded"
        self._elements: Callable[[Sequence[bytes]], list[Element] | None] = (
            forwarded_elements if rfc7239 else list_elements
        )
        self._read: Callable[[str], Parsed | None] = node_address if rfc7239 else list_address

    @property
    def header_name(self) -> bytes | None:
        """The one header that is believed, in lower case; None where nobody may speak for others."""
        return self._name

    def resolve(self, peer: str | None, lines: Sequence[bytes]) -> ClientIP:
        """Return the address held responsible, or the reason why there is none.

        `peer` is the other end of the connection, `lines` the values of the header in wire order. Never raises, and
        never falls back: what a trusted proxy wrote is read to the end, or there is no address.
        """
        address: Parsed | None = None
        if peer is None:
            trusted = self._unix
            first = Hop(UNIX_SOCKET, Role.PEER)
            if not trusted:
                return _unresolved(Unresolved.NO_PEER, ())
        else:
            address = parse(peer)
            first = Hop(_shown(peer), Role.PEER)
            if address is None:
                return _unresolved(Unresolved.PEER_INVALID, (first._replace(role=Role.REFUSED),))
            trusted = self._trusted.holds(address)
        if not trusted:
            assert address is not None
            if self._reject and self._name is not None:
                return _unresolved(Unresolved.PEER_NOT_TRUSTED, (first._replace(role=Role.REFUSED),))
            return self._accept(address, How.PEER, [first], 0)
        elements = self._read_header(lines)
        if isinstance(elements, Unresolved):
            return _unresolved(elements, (first, *_hops_of(lines)))
        return self._walk(first, elements)

    def _read_header(self, lines: Sequence[bytes]) -> list[Element] | Unresolved:
        """Return the elements, nearest first, or why the header is not believed."""
        length = sum(map(len, lines)) + 2 * len(lines)
        if not any(line.strip() for line in lines):
            return Unresolved.HEADER_MISSING
        if length > _LONGEST:
            return Unresolved.HEADER_TOO_LONG
        if self._single and (len(lines) > 1 or b"," in lines[0]):
            return Unresolved.HEADER_REPEATED
        elements = self._elements(lines)
        if elements is None:
            return Unresolved.HEADER_SYNTAX
        if len(elements) > _MOST:
            return Unresolved.HEADER_TOO_LONG
        elements.reverse()
        return elements

    def _walk(self, first: Hop, elements: list[Element]) -> ClientIP:
        """Return the first element that no trusted proxy claims, or the one at the configured distance."""
        chain = [first, *(Hop(_shown(element or ""), Role.IGNORED) for element in elements)]
        how = How.SINGLE_HEADER if self._single else How.FORWARDED if self._hops is None else How.HOPS
        for index, element in enumerate(elements, start=1):
            address = None if element is None else self._read(element)
            if address is None:
                obfuscated = element is not None and is_obfuscated(element)
                return _refused(
                    Unresolved.ELEMENT_OBFUSCATED if obfuscated else Unresolved.ELEMENT_INVALID, chain, index
                )
            if how is not How.SINGLE_HEADER and (
                self._trusted.holds(address) if self._hops is None else index < self._hops
            ):
                chain[index] = chain[index]._replace(role=Role.TRUSTED)
                continue
            return self._accept(address, how, chain, index)
        return _unresolved(Unresolved.ALL_TRUSTED if self._hops is None else Unresolved.TOO_FEW_HOPS, tuple(chain))

    def _accept(self, address: Parsed, how: How, chain: list[Hop], index: int) -> ClientIP:
        """Return the address as the client's where a client can have it."""
        inner = self._nat64.embedded(address)
        special = reserved_for(address if inner is None else (32, inner))
        if special is not None and not self._private.holds(address):
            return _refused(Unresolved.NOT_GLOBAL, chain, index)
        text = spell(address)
        key = text if special is None and inner is None else key_of(address, self._nat64)
        chain[index] = chain[index]._replace(role=Role.CLIENT)
        return ClientIP(text, how, None, tuple(chain), key)


def _header_name(header: str) -> bytes:
    folded = header.lower()
    if folded in _NOT_ADDRESSES:
        raise ConfigError(
            f"client_ip.header: `{header}` holds {_NOT_ADDRESSES[folded]}; did you mean `X-Forwarded-For`?"
        )
    if folded not in _BY_FOLDED:
        close = get_close_matches(folded.replace("_", "-"), _BY_FOLDED, n=1, cutoff=0.88)
        if close:
            raise ConfigError(f"client_ip.header: unknown header `{header}`: did you mean `{_BY_FOLDED[close[0]]}`?")
        if not _NAME.fullmatch(header):
            raise ConfigError(
                f"client_ip.header: `{header}` is not the name of one header: write letters, digits and hyphens, "
                "such as `X-Forwarded-For`"
            )
    return folded.encode("ascii")


def _shown(text: str) -> str:
    """Return at most 64 characters, printable ASCII: anybody may have written them."""
    if text.isascii() and text.isprintable():
        return text[:_SHOWN]
    return text[:_SHOWN].encode("unicode_escape").decode("ascii")[:_SHOWN]


def _hops_of(lines: Sequence[bytes]) -> tuple[Hop, ...]:
    return tuple(Hop(_shown(line[:_SHOWN].decode("latin-1")), Role.REFUSED) for line in lines[: -_MOST - 1 : -1])


def _refused(reason: Unresolved, chain: list[Hop], index: int) -> ClientIP:
    chain[index] = chain[index]._replace(role=Role.REFUSED)
    return _unresolved(reason, tuple(chain))


def _unresolved(reason: Unresolved, chain: tuple[Hop, ...]) -> ClientIP:
    return ClientIP(None, How.UNRESOLVED, reason, chain)
