import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.adapters.desk_store import DeskStore
from gateway.adapters.sql import AccountStore
from gateway.core.account import Author, Refused
from gateway.core.errors import StoreUnavailable
from gateway.core.permissions import Program
from gateway.core.terms import Operation, Status
from gateway.desk.evidence import Evidence, EvidenceKind, IdentityResult
from gateway.desk.kinds import TicketKind
from gateway.desk.record import End, Ticket
from gateway.ports import Desk, Outcome
from tests.stores import (
    AT,
    BOB,
    BOTH,
    BY,
    CLARA,
    DAY,
    HOUR,
    KINDS,
    ON_A_FILE,
    SetClock,
    errands,
    file_of,
    hold,
    opened,
    rows,
    url_to,
)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[AccountStore]:
    async with opened(tmp_path, clock, request.param) as store:
        yield store


@pytest.fixture
async def desk(store: AccountStore) -> AsyncIterator[DeskStore]:
    desk = DeskStore(store)
    yield desk
    await desk.close()


def piece(kind: str, number: int = 1, at: int = AT + HOUR) -> Evidence:
    return Evidence(f"e{number}-{kind}", kind, at, "Bob", "ab" * 32, 1000, "image/jpeg")


async def held(desk: DeskStore, **more: object) -> Ticket:
    (carried,) = await desk.carry_out(errands(hold(**more)))  # type: ignore[arg-type]  # the test's own options
    assert carried.outcome is Outcome.DONE
    assert carried.ticket is not None
    return carried.ticket


async def evidenced(desk: DeskStore, ticket: Ticket) -> Ticket:
    for number, kind in enumerate(ticket.evidence_required):
        after = await desk.attach(ticket.id, piece(kind, number), kept_as=f"files/{number}")
        assert isinstance(after, Ticket)
        ticket = after
    return ticket


async def released(desk: DeskStore, ticket: Ticket) -> Ticket:
    await evidenced(desk, ticket)
    assert isinstance(await desk.propose(ticket.id, BOB, End.RELEASE, "the selfie is hers"), Ticket)
    after = await desk.approve(ticket.id, CLARA, "seen too")
    assert isinstance(after, Ticket)
    return after


def told(store: AccountStore) -> list[str]:
    return [kind for (kind,) in rows(store, "SELECT type FROM outbox ORDER BY number")]


async def test_the_store_is_the_port_that_the_line_needs(desk: DeskStore) -> None:
    port: Desk = desk
    assert await port.carry_out(errands()) == ()


async def test_a_hold_is_placed_refused_evidenced_proposed_approved_and_released(
    desk: DeskStore, store: AccountStore
) -> None:
    ticket = await held(desk)
    account = await store.read("alice")
    assert account is not None
    assert account.holds == {"withdraw"}
    assert await desk.open_ticket_for("alice", Operation.WITHDRAW) == ticket
    assert await desk.open_ticket_for("alice", Operation.DEPOSIT) is None
    refused = await desk.propose(ticket.id, BOB, End.RELEASE, "she called")
    assert isinstance(refused, Refused)
    assert refused.what == "evidence"
    closed = await released(desk, ticket)
    assert (closed.state, closed.closed_by) == ("released", "Clara")
    account = await store.read("alice")
    assert account is not None
    assert account.holds == frozenset()
    assert await desk.open_ticket_for("alice", Operation.WITHDRAW) is None
    assert told(store) == ["hold.placed", "ticket.opened", "hold.released", "ticket.closed"]
    steps = [(one.act, one.who, one.before, one.after) for one in await desk.log(ticket.id)]
    assert steps == [
        ("open", "policy unfamiliar-login/odd-withdrawal", None, "open"),
        ("attach", "Bob", "open", "open"),
        ("attach", "Bob", "open", "evidenced"),
        ("propose", "Bob", "evidenced", "proposed"),
        ("approve", "Clara", "proposed", "released"),
    ]


async def test_nobody_does_both_halves(desk: DeskStore, store: AccountStore) -> None:
    ticket = await held(desk)
    await evidenced(desk, ticket)
    assert isinstance(await desk.propose(ticket.id, BOTH, End.RELEASE, "seen"), Ticket)
    refused = await desk.approve(ticket.id, BOTH, "seen again")
    assert isinstance(refused, Refused)
    assert "another person" in refused.message
    program = Program("T", frozenset({"tickets:approve", "tickets:propose"}))
    assert isinstance(await desk.approve(ticket.id, program, "ok"), Refused)
    account = await store.read("alice")
    assert account is not None
    assert account.holds == {"withdraw"}


async def test_two_people_who_approve_at_once_end_it_once(desk: DeskStore, store: AccountStore) -> None:
    ticket = await evidenced(desk, await held(desk))
    proposed = await desk.propose(ticket.id, BOB, End.RELEASE, "seen", version=ticket.version)
    assert isinstance(proposed, Ticket)
    both = await asyncio.gather(*(desk.approve(ticket.id, CLARA, "ok", version=proposed.version) for _ in range(8)))
    assert sum(isinstance(one, Ticket) for one in both) == 1
    assert {one.what for one in both if isinstance(one, Refused)} == {"version"}
    assert told(store).count("hold.released") == 1


async def test_what_was_released_is_the_customers_own_and_its_cause_holds_no_more(
    desk: DeskStore, store: AccountStore, clock: SetClock
) -> None:
    ticket = await released(desk, await held(desk))
    (kept,) = rows(store, "SELECT type, account FROM events")
    assert kept == ("ticket.familiar", "alice")
    clock.at += DAY
    (again,) = await desk.carry_out(errands(hold(), at=clock.at))
    assert (again.outcome, again.ticket) == (Outcome.SETTLED, ticket)
    account = await store.read("alice")
    assert account is not None
    assert account.holds == frozenset()


async def test_to_uphold_restricts_the_account_ends_its_sessions_and_cancels_orders(
    desk: DeskStore, store: AccountStore
) -> None:
    ticket = await held(desk)
    assert isinstance(await desk.propose(ticket.id, BOB, End.UPHOLD, "it was not her"), Ticket)
    assert isinstance(await desk.approve(ticket.id, CLARA, "agreed"), Ticket)
    account = await store.read("alice")
    assert account is not None
    assert (account.status, account.holds) == ("restricted", frozenset())
    assert {"account.status_changed", "orders.cancel_requested", "session.revoked"} <= set(told(store))
    assert rows(store, "SELECT account, session, at FROM revoked_sessions") == [("alice", "", AT)]


async def test_what_an_appeal_may_not_give_back_undoes_the_whole_step(desk: DeskStore, store: AccountStore) -> None:
    await store.set_status("alice", "restricted", by=Author.EDITOR, **BY)
    opened = await desk.open("alice", TicketKind.APPEAL, BOB, "she asks to be let back")
    assert isinstance(opened, Ticket)
    await evidenced(desk, opened)
    proposed = await desk.propose(opened.id, BOB, End.RELEASE, "all is well", to=Status.OPEN)
    assert isinstance(proposed, Ticket)
    before = told(store)
    refused = await desk.approve(opened.id, CLARA, "yes")
    assert isinstance(refused, Refused)
    assert refused.what == "status"
    assert await desk.ticket(opened.id) == proposed
    assert told(store) == before
    account = await store.read("alice")
    assert account is not None
    assert account.status == "restricted"


async def test_a_thousand_concurrent_repeats_of_one_cause_make_one_hold_and_one_ticket(
    desk: DeskStore, store: AccountStore
) -> None:
    others = [DeskStore(store) for _ in range(4)]
    done = await asyncio.gather(
        *((desk, *others)[number % 5].carry_out(errands(hold(), decision=f"d{number}")) for number in range(1000))
    )
    tickets = {one.ticket.id for (one,) in done if one.ticket is not None}
    assert len(tickets) == 1
    assert rows(store, "SELECT count(*) FROM tickets") == [(1,)]
    assert rows(store, "SELECT account, operation FROM account_holds") == [("alice", "withdraw")]
    assert told(store) == ["hold.placed", "ticket.opened"]


TWO = """
import asyncio, sys
from gateway.adapters.desk_store import DeskStore
from gateway.adapters.sql import AccountStore
from tests.stores import errands, hold, SetClock

async def main():
    store = AccountStore(sys.argv[1], clock=SetClock(), read_within_s=20, write_within_s=40)
    await store.start()
    desks = [DeskStore(store) for _ in range(3)]
    print("ready", flush=True)
    sys.stdin.readline()
    abouts = [f"device={n:x}" for n in range(1, 9)]
    await asyncio.gather(*(d.carry_out(errands(hold(about))) for d in desks for about in abouts for _ in range(40)))
    await store.close()

asyncio.run(main())
"""


async def test_two_processes_that_repeat_the_same_causes_make_one_ticket_of_each(store: AccountStore) -> None:
    url = url_to(store)
    both = [
        subprocess.Popen([sys.executable, "-c", TWO, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - our own interpreter; they must run at once
        for _ in range(2)
    ]
    for one in both:
        assert one.stdout is not None
        assert await asyncio.to_thread(one.stdout.readline) == "ready\n"
    for one in both:
        await asyncio.to_thread(one.communicate, "go\n", 60)
    assert [one.returncode for one in both] == [0, 0]
    assert rows(store, "SELECT count(*), count(DISTINCT cause) FROM tickets") == [(8, 8)]
    assert rows(store, "SELECT count(*) FROM account_holds") == [(8,)]
    assert rows(store, "SELECT count(*) FROM outbox") == [(16,)]


WITHOUT_END = """
import asyncio, sys
from gateway.adapters.desk_store import DeskStore
from gateway.adapters.sql import AccountStore
from tests.stores import errands, hold, SetClock

async def main():
    store = AccountStore(sys.argv[1], clock=SetClock(), read_within_s=20, write_within_s=40)
    await store.start()
    desk = DeskStore(store)
    for number in range(1, 1_000_000):
        await desk.carry_out(errands(hold(f"device={number:x}")))
        print(number, flush=True)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_loses_nothing_that_it_answered_and_leaves_no_half(
    desk: DeskStore, store: AccountStore
) -> None:
    url = url_to(store)
    with subprocess.Popen([sys.executable, "-c", WITHOUT_END, url], stdout=subprocess.PIPE, text=True) as one:  # noqa: ASYNC220 - our own interpreter; it must be killed
        assert one.stdout is not None
        for _ in range(25):
            answered = int(await asyncio.to_thread(one.stdout.readline))
        one.kill()
    made = rows(store, "SELECT count(*) FROM tickets")[0][0]
    assert made >= answered
    assert rows(store, "SELECT count(*), count(DISTINCT cause) FROM account_holds") == [(made, made)]
    assert rows(store, "SELECT count(*) FROM outbox") == [(2 * made,)]
    assert rows(store, "SELECT count(*) FROM ticket_log") == [(made,)]
    again = await desk.carry_out(errands(*(hold(f"device={number:x}") for number in range(1, made + 1))))
    assert {one.outcome for one in again} == {Outcome.THERE}


@ON_A_FILE
async def test_a_repeat_writes_nothing(desk: DeskStore, store: AccountStore) -> None:
    ticket = await held(desk)
    with closing(sqlite3.connect(file_of(store), isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")  # nobody else can write
        (again,) = await desk.carry_out(errands(hold(), decision="another"))
        database.execute("ROLLBACK")
    assert (again.outcome, again.ticket) == (Outcome.THERE, ticket)


async def test_a_hold_that_expired_is_placed_anew_by_a_later_decision_alone(
    desk: DeskStore, store: AccountStore, clock: SetClock
) -> None:
    first = await held(desk)
    clock.at = AT + 73 * HOUR
    (repeat,) = await desk.carry_out(errands(hold()))
    assert (repeat.outcome, repeat.ticket) == (Outcome.THERE, first)
    (anew,) = await desk.carry_out(errands(hold(), at=clock.at, decision="later"))
    assert anew.outcome is Outcome.DONE
    assert anew.ticket is not None
    assert anew.ticket.id != first.id
    old = await desk.ticket(first.id)
    assert old is not None
    assert old.state == "expired"
    account = await store.read("alice")
    assert account is not None
    assert account.holds == {"withdraw"}


async def test_the_sweep_closes_what_is_over_and_nothing_else(
    desk: DeskStore, store: AccountStore, clock: SetClock
) -> None:
    ends = await held(desk)
    stays = await held(desk, about="device=3", length=None)
    upheld = await held(desk, about="device=4")
    assert isinstance(await desk.propose(upheld.id, BOB, End.UPHOLD, "it was not her"), Ticket)
    assert await desk.expire() == 0
    clock.at = AT + 72 * HOUR
    assert await desk.expire() == 1
    assert await desk.expire() == 0
    states = {one.id: str(one.state) for one in (await desk.tickets()).tickets}
    assert states == {ends.id: "expired", stays.id: "open", upheld.id: "proposed"}
    assert {cause for (cause,) in rows(store, "SELECT cause FROM account_holds")} == {stays.id, upheld.id}
    account = await store.read("alice")
    assert account is not None
    assert account.holds == {"withdraw"}


async def test_a_hold_that_is_not_expeditable_is_released_before_its_end_by_nobody(
    desk: DeskStore, clock: SetClock
) -> None:
    ticket = await evidenced(desk, await held(desk, expeditable=False))
    refused = await desk.propose(ticket.id, BOB, End.RELEASE, "hurry")
    assert isinstance(refused, Refused)
    assert "not expeditable" in refused.message
    clock.at = AT + 72 * HOUR - 1
    assert isinstance(await desk.propose(ticket.id, BOB, End.RELEASE, "hurry"), Refused)


async def test_a_step_from_another_version_or_of_no_ticket_is_refused(desk: DeskStore) -> None:
    ticket = await held(desk)
    stale = await desk.attach(ticket.id, piece(EvidenceKind.SIGNED_NOTE), version=ticket.version + 1)
    assert isinstance(stale, Refused)
    assert stale.what == "version"
    nobody = await desk.approve("T-AAAAAAAAAA", CLARA, "ok")
    assert isinstance(nobody, Refused)
    assert nobody.what == "id"
    assert await desk.ticket(ticket.id) == ticket


async def test_evidence_is_listed_with_its_file_and_attached_once(desk: DeskStore) -> None:
    ticket = await held(desk)
    result = IdentityResult(document=True, liveness=True, face_match=0.97, reference="r-1")
    found = Evidence("result-1", EvidenceKind.IDENTITY_RESULT, AT + HOUR, "provider", result=result)
    for _ in range(2):
        assert isinstance(await desk.attach(ticket.id, found), Ticket)
    note = piece(EvidenceKind.SIGNED_NOTE)
    after = await desk.attach(ticket.id, note, kept_as="a/b")
    assert isinstance(after, Ticket)
    assert (after.evidence, str(after.state)) == ((found, note), "evidenced")
    kept = await desk.evidence(ticket.id)
    assert [(one.id, one.kept_as) for one in kept] == [("result-1", None), (note.id, "a/b")]
    assert kept[0].document["result"]["face_match"] == 0.97


async def test_a_piece_of_evidence_is_on_one_ticket(desk: DeskStore) -> None:
    one, other = await held(desk), await held(desk, about="device=3")
    note = piece(EvidenceKind.SIGNED_NOTE)
    assert isinstance(await desk.attach(one.id, note), Ticket)
    refused = await desk.attach(other.id, note)
    assert isinstance(refused, Refused)
    assert refused.what == "evidence"
    assert await desk.ticket(other.id) == other


async def test_a_caller_that_stops_waiting_stops_nothing(desk: DeskStore, store: AccountStore) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await desk.carry_out(errands(hold()))
    await desk.close()
    assert rows(store, "SELECT count(*) FROM tickets") == [(1,)]


@ON_A_FILE
async def test_a_store_that_is_away_carries_out_nothing(desk: DeskStore, store: AccountStore, tmp_path: Path) -> None:
    file_of(store).rename(tmp_path / "away.db")
    with pytest.raises(StoreUnavailable):
        await desk.carry_out(errands(hold()))
    (tmp_path / "away.db").rename(file_of(store))
    assert rows(store, "SELECT count(*) FROM tickets") == [(0,)]
    (done,) = await desk.carry_out(errands(hold()))
    assert done.outcome is Outcome.DONE


async def test_who_opens_a_ticket_says_why_for_an_account_that_is_there(desk: DeskStore, store: AccountStore) -> None:
    assert isinstance(await desk.open("nobody", TicketKind.REVIEW, BOB, "look"), Refused)
    assert isinstance(await desk.open("alice", TicketKind.REVIEW, BOB, " "), Refused)
    opened = await desk.open(
        "alice", TicketKind.REVIEW, BOB, "she reported a theft", operations=[Operation.WITHDRAW], expeditable=False
    )
    assert isinstance(opened, Ticket)
    assert (opened.until, opened.expeditable) == (None, True)
    assert rows(store, "SELECT cause, until FROM account_holds") == [(opened.id, None)]
