"""What stays of the journal is decided by what everybody has, with an archive and without one."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.adapters.clock import SystemClock
from gateway.adapters.follow import Follower
from gateway.adapters.progress import ProgressFile
from gateway.adapters.segment_files import segment_files
from gateway.app import upkeep
from gateway.app.upkeep import Upkeep
from tests.shipping import journal_of


class Fed:
    """Sinks that have what they are said to have."""

    def __init__(self, places: dict) -> None:
        self.at = places
        self.gave_way: list[bool] = []

    def give_way(self, *, wanted: bool) -> None:
        self.gave_way.append(wanted)

    def places(self) -> dict:
        return self.at

    def damaged(self) -> int:
        return 3

    def noted(self) -> dict:
        return {f"sink:{name}:sent": 7 for name in self.at}


@pytest.fixture
def shipped(plan) -> dict:
    """All of a journal whose last decision is a year old."""
    journal_of(plan, 300)
    return {stretch.worker: (stretch.segment, stretch.end) for stretch in Follower(Path(plan.directory)).stretches({})}


def segments(plan) -> list[Path]:
    return sorted(Path(plan.directory).glob("*.gwj"))


async def alone(plan, fed: Fed) -> Upkeep:
    keeping = Upkeep(plan._replace(url=None), fed, SystemClock())
    stop = asyncio.Event()
    running = asyncio.get_running_loop().create_task(keeping.alone(stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(running, 20)
    return keeping


async def test_without_an_archive_what_all_sinks_have_goes(plan, shipped) -> None:
    await alone(plan, Fed({"one": shipped, "two": shipped}))

    assert segments(plan) == []
    noted = ProgressFile(Path(plan.directory)).read()
    assert (noted["removed"], noted["journal_bytes"], noted["damaged"], noted["sink:one:sent"]) == (1, 0, 3, 7)
    assert "shipped" not in noted


@pytest.mark.parametrize("places", [{"one": "all", "two": {}}, {}])
async def test_without_an_archive_what_some_sink_lacks_stays_though_room_runs_short(plan, shipped, places) -> None:
    places = {name: shipped if at == "all" else at for name, at in places.items()}

    await alone(plan._replace(journal_at_most=1), Fed(places))

    assert len(segments(plan)) == 1


def test_with_an_archive_sinks_are_waited_for(plan, shipped) -> None:
    keeping = Upkeep(plan, Fed({"one": {}}), SystemClock())

    assert keeping.retention.remove(shipped, SystemClock().now()) == []
    assert keeping.retention.had == {}


def test_what_a_sink_missed_is_written_down(plan, shipped) -> None:
    keeping = Upkeep(plan._replace(journal_at_most=1), Fed({"one": {}}), SystemClock())
    with capture_logs():
        assert len(keeping.retention.remove(shipped, SystemClock().now())) == 1

    keeping.note({"at": 1, "shipped": 2})

    noted = ProgressFile(Path(plan.directory)).read()
    assert noted == {"at": 1, "shipped": 2, "sink:one:sent": 7, "sink:one:missed": 1}


def test_sinks_give_way_while_the_archive_catches_up_and_not_while_it_is_away(plan, shipped) -> None:
    fed = Fed({})
    keeping = Upkeep(plan, fed, SystemClock())
    for behind_bytes, at in ((1 << 30, 100), (1 << 29, 200), (1 << 29, 200), (1 << 28, 300), (1000, 400)):
        keeping.note({"at": 1, "shipped": at, "behind_bytes": behind_bytes})

    assert fed.gave_way == [True, True, True, False, True, False], "and from the start, while nothing is known yet"


@pytest.mark.parametrize("compress", [True, False])
async def test_what_everybody_had_is_compressed_where_that_is_wanted(plan, shipped, monkeypatch, compress) -> None:
    monkeypatch.setattr(upkeep, "KEPT_EVERY_S", 0.01)
    keeping = Upkeep(plan._replace(compress=compress), Fed({}), SystemClock())
    keeping.retention.remove(shipped, 0)
    stop = asyncio.Event()
    running = asyncio.get_running_loop().create_task(keeping.compress(stop))

    def packed() -> list[bool]:
        return [file.packed for file in segment_files(Path(plan.directory), {}, lambda _: None)]

    if compress:
        async with asyncio.timeout(20):
            while packed() != [True]:  # noqa: ASYNC110 - a thread does it
                await asyncio.sleep(0.01)
    else:
        await asyncio.wait_for(running, 20)
    stop.set()
    await asyncio.wait_for(running, 20)

    assert packed() == [compress]


async def test_what_a_sink_lacks_is_not_compressed(plan, shipped, monkeypatch) -> None:
    keeping = Upkeep(plan, Fed({"one": {}}), SystemClock())
    keeping.retention.remove(shipped, 0)
    asked = []
    stop = asyncio.Event()

    def compress(directory, had, budget_s, *, stop) -> None:
        asked.append(dict(had))
        keeping._loop.call_soon_threadsafe(ended.set)

    ended = asyncio.Event()
    keeping._loop = asyncio.get_running_loop()
    monkeypatch.setattr(upkeep, "KEPT_EVERY_S", 0.01)
    monkeypatch.setattr(upkeep, "compress_shipped", compress)
    running = asyncio.get_running_loop().create_task(keeping.compress(stop))
    await asyncio.wait_for(ended.wait(), 20)
    stop.set()
    await asyncio.wait_for(running, 20)

    assert asked[0] == {}


async def test_a_folder_that_cannot_be_compressed_is_said_and_tried_again(plan, shipped, monkeypatch) -> None:
    times = []

    def full(*args, **options) -> None:
        times.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(upkeep, "KEPT_EVERY_S", 0.001)
    monkeypatch.setattr(upkeep, "compress_shipped", full)
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.get_running_loop().create_task(Upkeep(plan, Fed({}), SystemClock()).compress(stop))
        async with asyncio.timeout(20):
            while len(times) < 2:  # noqa: ASYNC110 - a thread does it
                await asyncio.sleep(0.005)
        stop.set()
        await asyncio.wait_for(running, 20)
    assert "No space left" in logs[0]["what"]
