import pytest
import sqlalchemy as sa

from gateway.adapters.dialects import insert_into, is_member
from gateway.adapters.schema import LEASES, TICKETS
from tests.stores import AT, SetClock, opened, rows

KINDS = ["sqlite", "postgresql"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_there_already_is_changed_or_left(kind: str, tmp_path) -> None:
    async with opened(tmp_path, SetClock(), kind) as store:
        for owner, until in (("one", 1), ("two", 2)):
            async with store.writing("test") as connection:
                new = insert_into(connection, LEASES).values(name="n", owner=owner, until=until)
                changed = new.on_conflict_do_update(
                    index_elements=[LEASES.c.name], set_={"until": new.excluded.until}, where=LEASES.c.owner == "one"
                )
                assert (await connection.execute(changed)).rowcount == 1
                left = insert_into(connection, LEASES).values(name="n", owner="three", until=3)
                assert (await connection.execute(left.on_conflict_do_nothing())).rowcount == 0
        assert rows(store, "SELECT owner, until FROM leases") == [("one", 2)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_in_a_document_has_its_members_and_no_others(kind: str, tmp_path) -> None:
    row = {"id": "t", "account": "a", "kind": "k", "state": "s", "cause": "c", "opened_at": AT, "version": 1}
    async with opened(tmp_path, SetClock(), kind) as store:
        async with store.writing("test") as connection:
            await connection.execute(
                sa.insert(TICKETS), {**row, "document": {"operations": ["trade.spot", "withdraw"]}}
            )
        async with store.reading("test") as connection:
            for text, there in (("withdraw", True), ("WITHDRAW", False), ("trade", False), ('"', False), ("%", False)):
                found = sa.select(TICKETS.c.id).where(is_member(connection, text, TICKETS.c.document, "operations"))
                assert bool((await connection.execute(found)).all()) is there
