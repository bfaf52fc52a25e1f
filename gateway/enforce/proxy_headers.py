"""Which headers cross the gateway on their way to an upstream and back (RFC 9110, section 7.6)."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from gateway.enforce.asgi import Scope

Lines = list[tuple[bytes, bytes]]

# RFC 9110 §7.6.1: these speak about one connection and are never passed on. Without `te` and `trailer` nobody sends
# trailers, and those that come all the same are dropped: ASGI has no way for them, and read as headers they deceive.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_NOMINATED: Final = frozenset({b"authorization", b"content-length", b"cookie", b"expect", b"host"})
"""What a client does not take from a request by naming it in `Connection`, nor what the gateway says: the line decided
with the one, and the upstream with the other."""
# What says who the client is, or what was asked, by any name that an upstream may believe, under any spelling that it
# may fold to one (`_` and `.` for `-`). One of them is written anew.
_FOLD: Final = bytes.maketrans(b"_.", b"--")
_CLIENT_ADDRESS: Final = (
    b"x-forwarded", b"x-real-", b"x-client-", b"x-cluster-", b"x-original-", b"x-originating-", b"x-remote-",
    b"x-envoy-", b"x-azure-", b"x-appengine-", b"x-vercel-", b"x-nf-", b"x-rewrite-", b"cf-connecting-", b"cf-pseudo-",
    b"do-connecting-", b"fly-client-", b"fastly-client-", b"true-client-",
)  # fmt: skip
_CLIENT_ADDRESS_NAMES: Final = frozenset({b"forwarded", b"client-ip", b"client_ip", b"client.ip"})
_HANDSHAKE: Final = frozenset(
    {b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-accept"}
)
_NOT_BACK: Final = HOP_BY_HOP | _HANDSHAKE | {b"date"}
_NOT_BACK_TO_A_WEBSOCKET: Final = _NOT_BACK | {b"sec-websocket-protocol", b"content-length"}
_NOT_ONWARD: Final = HOP_BY_HOP | _CLIENT_ADDRESS_NAMES
_TARGET: Final = re.compile(rb"(?:/[!-\"$-~]*|\*)")
_CONTROLS: Final = bytes({*range(32), 127} - set(b"\t\r\n"))
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


class Unreadable(ValueError):
    """A request that cannot be written to an upstream so that it is read in one way alone."""


class Asked(NamedTuple):
    """A request as an upstream receives it."""

    method: str
    head: bytes
    length: int | None
    """How long the body is; None for one in chunks, 0 for none."""
    expects: bool
    """Whether the client waits for `100 Continue` before it sends the body."""

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again where nothing at all came back."""
        return self.length == 0 and self.method in {"GET", "HEAD", "OPTIONS"}


def asked(scope: Scope) -> Asked:
    """Return the request of an HTTP scope, which the line has let through. Raise Unreadable."""
    method = scope["method"]
    if not _METHOD.fullmatch(method):
        raise Unreadable("its method")
    length = _length(scope["headers"])
    onward = _onward(scope)
    if length is None:
        onward.append((b"transfer-encoding", b"chunked"))
    # HTTP/1.0 knows no 100 (RFC 9110 §10.1.1), and what expects anything else expects it of nobody any more.
    expects = [value.lower() for name, value in onward if name == b"expect"]
    waits = expects == [b"100-continue"] and length != 0 and scope.get("http_version") == "1.1"
    if expects and not waits:
        onward = [line for line in onward if line[0] != b"expect"]
    return Asked(method, _head(scope, method, onward), length, waits)


def handshake(scope: Scope, key: str) -> bytes:
    """Return the request of a WebSocket scope, with the `key` of the gateway's own and no extensions. Raise Unreadable.

    Extensions belong to one connection: the two sides of the gateway agree on none.
    """
    onward = [line for line in _onward(scope) if line[0] not in _HANDSHAKE and line[0] != b"content-length"]
    onward += [
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", key.encode("ascii")),
    ]
    return _head(scope, "GET", onward)


def answered(headers: Lines, *, websocket: bool = False) -> Lines:
    """Return what the visitor may see of an upstream's headers: only the gateway speaks of its own decisions.

    Names are in lower case. The server in front says when it answered, as every server must; a second `Date` would
    contradict it.
    """
    dropped = _NOT_BACK_TO_A_WEBSOCKET if websocket else _NOT_BACK
    if nominated := _nominated(headers):
        dropped |= nominated
    return [line for line in headers if line[0] not in dropped and not line[0].startswith(b"gateway-")]


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return how long the body is, None for one in chunks. Raise Unreadable where that can be read in two ways."""
    framing = [line for line in headers if line[0] in {b"content-length", b"transfer-encoding"}]
    if not framing:
        return 0
    name, value = framing[0]
    if len(framing) == 1 and name == b"transfer-encoding" and value.lower() == b"chunked":
        return None
    if len(framing) == 1 and name == b"content-length" and value.isdigit() and len(value) <= 18:
        return int(value)
    raise Unreadable("its framing")


def _onward(scope: Scope) -> Lines:
    """Return the headers that the upstream receives: what is meant for it, and one address that can be believed."""
    listed = scope["headers"]
    dropped = _NOT_ONWARD
    if nominated := _nominated(listed):
        dropped |= {name for name in nominated - _NOT_NOMINATED if not name.startswith(b"gateway-")}
    onward = [
        line for line in listed if line[0] not in dropped and not line[0].translate(_FOLD).startswith(_CLIENT_ADDRESS)
    ]
    passage = scope.get("state", {}).get("gateway")
    address = None if passage is None else passage.settled.client_ip.address
    if address is not None:
        onward.append((b"x-forwarded-for", str(address).encode("ascii")))
    onward.append((b"via", b"1.1 gateway"))
    return onward


def _nominated(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    return {token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")}


def _head(scope: Scope, method: str, headers: Lines) -> bytes:
    target = scope["raw_path"]
    if scope["query_string"]:
        target = b"%b?%b" % (target, scope["query_string"])
    if not _TARGET.fullmatch(target):
        raise Unreadable("its target")
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), target)]
    lines += map(b": ".join, headers)
    lines += (b"", b"")
    head = b"\r\n".join(lines)
    ends = len(lines) - 1
    # Servers in front refuse these already; a header with a line of its own in it would be a second request.
    if head.count(b"\n") != ends or head.count(b"\r") != ends or head != head.translate(None, _CONTROLS):
        raise Unreadable("its headers")
    return head
