"""Which address we hold responsible for a request, and how we chose it."""

from enum import StrEnum, unique
from typing import NamedTuple


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
