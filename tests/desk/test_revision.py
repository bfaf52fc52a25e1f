"""The steps of a revision, each a pure function of what it was."""

import json

import pytest

from gateway.core.account import Refused
from gateway.core.permissions import Permission, Program, person
from gateway.desk.revision import (
    Revision,
    activate,
    approve,
    decline,
    expire,
    is_due,
    leave,
    not_permitted,
    possible,
    revision_document,
    revision_of,
    roll_back,
    supersede,
    withdraw,
)
from gateway.desk.revision_lifecycle import RevisionAct, RevisionState

EVE, ADA = person("Eve", ["editor"]), person("Ada", ["approver"])
BOTH = person("EVE ", ["editor", "approver"])
BASE, NEW = "a" * 64, "b" * 64
PROPOSED = Revision(7, NEW, BASE, "Eve", "close KP", False, "", 100, 200, None)
LATER = PROPOSED._replace(starts_at=300)


def done(result) -> Revision:
    assert isinstance(result, Revision), result
    return result


def approved(revision: Revision = PROPOSED, *, at: int = 150, who=ADA, active: str | None = BASE):
    return approve(revision, who, "I read it", at, active, flips={"share": 0.0}, accepted="")


def said(result) -> tuple[str, str]:
    assert isinstance(result, Refused), result
    return result.what, result.message


def test_a_second_person_approves_and_it_comes_into_force() -> None:
    one = done(approved())
    assert (one.state, one.version) == (RevisionState.APPROVED, 2)
    assert one.approval is not None
    assert (one.approval.by, one.approval.flips) == ("Ada", {"share": 0.0})
    active = done(activate(one, 160, BASE, 6))
    assert (active.state, active.activated_at, active.replaced) == (RevisionState.ACTIVE, 160, 6)


@pytest.mark.parametrize("who", [BOTH, person("eve", ["approver"])])
def test_nobody_approves_or_declines_what_they_proposed_under_any_spelling(who) -> None:
    for result in (approved(who=who), decline(PROPOSED, who, "no", 150)):
        what, message = said(result)
        assert what == "proposal"
        assert "another person" in message


def test_only_who_has_the_role_may_and_no_program() -> None:
    assert said(approved(who=person("Max", ["editor"])))[0] == "permission"
    assert said(approved(who=Program("bot", frozenset(map(str, Permission)))))[0] == "permission"
    assert said(withdraw(PROPOSED, ADA, "no", 150))[0] == "permission"
    assert not_permitted(EVE, Permission.POLICIES_PROPOSE) is None
    refused = not_permitted(ADA, Permission.POLICIES_PROPOSE)
    assert refused is not None
    assert refused.allowed == ("editor",)


def test_an_approval_comes_in_time_and_of_what_was_compared() -> None:
    assert "expired" in said(approved(at=200))[1]
    what, message = said(approved(active="c" * 64))
    assert what == "base"
    assert "compared with aaaaaaaaaaaa" in message
    assert "compared with nothing" in said(approved(PROPOSED._replace(base=None)))[1]
    assert done(approved(PROPOSED._replace(base=None), active=None)).state is RevisionState.APPROVED


def test_it_waits_for_its_instant_and_not_beyond_another_publication() -> None:
    waiting = done(approved(LATER))
    assert not is_due(waiting, 299)
    assert "has not come" in said(activate(waiting, 299, BASE, 6))[1]
    assert done(activate(waiting, 300, BASE, 6)).state is RevisionState.ACTIVE
    assert isinstance(expire(waiting, 299, "c" * 64), Refused)
    assert isinstance(expire(waiting, 300, BASE), Refused)
    assert done(expire(waiting, 300, "c" * 64)).state is RevisionState.EXPIRED


def test_a_proposal_expires_when_nobody_approved_it() -> None:
    assert isinstance(expire(PROPOSED, 199, BASE), Refused)
    assert done(expire(PROPOSED, 200, BASE)).ended_at == 200


def test_its_author_takes_it_back_and_anybody_of_either_half_stops_what_waits() -> None:
    assert done(withdraw(PROPOSED, EVE, "a rule is missing", 150)).state is RevisionState.WITHDRAWN
    assert "Eve's" in said(withdraw(PROPOSED, person("Max", ["editor"]), "no", 150))[1]
    assert done(decline(PROPOSED, ADA, "no", 150)).state is RevisionState.DECLINED
    waiting = done(approved(LATER))
    assert done(withdraw(waiting, person("Max", ["editor"]), "wait", 160)).state is RevisionState.WITHDRAWN
    assert done(decline(waiting, ADA, "wait", 160)).state is RevisionState.DECLINED


def test_one_person_returns_to_what_was_active_lately_and_before() -> None:
    old = done(supersede(done(activate(done(approved()), 160, BASE, 6)), 1000))
    assert (old.state, old.ended_at) == (RevisionState.SUPERSEDED, 1000)
    active = old._replace(number=8, state=RevisionState.ACTIVE)
    back = done(roll_back(old, EVE, "it refuses PT", 1100, active, 100))
    assert (back.state, back.activated_at, back.replaced) == (RevisionState.ACTIVE, 1100, 6)
    assert "lately" in said(roll_back(old, EVE, "no", 1101, active, 100))[1]
    assert "forward takes two" in said(roll_back(old, EVE, "no", 1001, active._replace(number=6), 100))[1]
    assert said(roll_back(old, person("Vera", ["viewer"]), "no", 1001, active, 100))[0] == "permission"
    left = done(leave(active, EVE, "it refuses PT", 1100))
    assert left.state is RevisionState.ROLLED_BACK
    assert "nobody can return to it" in said(roll_back(left, EVE, "no", 1101, active, 100))[1]


@pytest.mark.parametrize(
    "step",
    [
        lambda: approve(PROPOSED, ADA, " ", 150, BASE, flips={}, accepted=""),
        lambda: decline(PROPOSED, ADA, "two\nlines", 150),
        lambda: withdraw(PROPOSED, EVE, "", 150),
        lambda: leave(PROPOSED, EVE, "", 150),
        lambda: roll_back(PROPOSED, EVE, "", 150, PROPOSED, 1),
    ],
)
def test_every_step_says_why(step) -> None:
    assert said(step())[0] == "reason"


def test_what_is_possible_is_what_people_do_with_it() -> None:
    assert possible(PROPOSED) == (RevisionAct.APPROVE, RevisionAct.DECLINE, RevisionAct.WITHDRAW)
    assert possible(PROPOSED._replace(state=RevisionState.ACTIVE)) == ()
    assert possible(PROPOSED._replace(state=RevisionState.SUPERSEDED)) == (RevisionAct.ROLL_BACK,)


def test_what_is_over_says_since_when() -> None:
    over = done(decline(PROPOSED, ADA, "no", 150))
    what, message = said(approved(over))
    assert what == "revision"
    assert message.startswith("revision 7 (bbbbbbbbbbbb) is declined since 1970-01-01T00:00:00.000150Z")


@pytest.mark.parametrize("revision", [PROPOSED, done(approved()), done(approved(LATER))])
def test_a_revision_is_read_as_it_was_written(revision: Revision) -> None:
    assert revision_of(json.loads(json.dumps(revision_document(revision)))) == revision
