"""Raw bytes at the server, each conversation on a loopback connection of its own."""

import asyncio
import json

from gateway.enforce.http_server import run

MAX_HEAD = 4096


async def echo(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = json.dumps({"raw_path": scope["raw_path"].decode("latin-1"), "body": len(body)}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


def converse(*parts: bytes, pause: float = 0.0, app=echo) -> bytes:
    """Return all that the server says to the parts, and `<closed>` unless it is silent for half a second first."""

    async def talk():
        listening = asyncio.get_running_loop().create_future()
        serving = asyncio.ensure_future(
            run(app, host="127.0.0.1", port=0, max_head_bytes=MAX_HEAD, ready=listening.set_result)
        )
        try:
            url = await asyncio.wait_for(listening, 10)
            return await say(int(url.rpartition(":")[2]), *parts, pause=pause)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    return asyncio.run(talk())


async def say(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Return the same of the server on this port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
    except ConnectionError:
        pass
    heard = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(65536), 0.5):
            heard += chunk
        heard += b"<closed>"
    except TimeoutError:
        pass
    except ConnectionError:
        heard += b"<closed>"
    writer.close()
    return heard
