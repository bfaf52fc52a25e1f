"""What arrived, as the server in front of us read it."""

from collections.abc import Sequence
from dataclasses import dataclass

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(init=False)
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
    query: bytes
    """What follows the `?`. Looked at for method overrides, never kept."""
    websocket: bool

    # By hand: compiled, it costs a tenth of the one that dataclasses make, which is interpreted always.
    def __init__(  # noqa: PLR0917 - in the order of the fields
        self,
        at: int,
        peer: str | None,
        method: str,
        target: bytes,
        headers: Headers,
        query: bytes = b"",
        websocket: bool = False,
    ) -> None:
        self.at = at
        self.peer = peer
        self.method = method
        self.target = target
        self.headers = headers
        self.query = query
        self.websocket = websocket
