"""Where evidence is kept: whole or not at all, and what happens where it cannot be."""

import importlib
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from obstore.store import MemoryStore

from gateway.adapters import evidence_places as module
from gateway.adapters.evidence_cipher import EvidenceDamaged
from gateway.adapters.evidence_places import Bucket, Folder, Place, place_of
from gateway.core.errors import ConfigError, StoreUnavailable
from tests.adapters.sinks.rig import Taken, accept, answers, service

KEY = "ab/" + "ab" * 16
S3 = {"aws_region": "x", "aws_access_key_id": "a", "aws_secret_access_key": "s3cret"}


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Folder(tmp_path / "evidence") if request.param == "folder" else Bucket(MemoryStore(), "s3://bucket")


async def test_every_place_gives_back_what_it_keeps_within_bounds_and_removes_it(place: Place) -> None:
    await place.write(KEY, b"content")
    assert await place.read(KEY, 7) == b"content"
    with pytest.raises(EvidenceDamaged, match="more than 6 bytes"):
        await place.read(KEY, 6)
    await place.remove(KEY)
    await place.remove(KEY)
    with pytest.raises(EvidenceDamaged, match="not there"):
        await place.read(KEY, 7)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_a_folder_has_a_file_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path)
    steps: list[str] = []
    sync, rename = os.fsync, Path.rename

    def noted_sync(fd: int) -> None:
        steps.append("sync")
        sync(fd)

    def noted_rename(one: Path, to: Path) -> Path:
        steps.append("rename")
        return rename(one, to)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    await folder.write(KEY, b"content")
    assert steps[:2] == ["sync", "rename"], "on the disk before it has its name"

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    other = "cd/" + "cd" * 16
    with pytest.raises(StoreUnavailable, match="No space left"):
        await folder.write(other, b"content")
    assert names_in(tmp_path) == ["ab" * 16]


async def test_a_folder_that_went_away_is_an_outage(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "evidence")
    (tmp_path / "evidence").rmdir()
    (tmp_path / "evidence").write_text("a file now")
    with pytest.raises(StoreUnavailable, match="evidence in "):
        await folder.write(KEY, b"content")


def test_a_folder_that_cannot_be_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="evidence in "):
        Folder(tmp_path / "file" / "evidence")
    assert isinstance(place_of(str(tmp_path / "new" / "evidence")), Folder)
    assert (tmp_path / "new" / "evidence").stat().st_mode & 0o777 == 0o700


async def test_s3_gets_the_object_under_its_key() -> None:
    taken: list[Taken] = []
    paths: list[str] = []

    async def answer(request: web.Request, one: Taken) -> web.Response:
        paths.append(request.path)
        return web.Response(headers={"ETag": '"1"'})

    async with service(answer, taken) as url:
        options = {**S3, "aws_endpoint": url.removesuffix("/logs")}
        await place_of("s3://bucket/evidence", options=options, allow_http=True).write(KEY, b"content")
    assert paths == [f"/bucket/evidence/{KEY}"]
    assert taken[0].body == b"content"


@pytest.mark.parametrize("status", [403, 503])
async def test_a_store_that_refuses_is_an_outage_that_tells_no_secret(status: int) -> None:
    async with service(answers(*[status] * 10), []) as url:
        options = {**S3, "aws_endpoint": url.removesuffix("/logs")}
        place = place_of("s3://bucket", options=options, allow_http=True)
        with pytest.raises(StoreUnavailable, match="evidence in s3://bucket: ") as raised:
            await place.read(KEY, 100)
    assert "s3cret" not in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_store_that_is_away_is_left_in_time() -> None:
    async with service(accept, []) as url:
        pass
    options = {**S3, "aws_endpoint": url.removesuffix("/logs")}
    with pytest.raises(StoreUnavailable, match="evidence in s3://bucket: "):
        await place_of("s3://bucket", options=options, allow_http=True, timeout_s=5).write(KEY, b"x")


@pytest.mark.parametrize(
    ("where", "options", "says"),
    [
        ("memory:///", {}, "a folder, or an object store: s3, gs, az"),
        ("https://example.com/x", {}, "a folder, or an object store"),
        ("s3://user:s3cret@bucket", {}, "holds a password"),
        ("s3://bucket", {"region": "x"}, "those begin with aws_"),
        ("s3://bucket", {"aws_nonsense": "x"}, "aws_nonsense"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(where: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as raised:
        place_of(where, options=options)
    assert "s3cret" not in str(raised.value)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> Any:
        if name == "obstore":
            raise ModuleNotFoundError(name)
        return importlib.import_module(name)

    monkeypatch.setattr(module, "import_module", without)
    with pytest.raises(ConfigError, match=r"install the extra: .*\[object-store\]"):
        place_of("s3://bucket")
