"""What arrived, as the server in front of us read it."""

from collections.abc import Sequence
from dataclasses import dataclass

Headers = Sequence[tuple[bytes, bytes]]


@dataclass
class AccessRequest:
    """One request (or WebSocket handshake) before anything is believed about it."""

    at: int
    """When it arrived: microseconds since the epoch, UTC."""
    peer: str | None
    """The address at the other end of the connection; None for a Unix socket or a server that does not say."""
    method: str
    """As sent; `GET` for a WebSocket handshake."""
    target: bytes
    """The path part of the request target as sent (percent-encoded, without `?` and the query), or the whole
    absolute-form target where the server keeps it."""
    headers: Headers
    """Name and value pairs in wire order; names in lower case, as ASGI gives them."""
    query: bytes = b""
    """What follows the `?`. Looked at for method overrides, never kept."""
    websocket: bool = False
