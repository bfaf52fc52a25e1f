"""Publishing: what is examined before anybody may put a revision in force, whoever asks."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.core.account import Refused
from gateway.core.errors import PolicyError, StoreUnavailable
from gateway.core.permissions import Program, person
from gateway.core.terms import Operation
from gateway.desk.revision import Revision
from gateway.desk.revision_lifecycle import RevisionState
from gateway.policies.bundle import assemble, digest_of, load
from gateway.policies.lock_out import guarded
from gateway.service import examining as examining_module
from gateway.service.examining import Examining
from gateway.service.publishing import MOST_TEXT, Publishing, Terms

NOW = 1_800_000_000_000_000
DAY = 86_400_000_000
EVE, ADA = person("Eve", ["editor"]), person("Ada", ["approver"])
POLICY = """\
policy: house
title: The rules of the tests
owner: tests
rules:
  - id: everybody
    grant: full
    when: status == "open"
  - id: closed
    limit: support_only
    when: country == "IR"
    reason: jurisdiction-blocked
    basis: The tests
tests:
  - {name: IR is closed, facts: {country: IR, status: open}, operation: view, expect: {outcome: deny, by: [closed]}}
"""
OLD = {"house.yaml": POLICY}
NEW = {"house.yaml": POLICY.replace('country == "IR"', 'country in ["IR", "KP"]')}


@dataclass
class Diff:
    widens: bool = False

    def text(self) -> str:
        return "a difference"

    def to_json(self) -> Mapping[str, Any]:
        return {"widens": self.widens}


@dataclass
class Share:
    share: float = 0.0

    def to_json(self) -> Mapping[str, Any]:
        return {"share": self.share}


@dataclass
class Kept:
    """Revisions in memory. What they refuse by themselves is tried with the store."""

    now: Revision | None = None
    kept: list[tuple[str, Any]] = field(default_factory=list)
    known: dict[str, Mapping[str, str]] = field(default_factory=dict)

    async def active(self) -> Revision | None:
        return self.now

    async def revision(self, wanted: str) -> Revision | None:
        found = [one for act, one in self.kept if act == "propose"]
        return next((one for one in found if str(one.number) == wanted), None)

    async def returnable(self, before: int, since: int) -> Revision | None:
        self.kept.append(("returnable", (before, since)))
        return next((one for act, one in self.kept if act == "propose" and one.number < before), None)

    async def texts(self, digest: str) -> Mapping[str, str] | None:
        return self.known.get(digest)

    async def propose(self, new, sources, examined, kept=None):
        one = new._replace(number=1 + len(self.kept))
        self.known[new.digest] = sources
        self.kept += [("propose", one), ("examined", examined)]
        return one

    async def approve(self, number, who, why, version, flips, accepted="", kept=None):
        self.kept.append(("approve", (number, who.name, version, flips, accepted)))
        return await self.revision(str(number))

    async def decline(self, number, who, why, version=None, kept=None):
        self.kept.append(("decline", number))
        return await self.revision(str(number))

    async def withdraw(self, number, who, why, version=None, kept=None):
        self.kept.append(("withdraw", number))
        return await self.revision(str(number))

    async def roll_back(self, number, who, why, active, lately, reason="", kept=None):
        self.kept.append(("roll_back", (number, active, lately, reason)))
        return await self.revision(str(number))

    def of(self, act: str) -> Any:
        return [what for name, what in self.kept if name == act]


class World:
    def __init__(self, **more: Any) -> None:
        self.store = Kept()
        self.diff, self.flips = Diff(), Share()
        self.away: Exception | None = None
        self.slow = False
        self.guards: tuple[Any, ...] = ()
        self.terms = Terms(7 * DAY, DAY, 0.05)._replace(**more)
        self.compared: list[tuple[str, str, int]] = []
        self.against: list[str | None] = []

    @property
    def publishing(self) -> Publishing:
        async def simulate(candidate, against):
            self.against.append(None if against is None else against.digest)
            if self.away is not None:
                raise self.away
            if self.slow:
                await asyncio.Event().wait()
            return self.flips

        def compare(old, new, since):
            self.compared.append((old.digest, new.digest, since))
            return self.diff

        examining = Examining(
            load=lambda texts: load(texts, sources_configured=None),
            assemble=lambda texts: assemble(texts, sources_configured=None),
            notices=lambda bundle, at: [],
            compare=compare,
            refuse_widening=lambda diff, allowed, reason: (
                None if not diff.widens or (allowed and reason) else "it widens"
            ),
            simulate=simulate,
            guarded=self.guards,
        )
        return Publishing(self.store, examining, self.terms, self)

    def now(self) -> int:
        return NOW

    def active(self, sources: Mapping[str, str] = OLD, number: int = 9) -> Revision:
        digest = digest_of(sources)
        self.store.known[digest] = sources
        self.store.now = Revision(
            number, digest, None, "Eve", "the first", False, "", 1, 2, None, RevisionState.ACTIVE
        )  # fmt: skip
        return self.store.now


@pytest.fixture
def world() -> World:
    return World()


def refused(result: object) -> tuple[str, str]:
    assert isinstance(result, Refused), result
    return result.what, result.message


async def test_a_proposal_keeps_what_was_found_and_what_it_was_compared_with(world) -> None:
    active = world.active()
    one = await world.publishing.propose(NEW, EVE, "close KP", starts_at=NOW + DAY)
    assert isinstance(one, Revision)
    assert (one.base, one.author, one.proposed_at) == (active.digest, "Eve", NOW)
    assert (one.expires_at, one.starts_at, one.widens) == (NOW + 7 * DAY, NOW + DAY, False)
    # What is compared is what will be so when it comes into force.
    assert world.compared == [(active.digest, one.digest, NOW + DAY)]
    assert world.against == [active.digest]
    (examined,) = world.store.of("examined")
    assert examined == {
        "policies": 1, "rules": 2, "lists": 0, "tests": 1, "findings": [], "diff": {"widens": False},
        "simulation": {"share": 0.0},
    }  # fmt: skip


async def test_a_widening_is_proposed_with_its_reason_alone(world) -> None:
    world.active()
    world.diff = Diff(widens=True)
    assert refused(await world.publishing.propose(NEW, EVE, "open KP")) == ("widening", "it widens")
    one = await world.publishing.propose(NEW, EVE, "open KP", allow_widening=True, reason="lifted")
    assert isinstance(one, Revision)
    assert (one.widens, one.reason) == (True, "lifted")


async def test_the_first_revision_is_compared_with_nothing(world) -> None:
    one = await world.publishing.propose(NEW, EVE, "begin")
    assert isinstance(one, Revision)
    assert (one.base, world.compared, world.against) == (None, [], [None])


@pytest.mark.parametrize(
    ("sources", "message", "starts_at", "what"),
    [
        ({"house.yaml": "policy: house"}, "m", None, "policies"),
        ({"house.yaml": POLICY.replace("deny", "allow")}, "m", None, "policies"),
        (OLD, "m", None, "digest"),
        (NEW, " ", None, "reason"),
        (NEW, "m", NOW, "starts_at"),
        (NEW, "m", NOW + 400 * DAY, "starts_at"),
        ({"house.yaml": "#" * (MOST_TEXT + 1)}, "m", None, "policies"),
    ],
)
async def test_what_cannot_be_proposed_is_not(world, sources, message, starts_at, what) -> None:
    world.active()
    result = await world.publishing.propose(sources, EVE, message, starts_at=starts_at)
    assert refused(result)[0] == what
    assert world.store.of("propose") == []


async def test_nothing_is_examined_for_who_may_not(world) -> None:
    world.active()
    for who in (ADA, Program("bot", frozenset({"policies:propose"}))):
        assert refused(await world.publishing.propose({"a.yaml": "nonsense"}, who, "m"))[0] == "permission"
    assert refused(await world.publishing.approve(1, EVE, "yes", version=1))[0] == "permission"
    assert refused(await world.publishing.roll_back(None, person("V", ["viewer"]), "no"))[0] == "permission"
    assert refused(await world.publishing.decline(1, EVE, "no"))[0] == "permission"
    assert refused(await world.publishing.withdraw(1, ADA, "no"))[0] == "permission"


async def test_where_files_decide_nothing_is_published() -> None:
    world = World(read_only="policies come from files here")
    world.active()
    publishing = world.publishing
    for result in (
        await publishing.propose(NEW, EVE, "m"),
        await publishing.approve(1, ADA, "yes", version=1),
        await publishing.decline(1, ADA, "no"),
        await publishing.withdraw(1, EVE, "no"),
        await publishing.roll_back(None, EVE, "back"),
    ):
        assert refused(result) == ("source", "policies come from files here")
    assert world.store.kept == []


async def test_who_must_not_be_locked_out_is_asked_of_every_way_into_force(world) -> None:
    world.active(NEW)
    desk = guarded("the desk", {"country": "KP", "status": "open"}, [Operation.VIEW])
    one = await world.publishing.propose(OLD, EVE, "open KP")
    assert isinstance(one, Revision)
    world.active(OLD, 5)
    world.guards = (desk,)
    assert refused(await world.publishing.propose(NEW, EVE, "close KP"))[0] == "lock-out"
    world.store.kept[0] = ("propose", one._replace(digest=digest_of(NEW), base=digest_of(OLD)))
    what, message = refused(await world.publishing.approve(one.number, ADA, "yes", version=1))
    assert what == "lock-out"
    assert "the desk could not view any more, by house/closed, from 2027-01-15T08:00:00" in message
    assert refused(await world.publishing.roll_back(None, EVE, "back"))[0] == "lock-out"
    assert world.store.of("approve") == world.store.of("roll_back") == []


async def test_what_flips_more_than_is_stated_takes_a_reason_that_is_kept(world) -> None:
    world.active()
    one = await world.publishing.propose(NEW, EVE, "close KP")
    assert isinstance(one, Revision)
    world.flips = Share(0.051)
    what, message = refused(await world.publishing.approve(one.number, ADA, "yes", version=1))
    assert (what, message.startswith("it changes 5.1% of yesterday's decisions, and at most 5.0%")) == ("flips", True)
    assert refused(await world.publishing.approve(one.number, ADA, "yes", version=1, accept_flips=" "))[0] == "reason"
    await world.publishing.approve(one.number, ADA, "yes", version=1, accept_flips="KP is sanctioned")
    world.flips = Share(0.05)
    await world.publishing.approve(one.number, ADA, "yes", version=1)
    assert [(flips, accepted) for *_, flips, accepted in world.store.of("approve")] == [
        ({"share": 0.051}, "KP is sanctioned"),
        ({"share": 0.05}, ""),
    ]


async def test_who_may_not_approve_is_told_that_and_not_what_to_accept(world) -> None:
    world.active()
    one = await world.publishing.propose(NEW, EVE, "close KP")
    assert isinstance(one, Revision)
    world.flips = Share(1.0)
    both = person("EVE", ["editor", "approver"])
    assert refused(await world.publishing.approve(one.number, both, "yes", version=1))[0] == "proposal"
    world.active(number=12, sources={"house.yaml": POLICY.replace("IR", "SY")})
    assert refused(await world.publishing.approve(one.number, ADA, "yes", version=1))[0] == "base"
    assert len(world.against) == 1


async def test_what_is_not_known_of_yesterday_takes_a_reason_too(world, monkeypatch) -> None:
    world.active()
    one = await world.publishing.propose(NEW, EVE, "close KP")
    assert isinstance(one, Revision)
    world.away = StoreUnavailable("the archive is away")
    what, message = refused(await world.publishing.approve(one.number, ADA, "yes", version=1))
    assert (what, "not known: the archive is away" in message) == ("flips", True)
    world.away = None
    world.slow = True
    monkeypatch.setattr(examining_module, "SIMULATE_WITHIN_S", 0.0)
    assert "longer than 0 s" in refused(await world.publishing.approve(one.number, ADA, "yes", version=1))[1]
    world.slow = False
    world.terms = world.terms._replace(flips_at_most=1.0)
    assert isinstance(await world.publishing.approve(one.number, ADA, "yes", version=1), Revision)


async def test_texts_that_are_not_what_was_proposed_are_approved_by_nobody(world) -> None:
    world.active()
    one = await world.publishing.propose(NEW, EVE, "close KP")
    assert isinstance(one, Revision)
    world.store.known[one.digest] = OLD
    with pytest.raises(PolicyError, match="not in the store as they were proposed"):
        await world.publishing.approve(one.number, ADA, "yes", version=1)


async def test_a_return_goes_to_the_one_before_or_the_one_that_is_named(world) -> None:
    world.active(NEW, 9)
    one = await world.publishing.propose(OLD, EVE, "the old one")
    assert isinstance(one, Revision)
    await world.publishing.roll_back(None, EVE, "it refuses PT")
    await world.publishing.roll_back("1", EVE, "it refuses PT")
    assert world.store.of("returnable") == [(9, NOW - DAY)]
    assert world.store.of("roll_back") == [(1, 9, DAY, "")] * 2
    world.diff = Diff(widens=True)
    assert refused(await world.publishing.roll_back(None, EVE, "it refuses PT"))[0] == "widening"
    await world.publishing.roll_back(None, EVE, "it refuses PT", allow_widening=True)
    assert world.store.of("roll_back")[-1] == (1, 9, DAY, "it refuses PT")


async def test_there_may_be_nothing_to_return_to(world) -> None:
    assert refused(await world.publishing.roll_back(None, EVE, "back"))[1] == (
        "nothing is active: there is nothing to leave"
    )
    world.active()
    assert "nothing else was active within 1 days" in refused(await world.publishing.roll_back(None, EVE, "back"))[1]
    assert refused(await world.publishing.roll_back("77", EVE, "back"))[0] == "id"
    assert refused(await world.publishing.approve(77, ADA, "yes", version=1))[0] == "id"
