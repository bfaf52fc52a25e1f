"""Files that change are noticed: edited, replaced, swapped by a link, gone and back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from gateway.adapters import policy_watch
from gateway.adapters.policy_watch import changes

WITHIN_S = 30


async def noticed(watch: AsyncIterator[None]) -> None:
    async with asyncio.timeout(WITHIN_S):
        await anext(watch)


async def test_the_first_look_comes_by_itself_and_an_edit_brings_the_next(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one")
    async with aclosing(changes([tmp_path])) as watch:
        await noticed(watch)
        (tmp_path / "a.yaml").write_text("two")
        await noticed(watch)
        (tmp_path / "deep").mkdir()
        await noticed(watch)


async def test_a_file_is_watched_where_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one")
    async with aclosing(changes([tmp_path / "a.yaml"])) as watch:
        await noticed(watch)
        (tmp_path / "b.yaml").write_text("two")
        (tmp_path / "b.yaml").rename(tmp_path / "a.yaml")
        await noticed(watch)


async def test_a_link_that_leads_elsewhere_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_watch, "LOOK_AGAIN_MS", 50)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "policies").symlink_to("one")
    async with aclosing(changes([tmp_path / "policies"])) as watch:
        await noticed(watch)
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "policies")
        await noticed(watch)
        (tmp_path / "two" / "a.yaml").write_text("one")
        await noticed(watch)


async def test_a_folder_that_is_not_there_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_watch, "_AGAIN_S", 0.02)
    async with aclosing(changes([tmp_path / "away" / "policies"])) as watch:
        await noticed(watch)
        (tmp_path / "away").mkdir()
        (tmp_path / "away" / "policies").mkdir()
        for _ in range(3):
            await noticed(watch)
            (tmp_path / "away" / "policies" / "a.yaml").write_text("one")
