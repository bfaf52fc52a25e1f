"""The protocol of an embedding app's own server: strict, and quicker than the one that uvicorn brings.

    uvicorn --http gateway:protocol --no-proxy-headers app:app

An app that the gateway stands in (`GatewayMiddleware`) runs under a server of its operator's choosing. With this one
it has the bounds that `gateway serve` has, and pays less for each request than the gateway costs it: compiled, what
uvicorn does for a request takes fewer steps. It writes no access log: the journal is one, and `[log] requests` tells
more.
"""

from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.enforce.http_protocol import StrictHttpProtocol

MAX_HEAD_BYTES: Final = 32 * 1024
"""As `server.max_header_bytes` where nothing else is configured. What is configured binds besides, when it is less."""
HEAD_S: Final = 10.0


def protocol(config: Config, server_state: ServerState, app_state: dict[str, Any], **_: object) -> StrictHttpProtocol:
    """Return the protocol of one more connection, as uvicorn's server asks for it."""
    return StrictHttpProtocol(config, server_state, app_state, max_head_bytes=MAX_HEAD_BYTES, head_s=HEAD_S)
