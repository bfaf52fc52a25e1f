"""Evidence that is taken in: whole, bounded, known by its content, encrypted, and given back as it was."""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.evidence_cipher import EvidenceDamaged, MasterKeys
from gateway.adapters.evidence_files import EvidenceStore, NotTaken, Stored, Why
from gateway.adapters.evidence_places import Folder
from gateway.core.errors import ConfigError, StoreUnavailable
from tests.adapters.pictures import heic, jpeg, pdf, png, webp

KEYS = MasterKeys({"one": bytes(range(32))})


async def stream(content: bytes, step: int = 1000) -> AsyncIterator[bytes]:
    for at in range(0, len(content), step):
        yield content[at : at + step]


def store(folder: Path, **more: Any) -> EvidenceStore:
    return EvidenceStore(Folder(folder), KEYS, **more)


async def taken(one: EvidenceStore, content: bytes, claimed: str = "") -> Stored:
    found = await one.put(stream(content), claimed)
    assert isinstance(found, Stored), found
    return found


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (jpeg(200_000), "image/jpeg"),
        (png(), "image/png"),
        (webp(), "image/webp"),
        (heic(), "image/heic"),
        (pdf(), "application/pdf"),
    ],
)
async def test_a_file_comes_back_as_it_was_sent(tmp_path: Path, content: bytes, kind: str) -> None:
    one = store(tmp_path)
    found = await taken(one, content, kind)
    assert (found.sha256, found.size, found.media_type) == (hashlib.sha256(content).hexdigest(), len(content), kind)
    assert await one.open(found.key, found.sha256) == content


async def test_it_lies_encrypted_for_its_owner_alone_under_a_name_that_says_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    found = await taken(store(folder), jpeg(5000))
    (path,) = files(folder)
    assert path.relative_to(folder).as_posix() == found.key
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert b"JFIF" not in path.read_bytes()
    assert found.sha256[:8] not in found.key


@pytest.mark.parametrize(
    ("content", "claimed", "why"),
    [
        (b"", "image/png", Why.EMPTY),
        (b"<svg/>", "image/svg+xml", Why.MEDIA_TYPE),
        (b"<svg/>", "image/png", Why.MEDIA_TYPE),
        (b"<html></html>", "", Why.MEDIA_TYPE),
        (png(), "image/jpeg", Why.MEDIA_TYPE),
        (png(), "text/html", Why.MEDIA_TYPE),
        (png()[:-1], "image/png", Why.MEDIA_TYPE),
        (jpeg(100_001), "image/jpeg", Why.TOO_LARGE),
    ],
)
async def test_what_is_not_taken_leaves_nothing_behind(tmp_path: Path, content: bytes, claimed: str, why: Why) -> None:
    found = await store(tmp_path, most_bytes=100_000).put(stream(content), claimed)
    assert isinstance(found, NotTaken)
    assert found.why is why
    assert found.detail
    assert files(tmp_path) == []


@pytest.mark.parametrize("claimed", ["", "application/octet-stream", "image/jpg", "IMAGE/JPEG; x=y"])
async def test_who_does_not_know_the_type_need_not_say_it(tmp_path: Path, claimed: str) -> None:
    assert (await taken(store(tmp_path), jpeg(), claimed)).media_type == "image/jpeg"


async def test_no_more_is_read_than_a_file_may_have(tmp_path: Path) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(1000)

    found = await store(tmp_path, most_bytes=10_000).put(endless(), "")
    assert isinstance(found, NotTaken)
    assert read == 11


async def test_one_that_does_not_arrive_is_given_up_and_makes_room(tmp_path: Path) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"\xff"
        await asyncio.Event().wait()

    one = store(tmp_path, at_once=1, sent_within_s=0.05)
    with pytest.raises(StoreUnavailable, match="did not arrive within"):
        await one.put(stuck(), "")
    assert (await taken(one, png())).size == len(png())


async def test_files_in_memory_are_bounded_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        await go.wait()
        yield png()

    one = store(tmp_path, at_once=1, wait_s=0.05)
    first = asyncio.ensure_future(one.put(slow(), ""))
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="no room within"):
        await one.put(stream(png()), "")
    go.set()
    assert isinstance(await first, Stored)
    assert await taken(one, png())


async def test_a_file_that_was_changed_exchanged_or_lost_is_not_given_out(tmp_path: Path) -> None:
    one = store(tmp_path)
    mine, other = await taken(one, jpeg(100)), await taken(one, jpeg(200))
    for digest in (other.sha256, "", "ü"):
        with pytest.raises(EvidenceDamaged, match="its digest is not"):
            await one.open(mine.key, digest)
    (tmp_path / mine.key).write_bytes((tmp_path / other.key).read_bytes())
    with pytest.raises(EvidenceDamaged, match="not stored under this name"):
        await one.open(mine.key, other.sha256)
    content = (tmp_path / other.key).read_bytes()
    (tmp_path / other.key).write_bytes(content[:-1])
    with pytest.raises(EvidenceDamaged, match="piece 1"):
        await one.open(other.key, other.sha256)
    (tmp_path / other.key).unlink()
    with pytest.raises(EvidenceDamaged, match="not there"):
        await one.open(other.key, other.sha256)


async def test_what_was_stored_is_read_though_less_is_allowed_today(tmp_path: Path) -> None:
    found = await taken(store(tmp_path), jpeg(5000))
    assert len(await store(tmp_path, most_bytes=100).open(found.key, found.sha256)) == found.size
    for most in (0, 1 << 30):
        with pytest.raises(ConfigError, match="a file may have"):
            store(tmp_path, most_bytes=most)


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "/etc/passwd", "ab/../x", "ab/" + "0" * 31, "AB/" + "0" * 32])
async def test_only_names_that_it_made_are_opened(tmp_path: Path, key: str) -> None:
    with pytest.raises(EvidenceDamaged, match="none that files are kept under"):
        await store(tmp_path).open(key, "0" * 64)


async def test_what_is_removed_is_gone_and_removing_twice_is_no_fault(tmp_path: Path) -> None:
    one = store(tmp_path)
    found = await taken(one, png())
    await one.remove(found.key)
    await one.remove(found.key)
    await one.remove("../../etc/passwd")
    assert files(tmp_path) == []


async def test_nothing_of_a_file_or_a_key_reaches_a_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    one = store(tmp_path)
    found = await taken(one, jpeg(1000))
    await one.put(stream(b"<svg>secret</svg>"), "image/svg+xml")
    with pytest.raises(EvidenceDamaged):
        await one.open(found.key, "0" * 64)
    said = caplog.text + "".join(capsys.readouterr())
    assert "JFIF" not in said
    assert "secret" not in said


async def test_randomness_is_told_so_that_it_can_be_seen_where_it_goes(tmp_path: Path) -> None:
    drawn: list[int] = []

    def draw(count: int) -> bytes:
        drawn.append(count)
        return os.urandom(count)

    await taken(store(tmp_path, draw=draw), png())
    assert drawn == [16, 32, 12], "a name, a key and its nonce"


async def test_a_rewrap_that_is_killed_leaves_a_file_that_opens_and_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = png()
    found = await taken(store(tmp_path), content)
    both = MasterKeys({"two": b"t" * 32, "one": bytes(range(32))})
    one = EvidenceStore(Folder(tmp_path), both)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        # The process is gone before the new file has the old one's name, and cannot tidy up behind itself.
        patched.setattr(Path, "rename", killed)
        patched.setattr(Path, "unlink", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            Folder(tmp_path)._write(found.key, b"half-made")
    assert await one.open(found.key, found.sha256) == content
    assert await one.rewrap(found.key, write=False)
    assert await one.rewrap(found.key)
    assert not await one.rewrap(found.key)
    assert (
        await EvidenceStore(Folder(tmp_path), MasterKeys({"two": b"t" * 32})).open(found.key, found.sha256) == content
    )


async def test_what_is_no_key_of_a_file_is_not_rewrapped(tmp_path: Path) -> None:
    with pytest.raises(EvidenceDamaged, match="its key is none"):
        await store(tmp_path).rewrap("../../etc/passwd")
