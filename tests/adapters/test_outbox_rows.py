import sqlalchemy as sa

from gateway.adapters.outbox_rows import tell
from gateway.adapters.schema import OUTBOX
from gateway.core.messages import Told, message


def test_a_message_with_an_id_of_its_own_is_owed_once_and_others_each_time() -> None:
    engine = sa.create_engine("sqlite://")
    OUTBOX.create(engine)
    one = message(Told.NOTICE, "alice", event="seen")
    with engine.begin() as connection:
        for _ in range(2):
            tell(connection, [one], 5, row_id="msg_1")
            tell(connection, [one, one], 5)
        found = connection.execute(sa.select(OUTBOX.c.id, OUTBOX.c.state, OUTBOX.c.body)).all()
        tell(connection, [], 6)
    engine.dispose()
    assert len(found) == len({row.id for row in found}) == 5
    assert {(row.state, row.body["event"]) for row in found} == {("pending", "seen")}
