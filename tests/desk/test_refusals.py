from gateway.core.account import Refused
from gateway.core.permissions import Permission, person
from gateway.desk.kinds import TicketKind
from gateway.desk.lifecycle import Act, Need, TicketState
from gateway.desk.refusals import LONGEST_REASON, impossible, not_allowed, not_over, unmet, unreasoned
from tests.desk.test_record import BARE, FULL


def test_a_refusal_says_what_could_be_done_instead() -> None:
    waiting = BARE._replace(state=TicketState.EVIDENCED, kind=TicketKind.REVIEW)
    assert impossible(waiting, Act.APPROVE) == Refused(
        "ticket",
        "T-AAAAAAAAAA is evidenced: nobody can approve; somebody must propose an end first",
        ("attach", "propose"),
    )
    assert impossible(FULL, Act.ATTACH).message == (
        "T-AAAAAAAAAA is released since 1970-01-01T00:00:00.000009Z: nothing changes it any more"
    )


def test_who_may_not_is_told_which_role_it_takes_and_which_they_have() -> None:
    nobody = person("Zed", [])
    assert not_allowed(Permission.TICKETS_APPROVE, nobody).message == (
        "`tickets:approve` takes the role approver; Zed has no role"
    )


def test_a_ticket_that_has_not_ended_says_how_it_will() -> None:
    assert "two people must end it" in not_over(BARE).message
    assert not_over(FULL).message == "T-AAAAAAAAAA ends at 1970-01-01T00:00:00.000030Z"


def test_what_is_missing_is_named() -> None:
    assert unmet(BARE, Need.ALL_EVIDENCE).allowed == ("signed_note",)
    assert "proposed by Ben" in unmet(FULL, Need.ANOTHER_PERSON).message
    assert "not expeditable" in unmet(FULL, Need.MAY_END).message


def test_a_reason_is_one_line_that_says_something() -> None:
    assert unreasoned("it is her") is None
    assert unreasoned("x" * LONGEST_REASON) is None
    assert unreasoned("x" * (LONGEST_REASON + 1)) is not None
