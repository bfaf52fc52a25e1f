import json

import pytest

from gateway.core.terms import Operation, Status
from gateway.desk.evidence import Evidence, IdentityResult
from gateway.desk.kinds import TicketKind
from gateway.desk.lifecycle import TicketState
from gateway.desk.record import End, Proposal, Ticket, ticket_document, ticket_of

FULL = Ticket(
    "T-AAAAAAAAAA",
    "alice",
    TicketKind.APPEAL,
    "alice|p|r|ticket|appeal|",
    frozenset({Operation.WITHDRAW, Operation.TRADE_SPOT}),
    ("signed_note",),
    (
        Evidence("e-1", "signed_note", 5, "Ben", "0" * 64, 17, "image/png"),
        Evidence("e-2", "identity_result", 6, "provider", result=IdentityResult(True, False, 0.5, "r-9")),
    ),
    TicketState.RELEASED,
    1,
    2,
    30,
    30,
    "0197",
    "device=d",
    Proposal("Ben", 7, End.RELEASE, "why", Status.FLAGGED),
    9,
    "Clara",
    7,
)
BARE = FULL._replace(
    operations=frozenset(), evidence=(), until=None, earliest=None, proposal=None, closed_at=None, closed_by=None
)


@pytest.mark.parametrize("ticket", [FULL, BARE])
def test_a_ticket_written_down_is_read_as_the_same_ticket(ticket: Ticket) -> None:
    again = ticket_of(json.loads(json.dumps(ticket_document(ticket))))
    assert again == ticket
    assert [type(value) for value in again] == [type(value) for value in ticket]
    assert set(ticket_document(ticket)) == set(Ticket._fields)


@pytest.mark.parametrize("broken", [{"state": "lost"}, {"kind": "none"}, {"operations": ["fly"]}, {"colour": "red"}])
def test_what_no_ticket_could_be_is_not_read_as_one(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        ticket_of({**ticket_document(FULL), **broken})


def test_a_ticket_says_whether_and_when_it_may_end() -> None:
    assert (FULL.expeditable, BARE.expeditable) == (False, True)
    assert (FULL.ends_at, BARE.ends_at) == (30, None)
    upheld = FULL._replace(proposal=Proposal("Ben", 7, End.UPHOLD, "why"))
    assert upheld.ends_at is None
    assert (upheld.hold.operations, upheld.hold.until) == (FULL.operations, 30)
