"""Sinks are fed from the journal's folder: each for itself, from where it was, until the end."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.adapters.clock import SystemClock
from gateway.adapters.live_segment import Bounds
from gateway.adapters.sinks.progress import Progress
from gateway.app import feeding
from gateway.app.feeding import Feeding
from gateway.core.pseudonyms import Pseudonyms
from tests.adapters.sinks.rig import RULING, accept, answers, service
from tests.shipping import journal_of

DECISIONS = 40


@pytest.fixture
def folder(plan) -> Path:
    journal_of(plan, DECISIONS, RULING)
    return Path(plan.directory)


def feed(folder: Path, *sinks: dict, warn_behind_us: int = 1 << 60) -> Feeding:
    return Feeding(sinks, folder, clock=SystemClock(), bounds=Bounds(), share=1.0, warn_behind_us=warn_behind_us)


def lines(folder: Path, name: str = "lines") -> dict:
    return {"kind": "lines", "name": name, "file": str(folder.parent / f"{name}.ndjson"), "linger_ms": 0}


def ids(file: Path) -> list[str]:
    return [orjson.loads(line)["id"] for line in file.read_bytes().splitlines()] if file.exists() else []


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - what is waited for is in files
            await asyncio.sleep(0.005)


async def live(all_of: Feeding, done: Callable[[], bool]) -> None:
    """Feed until it is done, and end."""
    stop = asyncio.Event()
    running = asyncio.get_running_loop().create_task(all_of.run(stop))
    try:
        await until(done)
    finally:
        stop.set()
        await asyncio.wait_for(running, 20)


async def test_each_sink_has_everything_and_its_progress_is_in_a_folder_of_its_own(folder) -> None:
    both = feed(folder, lines(folder, "one"), lines(folder, "two"))
    files = [folder.parent / f"{name}.ndjson" for name in ("one", "two")]

    await live(both, lambda: all(len(ids(file)) == DECISIONS for file in files))

    assert len(set(ids(files[0]))) == DECISIONS
    assert ids(files[0]) == ids(files[1])
    assert sorted(path.name for path in (folder / "sinks").iterdir()) == [
        "one.json",
        "one.lock",
        "two.json",
        "two.lock",
    ]
    assert both.places()["one"] == both.places()["two"]
    assert both.places()["one"]["w0"][0] == 1


async def test_an_end_that_comes_at_once_still_sends_what_is_there(folder) -> None:
    stop = asyncio.Event()
    stop.set()

    await asyncio.wait_for(feed(folder, lines(folder)).run(stop), 20)

    assert len(ids(folder.parent / "lines.ndjson")) == DECISIONS


async def test_a_sink_that_is_away_holds_up_no_other_and_catches_up(folder, monkeypatch) -> None:
    taken: list = []
    async with service(answers(503, 503, 503), taken) as url:
        opa = {"kind": "opa", "name": "siem", "url": url, "linger_ms": 0}
        both = feed(folder, opa, lines(folder))
        with capture_logs() as logs:
            await live(both, lambda: both.noted()["sink:siem:sent"] == DECISIONS)

    assert len(ids(folder.parent / "lines.ndjson")) == DECISIONS
    assert [event["decision_id"] for event in taken[-1].events()] == ids(folder.parent / "lines.ndjson")
    assert both.noted()["sink:siem:failures"] == 3
    assert both.noted()["sink:lines:failures"] == 0
    assert [one["event"] for one in logs if one.get("sink") == "siem"] == ["sink:away", "sink:back"]


async def test_how_far_behind_a_sink_is_is_known_before_it_has_anything(folder) -> None:
    taken: list = []
    async with service(answers(*[503] * 1000), taken) as url:
        away = feed(folder, {"kind": "opa", "name": "siem", "url": url, "linger_ms": 0})
        assert away.noted()["sink:siem:oldest"] is not None, "nobody looked yet"
        stop = asyncio.Event()
        running = asyncio.get_running_loop().create_task(away.run(stop))
        await until(lambda: away.noted()["sink:siem:behind_bytes"])
        assert away.noted()["sink:siem:oldest"] == 1_763_700_000_000_000
        stop.set()
        await asyncio.wait_for(running, 20)
    assert away.places() == {"siem": {}}


async def test_a_sink_that_falls_behind_is_said_once_and_so_is_that_it_caught_up(folder, monkeypatch) -> None:
    monkeypatch.setattr(feeding, "_LOOKED_EVERY_S", 0.005)
    state = {"status": 503}

    async def answer(request, taken):
        return await answers(*([503] if state["status"] == 503 else []))(request, taken)

    async with service(answer, []) as url:
        slow = feed(folder, {"kind": "opa", "name": "siem", "url": url, "linger_ms": 0}, warn_behind_us=1)
        with capture_logs() as logs:
            stop = asyncio.Event()
            running = asyncio.get_running_loop().create_task(slow.run(stop))
            await until(lambda: any(one["event"] == "sink:behind" for one in logs))
            state["status"] = 200
            await until(lambda: any(one["event"] == "sink:caught_up" for one in logs))
            stop.set()
            await asyncio.wait_for(running, 20)

    (behind,) = [one for one in logs if one["event"] == "sink:behind"]
    assert (behind["sink"], behind["bytes"] > 0, behind["seconds"] > 0) == ("siem", True, True)


async def test_a_sink_that_somebody_else_feeds_is_begun_when_that_ends(folder, monkeypatch) -> None:
    monkeypatch.setattr(feeding, "AGAIN_S", 0.01)
    other = Progress(folder / "sinks", "lines")
    other.take()
    waiting = feed(folder, lines(folder))
    with capture_logs() as logs:
        stop = asyncio.Event()
        running = asyncio.get_running_loop().create_task(waiting.run(stop))
        await until(lambda: bool(logs))
        assert waiting.places() == {"lines": {}}, "nothing is known of it, so nothing may be removed"
        other.release()
        await until(lambda: len(ids(folder.parent / "lines.ndjson")) == DECISIONS)
        stop.set()
        await asyncio.wait_for(running, 20)
    assert {one["why"].rpartition(": ")[2] for one in logs} == {"another process feeds this sink"}


async def test_a_sink_that_cannot_be_built_any_more_is_tried_again_beside_the_others(folder, monkeypatch) -> None:
    monkeypatch.setattr(feeding, "AGAIN_S", 0.01)
    token = folder.parent / "token"
    async with service(accept, []) as url:
        opa = {"kind": "opa", "name": "siem", "url": url, "linger_ms": 0, "token_file": str(token)}
        both = feed(folder, opa, lines(folder))
        with capture_logs() as logs:
            stop = asyncio.Event()
            running = asyncio.get_running_loop().create_task(both.run(stop))
            await until(lambda: len(ids(folder.parent / "lines.ndjson")) == DECISIONS)
            assert any(one["event"] == "sink:away" and one["sink"] == "siem" for one in logs)
            token.write_text("s3cret")
            await until(lambda: both.noted()["sink:siem:sent"] == DECISIONS)
            stop.set()
            await asyncio.wait_for(running, 20)


async def test_a_fault_that_nobody_thought_of_ends_one_sink_for_a_while_and_no_other(folder, monkeypatch) -> None:
    monkeypatch.setattr(feeding, "AGAIN_S", 0.01)
    faults = [RuntimeError("a bug")]
    build = feeding.sink_of

    def breaks_once(spec):
        if spec["name"] == "one" and faults:
            raise faults.pop()
        return build(spec)

    monkeypatch.setattr(feeding, "sink_of", breaks_once)
    both = feed(folder, lines(folder, "one"), lines(folder, "two"))
    files = [folder.parent / f"{name}.ndjson" for name in ("one", "two")]
    with capture_logs() as logs:
        await live(both, lambda: all(len(ids(file)) == DECISIONS for file in files))
    assert [one["sink"] for one in logs if one["event"] == "sink:fault"] == ["one"]


async def test_a_sink_is_sent_digests_in_place_of_personal_data_where_that_is_wanted(folder) -> None:
    key = folder.parent / "digest.key"
    key.write_bytes(bytes(range(100, 140)))
    sinks = [{**lines(folder, "one"), "personal": "digest"}, lines(folder, "two")]
    both = Feeding(
        sinks,
        folder,
        clock=SystemClock(),
        bounds=Bounds(),
        share=1.0,
        warn_behind_us=1 << 60,
        digest_key=str(key),
    )
    files = [folder.parent / f"{name}.ndjson" for name in ("one", "two")]
    await live(both, lambda: all(len(ids(file)) == DECISIONS for file in files))

    digests, clear = (file.read_text() for file in files)
    pseudonyms = Pseudonyms(key.read_bytes())
    for personal, digest in (("81.20.30.40", pseudonyms.address), ("alice", pseudonyms.account)):
        assert personal in clear
        assert personal not in digests
        assert digest(personal) in digests
    assert ids(files[0]) == ids(files[1])


async def test_without_the_key_of_digests_nothing_is_sent_in_the_clear_instead(folder, monkeypatch) -> None:
    monkeypatch.setattr(feeding, "AGAIN_S", 0.01)
    with capture_logs() as logs:
        await live(feed(folder, {**lines(folder), "personal": "digest"}), lambda: len(logs) > 1)
    assert "archive.digest_key" in logs[0]["why"]
    assert not (folder.parent / "lines.ndjson").exists()


def test_who_gives_way_works_a_part_of_the_time_and_never_more_than_it_may(folder) -> None:
    for share, less in ((1.0, feeding.GIVING_WAY), (0.1, 0.1)):
        one = Feeding(
            [lines(folder)], folder, clock=SystemClock(), bounds=Bounds(), share=share, warn_behind_us=1 << 60
        )
        one.give_way(wanted=True)
        assert [feed.share for feed in one._feeds] == [less]
        one.give_way(wanted=False)
        assert [feed.share for feed in one._feeds] == [share]


async def test_damage_stops_no_sink_and_is_counted_once_for_all(folder) -> None:
    (segment,) = folder.glob("*.gwj")
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 1
    segment.write_bytes(raw)
    both = feed(folder, lines(folder, "one"), lines(folder, "two"))
    await live(both, lambda: all(both.noted()[f"sink:{name}:sent"] for name in ("one", "two")))

    assert both.damaged() == 1
    assert 0 < len(ids(folder.parent / "one.ndjson")) < DECISIONS


async def test_without_sinks_nothing_is_done(folder) -> None:
    none = feed(folder)
    await none.run(asyncio.Event())
    assert (none.places(), none.noted()) == ({}, {})
    assert not (folder / "sinks").exists()
