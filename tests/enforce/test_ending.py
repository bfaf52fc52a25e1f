"""A process that ends tells it first, takes what it was sent already, and loses nothing that was on its way."""

import asyncio
import signal
import socket

import pytest

from gateway.enforce.ending import Ending, deafen
from gateway.enforce.http_server import run
from tests.enforce.conversing import MAX_HEAD, echo


def test_a_deaf_socket_accepts_what_came_before_and_nothing_new() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as late:
        address = listening.getsockname()
        with socket.create_connection(address) as early:
            early.sendall(b"GET / HTTP/1.1\r\n")
            deafen(listening)
            late.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.connect(address)
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.recv(100) == b"GET / HTTP/1.1\r\n"
                early.sendall(b"more")
                assert accepted.recv(100) == b"more"


def test_it_is_told_first_and_whoever_is_beside_ends_before_the_end() -> None:
    async def ends(ending: Ending) -> list[str]:
        async def beside() -> None:
            said.append("beside")

        ending.before_closing(beside)
        await ending.drain([])
        said.append(f"begun: {ending.begun}")
        return said

    said: list[str] = []
    assert asyncio.run(ends(Ending(told=lambda: said.append("told")))) == ["told", "beside", "begun: False"]
    said = []
    assert asyncio.run(ends(Ending(0.01, told=lambda: said.append("told")))) == ["told", "beside", "begun: True"]


def test_whoever_is_in_a_hurry_waits_for_nothing() -> None:
    async def hurried() -> None:
        ending = Ending(600)
        task = asyncio.ensure_future(ending.drain([]))
        await asyncio.sleep(0)
        assert ending.begun
        ending.hurry()
        await asyncio.wait_for(task, 20)

    asyncio.run(hurried())


async def _asked(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer


def test_while_it_drains_every_answer_is_the_last_of_its_connection() -> None:
    told = asyncio.Event()

    async def served() -> tuple[bytes, bytes]:
        listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        ending = Ending(0.5, told=told.set)
        server = asyncio.ensure_future(
            run(echo, host="127.0.0.1", port=0, max_head_bytes=MAX_HEAD, ready=listening.set_result, ending=ending)
        )
        port = int((await listening).rpartition(":")[2])
        before = await _asked(port)
        assert ending.ends is not None
        ending.ends(signal.SIGTERM)
        await asyncio.wait_for(told.wait(), 20)
        during = await _asked(port)
        await asyncio.wait_for(server, 20)
        return before, during

    # uvicorn sends itself what ended it, once it has: here that is to end nothing.
    kept = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        before, during = asyncio.run(served())
    finally:
        signal.signal(signal.SIGTERM, kept)
    assert b"connection: close" not in before.lower()
    assert b"connection: close" in during.lower()
