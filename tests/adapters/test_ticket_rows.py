from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from gateway.adapters.account_book import AuditEntry
from gateway.adapters.account_rows import read_account, write_account
from gateway.adapters.schema import AUDIT, METADATA, TICKET_LOG
from gateway.adapters.ticket_rows import (
    Doing,
    RefusedInside,
    latest_ticket_of,
    new_ticket_id,
    open_ticket_of,
    open_ticket_of_kind,
    read_ticket,
    write_step,
)
from gateway.core.account import new_account
from gateway.core.terms import Operation, Status
from gateway.desk.consequences import HoldStands, LetBack
from gateway.desk.hold import started
from gateway.desk.kinds import TicketKind
from gateway.desk.record import Ticket
from gateway.desk.ticket import Done, expire, open_ticket
from tests.stores import AT, HOUR

DOING = Doing("gateway", AT, "open", "because")


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        entry = AuditEntry(AT, "ann", "account.put", "alice", {}, {}, "asked")
        write_account(connection, None, new_account("alice"), entry)
        yield connection
    engine.dispose()


def opened(connection: sa.Connection, cause: str = "c", at: int = AT) -> Ticket:
    clock = started(frozenset({Operation.WITHDRAW}), at, HOUR)
    done = open_ticket(new_ticket_id(), "alice", TicketKind.REVIEW, cause, at=at, hold=clock, decision_id="d-1")
    assert isinstance(done, Done)
    return write_step(connection, None, done, DOING)


def test_a_ticket_is_found_by_its_id_and_by_its_cause_while_it_is_open(connection: sa.Connection) -> None:
    ticket = opened(connection)
    assert read_ticket(connection, ticket.id) == open_ticket_of(connection, "c") == ticket
    assert open_ticket_of_kind(connection, "alice", "review") == ticket
    over = expire(ticket, AT + HOUR)
    assert isinstance(over, Done)
    closed = write_step(connection, ticket, over, DOING._replace(act="expire"))
    assert open_ticket_of(connection, "c") is None
    assert open_ticket_of_kind(connection, "alice", "review") is None
    assert latest_ticket_of(connection, "c") == closed
    anew = opened(connection, at=AT + 2 * HOUR)
    assert latest_ticket_of(connection, "c") == anew


def test_the_database_itself_has_no_two_open_tickets_of_one_cause(connection: sa.Connection) -> None:
    opened(connection)
    with pytest.raises(sa.exc.IntegrityError):
        opened(connection)


def test_a_step_is_stored_over_the_version_that_it_was_made_of_alone(connection: sa.Connection) -> None:
    ticket = opened(connection)
    over = expire(ticket, AT + HOUR)
    assert isinstance(over, Done)
    write_step(connection, ticket, over, DOING)
    with pytest.raises(AssertionError):
        write_step(connection, ticket, over, DOING)


def test_a_hold_and_its_end_stand_on_the_timeline_with_ticket_and_decision(connection: sa.Connection) -> None:
    ticket = opened(connection)
    over = expire(ticket, AT + HOUR)
    assert isinstance(over, Done)
    write_step(connection, ticket, over, DOING)
    entries = connection.execute(sa.select(AUDIT.c.action, AUDIT.c.after).order_by(AUDIT.c.number)).all()[1:]
    assert [row.action for row in entries] == ["hold.place", "hold.end"]
    assert entries[0].after == {
        "operations": ["withdraw"], "until": AT + HOUR, "ticket": ticket.id, "decision": "d-1"
    }  # fmt: skip
    log = connection.execute(sa.select(TICKET_LOG.c.before, TICKET_LOG.c.after)).all()
    assert [tuple(row) for row in log] == [(None, "evidenced"), ("evidenced", "expired")]


def test_a_step_that_changes_nothing_writes_nothing(connection: sa.Connection) -> None:
    ticket = opened(connection)
    assert write_step(connection, ticket, Done(ticket), DOING) == ticket
    assert len(connection.execute(sa.select(TICKET_LOG)).all()) == 1


def test_what_the_account_may_not_become_undoes_the_step(connection: sa.Connection) -> None:
    ticket = opened(connection)
    alice = read_account(connection, "alice", AT)
    assert alice is not None
    entry = AuditEntry(AT, "ann", "status.set", "alice", {}, {}, "asked")
    write_account(connection, alice, alice._replace(status="restricted"), entry)
    back = Done(ticket._replace(version=2), (LetBack("alice", ticket.id, Status.OPEN),))
    with pytest.raises(RefusedInside) as refused:
        write_step(connection, ticket, back, DOING)
    assert refused.value.refused.what == "status"


def test_a_hold_of_an_account_that_nobody_told_of_is_no_fault(connection: sa.Connection) -> None:
    ticket = opened(connection)._replace(id="T-ZZZZZZZZZZ", account="zoe", cause="z")
    done = Done(ticket, (HoldStands("zoe", ticket.id, ticket.operations, None),))
    assert write_step(connection, None, done, DOING) == ticket


def test_ids_are_new_each_time() -> None:
    assert len({new_ticket_id() for _ in range(100)}) == 100
