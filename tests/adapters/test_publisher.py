import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.adapters import publisher as publisher_module
from gateway.adapters.publisher import FilePublisher, Publisher, WebhookPublisher


def test_each_line_is_appended_and_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "published"
    publisher: Publisher = FilePublisher(path)
    publisher.publish(b"one")
    FilePublisher(path).publish(b"two")
    assert path.read_bytes().split() == [b"one", b"two"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_behind_one_that_was_torn_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "published"
    path.write_bytes(b"tor")
    FilePublisher(path).publish(b"two")
    assert path.read_bytes().splitlines() == [b"tor", b"two"]


def test_a_disk_without_room_is_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda _fd, _content: 1)
    with pytest.raises(OSError, match="no room for a whole line"):
        FilePublisher(tmp_path / "published").publish(b"one")
    with pytest.raises(OSError, match=os.strerror(errno.ENOENT)):
        FilePublisher(tmp_path / "absent" / "published").publish(b"one")


class Receiver:
    """Takes what is posted, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.headers: list[str] = []
        self.status = 204
        self.came = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(await request.read())
        self.headers.append(request.headers["Authorization"])
        self.came.set()
        status = self.status
        await self.go_on.wait()
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})


@pytest.fixture
async def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def webhook(receiver: Receiver) -> AsyncIterator[WebhookPublisher]:
    app = web.Application()
    app.router.add_post("/seals", receiver.take)
    async with TestServer(app) as server:
        publisher = WebhookPublisher(str(server.make_url("/seals")), headers={"Authorization": "Bearer x"})
        await publisher.start()
        yield publisher
        receiver.go_on.set()
        await publisher.close()


async def test_a_line_is_posted_as_it_is(webhook: WebhookPublisher, receiver: Receiver) -> None:
    port: Publisher = webhook
    async with asyncio.timeout(20):
        await asyncio.to_thread(port.publish, b'{"seal":1}')
        await receiver.came.wait()
    assert (receiver.got, receiver.headers) == ([b'{"seal":1}'], ["Bearer x"])


@pytest.mark.parametrize("status", [302, 400, 500])
async def test_a_line_that_was_not_taken_is_posted_again_later(
    webhook: WebhookPublisher, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(publisher_module, "POST_AGAIN_S", 0.01)
    receiver.status = status
    async with asyncio.timeout(20):
        webhook.publish(b"1")
        await receiver.came.wait()
        receiver.status = 204
        receiver.came.clear()
        await receiver.came.wait()
    await webhook.close()
    assert set(receiver.got) == {b"1"}


async def test_of_lines_that_came_meanwhile_the_newest_is_posted(webhook: WebhookPublisher, receiver: Receiver) -> None:
    receiver.go_on.clear()
    async with asyncio.timeout(20):
        webhook.publish(b"1")
        await receiver.came.wait()
        receiver.came.clear()
        webhook.publish(b"2")
        webhook.publish(b"3")
        receiver.go_on.set()
        await receiver.came.wait()
    await webhook.close()
    assert list(dict.fromkeys(receiver.got)) == [b"1", b"3"]


async def test_what_is_owed_is_posted_at_the_end_and_a_receiver_that_is_away_holds_nobody_up(
    webhook: WebhookPublisher, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook.publish(b"1")
    async with asyncio.timeout(20):
        await webhook.close()
    assert b"1" in receiver.got
    monkeypatch.setattr(publisher_module, "POST_WITHIN_S", 0.05)
    receiver.go_on.clear()
    await webhook.start()
    webhook.publish(b"2")
    async with asyncio.timeout(20):
        await webhook.close()
    assert receiver.got[-1] == b"2"
    gone = WebhookPublisher("http://127.0.0.1:1/seals")
    gone.publish(b"before its start")
    await gone.start()
    async with asyncio.timeout(20):
        await gone.close()
    assert gone._newest == b"before its start"
