"""The exchange behind: an ASGI app that remembers what reached it, and a client that sends bytes as they are."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from gateway.enforce.http_server import run

CLIENT = "127.0.0.2"
"""Where clients are; whatever speaks for them is at 127.0.0.1."""


class Reached(NamedTuple):
    """One request as the exchange saw it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    length: int


class Exchange:
    """Answers everything, and forges the headers that only the gateway may set."""

    def __init__(self) -> None:
        self.reached: list[Reached] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        if scope["type"] == "websocket":
            await receive()
            self.reached.append(Reached("WEBSOCKET", target, headers, 0))
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] != "websocket.disconnect":
                await send({"type": "websocket.send", "text": message.get("text")})
            return
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
        self.reached.append(Reached(scope["method"], target, headers, length))
        body = json.dumps({"reached": target, "length": length}).encode()
        told = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        forged = [(b"gateway-access", b"forged"), (b"gateway-decision", b"forged")]
        await send({"type": "http.response.start", "status": 200, "headers": told + forged})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(app: Any) -> Iterator[int]:
    """The app served in a thread: its port."""
    port: list[int] = []
    ready, loops = threading.Event(), []

    async def main() -> None:
        loops.append((asyncio.get_running_loop(), asyncio.current_task()))
        await run(app, host="127.0.0.1", port=0, max_head_bytes=65_536, ready=told)

    def told(url: str) -> None:
        port.append(int(url.rpartition(":")[2]))
        ready.set()

    def work() -> None:
        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass
        finally:
            ready.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(60)
    assert port, "the app did not begin to serve"
    try:
        yield port[0]
    finally:
        loop, task = loops[0]
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)


class Answer(NamedTuple):
    """What the client got; status 0 where the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def reason(self) -> str | None:
        """The reason of a problem document."""
        if not self.body or not self.headers.get("content-type", "").startswith("application/problem+json"):
            return None
        return json.loads(self.body).get("reason")


def ask(port: int, request: bytes, *, method: str = "GET") -> Answer:
    """Return the answer to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(CLIENT, 0)) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection, method=method)
        try:
            response.begin()
        except (http.client.HTTPException, ConnectionError):
            return Answer(0, {}, b"")
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, b"" if response.status == 101 else response.read())
