from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.desk_reads import Moment, TicketFilter
from gateway.adapters.desk_store import DeskStore
from gateway.adapters.event_book import EventBook
from gateway.adapters.sql import AccountStore
from gateway.core.errors import SearchError
from gateway.core.events import LoginSucceeded, SessionRevoked
from gateway.core.login import Digests
from gateway.core.terms import Operation
from gateway.desk.kinds import TicketKind
from gateway.desk.record import Ticket
from tests.stores import AT, BOB, BY, HOUR, KINDS, ON_A_FILE, SECOND, SetClock, errands, hold, opened


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[AccountStore]:
    async with opened(tmp_path, clock, request.param) as store:
        yield store


@pytest.fixture
def desk(store: AccountStore) -> DeskStore:
    return DeskStore(store)


async def test_tickets_are_listed_the_newest_first_and_each_once(desk: DeskStore, clock: SetClock) -> None:
    made = []
    for number in range(7):
        clock.at = AT + (number // 2) * SECOND  # two at the same instant
        (done,) = await desk.carry_out(errands(hold(f"device={number + 1:x}"), at=clock.at))
        assert done.ticket is not None
        made.append((done.ticket.opened_at, done.ticket.id))
    found: list[tuple[int, str]] = []
    cursor: str | None = None
    while True:
        page = await desk.tickets(cursor=cursor, limit=3)
        found += [(ticket.opened_at, ticket.id) for ticket in page.tickets]
        if page.cursor is None:
            break
        cursor = page.cursor
    assert found == sorted(made, reverse=True)


async def test_each_filter_leaves_just_what_is_asked_for(desk: DeskStore, store: AccountStore, clock: SetClock) -> None:
    await store.put("bob", documents=["PT"], **BY)
    (lapsed,) = await desk.carry_out(errands(hold(length=HOUR)))
    review = await desk.open("bob", TicketKind.REVIEW, BOB, "look", operations=[Operation.TRANSFER])
    assert isinstance(review, Ticket)
    assert lapsed.ticket is not None
    clock.at += 2 * HOUR
    await desk.expire()

    async def ids(**wanted: object) -> set[str]:
        return {ticket.id for ticket in (await desk.tickets(TicketFilter(**wanted))).tickets}  # type: ignore[arg-type]

    one, two = {lapsed.ticket.id}, {review.id}
    assert await ids() == one | two
    assert (await ids(account="alice"), await ids(account="bob"), await ids(account="zoe")) == (one, two, set())
    assert (await ids(kind="review"), await ids(state="expired")) == (two, one)
    assert (await ids(is_open=True), await ids(is_open=False)) == (two, one)
    assert (await ids(holds="transfer"), await ids(holds="deposit")) == (two, set())


async def test_of_several_tickets_the_one_that_lasts_longest_is_told(desk: DeskStore, clock: SetClock) -> None:
    await desk.carry_out(errands(hold("device=1", HOUR)))
    (longer,) = await desk.carry_out(errands(hold("device=2", 2 * HOUR)))
    assert await desk.open_ticket_for("alice", "withdraw") == longer.ticket
    (endless,) = await desk.carry_out(errands(hold("device=3", None)))
    assert await desk.open_ticket_for("alice", "withdraw") == endless.ticket
    assert await desk.open_ticket_for("no account\n", "withdraw") is None
    clock.at += 3 * HOUR
    assert await desk.open_ticket_for("alice", "withdraw") == endless.ticket


async def test_a_timeline_has_changes_events_and_steps_once_and_the_newest_first(
    desk: DeskStore, store: AccountStore, clock: SetClock
) -> None:
    book = EventBook(store, Digests(b"the key of these tests"))
    for number in range(4):
        clock.at = AT + number * SECOND
        await book.take([LoginSucceeded(id=f"l{number}", account="alice", at=clock.at, ip="81.2.69.160")], "exchange")
        await desk.carry_out(errands(hold(f"device={number + 1:x}"), at=clock.at))
    await book.take([SessionRevoked(id="r", account="alice", at=clock.at)], "exchange")
    whole = (await desk.timeline("alice", limit=500)).moments
    assert [one.at for one in whole] == sorted((one.at for one in whole), reverse=True)
    assert {one.what for one in whole} == {
        "account.put", "hold.place", "login.succeeded", "session.revoked", "sessions.revoke", "ticket.open"
    }  # fmt: skip
    for limit in (1, 2, 5):
        found: list[Moment] = []
        cursor: str | None = None
        while True:
            page = await desk.timeline("alice", cursor=cursor, limit=limit)
            found += page.moments
            if page.cursor is None:
                break
            cursor = page.cursor
        assert tuple(found) == whole
    login = next(one for one in whole if one.what == "login.succeeded")
    assert login.details == {"id": "l3", "ip": "81.2.69.160"}
    assert (await desk.timeline("bob")).moments == ()


@ON_A_FILE
@pytest.mark.parametrize("cursor", ["", "x", "1.2.3", "1.change.x", "1.change.2.3", "9" * 90, "-1.change.2"])
async def test_a_cursor_that_was_not_given_is_refused(desk: DeskStore, cursor: str) -> None:
    with pytest.raises(SearchError):
        await desk.timeline("alice", cursor=cursor)


@ON_A_FILE
@pytest.mark.parametrize("cursor", ["", "x", "1.2.3", "x.T-1", "9" * 90])
async def test_a_cursor_of_no_tickets_is_refused(desk: DeskStore, cursor: str) -> None:
    with pytest.raises(SearchError):
        await desk.tickets(cursor=cursor)
