import pytest

from gateway.enforce.handshake import asks_for_websocket


@pytest.mark.parametrize(
    ("connection", "upgrade", "asks"),
    [
        (b"Upgrade", b"websocket", True),
        (b"keep-alive, Upgrade", b"WebSocket", True),
        (b"keep-alive", b"websocket", False),
        (b"Upgrade", b"h2c", False),
        (b"", b"websocket", False),
    ],
)
def test_a_handshake_names_the_protocol_and_nominates_the_header(connection, upgrade, asks) -> None:
    assert asks_for_websocket([(b"host", b"h"), (b"connection", connection), (b"upgrade", upgrade)]) is asks


def test_what_says_neither_is_none() -> None:
    assert not asks_for_websocket([(b"host", b"h")])
