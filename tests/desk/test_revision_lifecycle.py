"""The table of a revision's life: nothing comes into force by one person, but what two people published before."""

from gateway.core.permissions import PEOPLE_ONLY, ROLES, Permission
from gateway.desk.revision_lifecycle import (
    OPEN,
    REVISION_TRANSITIONS,
    WAITING,
    RevisionAct,
    RevisionNeed,
    RevisionState,
)

ROWS = [(state, way) for state, ways in REVISION_TRANSITIONS.items() for way in ways]


def test_the_table_speaks_of_every_state_and_every_act() -> None:
    assert set(REVISION_TRANSITIONS) == set(RevisionState)
    assert {way.act for _, way in ROWS} == set(RevisionAct)
    assert {need for _, way in ROWS for need in way.needs} == set(RevisionNeed)


def test_every_state_is_reachable_from_a_proposal() -> None:
    reached = {RevisionState.PROPOSED}
    while more := {way.to for state in reached for way in REVISION_TRANSITIONS[state]} - reached:
        reached |= more
    assert reached == set(RevisionState)


def test_nothing_comes_into_force_but_by_approval_or_by_return() -> None:
    into = {(state, way.act) for state, way in ROWS if way.to is RevisionState.ACTIVE}
    assert into == {
        (RevisionState.APPROVED, RevisionAct.ACTIVATE),
        (RevisionState.SUPERSEDED, RevisionAct.ROLL_BACK),
    }
    (approval,) = [way for _, way in ROWS if way.to is RevisionState.APPROVED]
    assert approval.by is Permission.POLICIES_APPROVE
    assert {RevisionNeed.ANOTHER_PERSON, RevisionNeed.BASE, RevisionNeed.IN_TIME} <= approval.needs


def test_what_was_left_for_an_earlier_one_never_comes_back_by_itself() -> None:
    assert REVISION_TRANSITIONS[RevisionState.ROLLED_BACK] == ()


def test_no_role_has_both_halves_and_no_program_either() -> None:
    halves = {Permission.POLICIES_PROPOSE, Permission.POLICIES_APPROVE}
    assert all(not halves <= held for held in ROLES.values())
    assert {way.by for _, way in ROWS if way.by is not None} <= PEOPLE_ONLY


def test_of_one_act_there_is_one_row_in_each_state() -> None:
    for ways in REVISION_TRANSITIONS.values():
        assert len({way.act for way in ways}) == len(ways)


def test_what_waits_is_open_and_can_end_by_itself() -> None:
    assert WAITING < OPEN
    for state in WAITING:
        assert RevisionAct.EXPIRE in {way.act for way in REVISION_TRANSITIONS[state]}
