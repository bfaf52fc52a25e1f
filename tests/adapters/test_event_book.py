import asyncio
import random
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters import event_book, profile_rows
from gateway.adapters.desk_store import DeskStore
from gateway.adapters.event_book import EventBook
from gateway.adapters.profile_rows import Kept, read_kept
from gateway.adapters.sql import AccountStore
from gateway.core.events import (
    AccountUpdated,
    AssuranceChanged,
    Change,
    Event,
    LoginFailed,
    LoginSucceeded,
    Method,
    ProvedWith,
    SessionRevoked,
    VerificationChanged,
    WithdrawalCompleted,
)
from gateway.core.login import ASN, COUNTRY, DEVICE, LEVELS, Digests, Place
from gateway.core.terms import Verification
from gateway.desk.record import End, Ticket
from gateway.ports import Connection, Events, Taking
from tests.stores import AT, BOB, CLARA, DAY, HOUR, KINDS, ON_A_FILE, SECOND, SetClock, file_of, opened, rows

DIGESTS = Digests(b"the key of these tests")
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Lisbon:
    """Databases that put every address into Lisbon."""

    generation = 1
    editions = ("test",)

    def look_up(self, geo_key: str | None, at: int) -> Connection:
        return Connection("PT", "PT-11", "EU", 3243, frozenset({"mobile"}), Place(38.72, -9.14, 20.0))


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[AccountStore]:
    async with opened(tmp_path, clock, request.param) as store:
        yield store


@pytest.fixture
def book(store: AccountStore) -> EventBook:
    return EventBook(store, DIGESTS, Lisbon())


def login(number: int = 0, at: int = AT, **more: Any) -> LoginSucceeded:
    told = {"account": "alice", "ip": "81.2.69.160", "user_agent": AGENT, "device": "d1", **more}
    return LoginSucceeded(id=f"login-{number}", at=at, **told)


def changed(
    method: Method = Method.TOTP, at: int = AT, by: ProvedWith | None = None, change: Change = Change.REPLACED
) -> VerificationChanged:
    return VerificationChanged(
        id=f"change-{method}-{at}", account="alice", at=at, method=method, change=change, proved_with=by
    )


async def kept(store: AccountStore, account: str = "alice") -> Kept | None:
    async with store.reading("read what is kept") as connection:
        return (await connection.run_sync(read_kept, [account])).get(account)


async def standing(store: AccountStore) -> tuple[object, ...]:
    account = await store.read("alice")
    held = rows(store, "SELECT operation, until FROM account_holds ORDER BY operation, until")
    return account, held


def known(one: Kept | None) -> tuple[object, ...] | None:
    """Return a profile so that two can be compared: weights are kept in 4 bytes, so to 6 digits."""
    if one is None:
        return None
    profile = one.profile
    weights = [
        sorted((str(value), f"{entry[0]:.4g}", entry[1]) for value, entry in level.items()) for level in profile.known
    ]
    return (
        weights, f"{profile.total:.4g}", profile.waiting, profile.latest, profile.changes, profile.destinations,
        profile.since_s, profile.active, profile.returned_s, one.changes, one.last_at, one.last_id,
    )  # fmt: skip


async def test_an_event_is_taken_once(book: EventBook, store: AccountStore) -> None:
    port: Events = book
    first = await port.take([login(), login(), login(1)], "exchange")
    assert [one.what for one in first] == [Taking.TAKEN, Taking.REPEATED, Taking.TAKEN]
    before = known(await kept(store))
    (again,) = await port.take([login(device="another")], "exchange")
    assert again.what is Taking.REPEATED
    assert known(await kept(store)) == before
    assert rows(store, "SELECT id, source, type FROM events") == [
        ("login-0", "exchange", "login.succeeded"),
        ("login-1", "exchange", "login.succeeded"),
    ]


async def test_a_thousand_repeats_at_once_are_one_event(book: EventBook, store: AccountStore) -> None:
    done = await asyncio.gather(*(book.take([login()], "exchange") for _ in range(50)))
    assert sum(one.what is Taking.TAKEN for (one,) in done) == 1
    assert rows(store, "SELECT count(*) FROM events") == [(1,)]


async def test_a_login_becomes_familiar_after_its_quarantine_where_the_databases_put_it(
    book: EventBook, store: AccountStore
) -> None:
    await book.take([login()], "exchange")
    found = await kept(store)
    assert found is not None
    latest = found.profile.latest[0]
    assert latest.place == pytest.approx((38.72, -9.14, 20.0), abs=1e-5)
    device = latest.device
    assert device == DIGESTS.text(b"device", "d1")
    found.profile.settle(AT + 29 * DAY)
    assert not found.profile.weight(DEVICE, device, AT + 29 * DAY)
    found.profile.settle(AT + 31 * DAY)
    assert found.profile.weight(DEVICE, device, AT + 31 * DAY)
    assert found.profile.weight(COUNTRY, "PT", AT + 31 * DAY)
    assert found.profile.weight(ASN, 3243, AT + 31 * DAY)


async def test_very_many_events_of_one_account_are_taken_in_pieces(
    book: EventBook, store: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_book, "MOST", 10)
    monkeypatch.setattr(event_book, "AT_ONCE", 10)
    done = await book.take([login(number, AT - number * SECOND) for number in range(35)], "exchange")
    assert {one.what for one in done} == {Taking.TAKEN}
    found = await kept(store)
    assert found is not None
    assert [one.at_s for one in found.profile.waiting] == [AT // SECOND - number for number in range(34, -1, -1)]


async def test_what_lies_in_the_future_is_refused_and_the_rest_is_taken(book: EventBook, store: AccountStore) -> None:
    done = await book.take([login(1, AT + 6 * 60 * SECOND), login(2, AT + 4 * 60 * SECOND)], "exchange")
    assert [one.what for one in done] == [Taking.PROBLEM, Taking.TAKEN]
    assert done[0].problem is not None
    assert (done[0].problem.code, done[0].problem.id) == ("in-the-future", "login-1")
    assert rows(store, "SELECT id FROM events") == [("login-2",)]


async def test_a_change_of_verification_holds_withdrawals_with_a_ticket(book: EventBook, store: AccountStore) -> None:
    await book.take([changed(Method.PASSWORD, change=Change.RESET)], "exchange")
    (ticket,) = (await DeskStore(store).tickets()).tickets
    assert (ticket.kind, ticket.operations, ticket.expeditable) == (
        "verification_changed",
        {"withdraw", "transfer"},
        False,
    )
    assert ticket.until == AT + 48 * HOUR
    account = await store.read("alice")
    assert account is not None
    assert account.holds == {"withdraw", "transfer"}
    assert ("ticket.opened",) in rows(store, "SELECT type FROM outbox")


async def test_a_further_change_starts_the_clock_anew_on_the_same_ticket(
    book: EventBook, store: AccountStore, clock: SetClock
) -> None:
    await book.take([changed(Method.PASSWORD, change=Change.RESET)], "exchange")
    clock.at += DAY
    await book.take([changed(Method.PASSWORD, clock.at, change=Change.RESET)], "exchange")
    (ticket,) = (await DeskStore(store).tickets()).tickets
    assert ticket.until == AT + 72 * HOUR
    clock.at += 1
    await book.take([changed(Method.TOTP, clock.at)], "exchange")
    (ticket,) = (await DeskStore(store).tickets()).tickets
    assert (ticket.until, ticket.earliest) == (None, clock.at + 72 * HOUR)
    assert {until for (until,) in rows(store, "SELECT until FROM account_holds")} == {None}
    assert rows(store, "SELECT account, session FROM revoked_sessions") == [("alice", "")]


async def test_a_change_whose_ticket_people_closed_opens_no_other(
    book: EventBook, store: AccountStore, clock: SetClock
) -> None:
    await book.take([changed(Method.PASSWORD, change=Change.RESET)], "exchange")
    desk = DeskStore(store)
    (ticket,) = (await desk.tickets()).tickets
    assert isinstance(await desk.propose(ticket.id, BOB, End.UPHOLD, "it was not her"), Ticket)
    assert isinstance(await desk.approve(ticket.id, CLARA, "agreed"), Ticket)
    late = changed(Method.PASSWORD, AT - HOUR, ProvedWith.PASSKEY)
    clock.at += HOUR
    assert [one.what for one in await book.take([late], "exchange")] == [Taking.TAKEN]
    assert len((await desk.tickets()).tickets) == 1


async def test_an_old_change_that_arrives_late_holds_nothing(book: EventBook, store: AccountStore) -> None:
    await book.take([changed(Method.PASSWORD, AT - 5 * DAY, change=Change.RESET)], "exchange")
    assert rows(store, "SELECT count(*) FROM tickets") == [(0,)]


async def test_the_hold_of_an_account_that_nobody_told_of_is_there_when_it_is(
    book: EventBook, store: AccountStore
) -> None:
    event = VerificationChanged(id="c", account="zoe", at=AT, method=Method.EMAIL, change=Change.REPLACED)
    await book.take([event], "exchange")
    assert await store.read("zoe") is None
    assert rows(store, "SELECT account FROM tickets") == [("zoe",)]
    whole = {"verification": Verification.FULL, "documents": frozenset({"PT"})}
    await book.take([AccountUpdated(id="u", account="zoe", at=AT, **whole)], "exchange")
    account = await store.read("zoe")
    assert account is not None
    assert account.holds == {"withdraw", "transfer"}


async def test_an_account_is_made_by_who_tells_all_that_rules_ask_for(book: EventBook, store: AccountStore) -> None:
    part = AccountUpdated(id="u1", account="zoe", at=AT, residence="PT")
    (refused,) = await book.take([part], "exchange")
    assert refused.what is Taking.PROBLEM
    assert refused.problem is not None
    assert refused.problem.code == "unknown-account"
    assert rows(store, "SELECT count(*) FROM events") == [(0,)]
    whole = AccountUpdated(id="u2", account="zoe", at=AT, verification=Verification.BASIC, documents=frozenset({"ES"}))
    assert [one.what for one in await book.take([whole, part], "exchange")] == [Taking.TAKEN, Taking.TAKEN]
    account = await store.read("zoe")
    assert account is not None
    assert (account.verification, account.documents, account.residence) == ("basic", {"ES"}, "PT")
    assert (await store.history("zoe"))[0].who == "exchange"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_of_what_is_told_of_an_account_the_latest_counts(
    book: EventBook, store: AccountStore, order: Sequence[int]
) -> None:
    events = [
        AccountUpdated(id="a", account="alice", at=AT - 3, residence="PT", nationality="PT"),
        AccountUpdated(id="b", account="alice", at=AT - 2, residence="ES"),
        AccountUpdated(id="c", account="alice", at=AT - 1, documents=frozenset({"FR"})),
    ]
    for place in order:
        await book.take([events[place]], "exchange")
    account = await store.read("alice")
    assert account is not None
    assert (account.residence, account.nationality, account.documents) == ("ES", "PT", {"FR"})


async def test_ended_sessions_and_lower_assurance_are_written_down_and_told(
    book: EventBook, store: AccountStore
) -> None:
    events: list[Event] = [
        SessionRevoked(id="r", account="alice", at=AT, session="s-1"),
        AssuranceChanged(id="l", account="alice", at=AT, level=1),
    ]
    await book.take(events, "https://idp.example")
    assert rows(store, "SELECT what, level FROM revoked_sessions ORDER BY what") == [
        ("assurance", 1),
        ("revoked", None),
    ]
    assert rows(store, "SELECT type FROM outbox") == [("session.revoked",)]
    assert {entry.action for entry in await store.history("alice", 2)} == {"sessions.revoke", "sessions.limit"}


async def test_a_withdrawal_makes_its_destination_known(book: EventBook, store: AccountStore) -> None:
    done = WithdrawalCompleted(id="w", account="alice", at=AT, destination="bc1q", ip="81.2.69.160")
    await book.take([done], "exchange")
    found = await kept(store)
    assert found is not None
    assert set(found.profile.destinations) == {DIGESTS.text(b"destination", "bc1q")}


async def test_a_failed_login_teaches_nothing(book: EventBook, store: AccountStore) -> None:
    failed = LoginFailed(id="f", account="alice", at=AT, ip="81.2.69.160")
    assert [one.what for one in await book.take([failed], "exchange")] == [Taking.TAKEN]
    assert await kept(store) is None


async def test_what_was_released_stays_known_when_the_profile_is_made_again(
    book: EventBook, store: AccountStore, clock: SetClock
) -> None:
    async with store.writing("release") as connection:
        about = "network=DE.3320.1f,device=2a,destination=7"
        await connection.run_sync(profile_rows.make_familiar, "alice", about, AT, "T-AAAAAAAAAA")
    clock.at += DAY
    await book.take([login(1, clock.at)], "exchange")
    await book.take([login(2, AT - DAY)], "exchange")
    found = await kept(store)
    assert found is not None
    for level, value in ((COUNTRY, "DE"), (ASN, 3320), (DEVICE, 0x2A)):
        assert found.profile.weight(level, value, clock.at) > 0
    assert 7 in found.profile.destinations


@ON_A_FILE
async def test_events_can_only_grow(book: EventBook, store: AccountStore) -> None:
    with closing(sqlite3.connect(file_of(store), isolation_level=None)) as database:
        database.execute(
            "INSERT INTO events (id, account, at, received_at, source, type, body) "
            "VALUES ('e', 'alice', 1, (strftime('%s', 'now') - 86400) * 1000000, 's', 't', '{}')"
        )
        for change in ("UPDATE events SET at = 2", "DELETE FROM events"):
            with pytest.raises(sqlite3.IntegrityError, match="events are"):
                database.execute(change)
        database.execute("INSERT INTO ticket_log VALUES (1, 'T-1', 'alice', 1, 'bob', 'open', NULL, 'open', 1, 'x')")
        for change in ("UPDATE ticket_log SET at = 2", "DELETE FROM ticket_log"):
            with pytest.raises(sqlite3.IntegrityError, match="never changed or removed"):
                database.execute(change)
    del book


async def test_events_that_no_profile_looks_back_to_are_forgotten(
    book: EventBook, store: AccountStore, clock: SetClock
) -> None:
    clock.at = 1_600_000_000 * SECOND
    await book.take([login(1, clock.at)], "exchange")
    assert await book.forget() == 0
    clock.at += 202 * DAY
    await book.take([login(2, clock.at)], "exchange")
    assert await book.forget() == 1
    assert rows(store, "SELECT id FROM events") == [("login-2",)]


async def test_a_late_event_of_an_account_with_too_many_is_taken_as_it_comes(
    book: EventBook, store: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile_rows, "MOST_AGAIN", 3)
    await book.take([login(number, AT - number * SECOND) for number in range(5)], "exchange")
    assert [one.what for one in await book.take([login(9, AT - HOUR)], "exchange")] == [Taking.TAKEN]
    found = await kept(store)
    assert found is not None
    assert len(found.profile.waiting) == 6


def test_levels_are_those_of_the_profiles() -> None:
    assert LEVELS[DEVICE] == "device"


# Theorems ----------------------------------------------------------------------------------------------------------

_LOGINS = st.builds(
    lambda day, device, address: ("login", day, device, address),
    st.integers(0, 150),
    st.sampled_from(["d1", "d2", "d3"]),
    st.integers(1, 4),
)
_WITHDRAWALS = st.builds(
    lambda day, device, to: ("withdrawal", day, device, to),
    st.integers(0, 150),
    st.sampled_from(["d1", "d2", "d3"]),
    st.sampled_from(["a", "b"]),
)
_CHANGES = st.builds(
    lambda hour, method, change: ("change", hour, method, change),
    st.integers(0, 200),
    st.sampled_from([Method.PASSWORD, Method.TOTP, Method.EMAIL]),
    st.sampled_from(list(Change)),
)


def _event(number: int, told: tuple[Any, ...]) -> Event:
    kind, when, what, more = told
    event_id = f"e{number}"
    if kind == "change":
        # Within the last days, from a device that is told by none: whether it was known is no matter of order then.
        return VerificationChanged(
            id=event_id,
            account="alice",
            at=AT - when * HOUR // 2,
            method=what,
            change=more,
            proved_with=ProvedWith.TOTP,
        )
    at = AT - when * DAY
    if kind == "login":
        return LoginSucceeded(
            id=event_id, account="alice", at=at, ip=f"81.2.{more}.1", user_agent=AGENT, device=what, session=event_id
        )
    return WithdrawalCompleted(id=event_id, account="alice", at=at, ip="81.2.1.1", device=what, destination=more)


async def _outcome(batches: Sequence[Sequence[Event]]) -> tuple[object, ...]:
    folder = Path(tempfile.mkdtemp(prefix="events-"))
    try:
        async with opened(folder, SetClock()) as store:
            book = EventBook(store, DIGESTS, Lisbon())
            for batch in batches:
                await book.take(batch, "exchange")
            return known(await kept(store)), await standing(store)
    finally:
        shutil.rmtree(folder)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(told=st.lists(st.one_of(_LOGINS, _WITHDRAWALS, _CHANGES), min_size=2, max_size=10), seed=st.integers(0, 1 << 30))
def test_any_order_of_arrival_gives_the_same_profile_holds_and_status(told: list[tuple[Any, ...]], seed: int) -> None:
    events = [_event(number, one) for number, one in enumerate(told)]
    in_order = sorted(events, key=lambda one: (one.at, one.id))
    shuffled = list(events)
    rnd = random.Random(seed)
    rnd.shuffle(shuffled)
    cut = rnd.randrange(len(shuffled))
    expected = asyncio.run(_outcome([in_order]))
    assert asyncio.run(_outcome([[event] for event in shuffled])) == expected
    assert asyncio.run(_outcome([shuffled[:cut], shuffled[cut:]])) == expected


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(told=st.lists(st.one_of(_LOGINS, _WITHDRAWALS, _CHANGES), min_size=1, max_size=8))
def test_replays_change_nothing(told: list[tuple[Any, ...]]) -> None:
    events = [_event(number, one) for number, one in enumerate(told)]
    once = asyncio.run(_outcome([events]))
    assert asyncio.run(_outcome([events, events, list(reversed(events))])) == once
