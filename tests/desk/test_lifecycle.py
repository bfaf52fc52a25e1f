"""The table of a ticket's life: nothing is stuck, nothing is out of reach, and nothing leaves the end."""

import pytest

from gateway.core.permissions import PEOPLE_ONLY, Permission
from gateway.desk.lifecycle import CLOSED, ENDS, TRANSITIONS, Act, Need, TicketState, acts


def test_the_table_speaks_of_every_state() -> None:
    assert set(TRANSITIONS) == set(TicketState)


def test_no_state_is_dead() -> None:
    for state, ways in TRANSITIONS.items():
        assert (not ways) is (state in CLOSED)
        assert state in CLOSED or any(way.to is not state for way in ways)


@pytest.mark.parametrize("start", [TicketState.OPEN, TicketState.EVIDENCED])
def test_every_state_is_reachable_and_every_ticket_can_end(start: TicketState) -> None:
    reached = {start}
    while more := {way.to for state in reached for way in TRANSITIONS[state]} - reached:
        reached |= more
    assert reached == set(TicketState)


def test_every_act_is_possible_somewhere() -> None:
    assert {way.act for ways in TRANSITIONS.values() for way in ways} == set(Act)
    assert acts(TicketState.OPEN) == (Act.ATTACH, Act.PROPOSE, Act.RENEW, Act.EXPIRE)
    assert acts(TicketState.RELEASED) == ()


def test_a_ticket_ends_by_two_people_or_by_its_time() -> None:
    for state, ways in TRANSITIONS.items():
        for way in ways:
            if way.to not in CLOSED:
                continue
            if way.act is Act.EXPIRE:
                assert (way.by, way.to) == (None, TicketState.EXPIRED)
                assert Need.TIME_OVER in way.needs
            else:
                assert (state, way.act) == (TicketState.PROPOSED, Act.APPROVE)
                assert way.by is Permission.TICKETS_APPROVE
                assert Need.ANOTHER_PERSON in way.needs


def test_a_release_takes_evidence_and_time_at_both_halves() -> None:
    halves = [way for ways in TRANSITIONS.values() for way in ways if Need.RELEASE in way.needs and way.by is not None]
    assert [way.act for way in halves] == [Act.PROPOSE, Act.APPROVE]
    assert all({Need.ALL_EVIDENCE, Need.MAY_END} <= way.needs for way in halves)


def test_what_people_do_no_program_may() -> None:
    by_people = {way.by for ways in TRANSITIONS.values() for way in ways if way.act in {Act.PROPOSE, Act.APPROVE}}
    assert by_people <= PEOPLE_ONLY


def test_of_one_act_at_most_one_row_can_be_met() -> None:
    apart = ({Need.STILL_MISSING, Need.ALL_EVIDENCE}, ENDS)
    for ways in TRANSITIONS.values():
        for number, way in enumerate(ways):
            for other in ways[number + 1 :]:
                if way.act is other.act:
                    assert any(pair <= way.needs | other.needs for pair in apart)
