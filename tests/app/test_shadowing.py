import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.adapters.journal import FileJournal
from gateway.adapters.live_segment import Bounds
from gateway.adapters.shadow_file import ShadowFile
from gateway.app import shadowing
from gateway.app.shadowing import Shadowing
from gateway.app.shipper import ship
from gateway.ports import Ruling
from tests.recorded import AT, bundle, facts, limit, policy, ruling
from tests.shipping import plan  # noqa: F401
from tests.world import FakeClock

US = policy(limit("us", 'country == "US"'))
TESTS = """\
tests:
  - name: It is closed
    facts: {country: %s, status: open}
    operation: withdraw
    expect: {outcome: deny, by: [us]}
"""
PLAN = {"paths": ["candidate.yaml"], "facts": ["country"], "networks": []}


class Place:
    """A journal that is written, and a candidate beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock(AT)
        self.directory = folder / "journal"
        self.journal = FileJournal(self.directory, worker="w0", segment_bytes=1 << 20)
        self.number = 0

    def candidate(self, country: str = "US") -> None:
        text = policy(limit("us", f'country == "{country}"')) + TESTS % country
        (self.folder / "candidate.yaml").write_text(text)

    def answer(self, country: str, at: int = AT + 1) -> None:
        self.number += 1
        some = facts(country=country, at=at)
        document = Ruling(ruling(some, bundle()))
        self.journal.append(document, self.number.to_bytes(16), at, 10, 5, b"GET\0/\0h\0u")

    @property
    def plan(self):
        return {**PLAN, "base": str(self.folder)}

    @asynccontextmanager
    async def followed(self):
        stop = asyncio.Event()
        following = Shadowing(self.plan, self.directory, clock=self.clock, bounds=Bounds())
        task = asyncio.get_running_loop().create_task(following.run(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, 20)

    async def until(self, wanted) -> dict:
        async with asyncio.timeout(20):
            while not wanted(found := ShadowFile(self.directory).read()):  # noqa: ASYNC110 - a file is polled
                await asyncio.sleep(0.01)
        return found


@pytest.fixture
async def place(tmp_path, monkeypatch):
    monkeypatch.setattr(shadowing, "NOTED_EVERY_S", 0.01)
    monkeypatch.setattr(shadowing, "LOOKED_EVERY_S", 0.01)
    monkeypatch.setattr(shadowing, "_AGAIN_S", 0.01)
    opened = Place(tmp_path)
    await opened.journal.start()
    yield opened
    await opened.journal.close()


async def test_what_is_answered_is_weighed_while_it_is_answered(place) -> None:
    place.candidate()
    place.answer("US", AT - 1)
    async with place.followed():
        await place.until(lambda found: found.get("decisions") == 0)
        place.answer("US")
        place.answer("DE")
        found = await place.until(lambda found: found.get("decisions") == 2)
    assert found["divergences"] == [{"from": "allow", "to": "deny", "rule": "p/us", "decisions": 1}]


async def test_another_candidate_begins_anew(place) -> None:
    place.candidate()
    async with place.followed():
        await place.until(lambda found: "decisions" in found)
        place.answer("US")
        first = await place.until(lambda found: found.get("decisions") == 1)
        place.clock.at = AT + 10
        place.candidate("DE")
        await place.until(lambda found: found.get("candidate") not in {None, first["candidate"]})
        place.answer("US", AT + 11)
        found = await place.until(lambda found: found.get("decisions") == 1)
    assert found["divergences"] == []


async def test_a_candidate_that_does_not_load_is_told_once_and_the_one_before_goes_on(place) -> None:
    place.candidate()
    with capture_logs() as logs:
        async with place.followed():
            first = await place.until(lambda found: "decisions" in found)
            (place.folder / "candidate.yaml").write_text("policy: [")
            found = await place.until(lambda found: "refused" in found)
            place.answer("US")
            found = await place.until(lambda found: found.get("decisions") == 1)
    assert found["candidate"] == first["candidate"]
    assert [one["log_level"] for one in logs if one["event"] == "shadow:refused"] == ["error"]


async def test_a_candidate_that_is_not_there_harms_nothing_and_is_taken_when_it_comes(place) -> None:
    async with place.followed():
        await place.until(lambda found: "refused" in found)
        place.candidate()
        found = await place.until(lambda found: "decisions" in found)
    assert "refused" not in found


async def test_where_nothing_is_shipped_a_candidate_is_followed_all_the_same(place, plan) -> None:  # noqa: F811
    place.candidate()
    place.answer("US", 1 << 60)
    alone = plan._replace(directory=str(place.directory), url=None, shadow=place.plan)
    stop = asyncio.Event()
    stop.set()
    assert not alone.ships
    assert await ship(alone, stop)
    assert "decisions" in ShadowFile(place.directory).read()
    assert list(place.directory.glob("*w0*")), "the journal stays: nobody has it yet"
