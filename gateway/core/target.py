"""The one reading of a request target and of a Host, or the way in which it can be read differently.

Every byte that some server, framework or proxy reads in another way is refused, not repaired: of all bypasses that
peers have published, most are two readings of one path.
"""

import re
from typing import Final, NamedTuple

from gateway.core.addresses import canonical
from gateway.core.terms import Ambiguity

_LONGEST: Final = 2048
_LONGEST_HOST: Final = 260
"""A name of 253 octets (RFC 1035 §2.3.4), a colon and a port."""
_SHOWN: Final = 48

# RFC 3986's pchar without `;`: path parameters are cut off by some readers and kept by others (`/admin;x`, `/..;/`).
_ALLOWED: Final = rb"A-Za-z0-9\-._~!$&'()*+,=:@"
# What nearly all targets are: no escapes, no empty segment, no segment that ends in a dot.
_PLAIN: Final = re.compile(rb"(?:/[" + _ALLOWED + rb"]*[" + _ALLOWED.replace(b".", b"") + rb"])*/?")
_FOREIGN: Final = re.compile(rb"[^/%" + _ALLOWED + rb"]")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
# Unreserved (RFC 3986 §2.3) but for the dot: nobody escapes a dot who does not want it overlooked.
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~")
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]*)(/.*)?", re.DOTALL)

_LABEL: Final = rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(
    rb"(?:(?P<name>"
    + _LABEL
    + rb"(?:\."
    + _LABEL
    + rb")*)|\[(?P<v6>[0-9A-Fa-f:.]{2,45})\])(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)")


class Ambiguous(NamedTuple):
    """Why a request cannot be read in one way only."""

    why: Ambiguity
    detail: str
    """For the record: printable ASCII, bounded, never a secret."""


def shown(data: bytes) -> str:
    """Return the bytes as they may stand in a record: escaped, in backquotes, cut where they are long."""
    text = ascii(data[:_SHOWN])[2:-1]
    return f"`{text}`" if len(data) <= _SHOWN else f"`{text}`… ({len(data)} bytes)"


def shown_target(target: bytes) -> str:
    """Return a target that could not be read, as it may stand in a record: escaped, cut, and without a password."""
    if target[:1] != b"/":
        target = target.rpartition(b"@")[2]
    return ascii(target[:256])[2:-1]


def canonical_target(target: bytes, host: bytes | None) -> str | Ambiguous:
    """Return the path in its one spelling, or why it has more than one.

    `target` is the request target without `?` and the query: a path, or an absolute URI whose authority must be that of
    `host`. Escapes of unreserved characters are decoded, once; no other escape is let through.
    """
    if len(target) > _LONGEST:
        return Ambiguous(Ambiguity.TARGET_LENGTH, f"the target has {len(target)} bytes, more than {_LONGEST}")
    if target[:1] != b"/":
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            # What stands before an `@` may be a password.
            after = target.rpartition(b"@")[2]
            return Ambiguous(Ambiguity.TARGET_FORM, f"{shown(after)} is neither a path nor an http URI")
        refused = _same_authority(absolute[1], host)
        if refused is not None:
            return refused
        target = absolute[2] or b"/"
    if _PLAIN.fullmatch(target):
        return target.decode("ascii")
    return _unusual(target)


def _unusual(target: bytes) -> str | Ambiguous:
    foreign = _FOREIGN.search(target)
    if foreign is not None:
        return Ambiguous(Ambiguity.TARGET_BYTES, f"{shown(foreign[0])} at {foreign.start()} in {shown(target)}")
    path = decode_unreserved(target)
    if isinstance(path, Ambiguous):
        return path
    segments = path.split(b"/")[1:]
    if b"" in segments[:-1]:
        return Ambiguous(Ambiguity.TARGET_SEGMENTS, f"an empty segment in {shown(path)}")
    for segment in segments:
        if segment.endswith(b"."):
            return Ambiguous(Ambiguity.TARGET_SEGMENTS, f"a segment that ends in a dot, {shown(segment)}")
    return path.decode("ascii")


def decode_unreserved(path: bytes) -> bytes | Ambiguous:
    """Return the path with unreserved escapes decoded, or why one of its escapes is refused."""
    pieces: list[bytes] = []
    end = 0
    for escape in _ESCAPE.finditer(path):
        digits = escape[1]
        if digits is None:
            return Ambiguous(
                Ambiguity.TARGET_ENCODING, f"`%` at {escape.start()} without two hexadecimal digits in {shown(path)}"
            )
        octet = int(digits, 16)
        if octet not in _UNRESERVED:
            # Separators, dots, `%` itself, control bytes, and all of UTF-8, overlong or not.
            return Ambiguous(
                Ambiguity.TARGET_ENCODING, f"the escape {shown(escape[0])} at {escape.start()} in {shown(path)}"
            )
        pieces += (path[end : escape.start()], bytes((octet,)))
        end = escape.end()
    return b"".join((*pieces, path[end:]))


def _same_authority(authority: bytes, host: bytes | None) -> Ambiguous | None:
    """Return None where the authority of the target is exactly the Host (RFC 9112 §3.2.2 would ignore the Host)."""
    if b"@" in authority:
        return Ambiguous(Ambiguity.TARGET_AUTHORITY, "a target that names a user")
    if host is None:
        return Ambiguous(Ambiguity.TARGET_AUTHORITY, f"a target with the authority {shown(authority)} but no Host")
    named = canonical_host(authority)
    if isinstance(named, Ambiguous):
        return Ambiguous(Ambiguity.TARGET_AUTHORITY, f"the authority {shown(authority)} is not a host")
    if named != canonical_host(host):
        return Ambiguous(Ambiguity.TARGET_AUTHORITY, f"the authority {shown(authority)} is not the Host {shown(host)}")
    return None


def canonical_host(value: bytes) -> str | Ambiguous:
    """Return the host in lower case, with its port where one is given, or why it cannot be read in one way only.

    A name of letters, digits, hyphens and underscores, an IPv4 address, or an IPv6 address in brackets. A trailing dot
    is refused: it names the same host but matches no rule (CVE-2022-23632).
    """
    found = _HOST.fullmatch(value) if len(value) <= _LONGEST_HOST else None
    if found is None:
        return Ambiguous(Ambiguity.HOST, f"{shown(value)} is not a host, or a host and a port")
    name, port = found["name"], found["port"]
    if name is None:
        v6 = canonical(found["v6"].decode("ascii"))
        if v6 is None or ":" not in v6:
            return Ambiguous(Ambiguity.HOST, f"{shown(value)} is not an IPv6 address in its own form")
        text = f"[{v6}]"
    else:
        text = name.decode("ascii").lower()
        # A name whose last label is a number is an address to most readers (`127.1`, `0x7f000001`).
        if len(text) > 253 or (_NUMERIC.fullmatch(text) and canonical(text) is None):
            return Ambiguous(Ambiguity.HOST, f"{shown(value)} is neither a name nor an IPv4 address")
    if port is not None and int(port) > 65535:
        return Ambiguous(Ambiguity.HOST, f"{shown(value)} has a port above 65535")
    return text if port is None else f"{text}:{int(port)}"
