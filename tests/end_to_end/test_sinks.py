"""Every answered decision reaches the archive once and each sink at least once, whoever is away or killed."""

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.clock import SystemClock
from gateway.adapters.metrics import Metrics
from gateway.adapters.progress import ProgressFile
from gateway.adapters.proof import check
from gateway.adapters.retention import Retention
from gateway.adapters.sinks.progress import Progress
from gateway.core.search import Search
from tests.adapters.sinks.rig import Taken, service
from tests.under_load import answered_by, requests_of, served

SINKS = """
[[sinks]]
kind = "lines"
file = "decisions.ndjson"
linger = "10ms"

[[sinks]]
kind = "opa"
name = "siem"
url = "{url}"
linger = "10ms"
"""
LATE = 1 << 60


@pytest.fixture
def sinking(site: SimpleNamespace) -> SimpleNamespace:
    """The cast's gateway, shipping to sinks besides."""

    def configure(url: str, archive: str = 'ship = "process"') -> Path:
        text = re.sub(r'ship = "\w+"', archive, site.config.read_text())
        site.config.write_text(text + SINKS.format(url=url))
        return site.config

    site.configure = configure
    site.lines = site.folder / "decisions.ndjson"
    return site


class Siem:
    """A log service that can be away."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.away = False
        self.ids: Counter[str] = Counter()

    async def answer(self, request: web.Request, taken: Taken) -> web.Response:
        if self.away:
            return web.Response(status=503)
        self.ids.update(event["decision_id"] for event in taken.events())
        return web.Response()


def in_lines(file: Path) -> Counter[str]:
    return Counter(orjson.loads(line)["id"] for line in file.read_bytes().splitlines()) if file.exists() else Counter()


async def archived(folder: Path) -> Counter[str]:
    archive = SqliteArchive(folder / "decisions.db")
    await archive.start()
    try:
        found: Counter[str] = Counter()
        cursor = None
        while True:
            page = await archive.search(Search(), limit=200, cursor=cursor)
            found.update(one["id"] for one in page.documents)
            if (cursor := page.cursor) is None:
                return found
    finally:
        await archive.close()


async def taken_of(folder: Path) -> dict[str, tuple[int, int]]:
    archive = SqliteArchive(folder / "decisions.db")
    await archive.start()
    try:
        return dict(await archive.taken())
    finally:
        await archive.close()


def had_by_sinks(journal: Path) -> dict[str, dict[str, tuple[int, int]]]:
    found = {}
    for name in ("lines", "siem"):
        progress = Progress(journal / "sinks", name)
        found[name] = progress.take()
        progress.release()
    return found


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)


def shown(journal: Path) -> dict[str, float]:
    """Return what Prometheus is told of sinks."""
    metrics = Metrics(progress=ProgressFile(journal).read, unrecorded=lambda: 0, clock=SystemClock())
    return {
        f"{sample.name} {sample.labels['sink']}": sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        if "sink" in sample.labels
    }


async def stop(process) -> None:
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, 30)


async def test_what_was_answered_is_everywhere_though_a_sink_was_away_and_gateways_were_killed(sinking) -> None:
    siem, journal = Siem(), sinking.folder / "journal"
    async with service(siem.answer, siem.taken) as url:
        config = sinking.configure(url)
        siem.away = True
        with served(config) as (process, gateway):
            answered = await answered_by(gateway.port, requests_of(sinking), 150)
            await until(lambda: set(answered) <= set(in_lines(sinking.lines)))
            await until(lambda: shown(journal).get("gateway_sink_lag_seconds siem", 0) > 1)
            await until(lambda: shown(journal)["gateway_sink_lag_seconds lines"] == 0)
            assert shown(journal)["gateway_sink_behind_bytes siem"] > 0
            assert siem.taken, "it was asked, and is waited for"
            # Both at once: nobody has a last pass.
            os.killpg(gateway.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait, 30)
        assert set(answered) <= set(await archived(sinking.folder))

        # The archive has all of it and it is as old as it can be, and yet it stays.
        sinks = had_by_sinks(journal)
        retention = Retention(journal, keep_s=60, at_most=None, sinks=lambda: sinks)
        assert retention.remove(await taken_of(sinking.folder), LATE) == []

        siem.away = False
        with served(config) as (process, gateway):
            answered += await answered_by(gateway.port, requests_of(sinking), 150)
            await until(lambda: set(answered) <= set(siem.ids))
            await stop(process)

    lines, kept = in_lines(sinking.lines), await archived(sinking.folder)
    assert set(kept) == set(lines) == set(siem.ids) >= set(answered)
    assert set(kept.values()) == {1}
    # What came twice is what was under way when everything was killed.
    assert sum(lines.values()) - len(lines) <= len(answered)

    sinks = had_by_sinks(journal)
    assert retention.remove(await taken_of(sinking.folder), LATE)
    assert list(journal.glob("*.gwj")) == []
    assert retention.missed == {}
    assert check(journal).ok


async def test_the_end_of_a_gateway_leaves_no_sink_behind(sinking) -> None:
    siem = Siem()
    async with service(siem.answer, siem.taken) as url:
        with served(sinking.configure(url)) as (process, gateway):
            answered = await answered_by(gateway.port, requests_of(sinking), 100)
            await stop(process)

    assert set(answered) == set(siem.ids) == set(in_lines(sinking.lines)) == set(await archived(sinking.folder))
    assert set(siem.ids.values()) == {1}


@pytest.mark.parametrize("how", ["process", "thread"])
async def test_sinks_alone_are_fed_where_nothing_is_archived(sinking, how) -> None:
    siem, journal = Siem(), sinking.folder / "journal"
    async with service(siem.answer, siem.taken) as url:
        with served(sinking.configure(url, f'ship = "{how}"\nurl = "none"')) as (process, gateway):
            answered = await answered_by(gateway.port, requests_of(sinking), 100)
            await until(lambda: set(answered) <= set(siem.ids) & set(in_lines(sinking.lines)))
            await until(lambda: shown(journal).get("gateway_sink_decisions_total siem", 0) >= len(answered))
            await stop(process)

    assert not (sinking.folder / "decisions.db").exists()
    assert ProgressFile(journal).read().keys().isdisjoint({"shipped", "oldest"})
