from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from gateway.adapters.account_book import AuditEntry
from gateway.adapters.account_rows import read_account, write_account, write_holds
from gateway.adapters.schema import ACCOUNTS, AUDIT, HOLDS, METADATA, OUTBOX
from gateway.core.account import Account, new_account
from gateway.core.errors import StoreUnavailable

AT = 1_763_700_000_000_000


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def written(connection: sa.Connection, before: Account | None, after: Account) -> Account | None:
    entry = AuditEntry(AT, "ann", "account.put", after.uid, {}, {"by": "hand"}, "asked")
    write_account(connection, before, after, entry)
    return read_account(connection, after.uid, AT)


def test_an_account_is_read_as_it_was_written_with_what_changed_in_the_audit(connection: sa.Connection) -> None:
    alice = new_account("alice")._replace(flags=frozenset({"vip", "staff"}), documents=frozenset({"PT", "ES"}))
    assert written(connection, None, alice) == alice
    after = alice._replace(flags=frozenset({"vip"}), residence="PT")
    assert written(connection, alice, after) == after
    last = connection.execute(sa.select(AUDIT).order_by(AUDIT.c.number.desc())).first()
    assert last is not None
    assert last.before == {"flags": ["staff", "vip"], "residence": None}
    assert last.after == {"flags": ["vip"], "residence": "PT", "by": "hand"}


def test_a_lower_status_is_told_and_orders_are_cancelled_with_it(connection: sa.Connection) -> None:
    alice = new_account("alice")
    written(connection, None, alice)
    assert connection.execute(sa.select(OUTBOX)).all() == []
    written(connection, alice, alice._replace(status="restricted"))
    told = connection.execute(sa.select(OUTBOX.c.type, OUTBOX.c.body).order_by(OUTBOX.c.number)).all()
    assert [row.type for row in told] == ["account.status_changed", "orders.cancel_requested"]
    assert told[1].body == {"orders": "futures", "status": "restricted"}


def test_a_hold_stands_in_place_of_what_its_cause_held_before(connection: sa.Connection) -> None:
    written(connection, None, new_account("alice"))
    assert write_holds(connection, "alice", "T-1", ["withdraw", "transfer"], AT + 5)
    assert not write_holds(connection, "alice", "T-1", ["transfer", "withdraw"], AT + 5)
    assert write_holds(connection, "alice", "T-2", ["login"], None)
    assert write_holds(connection, "alice", "T-1", ["withdraw"], AT + 9)
    found = connection.execute(sa.select(HOLDS.c.cause, HOLDS.c.operation, HOLDS.c.until).order_by(HOLDS.c.cause)).all()
    assert [tuple(row) for row in found] == [("T-1", "withdraw", AT + 9), ("T-2", "login", None)]
    assert write_holds(connection, "alice", "T-1", [], None)
    assert not write_holds(connection, "alice", "T-1", [], None)
    alice = read_account(connection, "alice", AT)
    assert alice is not None
    assert alice.holds == {"login"}


def test_an_account_that_is_not_there_holds_nothing(connection: sa.Connection) -> None:
    assert not write_holds(connection, "zoe", "T-1", ["withdraw"], None)
    assert connection.execute(sa.select(HOLDS)).all() == []
    assert read_account(connection, "zoe", AT) is None


def test_what_no_change_could_have_written_is_no_answer(connection: sa.Connection) -> None:
    written(connection, None, new_account("alice"))
    connection.execute(sa.update(ACCOUNTS).values(status="opne"))
    with pytest.raises(StoreUnavailable, match="account `alice` is damaged"):
        read_account(connection, "alice", AT)
