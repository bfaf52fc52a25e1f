"""Where webhooks may go: not into the operator's own network, whatever a name is resolved to, unless that was said.

The check is made of the very address that a socket is opened for. A name that is public when one looks and private when
one connects (DNS rebinding) gains nothing by it, nor does an address in another spelling.
"""

import errno
import socket
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.core.addresses import Nat64, Networks, parse, special_purpose, spell
from gateway.core.errors import ConfigError

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""As `getaddrinfo` has it: family, type, protocol, canonical name, address."""

_PRIVATE: Final = frozenset({"private use", "loopback", "unique local", "shared address space"})
"""What may be allowed. Link-local addresses, those that nobody has and groups of machines never are."""

# What answers any machine with its credentials. Most of these lie in ranges that are special anyway.
_METADATA: Final = Networks(
    (
        "169.254.0.0/16",  # AWS, Google, Azure and others, with their containers' credentials
        "fd00:ec2::/32",  # AWS over IPv6
        "fd20:ce::254",  # Google over IPv6
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's host: a public address that is none
        "192.0.0.192",  # Oracle
    ),
    what="metadata services",
)
_nat64: Final = Nat64()


def forbidden(address: str, *, allow_private: bool) -> str | None:
    """Return what an address is that nothing may be sent to; None where something may."""
    parsed = parse(address)
    if parsed is None:
        return "not an address"
    inner = _nat64.embedded(parsed)
    if _METADATA.holds(parsed) or (inner is not None and _METADATA.holds((32, inner))):
        return "a metadata service"
    special = special_purpose(spell(parsed))
    return None if special is None or (allow_private and special in _PRIVATE) else special


def checked_sockets(*, allow_private: bool, plain: bool) -> Callable[[AddressInfo], socket.socket]:
    """Return what opens sockets for addresses that something may be sent to, and raises OSError for all others.

    What is `plain` (http) stays in the operator's own network, whatever its name is resolved to.
    """

    def opened(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        why = forbidden(str(address[0]), allow_private=allow_private)
        if why is None and plain and forbidden(str(address[0]), allow_private=False) is None:
            why = "it is public, and over plain http everybody on the way reads it"
        if why is not None:
            raise OSError(errno.EACCES, f"nothing is sent to {address[0]}: {why}")
        return socket.socket(family, kind, protocol)

    return opened


def checked_url(text: str, *, name: str, allow_private: bool) -> str:
    """Return a URL that webhooks may be sent to. Raise ConfigError for one that they never could be.

    What its name stands for is asked when a connection is made, each time.
    """
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError as fault:
        raise ConfigError(f"{name}: the URL cannot be read: {fault}") from None
    if url.scheme not in {"http", "https"} or not host or url.fragment:
        raise ConfigError(f"{name}: a webhook goes to an address such as https://HOST/PATH")
    if url.username is not None or url.password is not None:
        raise ConfigError(f"{name}: the URL holds a password; a webhook is known by its signature, leave it out")
    if url.scheme == "http" and not allow_private:
        raise ConfigError(f"{name}: over plain http everybody on the way reads it; use https (or allow_private)")
    if parse(host) is not None or host == "localhost":
        address = "127.0.0.1" if host == "localhost" else host
        why = forbidden(address, allow_private=allow_private)
        if url.scheme == "http" and forbidden(address, allow_private=False) is None:
            why = "it is public, and over plain http everybody on the way reads it; use https"
        if why is not None:
            raise ConfigError(f"{name}: nothing is sent to {host}: {why}{_advice(why)}")
    return text


def _advice(why: str) -> str:
    return "; where it is meant, say allow_private" if why in _PRIVATE else ""
