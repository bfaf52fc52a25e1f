import pytest
import sqlalchemy as sa

from gateway.adapters.schema import ACCOUNTS, API_KEYS, EVENTS, HOLDS, METADATA, OUTBOX, SERVICE_TOKENS, TICKETS
from gateway.ports import Account


def test_everything_that_belongs_to_an_account_names_it() -> None:
    for name in ("account_flags", "account_holds", "api_keys"):
        (key,) = METADATA.tables[name].c.account.foreign_keys
        assert key.column is ACCOUNTS.c.uid


def test_an_account_row_and_its_sets_hold_every_field_of_an_account() -> None:
    sets = {"flags", "holds"}
    assert set(Account._fields) - sets <= set(ACCOUNTS.c.keys())
    assert sets == {name.removeprefix("account_") for name in METADATA.tables if name.startswith("account_")}


def test_no_column_could_hold_a_secret() -> None:
    columns = {column.name for table in METADATA.tables.values() for column in table.columns}
    assert {name for name in columns if "secret" in name or "token" in name} == {"token_id"}
    for digest in (API_KEYS.c.digest, SERVICE_TOKENS.c.digest):
        assert isinstance(digest.type, sa.LargeBinary)
        assert digest.type.length == 32


@pytest.mark.parametrize(
    "column",
    [
        HOLDS.c.until,
        API_KEYS.c.account,
        METADATA.tables["audit"].c.account,
        TICKETS.c.account,
        TICKETS.c.cause,
        TICKETS.c.until,
        METADATA.tables["ticket_log"].c.account,
    ],
)
def test_what_is_searched_by_is_indexed(column: sa.Column[object]) -> None:
    assert column.index


def test_an_event_a_message_and_the_open_ticket_of_a_cause_are_there_once() -> None:
    assert all(column.unique for column in (EVENTS.c.id, OUTBOX.c.id, TICKETS.c.open_cause))
