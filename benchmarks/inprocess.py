"""An ASGI app called directly, without a server in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

START_S = 60


def scope_of(request: bytes, client: str = "127.0.0.1") -> tuple[Scope, bytes]:
    """Return the scope and body that a server makes of a request as it goes over the wire."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    method, target, _ = line.split(b" ")
    raw_path, _, query = target.partition(b"?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method.decode(),
        "scheme": "http",
        "path": unquote(raw_path.decode("latin-1")),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [_header(field) for field in fields],
        "client": (client, 40_000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    return scope, body


async def ask(app: ASGIApp, scope: Scope, body: bytes = b"") -> tuple[int, bytes]:
    """Return status and body of the app's answer."""
    status = 0
    pieces: list[bytes] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, b"".join(pieces)


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """Run the app's lifespan around what is done with it. Raise RuntimeError with the app's own words if it fails."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()
    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    async with asyncio.TaskGroup() as group:
        life = group.create_task(_live(app, scope, inbox, outbox))
        try:
            await _step("startup", inbox, outbox)
            yield
            await _step("shutdown", inbox, outbox)
        finally:
            life.cancel()


async def _live(app: ASGIApp, scope: Scope, inbox: asyncio.Queue[Message], outbox: asyncio.Queue[Message]) -> None:
    try:
        await app(scope, inbox.get, outbox.put)
    except Exception as fault:  # noqa: BLE001 - whatever it is, the one who waits for the step is told
        await outbox.put({"type": "lifespan.failed", "message": repr(fault)})


async def _step(step: str, inbox: asyncio.Queue[Message], outbox: asyncio.Queue[Message]) -> None:
    await inbox.put({"type": f"lifespan.{step}"})
    answer = await asyncio.wait_for(outbox.get(), START_S)
    if answer["type"] != f"lifespan.{step}.complete":
        raise RuntimeError(f"{step} failed: {answer.get('message', answer['type'])}")


def _header(field: bytes) -> tuple[bytes, bytes]:
    name, _, value = field.partition(b":")
    return name.lower(), value.strip()
