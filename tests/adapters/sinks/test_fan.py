import asyncio
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.adapters.follow import Follower
from gateway.adapters.journal import FileJournal
from gateway.adapters.sinks import SinkUnavailable
from gateway.adapters.sinks.fan import Fan, Pace
from gateway.adapters.sinks.jsonl import LinesFile
from gateway.adapters.sinks.progress import Progress
from gateway.core.decision import Document
from gateway.ports import Ruling, Stretch, ruling_digest
from tests.adapters.sinks.rig import RULING, Taken, decision, document, first_seen, journal, number_of, service

ROOT = Path(__file__).resolve().parents[3]
PACE = Pace(batch=10, linger_s=0, idle_s=0.005, pause_s=0.001, most_pause_s=0.002)


class Memory:
    """A sink that keeps what it is sent, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.faults: list[Exception] = []
        self.closed = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, batch: Sequence[Document]) -> None:
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)
        self.batches.append([one["id"] for one in batch])

    async def close(self) -> None:
        self.closed = True

    @property
    def numbers(self) -> list[int]:
        return [number_of(one)[1] for batch in self.batches for one in batch]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


def fan(folder: Path, sink: Memory, count: int = 25, *, pace: Pace = PACE, **more: int) -> Fan:
    return Fan("log", sink, journal(count, **more), Progress(folder, "log"), chance=lambda: 0.5, pace=pace)


async def test_each_worker_s_decisions_arrive_in_order_and_the_progress_says_how_far(tmp_path: Path) -> None:
    sink = Memory()
    feeding = fan(tmp_path, sink, 25, workers=3)
    await feeding.start()
    await until(lambda: feeding.sent == 75)
    await feeding.close()

    assert first_seen(one for batch in sink.batches for one in batch) == {
        worker: list(range(25)) for worker in range(3)
    }
    assert max(map(len, sink.batches)) == 10
    assert Progress(tmp_path, "log").take() == {f"w{worker}": (1, 25) for worker in range(3)}
    assert sink.closed
    assert (feeding.buffered, feeding.oldest_at, feeding.failures, feeding.trouble) == (0, None, 0, None)


async def test_a_second_start_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    for count, expected in ((10, range(10)), (25, range(10, 25))):
        sink = Memory()
        feeding = fan(tmp_path, sink, count)
        await feeding.start()
        await until(lambda: feeding.sent == len(expected))  # noqa: B023 - it is over before the next
        await feeding.close()
        assert sink.numbers == list(expected)


async def test_a_sink_that_is_away_is_asked_again_and_gets_everything_in_order(tmp_path: Path) -> None:
    sink = Memory()
    sink.faults = [SinkUnavailable("away"), ValueError("broken"), SinkUnavailable("away", retry_after_s=0.01)]
    feeding = fan(tmp_path, sink)
    with capture_logs() as logs:
        await feeding.start()
        await until(lambda: feeding.sent == 25)
        await feeding.close()

    assert sink.numbers == list(range(25))
    assert feeding.failures == 3
    assert [log["event"] for log in logs] == ["sink:away", "sink:back"]


async def test_what_a_sink_asks_for_is_waited_for_and_the_pauses_double_up_to_the_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Memory()
    away = SinkUnavailable("away")
    sink.faults = [
        away,
        away,
        away,
        SinkUnavailable("later", retry_after_s=300),
        SinkUnavailable("x", retry_after_s=1e9),
    ]
    feeding = fan(tmp_path, sink, pace=PACE._replace(pause_s=1, most_pause_s=3))
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(feeding, "_pause", note)
    await feeding.start()
    await until(lambda: feeding.sent == 25)
    await feeding.close()

    assert pauses[:5] == [0.75, 1.5, 2.25, 300, 3600]


async def test_a_sink_that_never_answers_takes_only_the_buffer_and_holds_up_nobody(tmp_path: Path) -> None:
    stuck, well = Memory(), Memory()
    stuck.gate.clear()
    pace = PACE._replace(buffer=50, close_s=0.01)
    first = Fan("stuck", stuck, journal(10_000), Progress(tmp_path, "stuck"), chance=random.random, pace=pace)
    second = Fan("well", well, journal(500), Progress(tmp_path, "well"), chance=random.random, pace=pace)
    await first.start()
    await second.start()
    await until(lambda: second.sent == 500)

    assert 50 <= first.buffered < 50 + 7
    assert (first.sent, first.oldest_at) == (0, 1_763_700_000_000_000)
    await first.close()
    await second.close()
    assert first.sent_to == {}


async def test_a_sink_that_takes_too_long_is_interrupted(tmp_path: Path) -> None:
    sink = Memory()
    sink.gate.clear()
    feeding = fan(tmp_path, sink, pace=PACE._replace(send_s=0.01))
    await feeding.start()
    await until(lambda: feeding.failures >= 2)
    sink.gate.set()
    await until(lambda: feeding.sent == 25)
    await feeding.close()
    assert sink.numbers == list(range(25))


async def test_the_end_sends_what_waits_for_company(tmp_path: Path) -> None:
    sink = Memory()
    feeding = fan(tmp_path, sink, 5, pace=PACE._replace(linger_s=3600))
    await feeding.start()
    await until(lambda: feeding.buffered == 5)
    assert sink.batches == []
    await feeding.close()
    assert sink.numbers == list(range(5))
    assert Progress(tmp_path, "log").take() == {"w0": (1, 5)}


async def test_a_journal_that_cannot_be_read_for_a_while_is_read_when_it_can(tmp_path: Path) -> None:
    sink = Memory()
    faults = [OSError("the disk"), OSError("the disk")]
    whole = journal(25)

    def stretches(places: Mapping[str, tuple[int, int]]) -> Iterator[Stretch]:
        if faults:
            raise faults.pop()
        return whole(places)

    feeding = Fan("log", sink, stretches, Progress(tmp_path, "log"), chance=random.random, pace=PACE)
    await feeding.start()
    await until(lambda: feeding.sent == 25)
    await feeding.close()
    assert feeding.failures == 2


async def test_a_decision_that_nobody_can_read_is_named_and_left_out(tmp_path: Path) -> None:
    sink = Memory()

    def stretches(places: Mapping[str, tuple[int, int]]) -> Iterator[Stretch]:
        for stretch in journal(7)(places):
            odd = stretch.decisions[3]._replace(ruling=b"?" * 16)
            yield stretch._replace(decisions=[*stretch.decisions[:3], odd, *stretch.decisions[4:]])

    feeding = Fan("log", sink, stretches, Progress(tmp_path, "log"), chance=random.random, pace=PACE)
    with capture_logs() as logs:
        await feeding.start()
        await until(lambda: feeding.sent == 6)
        await feeding.close()
    assert sink.numbers == [0, 1, 2, 4, 5, 6]
    assert feeding.unreadable == 1
    assert [number_of(log["id"])[1] for log in logs] == [3]


async def test_two_processes_never_feed_one_sink(tmp_path: Path) -> None:
    one, other = fan(tmp_path, Memory()), fan(tmp_path, Memory())
    await one.start()
    with pytest.raises(SinkUnavailable, match="another process feeds this sink"):
        await other.start()
    await one.close()
    await other.start()
    await other.close()


async def test_a_journal_that_is_being_written_arrives_whole_across_its_segments(tmp_path: Path) -> None:
    recording = FileJournal(tmp_path / "journal", worker="w0", segment_bytes=32 * 1024)
    await recording.start()
    ruling = Ruling(RULING)
    lines = LinesFile(tmp_path / "decisions.jsonl")
    stretches = Follower(tmp_path / "journal").stretches
    feeding = Fan("file", lines, stretches, Progress(tmp_path, "file"), chance=random.random, pace=PACE)
    await feeding.start()
    for start in range(0, 1000, 50):
        for n in range(start, start + 50):
            one = decision(n)
            recording.append(ruling, one.id, one.at, one.auth_age, one.took_us, one.request)
        await until(lambda: feeding.sent == start + 50)  # noqa: B023 - it is over before the next
    await feeding.close()
    await recording.close()

    found = [orjson.loads(line) for line in (tmp_path / "decisions.jsonl").read_bytes().splitlines()]
    assert found == [document(n) for n in range(1000)]
    assert feeding.sent_to["w0"][0] > 1


@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.soak)])
async def test_nothing_is_lost_and_the_order_is_kept_however_often_the_sender_is_killed(
    tmp_path: Path, kills: int
) -> None:
    count = 100 * kills
    chance = random.Random(kills)
    taken: list[Taken] = []
    answered: list[str] = []
    running: list[asyncio.subprocess.Process] = []
    killed = 0

    async def answer(request: web.Request, one: Taken) -> web.Response | None:
        nonlocal killed
        what = chance.random()
        if what < 0.08:
            return web.Response(status=503, headers={"Retry-After": "0"})
        if what < 0.16:
            return None
        answered.extend(event["decision_id"] for event in one.events())
        if what < 0.45 and killed < kills:
            # It has been taken, and the sender dies before it hears so.
            killed += 1
            running[-1].kill()
            return None
        return web.Response()

    async with service(answer, taken) as url:
        for _ in range(kills + 1):
            arguments = ("-m", "tests.adapters.sinks.sender", url, str(tmp_path), str(count))
            running.append(await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT))
            async with asyncio.timeout(60):
                code = await running[-1].wait()
            if code == 0:
                break
            assert code == -9

    assert killed == kills
    assert first_seen(answered) == {0: list(range(count)), 1: list(range(count))}
    assert len(answered) > 2 * count, "what was on its way came again, and the ids tell it"


def test_the_rig_tells_numbers_from_ids() -> None:
    seen: dict[str, Any] = {one.worker: one for one in journal(3, workers=2)({})}
    assert [number_of(f"{int.from_bytes(one.id, 'big'):032x}") for one in seen["w1"].decisions] == [
        (1, 0),
        (1, 1),
        (1, 2),
    ]


async def test_the_end_sends_what_the_journal_got_since_it_was_read_last(tmp_path: Path) -> None:
    sink = Memory()
    there = 5

    def stretches(places: Mapping[str, tuple[int, int]]) -> Iterator[Stretch]:
        return journal(there)(places)

    feeding = Fan(
        "log", sink, stretches, Progress(tmp_path, "log"), chance=lambda: 0.5, pace=PACE._replace(idle_s=1000)
    )
    await feeding.start()
    await until(lambda: feeding.sent == 5)
    there = 12
    await feeding.close()

    assert sink.numbers == list(range(12))
    assert Progress(tmp_path, "log").take() == {"w0": (1, 12)}


async def test_what_the_sink_lacks_is_asked_in_the_thread_that_reads(tmp_path: Path) -> None:
    sink = Memory()
    sink.gate.clear()
    threads = set()

    def stretches(places: Mapping[str, tuple[int, int]]) -> Iterator[Stretch]:
        threads.add(threading.get_ident())
        return journal(25)(places)

    def behind(places: Mapping[str, tuple[int, int]]) -> tuple[int, int | None]:
        threads.add(threading.get_ident())
        return 25 - places.get("w0", (1, 0))[1], None

    feeding = Fan("log", sink, stretches, Progress(tmp_path, "log"), chance=lambda: 0.5, pace=PACE)
    await feeding.start()
    await until(lambda: feeding.buffered == 25)
    assert await feeding.behind(behind) == (25, None)
    sink.gate.set()
    await until(lambda: feeding.sent_to == {"w0": (1, 25)})
    assert await feeding.behind(behind) == (0, None)
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    await feeding.close()


async def test_a_share_of_the_time_is_a_share_of_the_time(tmp_path: Path) -> None:
    def stretches(places: Mapping[str, tuple[int, int]]) -> Iterator[Stretch]:
        time.sleep(0.02)
        return journal(20, stretch=1)(places)

    feeding = Fan(
        "log",
        Memory(),
        stretches,
        Progress(tmp_path, "log"),
        chance=lambda: 0.5,
        pace=PACE._replace(buffer=1),
        share=lambda: 0.1,
    )
    began = time.monotonic()
    await feeding.start()
    await until(lambda: feeding.sent >= 3)
    took = time.monotonic() - began
    await feeding.close()

    # Three times 20 ms of reading, each with nine times as long to rest; the last rest was not awaited.
    assert took > 2 * 0.2


async def test_a_decision_that_is_not_whole_is_left_out_and_counted_for_no_sink_could_take_it(tmp_path: Path) -> None:
    def stretches(places: Mapping[str, tuple[int, int]]) -> Iterator[Stretch]:
        if not places:
            rulings = {ruling_digest(one): one for one in (RULING, b'{"facts":null}')}
            decisions = [decision(n, ruling=one) for n, one in enumerate(rulings.values())]
            yield Stretch("w0", 1, 0, 2, rulings, decisions)

    sink = Memory()
    feeding = Fan("log", sink, stretches, Progress(tmp_path, "log"), chance=lambda: 0.5, pace=PACE)
    with capture_logs() as logs:
        await feeding.start()
        await until(lambda: bool(feeding.sent_to))
        await feeding.close()

    assert sink.numbers == [0]
    assert feeding.unreadable == 1
    (said,) = [one for one in logs if one["event"] == "sink:unreadable"]
    assert "it has no bundle, client_ip, editions, operation" in said["why"]
