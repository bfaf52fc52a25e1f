"""What the database itself guards, whoever writes in it."""

import pytest
import sqlalchemy as sa

from gateway.adapters.desk_store import DeskStore
from gateway.adapters.triggers import KEPT
from gateway.core.errors import StoreUnavailable
from tests.stores import BY, SetClock, errands, hold, opened, rows

KINDS = ["sqlite", "postgresql"]
BUNDLE = "INSERT INTO bundles VALUES ('d', '{}')"
REVISION = "INSERT INTO revisions VALUES (1, 'd', 'active', 'd', 1, '{}', '{}')"
EVENT = "INSERT INTO events VALUES ({n}, 'e{n}', 'a', 1, {at}, 's', 't', '{{}}', NULL)"


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path):
    async with opened(tmp_path, SetClock(), request.param) as store:
        await DeskStore(store).carry_out(errands(hold()))
        yield store


async def do(store, statement: str) -> None:
    async with store.writing("test") as connection:
        await connection.execute(sa.text(statement))


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE audit SET why = 'x'", "audit entries are never changed"),
        ("DELETE FROM audit", "audit entries are never changed"),
        ("UPDATE ticket_log SET why = 'x'", "entries of the ticket log"),
        ("DELETE FROM ticket_log", "entries of the ticket log"),
        ("UPDATE events SET source = 'x'", "events are never changed"),
        ("DELETE FROM events WHERE number = 1", "events are kept for 200 days"),
        ("UPDATE bundles SET sources = '[]'", "never changed or removed"),
        ("DELETE FROM bundles", "never changed or removed"),
        ("UPDATE revisions SET examined = '[]'", "what a revision says is never changed"),
        ("DELETE FROM revisions", "revisions are never removed"),
    ],
)
async def test_what_is_kept_for_good_is_neither_changed_nor_removed(store, statement: str, why: str) -> None:
    young = 4_000_000_000_000_000
    for given in (BUNDLE, REVISION, EVENT.format(n=1, at=young), EVENT.format(n=2, at=1)):
        await do(store, given)
    with pytest.raises(StoreUnavailable, match=why):
        await do(store, statement)
    await do(store, "UPDATE revisions SET state = 'superseded'")
    await do(store, "DELETE FROM events WHERE number = 2")
    assert rows(store, "SELECT number FROM events") == [(1,)]


async def test_each_change_of_what_is_remembered_is_counted_and_names_whose_it_was(store) -> None:
    await do(store, "INSERT INTO accounts VALUES ('zoe', 'open', 'none', '', '', '', 1, 1)")
    for statement, whose in (
        ("INSERT INTO account_flags VALUES ('zoe', 'vip', 'ann', 1, 'asked')", ["zoe"]),
        ("UPDATE accounts SET status = 'flagged' WHERE uid = 'zoe'", ["zoe", "zoe"]),
        ("UPDATE account_flags SET account = 'alice'", ["zoe", "alice"]),
        ("DELETE FROM account_flags", ["alice"]),
        ("INSERT INTO revoked_sessions VALUES ('bob', '', 'revoked', 1, NULL, 2)", ["bob"]),
        ("INSERT INTO leases VALUES ('n', 'o', 1)", []),
    ):
        ((before,),) = rows(store, "SELECT number FROM generations WHERE name = 'accounts'")
        await do(store, statement)
        ((after,),) = rows(store, "SELECT number FROM generations WHERE name = 'accounts'")
        named = rows(store, "SELECT account FROM changed_accounts WHERE number > ? ORDER BY number", before)
        assert [uid for (uid,) in named] == whose
        assert after == before + len(whose)


async def test_of_many_changes_only_the_latest_are_named(store) -> None:
    await do(store, f"UPDATE generations SET number = number + {2 * KEPT} WHERE name = 'accounts'")
    await store.add_flag("alice", "vip", **BY)
    ((least, most),) = rows(store, "SELECT min(number), max(number) FROM changed_accounts")
    assert most - least < KEPT


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", ["audit", "events", "ticket_log", "bundles", "revisions", "revision_log"])
async def test_a_table_that_is_kept_for_good_is_not_emptied_at_once(store, table: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"never|kept"):
        await do(store, f"TRUNCATE {table} CASCADE")
