"""A proxy before an upstream that says exactly what a test wants, byte by byte, and a client that reads as exactly."""

import asyncio
import contextlib

from gateway.enforce.http_server import run
from gateway.enforce.proxy_pool import Limits, Upstream
from gateway.enforce.reverse_proxy import ReverseProxy

GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextlib.asynccontextmanager
async def served(app):
    listening = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(
        run(app, host="127.0.0.1", port=0, max_head_bytes=32768, ready=listening.set_result)
    )
    try:
        yield await asyncio.wait_for(listening, 10)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


class Scripted:
    """An upstream that does what `script` says with each connection, and remembers the heads of requests."""

    def __init__(self, script) -> None:
        self.script = script
        self.heads = []
        self.connections = 0
        self.lost = asyncio.Event()
        self.reached = asyncio.Semaphore(0)
        self.tasks = set()

    async def head(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        self.reached.release()
        return head

    async def connected(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self.script(self, reader, writer)
        finally:
            await closed(writer)


@contextlib.asynccontextmanager
async def before(script, **limits):
    """The port of a proxy before a scripted upstream, and that upstream."""
    upstream = Scripted(script)
    server = await asyncio.start_server(upstream.connected, "127.0.0.1", 0)
    proxy = ReverseProxy(Upstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", Limits(**limits)))
    async with served(proxy) as url:
        yield int(url.rpartition(":")[2]), upstream
    await proxy.close()
    server.close()
    for task in upstream.tasks:
        task.cancel()
    await asyncio.gather(*upstream.tasks, return_exceptions=True)
    await server.wait_closed()


def answering(*answers, close=False):
    """A script that answers the requests of a connection, one after the other, the last one for ever."""

    async def script(self, reader, writer):
        number = 0
        while True:
            await self.head(reader)
            writer.write(answers[min(number, len(answers) - 1)])
            await writer.drain()
            number += 1
            if close:
                return

    return script


async def silent(self, reader, _writer):
    await self.head(reader)
    await reader.read()
    self.lost.set()


@contextlib.asynccontextmanager
async def client(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        await closed(writer)


async def closed(writer):
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def answer(reader, *, method="GET"):
    """The status, headers and body of the next answer; the body is None where it was cut off."""
    head = b"HTTP/1.1 100"
    while head.startswith(b"HTTP/1.1 100"):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    status, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = dict(line.split(": ", 1) for line in lines)
    try:
        if method == "HEAD" or status.split()[1] in {"204", "304"}:
            body = b""
        elif "content-length" in headers:
            body = await asyncio.wait_for(reader.readexactly(int(headers["content-length"])), 10)
        else:
            body = b""
            while size := int(await asyncio.wait_for(reader.readuntil(b"\r\n"), 10), 16):
                body += (await asyncio.wait_for(reader.readexactly(size + 2), 10))[:-2]
            await reader.readexactly(2)
    except asyncio.IncompleteReadError:
        body = None
    return int(status.split()[1]), headers, body


async def asked(port, request, *, method="GET"):
    async with client(port) as (reader, writer):
        writer.write(request)
        return await answer(reader, method=method)
