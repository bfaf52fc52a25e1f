import itertools
from collections.abc import Iterator, Sequence

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.adapters.event_rows import Batch, take_all
from gateway.adapters.profile_rows import read_kept
from gateway.adapters.schema import EVENTS, METADATA, PROFILES, TICKETS
from gateway.core.errors import StoreUnavailable
from gateway.core.events import Change, Event, LoginSucceeded, Method, ProvedWith, SessionRevoked, VerificationChanged
from gateway.core.login import Digests
from gateway.desk.record import Ticket, ticket_of
from gateway.ports import Taking
from tests.stores import AT, DAY, HOUR, SECOND

DIGESTS = Digests(b"the key of these tests")


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def take(connection: sa.Connection, *events: Event) -> list[Taking]:
    geo = {event.id: {"country": "PT", "asn": 3243} for event in events}
    return [one.what for one in take_all(connection, Batch(events, geo, "exchange", AT, DIGESTS))]


def login(at: int) -> LoginSucceeded:
    return LoginSucceeded(id=f"l{at}", account="alice", at=at, ip="81.2.69.160", device="d1")


def change(at: int, method: Method = Method.TOTP) -> VerificationChanged:
    return VerificationChanged(
        id=f"c{at}", account="alice", at=at, method=method, change=Change.REPLACED, proved_with=ProvedWith.PASSKEY,
        ip="81.2.69.160", device="d1",
    )  # fmt: skip


def tickets(connection: sa.Connection) -> list[Ticket]:
    return [ticket_of(document) for document in connection.execute(sa.select(TICKETS.c.document)).scalars()]


def test_a_batch_with_the_same_event_twice_takes_it_once(connection: sa.Connection) -> None:
    assert take(connection, login(AT), login(AT)) == [Taking.TAKEN, Taking.REPEATED]
    assert connection.execute(sa.select(EVENTS.c.id, EVENTS.c.geo)).all() == [
        (f"l{AT}", {"country": "PT", "asn": 3243})
    ]


def test_a_change_with_an_old_factor_from_a_known_device_is_held_for_less(connection: sa.Connection) -> None:
    take(connection, login(AT - 60 * DAY), change(AT - HOUR))
    (ticket,) = tickets(connection)
    assert (ticket.until, ticket.expeditable) == (AT + 23 * HOUR, True)


def test_the_history_that_arrives_late_shortens_no_hold(connection: sa.Connection) -> None:
    take(connection, change(AT - HOUR))
    (before,) = tickets(connection)
    assert (before.until, before.expeditable) == (None, False)
    take(connection, login(AT - 60 * DAY))
    (after,) = tickets(connection)
    assert after == before


def test_where_nothing_is_measured_a_change_is_held_all_the_same(connection: sa.Connection) -> None:
    events = (login(AT - HOUR), change(AT - HOUR + 1))
    take_all(connection, Batch(events, {}, "exchange", AT, None))
    (ticket,) = tickets(connection)
    assert not ticket.expeditable
    found = connection.execute(sa.select(EVENTS.c.id).order_by(EVENTS.c.number)).scalars().all()
    assert found == [event.id for event in events]


def test_what_was_told_before_anything_was_measured_is_learned_when_it_is(connection: sa.Connection) -> None:
    take_all(connection, Batch((login(AT - 60 * DAY),), {}, "exchange", AT, None))
    assert connection.execute(sa.select(PROFILES)).all() == []
    take(connection, login(AT))
    found = read_kept(connection, ["alice"])["alice"]
    assert [one.at_s for one in found.profile.waiting] == [AT // SECOND]
    assert found.profile.logins(AT) > 0


def test_a_damaged_profile_is_made_again_from_the_events(connection: sa.Connection) -> None:
    take(connection, login(AT - 2 * DAY), login(AT - DAY))
    connection.execute(sa.update(PROFILES).values(blob=b"\x01\xff"))
    with capture_logs() as logs:
        take(connection, login(AT))
    assert [entry["event"] for entry in logs] == ["profile:damaged"]
    found = read_kept(connection, ["alice"])["alice"]
    assert len(found.profile.waiting) == 3


def test_a_damaged_event_is_a_fault(connection: sa.Connection) -> None:
    take(connection, login(AT - DAY))
    connection.execute(sa.update(EVENTS).values(body={"nonsense": 1}))
    with pytest.raises(StoreUnavailable, match="is damaged"):
        take(connection, login(AT - 2 * DAY))


def test_a_session_that_ended_twice_is_told_once(connection: sa.Connection) -> None:
    take(connection, SessionRevoked(id="r1", account="alice", at=AT), SessionRevoked(id="r2", account="alice", at=AT))
    assert connection.execute(sa.select(sa.func.count()).select_from(METADATA.tables["outbox"])).scalar_one() == 1


def _held(batches: Sequence[Sequence[Event]]) -> tuple[float, float] | None:
    """Return until when and before when nobody may release, infinity where people must end it."""
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        for batch in batches:
            take(connection, *batch)
        found = tickets(connection)
    engine.dispose()
    assert len(found) <= 1
    return None if not found else (found[0].until or float("inf"), found[0].earliest or 0)


@settings(max_examples=30, deadline=None)
@given(
    logins=st.lists(st.integers(0, 90), max_size=3, unique=True),
    changes=st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from([Method.TOTP, Method.PASSWORD, Method.EMAIL])),
        min_size=1,
        max_size=3,
        unique_by=lambda one: one[0],
    ),
)
def test_no_order_of_arrival_shortens_a_hold(logins: list[int], changes: list[tuple[int, Method]]) -> None:
    events: list[Event] = [login(AT - day * DAY) for day in logins]
    events += [change(AT - hour * HOUR, method) for hour, method in changes]
    in_order = _held([sorted(events, key=lambda one: one.at)])
    for order in (tuple(reversed(events)), *itertools.islice(itertools.permutations(events), 5)):
        arrived = _held([[event] for event in order])
        if in_order is not None:
            assert arrived is not None
            assert arrived >= in_order
