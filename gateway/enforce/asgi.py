"""The shapes of ASGI, as far as we use them, and a way around it for what is answered without waiting."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Quick = Callable[[str | None, bytes, bytes, list[tuple[bytes, bytes]]], tuple[int, bytes] | None]
"""Given peer, method, target and headers of a request: the status of its answer, and all that follows the lines that
every answer has. None where the app is to answer; nothing has happened then. An app that can do so has one, `quick`."""
