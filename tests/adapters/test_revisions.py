"""Revisions in the store: each step in one transaction, under whatever else is done at the same time."""

import asyncio
import json
import sqlite3
import tempfile
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters import revisions
from gateway.adapters.revisions import RevisionStore
from gateway.adapters.sql import AccountStore
from gateway.core.account import Refused
from gateway.core.permissions import Permission, is_same_person, person
from gateway.desk.revision import Revision, not_permitted
from gateway.desk.revision_lifecycle import RevisionState
from gateway.policies.bundle import digest_of
from tests.stores import AT, DAY, HOUR, KINDS, SetClock, file_of, opened, rows

EVE, ADA = person("Eve", ["editor"]), person("Ada", ["approver"])
ANN = person("Ann", ["approver"])


def texts(name: str) -> dict[str, str]:
    return {"house.yaml": f"# {name}\n"}


def draft(name: str, base: Revision | None, at: int = AT, **more) -> Revision:
    digest = None if base is None else base.digest
    one = Revision(0, digest_of(texts(name)), digest, "Eve", f"to {name}", False, "", at, at + DAY, None)
    return one._replace(**more)


def done(result) -> Revision:
    assert isinstance(result, Revision), result
    return result


class Desk:
    def __init__(self, store: AccountStore, clock: SetClock) -> None:
        self.store, self.clock = store, clock
        self.revisions = RevisionStore(store)

    async def propose(self, name: str, **more) -> Revision | Refused:
        new = draft(name, await self.revisions.active(), self.clock.at, **more)
        return await self.revisions.propose(new, texts(name), {"rules": 1})

    async def approve(self, one: Revision, who=ADA, **more) -> Revision | Refused:
        return await self.revisions.approve(one.number, who, "I read it", one.version, {"share": 0.0}, **more)

    async def publish(self, name: str, **more) -> Revision:
        return done(await self.approve(done(await self.propose(name, **more))))

    async def states(self) -> dict[int, str]:
        return {one.number: str(one.state) for one in await self.revisions.revisions()}


@asynccontextmanager
async def a_desk(tmp_path, kind="sqlite"):
    clock = SetClock()
    async with opened(tmp_path, clock, kind) as store:
        yield Desk(store, clock)


@pytest.fixture(params=KINDS)
async def desk(request, tmp_path):
    async with a_desk(tmp_path, request.param) as found:
        yield found


async def test_what_is_published_supersedes_what_was_and_everything_is_noted(desk) -> None:
    one, two = await desk.publish("one"), await desk.publish("two")
    assert await desk.states() == {1: "superseded", 2: "active"}
    assert (two.replaced, two.base) == (1, one.digest)
    assert (await desk.revisions.active()) == two
    assert await desk.revisions.texts(one.digest) == texts("one")
    assert await desk.revisions.examined(2) == {"rules": 1}
    steps = [(one.act, one.who, one.before, one.after) for one in await desk.revisions.log(2)]
    assert steps == [
        ("propose", "Eve", None, "proposed"),
        ("approve", "Ada", "proposed", "approved"),
        ("activate", "Ada", "approved", "active"),
    ]
    told = [kind for (kind,) in rows(desk.store, "SELECT type FROM outbox ORDER BY number")]
    assert told == ["policy.published", "policy.activated"] * 2
    noted = rows(desk.store, "SELECT action, who FROM audit WHERE action LIKE 'policy.%' ORDER BY number")
    assert noted[-2:] == [("policy.published", "Eve"), ("policy.activated", "Ada")]


async def test_two_approvals_at_once_put_one_in_force(desk) -> None:
    first, second = done(await desk.propose("one")), done(await desk.propose("two"))
    results = await asyncio.gather(desk.approve(first), desk.approve(second, ANN))
    (refused,) = [one for one in results if isinstance(one, Refused)]
    assert refused.what == "base"
    assert sorted((await desk.states()).values()) == ["active", "proposed"]


async def test_the_same_approval_twice_is_one(desk) -> None:
    one = done(await desk.propose("one"))
    results = await asyncio.gather(desk.approve(one), desk.approve(one, ANN))
    assert sum(isinstance(each, Revision) for each in results) == 1
    (refused,) = [each for each in results if isinstance(each, Refused)]
    assert refused.what == "version"


async def test_the_same_texts_are_open_once(desk) -> None:
    one = done(await desk.propose("one"))
    again = await desk.propose("one")
    assert isinstance(again, Refused)
    assert again.message == f"revision 1 ({one.digest[:12]}) has these very texts, and is proposed"
    done(await desk.revisions.withdraw(1, EVE, "a rule is missing"))
    assert done(await desk.propose("one")).number == 2


async def test_a_proposal_over_what_changed_meanwhile_is_none(desk) -> None:
    new = draft("two", None)
    await desk.publish("one")
    refused = await desk.revisions.propose(new, texts("two"), {})
    assert isinstance(refused, Refused)
    assert refused.what == "base"


async def test_what_waits_is_bounded(desk, monkeypatch) -> None:
    monkeypatch.setattr(revisions, "MOST_WAITING", 2)
    done(await desk.propose("one"))
    done(await desk.propose("two"))
    refused = await desk.propose("three")
    assert isinstance(refused, Refused)
    assert refused.message == "2 revisions wait: approve, decline or withdraw some first"
    done(await desk.revisions.withdraw(1, EVE, "not now"))
    done(await desk.propose("three"))


async def test_what_comes_next_is_known_before_it_comes(desk) -> None:
    await desk.publish("one")
    done(await desk.propose("two", starts_at=AT + 1))
    assert (await desk.revisions.standing()).coming is None
    await desk.publish("three", starts_at=AT + 2 * HOUR)
    first = await desk.publish("four", starts_at=AT + HOUR)
    assert (await desk.revisions.standing()).coming == first


async def test_one_person_returns_and_what_was_left_does_not_come_back(desk) -> None:
    one, two = await desk.publish("one"), await desk.publish("two")
    back = done(await desk.revisions.roll_back(1, EVE, "it refuses PT", 2, DAY))
    assert (back.digest, back.state) == (one.digest, RevisionState.ACTIVE)
    assert await desk.states() == {1: "active", 2: "rolled_back"}
    refused = await desk.revisions.roll_back(2, EVE, "after all", 1, DAY)
    assert isinstance(refused, Refused)
    again = await desk.publish("two")
    assert (again.number, again.digest, again.replaced) == (3, two.digest, 1)
    assert rows(desk.store, "SELECT count(*) FROM outbox WHERE type = 'policy.rolled_back'") == [(1,)]


async def test_a_return_is_from_what_was_seen_and_to_what_was_active_lately(desk) -> None:
    await desk.publish("one")
    await desk.publish("two")
    refused = await desk.revisions.roll_back(1, EVE, "back", 1, DAY)
    assert isinstance(refused, Refused)
    assert refused.what == "version"
    assert (await desk.revisions.returnable(2, AT)).number == 1
    desk.clock.at += DAY + 1
    assert await desk.revisions.returnable(2, desk.clock.at - DAY) is None
    refused = await desk.revisions.roll_back(1, EVE, "back", 2, DAY)
    assert isinstance(refused, Refused)
    assert "lately" in refused.message
    assert await desk.states() == {1: "superseded", 2: "active"}


async def test_what_waits_comes_into_force_at_its_instant_whoever_looks(desk) -> None:
    await desk.publish("one")
    waiting = await desk.publish("two", starts_at=AT + HOUR)
    assert waiting.state is RevisionState.APPROVED
    assert (await desk.revisions.standing()).due == AT + HOUR
    desk.clock.at = AT + HOUR - 1
    assert await desk.revisions.tick() == 0
    desk.clock.at += 1
    assert sorted(await asyncio.gather(*(desk.revisions.tick() for _ in range(4)))) == [0, 0, 0, 1]
    assert await desk.states() == {1: "superseded", 2: "active"}
    assert [one.who for one in await desk.revisions.log(2)] == ["Eve", "Ada", "gateway"]


async def test_what_waits_comes_too_late_after_another_publication(desk) -> None:
    await desk.publish("one")
    await desk.publish("two", starts_at=AT + HOUR)
    await desk.publish("three")
    desk.clock.at = AT + HOUR
    assert await desk.revisions.tick() == 1
    assert await desk.states() == {1: "superseded", 2: "expired", 3: "active"}


async def test_a_proposal_that_nobody_approves_expires(desk) -> None:
    done(await desk.propose("one"))
    assert (await desk.revisions.standing()).due == AT + DAY
    desk.clock.at = AT + DAY
    refused = await desk.approve((await desk.revisions.revisions())[0])
    assert isinstance(refused, Refused)
    assert await desk.revisions.tick() == 1
    assert await desk.states() == {1: "expired"}


async def test_the_first_revision_is_begun_once_however_many_begin(tmp_path) -> None:
    async with a_desk(tmp_path) as desk:
        first = draft("one", None, author="gateway")
        begun = await asyncio.gather(*(desk.revisions.begin(first, texts("one"), {}) for _ in range(4)))
        assert {(one.number, one.state) for one in begun} == {(1, RevisionState.ACTIVE)}
        again = await desk.revisions.begin(draft("two", None, author="gateway"), texts("two"), {})
        assert again.digest == first.digest


async def test_what_is_written_beside_a_step_is_written_with_it_or_not_at_all(desk) -> None:
    class FullError(Exception):
        pass

    def kept(_connection, revision: Revision) -> None:
        raise FullError(revision.name)

    with pytest.raises(FullError):
        await desk.revisions.propose(draft("one", None), texts("one"), {}, kept)
    assert await desk.states() == {}
    one = done(await desk.propose("one"))
    with pytest.raises(FullError):
        await desk.approve(one, kept=kept)
    assert await desk.states() == {1: "proposed"}


async def test_a_step_on_what_is_not_there_is_refused(desk) -> None:
    for result in (
        await desk.revisions.decline(7, ADA, "no"),
        await desk.revisions.withdraw(7, EVE, "no"),
    ):
        assert isinstance(result, Refused)
        assert result.what == "id"
    one = done(await desk.propose("one"))
    stale = await desk.revisions.decline(one.number, ADA, "no", 9)
    assert isinstance(stale, Refused)
    assert stale.what == "version"
    assert done(await desk.revisions.decline(one.number, ADA, "no", 1)).state is RevisionState.DECLINED


@pytest.mark.parametrize("desk", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE bundles SET sources = '{}'",
        "DELETE FROM bundles",
        "UPDATE revision_log SET who = 'Zed'",
        "DELETE FROM revision_log",
        "UPDATE revisions SET digest = 'x'",
        "UPDATE revisions SET examined = '{}'",
        "DELETE FROM revisions",
    ],
)
async def test_what_was_published_is_never_changed_or_removed(desk, change) -> None:
    await desk.publish("one")
    with closing(sqlite3.connect(file_of(desk.store), isolation_level=None)) as database:
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            database.execute(change)
        (kept,) = database.execute("SELECT sources FROM bundles").fetchone()
    assert json.loads(kept) == texts("one")


PEOPLE = (EVE, ADA, ANN, person("Max", ["editor", "approver"]), person(" MAX", ["approver"]), person("Vi", ["viewer"]))
ACTS = st.tuples(
    st.sampled_from(["propose", "wait", "approve", "decline", "withdraw", "roll_back", "tick"]),
    st.sampled_from(PEOPLE),
    st.integers(0, 3),
    st.sampled_from([1, HOUR, DAY // 2]),
)


async def act(desk: Desk, kind: str, who, which: int) -> None:
    """Do it, whether it is allowed or not."""
    found = await desk.revisions.revisions()
    one = found[which % len(found)] if found else None
    match kind:
        case "propose" | "wait":
            new = draft(f"text {which}", await desk.revisions.active(), desk.clock.at, author=who.name)
            if not_permitted(who, Permission.POLICIES_PROPOSE) is None:
                starts = desk.clock.at + HOUR if kind == "wait" else None
                await desk.revisions.propose(new._replace(starts_at=starts), texts(f"text {which}"), {})
        case "tick":
            await desk.revisions.tick()
        case _ if one is None:
            pass
        case "approve":
            await desk.approve(one, who)
        case "decline":
            await desk.revisions.decline(one.number, who, "no")
        case "withdraw":
            await desk.revisions.withdraw(one.number, who, "no")
        case _:
            active = await desk.revisions.active()
            if active is not None:
                await desk.revisions.roll_back(one.number, who, "back", active.number, DAY)


def one_person_did_both(steps: dict[str, str]) -> bool:
    return is_same_person(steps["propose"], steps["approve"])


@settings(max_examples=80)
@given(acts=st.lists(ACTS, min_size=5, max_size=30))
def test_nobody_publishes_alone(acts) -> None:
    """Whatever anybody tries, in any order: what decides was proposed by one person and approved by another."""

    async def tried() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with a_desk(Path(folder)) as desk:
                active: Revision | None = None
                for kind, who, which, later in acts:
                    await act(desk, kind, who, which)
                    now = await desk.revisions.active()
                    if now is not None:
                        steps = {one.act: one.who for one in await desk.revisions.log(now.number)}
                        assert not one_person_did_both(steps), steps
                        assert now.approval is not None
                        came_back = active is not None and now.number < active.number
                        assert (kind == "roll_back") or not came_back
                        assert kind != "roll_back" or active is None or now.number <= active.number
                    assert active is None or now is not None
                    active = now
                    desk.clock.at += later
                decide = [one for one in await desk.revisions.revisions() if one.state is RevisionState.ACTIVE]
                assert len(decide) <= 1

    asyncio.run(tried())
