"""Telling a WebSocket's handshake from other requests."""

from gateway.core.request import Headers


def asks_for_websocket(headers: Headers) -> bool:
    """Return whether the headers ask for a WebSocket."""
    connection: list[bytes] = []
    upgrade = b""
    for name, value in headers:
        if name == b"connection":
            connection = [token.lower().strip() for token in value.split(b",")]
        elif name == b"upgrade":
            upgrade = value.lower()
    return upgrade == b"websocket" and b"upgrade" in connection
