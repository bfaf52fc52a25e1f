"""Addresses in one spelling each, the ranges that no customer can have, and what databases may be asked about.

The standard library's `is_global` is not used: its answer differs between Python versions (CVE-2024-4032) and it calls
`64:ff9b::10.0.0.1`, `2002:a00:1::1`, `fec0::1`, `3fff::1` and multicast global on some that are in use.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import AddressValueError, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from gateway.core.errors import ConfigError

_OCTETS: Final = {str(value): value for value in range(256)}
_LONGEST: Final = 64
"""An address of 45 characters with a zone of 15 fits (INET6_ADDRSTRLEN, IFNAMSIZ)."""
_LENGTHS: Final = frozenset(map(str, range(129)))
_ZONE: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_LINK_LOCAL: Final = 0xFE80 >> 6
_MAPPED: Final = 0xFFFF
_TEREDO: Final = 0x2001_0000
_6TO4: Final = 0x2002
_NAT64: Final = "64:ff9b::/96"

# IANA IPv4 and IPv6 Special-Purpose Address Registries, with multicast and the reserved blocks beside them. Ranges that
# the registries call reachable but that no customer connects from (anycast services, AS112 sinks, identifiers that are
# not routed) are in it as well. Of nested ranges the narrowest names the address.
_SPECIAL: Final = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private use"),
    ("100.64.0.0/10", "shared address space"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link local"),
    ("172.16.0.0/12", "private use"),
    ("192.0.0.0/24", "IETF protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "automatic multicast tunnelling"),
    ("192.88.99.0/24", "6to4 relay anycast"),
    ("192.168.0.0/16", "private use"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("255.255.255.255/32", "limited broadcast"),
    ("::/3", "reserved"),
    ("::/96", "IPv4-compatible"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b:1::/48", "local-use NAT64"),
    ("100::/64", "discard only"),
    ("100:0:0:1::/64", "dummy prefix"),
    ("2001::/23", "IETF protocol assignments"),
    ("2001::/32", "Teredo"),
    ("2001:2::/48", "benchmarking"),
    ("2001:10::/28", "ORCHID"),
    ("2001:20::/28", "ORCHID"),
    ("2001:30::/28", "drone remote identifiers"),
    ("2001:db8::/32", "documentation"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("4000::/2", "reserved"),
    ("5f00::/16", "segment routing"),
    ("8000::/1", "reserved"),
    ("fc00::/7", "unique local"),
    ("fe80::/10", "link local"),
    ("fec0::/10", "site local"),
    ("ff00::/8", "multicast"),
)

Parsed = tuple[int, int]
"""An address as numbers: 32 or 128 bits, and its value. An IPv4-mapped address is the 32-bit one."""
_Network = IPv4Network | IPv6Network
_Level = tuple[int, Mapping[int, str]]
"""How far to shift an address right, and what the prefixes that remain are called."""


def parse(text: str) -> Parsed | None:
    """Return the address as numbers, None for anything that is not strictly an address.

    No leading zeros (CVE-2021-29921), no spaces, no digits outside ASCII. A zone is read on link-local addresses alone,
    and dropped.
    """
    octets = text.split(".")
    if len(octets) == 4 and ":" not in text:
        try:
            first, second, third, fourth = octets
            return 32, _OCTETS[first] << 24 | _OCTETS[second] << 16 | _OCTETS[third] << 8 | _OCTETS[fourth]
        except KeyError:
            return None
    if len(text) > _LONGEST or not text.isascii():
        return None
    bare, percent, zone = text.partition("%")
    try:
        number = int(IPv6Address(bare))
    except AddressValueError:
        return None
    if percent and (number >> 118 != _LINK_LOCAL or not zone or not _ZONE.issuperset(zone)):
        return None
    return (32, number & 0xFFFF_FFFF) if number >> 32 == _MAPPED else (128, number)


def spell(parsed: Parsed) -> str:
    """Return the one spelling of an address: RFC 5952 for IPv6, a dotted quad for IPv4."""
    bits, number = parsed
    if bits == 128:
        return str(IPv6Address(number))
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def canonical(text: str) -> str | None:
    """Return the address in its one spelling, None for anything that is not strictly an address."""
    parsed = parse(text)
    return None if parsed is None else spell(parsed)


def _network(text: str, what: str) -> _Network:
    """Return the network, or raise ConfigError with what was probably meant."""
    address, slash, length = text.partition("/")
    parsed = parse(address)
    if parsed is None or "%" in address:
        raise ConfigError(f"{what}: `{text}` is not a network: {_meant(text)}")
    bits, number = parsed
    mapped = 96 if bits == 32 and ":" in address else 0
    if not slash:
        length = str(bits + mapped)
    elif length not in _LENGTHS:
        raise ConfigError(f"{what}: `{text}` needs its length in bits after the slash{_as_bits(address, length)}")
    kept = int(length) - mapped
    if not 0 <= kept <= bits:
        raise ConfigError(f"{what}: `{text}`: the length of this network lies between {mapped + 1} and {mapped + bits}")
    if kept == 0:
        raise ConfigError(f"{what}: `{text}` is every address there is; name the networks that are meant")
    network: _Network = (IPv4Network if bits == 32 else IPv6Network)((number, kept), strict=False)
    if int(network.network_address) != number:
        raise ConfigError(
            f"{what}: `{text}` goes on after its {length} bits: did you mean `{network}`, the network, or "
            f"`{spell(parsed)}`, the one address?"
        )
    return network


def _as_bits(address: str, mask: str) -> str:
    try:
        return f": did you mean `{address}/{IPv4Network(f'0.0.0.0/{mask}').prefixlen}`?"
    except ValueError:
        return f", such as `{address}/{128 if ':' in address else 32}` for the one address"


_MEANT: Final = (
    (re.compile(r"\s*"), "it is empty"),
    (re.compile(r".*\*.*"), "a pattern cannot say who is meant; write networks, such as `10.0.0.0/8`"),
    (re.compile(r"\s.*|.*\s"), "remove the spaces around it"),
    (re.compile(r".*%.*"), "a network has no zone"),
    (re.compile(r"\[.*"), "write it without brackets and port"),
    (re.compile(r"[0-9.]+:[0-9]+"), "write it without the port"),
    (re.compile(r"(?:[0-9]+\.){3}[0-9]+(?:/[0-9]+)?"), "numbers have no leading zeros and are at most 255"),
    (re.compile(r"[0-9.]+(?:/[0-9]+)?"), "write all four numbers, such as `10.0.0.0/8`"),
    (re.compile(r"[0-9a-fA-F.:]+\s*-\s*[0-9a-fA-F.:]+"), "write a range as networks, such as `10.0.0.0/24`"),
    (re.compile(r"[^:]*[a-zA-Z][^:]*(?::[0-9]+)?"), "names are not looked up; write the addresses that it stands for"),
)


def _meant(text: str) -> str:
    return next(
        (advice for shape, advice in _MEANT if shape.fullmatch(text)),
        "write one such as `10.0.0.0/8` or `fd00::/8`, or one address",
    )


class Nat64:
    """The prefixes under which IPv4 addresses appear as IPv6 (RFC 6052): the well-known one and an operator's own."""

    __slots__ = ("_prefixes",)

    def __init__(self, prefixes: Sequence[str] = (), *, what: str = "nat64_prefixes") -> None:
        """Raise ConfigError, naming `what` and the value, for all that is not a prefix of RFC 6052."""
        found = [_network(text, what) for text in (_NAT64, *prefixes)]
        for network in found:
            if network.version == 4 or network.prefixlen not in {32, 40, 48, 56, 64, 96}:
                raise ConfigError(
                    f"{what}: `{network}` is not a NAT64 prefix: RFC 6052 has IPv6 prefixes of length 32, 40, 48, 56, "
                    f"64 and 96, such as `{_NAT64}`"
                )
        self._prefixes = tuple(
            (network.prefixlen, int(network.network_address) >> (128 - network.prefixlen)) for network in found
        )

    def embedded(self, parsed: Parsed) -> int | None:
        """Return the IPv4 address that a NAT64 or 6to4 address stands for, None for every other address."""
        bits, number = parsed
        if bits == 32:
            return None
        for length, prefix in self._prefixes:
            if number >> (128 - length) == prefix:
                if length == 96:
                    return number & 0xFFFF_FFFF
                # Bits 64 to 71 hold nothing (RFC 6052 §2.2): without them the address follows its prefix.
                packed = number >> 64 << 56 | number & (1 << 56) - 1
                return packed >> (120 - 32 - length) & 0xFFFF_FFFF
        return number >> 80 & 0xFFFF_FFFF if number >> 112 == _6TO4 else None


_well_known: Final = Nat64()


def special_purpose(address: str) -> str | None:
    """Return what the address is set aside for, None when a customer can have it.

    A NAT64 or 6to4 address is what its IPv4 address is. What is no address at all is `not an address`: nothing may be
    looked up for it either.
    """
    parsed = parse(address)
    if parsed is None:
        return "not an address"
    inner = _well_known.embedded(parsed)
    return reserved_for(parsed if inner is None else (32, inner))


def reserved_for(parsed: Parsed) -> str | None:
    """Return the name of the narrowest special range that holds the address itself, None outside them all."""
    bits, number = parsed
    for shift, names in _V4_SPECIAL if bits == 32 else _V6_SPECIAL:
        name = names.get(number >> shift)
        if name is not None:
            return name
    return None


def geo_key(address: str, nat64: Nat64 = _well_known) -> str | None:
    """Return the address that databases may be asked about, None where none may be.

    An address of NAT64 or 6to4 stands for its IPv4 address, which must be one that a customer can have (RFC 6052 §3.1).
    Teredo is None: databases answer for its server, not for its client. Any other address is its own key, also one of
    a private network: an operator's overrides may name it.
    """
    parsed = parse(address)
    return None if parsed is None else key_of(parsed, nat64)


def key_of(parsed: Parsed, nat64: Nat64 = _well_known) -> str | None:
    """Return the same for an address as numbers."""
    bits, number = parsed
    if bits == 128 and number >> 96 == _TEREDO:
        return None
    inner = nat64.embedded(parsed)
    if inner is None:
        return spell(parsed)
    return None if reserved_for((32, inner)) else spell((32, inner))


class Networks:
    """A set of networks that is asked whether it holds an address. It fails when built, never when asked."""

    __slots__ = ("_texts", "_v4", "_v6")

    def __init__(self, cidrs: Sequence[str], *, what: str = "networks") -> None:
        """Raise ConfigError, naming `what` and the value, for all that is not exactly a network or an address."""
        networks = [_network(text, what) for text in cidrs]
        self._texts = tuple(str(network) for network in networks)
        self._v4 = _levels((network, str(network)) for network in networks if network.version == 4)
        self._v6 = _levels((network, str(network)) for network in networks if network.version == 6)

    def holds(self, parsed: Parsed) -> bool:
        """Return whether the address lies in one of the networks."""
        bits, number = parsed
        for shift, prefixes in self._v4 if bits == 32 else self._v6:  # noqa: SIM110 - a generator doubles the cost
            if number >> shift in prefixes:
                return True
        return False

    def __contains__(self, address: object) -> bool:
        parsed = parse(address) if isinstance(address, str) else None
        return parsed is not None and self.holds(parsed)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _levels(networks: Iterable[tuple[_Network, str]]) -> tuple[_Level, ...]:
    """Return the networks by length, the longest first."""
    levels: dict[int, dict[int, str]] = {}
    for network, name in networks:
        shift = network.max_prefixlen - network.prefixlen
        levels.setdefault(shift, {})[int(network.network_address) >> shift] = name
    return tuple(sorted(levels.items()))


_V4_SPECIAL: Final = _levels((IPv4Network(cidr), name) for cidr, name in _SPECIAL if ":" not in cidr)
_V6_SPECIAL: Final = _levels((IPv6Network(cidr), name) for cidr, name in _SPECIAL if ":" in cidr)
