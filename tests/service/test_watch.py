import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.adapters.alarms import AlarmFile
from gateway.adapters.archive.memory import MemoryArchive
from gateway.core import bands
from gateway.core.alarms import HOUR, Alarm, Tally
from gateway.core.decision import Document
from gateway.core.errors import StoreUnavailable
from gateway.core.search import Page, Search
from gateway.ports import Count, RuleCount, Stretch
from gateway.service import watch as watch_module
from gateway.service.watch import SETTLE_S, Watch
from tests.contract.stretches import decision, ruling, stretch
from tests.traffic import MONDAY, NEW, OLD, WithRules, rows_of
from tests.world import FakeClock

START = MONDAY + 673 * HOUR
"""The first hour that has four weeks behind it."""


class Counted:
    """An archive that answers counts, and the newest document of each hour."""

    def __init__(self) -> None:
        self.hours: dict[int, list[Count]] = {}
        self.editions: dict[int, list[str]] = {}
        self.rules: dict[int, str] = {}
        """What determined the refusals of an hour."""
        self.asked: list[tuple[int, int]] = []
        self.by_rule: dict[int, dict[str, int]] = {}
        self.away: set[str] = set()

    def add(self, at: int, refused: int, decisions: int, *, bundle: str = OLD, country: str = "FR") -> None:
        rows = rows_of(at, country, refused, decisions, bundle=bundle)
        self.hours.setdefault(at, []).extend(Count(*row) for row in rows)

    async def counts(self, since: int, until: int) -> Sequence[Count]:
        await asyncio.sleep(0)
        if "counts" in self.away:
            raise StoreUnavailable("the archive is away")
        self.asked.append((since, until))
        return [one for hour in sorted(self.hours) if since <= hour < until for one in self.hours[hour]]

    async def rule_counts(self, since: int, until: int) -> Sequence[RuleCount]:
        if "rule_counts" in self.away:
            raise StoreUnavailable("the archive is away")
        found = [(hour, self.by_rule[hour]) for hour in sorted(self.by_rule) if since <= hour < until]
        return [RuleCount(hour, rule, OLD, refused) for hour, rules in found for rule, refused in rules.items()]

    async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
        if "search" in self.away:
            raise StoreUnavailable("the archive is away")
        assert search.since is not None
        assert search.until is not None
        if search.outcome is not None:
            found = [rule for hour, rule in self.rules.items() if search.since <= hour < search.until]
            by = [[dict(zip(("policy", "rule"), one.split("/"), strict=True))] for one in found]
            return Page(tuple({"facts": {"country": search.country}, "verdict": {"by": one}} for one in by), None)
        hours = [hour for hour in sorted(self.editions, reverse=True) if search.since <= hour < search.until]
        # The newest could not be read: it was looked up in no edition.
        documents: list[Document] = [{"editions": []}, *({"editions": self.editions[hour]} for hour in hours)]
        return Page(tuple(documents[:limit]), None)

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def taken(self) -> Mapping[str, tuple[int, int]]:
        return {}

    async def take(self, stretch: Stretch) -> int:
        return 0

    async def find(self, decision_id: str) -> Document | None:
        return None

    async def forget(self, before: int) -> int:
        return 0


def clock_after(hour: int) -> FakeClock:
    """The clock when an hour is over and has settled."""
    clock = FakeClock()
    set_to(clock, hour)
    return clock


def set_to(clock: FakeClock, hour: int) -> None:
    clock.at = hour + HOUR + SETTLE_S * 1_000_000


def events(logs: Sequence[Mapping[str, Any]]) -> list[str]:
    return [log["event"] for log in logs]


@pytest.fixture
def archive() -> Counted:
    """Four weeks in which a fiftieth is refused."""
    archive = Counted()
    for hour in range(MONDAY, START, HOUR):
        archive.add(hour, 4, 200)
    return archive


@pytest.fixture(autouse=True)
def _by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bands, watch_module):
        monkeypatch.setattr(module, "Dimension", WithRules)


def about_the_country(alarms: Sequence[Alarm]) -> list[tuple[str | None, bool]]:
    return [(alarm.value, alarm.rose) for alarm in alarms if alarm.dimension == "country"]


async def test_an_unusual_hour_is_told_once_until_it_was_usual_again(archive: Counted) -> None:
    clock = clock_after(START - HOUR)
    watch = Watch(archive, clock)
    assert await watch.look() == ()
    story = [(200, True), (190, False), (200, False), (4, False), (5, False), (200, True)]
    for number, (refused, told) in enumerate(story):
        hour = START + number * HOUR
        archive.add(hour, refused, 200, bundle=NEW)
        set_to(clock, hour)
        with capture_logs() as logs:
            raised = await watch.look()
        assert (about_the_country(raised) == [("FR", True)]) is told
        assert ("refusals:unusual" in events(logs)) is told
        assert ("refusals:usual_again" in events(logs)) is (number == 3)
        assert (about_the_country(watch.open) == [("FR", True)]) is (refused > 5)
    assert watch.raised == len(watch.recent) == 6, "the country, the reason and the operation, twice"


async def test_the_event_says_what_is_needed_and_names_bundle_and_edition(archive: Counted) -> None:
    clock = clock_after(START)
    archive.add(START, 200, 200, bundle=NEW)
    archive.editions = {
        START - 5 * HOUR: ["city 2025-11-01", "asn 2025-11-01"],
        START: ["city 2025-11-24", "asn 2025-11-01"],
    }
    with capture_logs() as logs:
        raised = await Watch(archive, clock).look()
    (event,) = [log for log in logs if log["by"] == "country"]
    assert event["event"] == "refusals:unusual"
    assert (event["value"], event["rose"], event["refused"], event["decisions"]) == ("FR", True, 200, 200)
    assert (event["hour"], event["hours"]) == (START, 1)
    assert event["usual"] == 0.02
    assert event["low"] < event["usual"] < event["high"] < 0.1
    assert (event["bundles"], event["editions"]) == ([NEW], ["city 2025-11-24"])
    assert event["what"] == raised[0].text()
    assert "edition city 2025-11-24 is new" in event["what"]


async def test_an_archive_that_finds_no_decisions_still_alarms(archive: Counted) -> None:
    archive.add(START, 200, 200)
    archive.away = {"search"}
    (alarm, *_) = await Watch(archive, clock_after(START)).look()
    assert (alarm.value, alarm.editions) == ("FR", ())


async def test_an_hour_is_looked_at_when_it_is_over_and_settled_and_no_sooner(archive: Counted) -> None:
    archive.add(START, 200, 200)
    clock = clock_after(START)
    clock.at -= 1
    watch = Watch(archive, clock)
    assert await watch.look() == ()
    clock.at += 1
    assert about_the_country(await watch.look()) == [("FR", True)]
    assert await watch.look() == ()


async def test_hours_that_were_slept_through_are_looked_at_in_order(archive: Counted) -> None:
    clock = clock_after(START - HOUR)
    watch = Watch(archive, clock)
    await watch.look()
    for number, refused in enumerate([4, 200, 4, 200]):
        archive.add(START + number * HOUR, refused, 200)
    set_to(clock, START + 3 * HOUR)
    raised = [alarm.hour for alarm in await watch.look() if alarm.dimension == "country"]
    assert raised == [START + HOUR, START + 3 * HOUR]


async def test_the_first_look_goes_back_as_far_as_it_is_asked(archive: Counted) -> None:
    archive.add(START, 200, 200)
    for number in range(1, 10):
        archive.add(START + number * HOUR, 4, 200)
    clock = clock_after(START + 9 * HOUR)
    assert await Watch(archive, clock).look() == ()
    assert about_the_country(await Watch(archive, clock).look(hours=12)) == [("FR", True)]


async def test_what_the_archive_got_late_is_counted_in_the_next_look(archive: Counted) -> None:
    clock = clock_after(START)
    watch = Watch(archive, clock)
    await watch.look()
    archive.add(START, 4, 200)
    archive.add(START + HOUR, 4, 200)
    set_to(clock, START + HOUR)
    await watch.look()
    assert archive.asked[-1] == (START, START + 2 * HOUR)
    assert watch._history._hours[START].decisions == 200


async def test_after_the_first_look_only_two_hours_are_read(archive: Counted) -> None:
    clock = clock_after(START)
    watch = Watch(archive, clock)
    await watch.look()
    assert max(until - since for since, until in archive.asked) == 24 * HOUR
    before = len(archive.asked)
    set_to(clock, START + HOUR)
    await watch.look()
    assert len(archive.asked) == before + 1


async def test_an_archive_that_is_away_hides_no_hour(archive: Counted) -> None:
    clock = clock_after(START - HOUR)
    watch = Watch(archive, clock)
    for _ in range(2):
        archive.away = {"counts"}
        with pytest.raises(StoreUnavailable):
            await watch.look()
        archive.away = set()
        await watch.look()
        archive.add(START, 200, 200)
        set_to(clock, START)
    assert about_the_country(watch.open) == [("FR", True)]


async def test_it_looks_by_itself_each_hour_and_again_soon_after_a_failure(
    archive: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = clock_after(START)
    clock.at += 600 * 1_000_000
    archive.add(START, 200, 200)
    archive.away = {"counts"}
    pauses: list[float] = []
    slept = asyncio.Event()
    asleep = asyncio.sleep

    async def note(seconds: float) -> None:
        if seconds == 0:
            return await asleep(0)
        pauses.append(seconds)
        archive.away = set()
        if len(pauses) == 2:
            slept.set()
            await asyncio.Event().wait()
        return None

    monkeypatch.setattr(asyncio, "sleep", note)
    watch = Watch(archive, clock)
    with capture_logs() as logs:
        await watch.start()
        async with asyncio.timeout(20):
            await slept.wait()
        await watch.close()
    assert pauses == [60.0, 3000.0]
    assert events(logs)[0] == "refusals:not_looked_at"
    assert about_the_country(watch.open) == [("FR", True)]


async def test_two_that_look_at_once_tell_it_once(archive: Counted) -> None:
    archive.add(START, 200, 200)
    watch = Watch(archive, clock_after(START))
    first, second = await asyncio.gather(watch.look(), watch.look())
    assert len(about_the_country([*first, *second])) == 1


@pytest.fixture
def memory(tmp_path: Path) -> AlarmFile:
    return AlarmFile(tmp_path)


async def test_what_is_open_is_not_told_again_after_a_restart_and_ends_when_it_is_usual_again(
    archive: Counted, memory: AlarmFile
) -> None:
    clock = clock_after(START)
    archive.add(START, 200, 200)
    assert about_the_country(await Watch(archive, clock, memory=memory).look()) == [("FR", True)]
    archive.add(START + HOUR, 200, 200)
    set_to(clock, START + HOUR)
    restarted = Watch(archive, clock, memory=memory)
    assert await restarted.look() == ()
    assert about_the_country(restarted.open) == [("FR", True)]
    archive.add(START + 2 * HOUR, 4, 200)
    set_to(clock, START + 2 * HOUR)
    with capture_logs() as logs:
        again = Watch(archive, clock, memory=memory)
        assert await again.look() == ()
    assert set(events(logs)) == {"refusals:usual_again"}
    assert again.open == ()
    kept = [one for one in memory.read().alarms if one.alarm.dimension == "country"]
    assert [(one.alarm.hour, one.ended) for one in kept] == [(START, START + 2 * HOUR)]


async def test_hours_that_passed_while_nobody_looked_are_looked_at_after_a_restart(
    archive: Counted, memory: AlarmFile
) -> None:
    clock = clock_after(START - HOUR)
    await Watch(archive, clock, memory=memory).look()
    for number, refused in enumerate([4, 200, 4, 4]):
        archive.add(START + number * HOUR, refused, 200)
    set_to(clock, START + 3 * HOUR)
    raised = await Watch(archive, clock, memory=memory).look()
    assert [alarm.hour for alarm in raised if alarm.dimension == "country"] == [START + HOUR]
    assert memory.read().judged == START + 3 * HOUR


async def test_no_more_than_a_week_is_looked_back_on_and_a_clock_set_back_is_waited_for(
    archive: Counted, memory: AlarmFile
) -> None:
    clock = clock_after(START)
    memory.note(MONDAY, [], {}, 0)
    watch = Watch(archive, clock, memory=memory)
    await watch.look()
    assert len(watch._history._hours) == 673 + 1
    memory.note(START + 9 * HOUR, [], {}, 0)
    archive.add(START, 200, 200)
    back = Watch(archive, clock, memory=memory)
    assert await back.look() == ()
    archive.add(START + HOUR, 200, 200)
    set_to(clock, START + HOUR)
    assert about_the_country(await back.look()) == [("FR", True)]


async def test_a_memory_that_fails_hides_no_alarm(archive: Counted, memory: AlarmFile) -> None:
    archive.add(START, 200, 200)
    memory.directory.write_text("in the way")
    with capture_logs() as logs:
        watch = Watch(archive, clock_after(START), memory=memory)
        assert about_the_country(await watch.look()) == [("FR", True)]
    assert {"alarms:not_read", "alarms:not_kept", "refusals:unusual"} <= set(events(logs))
    assert about_the_country(watch.open) == [("FR", True)]


async def test_what_could_not_be_kept_is_kept_with_the_next_hour(archive: Counted, memory: AlarmFile) -> None:
    clock = clock_after(START)
    archive.add(START, 200, 200)
    watch = Watch(archive, clock, memory=memory)
    memory.directory.write_text("in the way")
    await watch.look()
    archive.add(START + HOUR, 4, 200)
    set_to(clock, START + HOUR)
    await watch.look()
    memory.directory.unlink()
    archive.add(START + 2 * HOUR, 4, 200)
    set_to(clock, START + 2 * HOUR)
    await watch.look()
    kept = [one for one in memory.read().alarms if one.alarm.dimension == "country"]
    assert [(one.alarm.hour, one.ended) for one in kept] == [(START, START + HOUR)]
    assert watch._unkept == ([], {})


async def test_the_event_names_rules_and_what_the_bundle_changed(archive: Counted) -> None:
    archive.add(START, 200, 200, bundle=NEW)
    archive.rules = {START: "fr/closed", START - 168 * HOUR: "holds/hold"}
    texts = {OLD: {"policies/fr.yaml": "1"}, NEW: {"policies/fr.yaml": "2"}}
    with capture_logs() as logs:
        (alarm, *_) = await Watch(archive, clock_after(START), texts_of=texts.get).look()
    assert (alarm.value, alarm.policies) == ("FR", ("policies/fr.yaml",))
    (event,) = [log for log in logs if log["by"] == "country"]
    assert (event["rules"], event["policies"]) == (["fr/closed", "holds/hold"], ["policies/fr.yaml"])
    assert event["id"] == alarm.id


async def test_a_rule_that_takes_over_from_another_is_told_once_with_the_one_that_it_replaced(archive: Counted) -> None:
    clock = clock_after(START - HOUR)
    archive.by_rule = {hour: {"us/old": 100} for hour in range(MONDAY, START, HOUR)}
    for hour in range(MONDAY, START + 3 * HOUR, HOUR):
        archive.hours[hour] = []
        archive.add(hour, 100, 1000)
    archive.by_rule |= {START: {"us/new": 100}, START + HOUR: {"us/new": 100}, START + 2 * HOUR: {"us/old": 100}}
    watch = Watch(archive, clock)
    assert await watch.look() == ()
    both = [("rule", "us/new", True), ("rule", "us/old", False)]
    for number, (raised, lasting) in enumerate([(both, both), ([], both), ([], [])]):
        set_to(clock, START + number * HOUR)
        with capture_logs() as logs:
            assert [(one.dimension, one.value, one.rose) for one in await watch.look()] == raised
        assert [(one.dimension, one.value, one.rose) for one in watch.open] == lasting
        expected = {0: ["refusals:unusual"] * 2, 1: [], 2: ["refusals:usual_again"] * 2}
        assert events(logs) == expected[number]


async def test_an_hour_whose_refusals_by_rule_cannot_be_read_is_looked_at_later(archive: Counted) -> None:
    archive.add(START, 200, 200)
    archive.away = {"rule_counts"}
    watch = Watch(archive, clock_after(START))
    with pytest.raises(StoreUnavailable):
        await watch.look()
    archive.away = set()
    assert about_the_country(await watch.look()) == [("FR", True)]


async def test_the_rules_that_an_archive_counted_are_read_from_it() -> None:
    archive = MemoryArchive()
    documents = [ruling(rules=["us/old"]), ruling(rules=["us/new"]), ruling(outcome="allow", reason=None, rules=())]
    hours = range(START - 60 * HOUR, START + HOUR, HOUR)
    for number, hour in enumerate(hours):
        kinds = [documents[hour == START]] * 60 + [documents[2]] * 60
        made = [decision(number * 200 + n, document, hour + n) for n, document in enumerate(kinds)]
        await archive.take(stretch(made, documents, end=number + 1))
    raised = await Watch(archive, clock_after(START)).look()
    assert [(one.dimension, one.value, one.rose) for one in raised] == [
        ("rule", "us/new", True),
        ("rule", "us/old", False),
    ]
    assert [one.tally for one in raised] == [Tally(60, 120), Tally(0, 120)]
