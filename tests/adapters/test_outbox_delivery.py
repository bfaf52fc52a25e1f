"""Delivery of the Outbox: at least once, in order of each account, and never lost from sight."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.outbox_delivery import LEASE, Delivery, Tries, body_of
from gateway.adapters.outbox_rows import tell
from gateway.adapters.outbox_store import OutboxFilter, OutboxStore
from gateway.adapters.webhook_target import Tried, WebhookTarget
from gateway.adapters.webhooks import Secret
from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.core.messages import Told, message
from gateway.ports import MICROSECONDS, Outbox, OutboxRow
from tests.adapters.sinks.rig import Taken, answers, service
from tests.stores import SetClock, opened

AT = 1_763_700_000_000_000
OK = Tried(ok=True)
NO = Tried(ok=False, why="answered 500")


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = AT

    def now(self) -> int:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += int(seconds * MICROSECONDS)


class Rows:
    """An Outbox in memory, as the port describes it."""

    def __init__(self, clock: Hands) -> None:
        self.clock = clock
        self.all: dict[str, OutboxRow] = {}
        self.leases: dict[str, tuple[str, int]] = {}
        self.away = False
        self.refused = 0
        """Calls that were made while it was away."""

    def owe(self, account: str, type_: str = "hold.placed", **data: object) -> str:
        number = len(self.all) + 1
        row_id = f"msg_{number}"
        now = self.clock.now()
        self.all[row_id] = OutboxRow(number, row_id, account, type_, data, now, "pending", now, 0, None, None)
        return row_id

    def states(self) -> list[str]:
        return [row.state for row in self.all.values()]

    async def lease(self, name: str, owner: str, until: int) -> bool:
        self._there()
        holder, end = self.leases.get(name, (owner, 0))
        if holder != owner and end > self.clock.now():
            return False
        self.leases[name] = (owner, until)
        return True

    async def due(self, at: int, limit: int) -> list[OutboxRow]:
        self._there()
        first: dict[str, OutboxRow] = {}
        for row in self.all.values():
            if row.state == "pending":
                first.setdefault(row.account, row)
        return sorted((row for row in first.values() if row.next_try_at <= at), key=lambda row: row.number)[:limit]

    async def delivered(self, row_id: str, at: int) -> None:
        self._change(row_id, state="delivered", delivered_at=at)

    async def failed(self, row_id: str, error: str, next_try_at: int) -> None:
        self._change(row_id, last_error=error, next_try_at=next_try_at)

    async def parked(self, row_id: str, error: str) -> None:
        self._change(row_id, state="parked", last_error=error)

    def _change(self, row_id: str, **fields: Any) -> None:
        self._there()
        row = self.all[row_id]
        self.all[row_id] = row._replace(**{"tries": row.tries + 1, **fields})

    def _there(self) -> None:
        if self.away:
            self.refused += 1
            raise StoreUnavailable("the store did not answer")


class Receiver:
    """A target that answers as it is told."""

    longest_s = 1.0

    def __init__(self, name: str = "exchange", answer: Callable[[str, str], Tried] = lambda *_: OK) -> None:
        self.name = name
        self.answer = answer
        self.got: list[tuple[str, str]] = []
        self.times: list[int] = []
        self.gate: asyncio.Event | None = None
        self.most_at_once = self._now = 0
        self.types: set[str] = set()
        self.closed = False

    def wants(self, kind: str) -> bool:
        return not self.types or kind in self.types

    async def send(self, message_id: str, at_s: int, body: bytes) -> Tried:
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        account = orjson.loads(body)["data"]["account"]
        self.got.append((account, message_id))
        self.times.append(at_s)
        try:
            if self.gate is not None:
                await self.gate.wait()
            return self.answer(account, message_id)
        finally:
            self._now -= 1

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def rows(clock: Hands) -> Rows:
    return Rows(clock)


def delivery(rows: Outbox, clock: Hands, *targets: Receiver, owner: str = "one", **more: Any) -> Delivery:
    return Delivery(rows, targets, clock=clock, owner=owner, chance=lambda: 0.5, **more)


async def worked_off(one: Delivery) -> None:
    await one.settled()
    while await one.round():
        await one.settled()


async def until(true: Callable[[], object], what: str) -> None:
    for _ in range(4000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"not within 20 s: {what}")


async def test_messages_of_an_account_arrive_in_order_and_accounts_beside_each_other(clock: Hands, rows: Rows) -> None:
    for number in range(30):
        rows.owe(f"account-{number % 3}")
    receiver = Receiver()
    one = delivery(rows, clock, receiver)
    await worked_off(one)
    assert set(rows.states()) == {"delivered"}
    for account in range(3):
        got = [int(message.removeprefix("msg_")) for name, message in receiver.got if name == f"account-{account}"]
        assert got == sorted(got)
        assert len(got) == 10
    assert one.delivered == 30


async def test_one_that_fails_holds_up_its_own_account_only(clock: Hands, rows: Rows) -> None:
    first, second, other = rows.owe("alice"), rows.owe("alice"), rows.owe("bob")
    receiver = Receiver(answer=lambda account, _: NO if account == "alice" else OK)
    one = delivery(rows, clock, receiver)
    await worked_off(one)
    assert rows.all[other].state == "delivered"
    assert (rows.all[first].state, rows.all[first].tries, rows.all[first].last_error) == (
        ("pending", 1, "exchange: answered 500")
    )
    assert rows.all[second].tries == 0
    receiver.answer = lambda *_: OK
    await worked_off(one)
    assert rows.all[first].state == "pending", "its pause is not over"
    clock.forward(6)
    await worked_off(one)
    assert set(rows.states()) == {"delivered"}
    assert receiver.got == [("alice", first), ("bob", other), ("alice", first), ("alice", second)]


async def test_what_nobody_takes_is_parked_after_a_day_and_the_next_one_goes_on(clock: Hands, rows: Rows) -> None:
    stuck, next_one = rows.owe("alice"), rows.owe("alice")
    receiver = Receiver(answer=lambda _, message: NO if message == stuck else OK)
    one = delivery(rows, clock, receiver)
    pauses = []
    while rows.all[stuck].state == "pending":
        await worked_off(one)
        pauses.append(rows.all[stuck].next_try_at - clock.at)
        clock.at = max(clock.at, rows.all[stuck].next_try_at)
    assert [message for _, message in receiver.got].count(stuck) == 12
    assert rows.all[stuck].last_error == "exchange: answered 500"
    assert rows.all[next_one].state == "delivered"
    assert 20 * 3600 < (clock.at - AT) / MICROSECONDS < 28 * 3600
    assert pauses[:11] == sorted(pauses[:11])
    assert (one.parked, one.failed, one.delivered) == (1, 11, 1)
    assert receiver.times[0] < receiver.times[11], "each try is signed with its own time"


def test_chance_makes_pauses_longer_and_never_shorter() -> None:
    tries = Tries()
    assert [tries.pause_s(made, 0) for made in (1, 2, 3)] == [5, 12.5, 31.25]
    assert tries.pause_s(1, 1) == 6
    assert 22 * 3600 < sum(tries.pause_s(made, 0) for made in range(1, 12)) < 24 * 3600


async def test_who_wants_nothing_any_more_is_not_asked_again(clock: Hands, rows: Rows) -> None:
    gone = rows.owe("alice")
    receiver = Receiver(answer=lambda *_: Tried(ok=False, why="answered 410", gone=True))
    await worked_off(delivery(rows, clock, receiver))
    assert (rows.all[gone].state, len(receiver.got)) == ("parked", 1)


async def test_a_receiver_that_asks_for_time_gets_it(clock: Hands, rows: Rows) -> None:
    busy = rows.owe("alice")
    receiver = Receiver(answer=lambda *_: Tried(ok=False, why="answered 503", retry_after_s=600))
    await worked_off(delivery(rows, clock, receiver))
    assert rows.all[busy].next_try_at == clock.at + 600 * MICROSECONDS


async def test_several_targets_each_get_it_and_who_has_it_is_not_asked_again(clock: Hands, rows: Rows) -> None:
    sent = rows.owe("alice")
    steady, weak = Receiver("steady"), Receiver("weak", lambda *_: NO)
    one = delivery(rows, clock, steady, weak)
    await worked_off(one)
    assert rows.all[sent].last_error == "weak: answered 500"
    weak.answer = lambda *_: OK
    clock.forward(10)
    await worked_off(one)
    assert rows.all[sent].state == "delivered"
    assert (len(steady.got), len(weak.got)) == (1, 2)


async def test_one_that_is_gone_does_not_keep_it_from_one_that_is_only_away(clock: Hands, rows: Rows) -> None:
    sent = rows.owe("alice")
    gone = Receiver("gone", lambda *_: Tried(ok=False, why="answered 410", gone=True))
    away = Receiver("away", lambda *_: NO)
    await worked_off(delivery(rows, clock, gone, away))
    assert rows.all[sent].state == "pending"


async def test_a_type_that_no_target_wants_is_owed_to_nobody(clock: Hands, rows: Rows) -> None:
    unwanted, wanted = rows.owe("alice", "notice"), rows.owe("alice", "hold.placed")
    receiver = Receiver()
    receiver.types = {"hold.placed"}
    await worked_off(delivery(rows, clock, receiver))
    assert set(rows.states()) == {"delivered"}
    assert receiver.got == [("alice", wanted)]
    assert unwanted in rows.all


async def test_a_message_that_cannot_even_be_written_is_parked_in_the_end(clock: Hands, rows: Rows) -> None:
    bad, good = rows.owe("alice", what=object()), rows.owe("alice")
    one = delivery(rows, clock, Receiver(), tries=Tries(most=2))
    await worked_off(one)
    clock.forward(60)
    await worked_off(one)
    assert (rows.all[bad].state, rows.all[good].state) == ("parked", "delivered")
    assert rows.all[bad].last_error == "the gateway itself failed: TypeError"


async def test_accounts_under_way_are_bounded_and_a_slow_one_delays_no_other(clock: Hands, rows: Rows) -> None:
    for number in range(20):
        rows.owe(f"account-{number:02}")
    receiver = Receiver()
    receiver.gate = asyncio.Event()
    one = delivery(rows, clock, receiver, at_once=4)
    assert await one.round() == 4
    await until(lambda: len(receiver.got) == 4, "four are begun")
    assert await one.round() == 0, "there is no room"
    receiver.gate.set()
    await worked_off(one)
    assert receiver.most_at_once == 4
    assert set(rows.states()) == {"delivered"}

    slow = Receiver()
    slow.gate = asyncio.Event()
    rows.owe("slow")
    two = delivery(rows, clock, slow, at_once=4)
    await two.round()
    await until(lambda: slow.got, "the slow one is begun")
    gate, slow.gate = slow.gate, None
    for _ in range(3):
        rows.owe("quick")
    async with asyncio.timeout(20):
        while rows.states().count("delivered") < 23:
            await two.round()
            await asyncio.sleep(0)
    assert rows.states()[20] == "pending"
    gate.set()
    await two.settled()
    assert slow.got.count(("slow", "msg_21")) == 1, "it was not begun twice meanwhile"


async def test_only_who_has_the_lease_delivers_and_its_death_passes_it_on(clock: Hands, rows: Rows) -> None:
    mine, theirs = Receiver(), Receiver()
    one, two = delivery(rows, clock, mine, owner="one"), delivery(rows, clock, theirs, owner="two")
    rows.owe("alice")
    await worked_off(one)
    rows.owe("alice")
    await worked_off(two)
    assert (len(mine.got), len(theirs.got)) == (1, 0)
    clock.forward(61)
    await worked_off(two)
    assert len(theirs.got) == 1
    rows.owe("alice")
    await worked_off(one)
    assert len(mine.got) == 1, "the lease is the other's now"


async def test_a_lease_is_renewed_before_it_ends_and_given_back_at_the_end(clock: Hands, rows: Rows) -> None:
    one = delivery(rows, clock, Receiver(), owner="one")
    for _ in range(10):
        await one.round()
        holder, end = rows.leases[LEASE]
        assert (holder, end - clock.at > 25 * MICROSECONDS) == ("one", True)
        clock.forward(20)
    await one.close()
    rows.owe("alice")
    theirs = Receiver()
    await worked_off(delivery(rows, clock, theirs, owner="two"))
    assert theirs.got


async def test_a_killed_process_loses_nothing_and_repeats_under_the_same_key(clock: Hands, rows: Rows) -> None:
    """Killed after the receiver took it and before that was noted: the worst instant."""
    sent = rows.owe("alice")
    receiver = Receiver()
    dead = delivery(rows, clock, receiver, owner="dead")
    rows.away = False
    await dead.round()
    rows.away = True  # the note is never written
    await until(lambda: rows.refused, "it took the message, and could not note that")
    for task in dead._under_way.values():
        task.cancel()
    rows.away = False
    assert rows.states() == ["pending"]
    clock.forward(61)
    alive = delivery(rows, clock, receiver, owner="alive")
    await worked_off(alive)
    assert rows.states() == ["delivered"]
    assert receiver.got == [("alice", sent), ("alice", sent)]
    await dead.close()


async def test_a_store_that_is_away_causes_no_storm_of_repeats(
    clock: Hands, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.outbox_delivery._NOTED_AGAIN_S", 0.001)
    rows.owe("alice")
    receiver = Receiver()
    receiver.gate = asyncio.Event()
    one = delivery(rows, clock, receiver, look_s=0.001)
    await one.start()
    await until(lambda: receiver.got, "begun")
    rows.away = True
    receiver.gate.set()
    await until(lambda: rows.refused > 20, "it tried to note that again and again")
    assert len(receiver.got) == 1
    rows.away = False
    await until(lambda: rows.states() == ["delivered"], "noted once the store was back")
    assert len(receiver.got) == 1
    await one.close()


async def test_it_runs_by_itself_hears_news_at_once_and_ends(clock: Hands, rows: Rows) -> None:
    receiver = Receiver()
    one = delivery(rows, clock, receiver, look_s=30)
    await one.start()
    # The first look is over and the next half a minute away: each look ends with waiting for news.
    looked = one._news.wait
    waiting = asyncio.Event()

    async def wait() -> bool:
        waiting.set()
        return await looked()

    one._news.wait = wait
    await waiting.wait()
    for _ in range(5):
        rows.owe("alice")
    one.nudge()
    await until(lambda: set(rows.states()) == {"delivered"}, "told, it did not wait for half a minute")
    await one.close()
    await one.close()
    assert receiver.closed
    rows.owe("alice")
    one.nudge()
    assert asyncio.all_tasks() == {asyncio.current_task()}, "nobody is left who could deliver it"
    assert rows.states()[-1] == "pending"


async def test_the_end_does_not_wait_for_a_receiver_that_hangs(
    clock: Hands, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.outbox_delivery._CLOSED_WITHIN_S", 0.01)
    rows.owe("alice")
    receiver = Receiver()
    receiver.gate = asyncio.Event()
    one = delivery(rows, clock, receiver)
    await one.start()
    await until(lambda: receiver.got, "begun")
    async with asyncio.timeout(10):
        await one.close()
    assert rows.states() == ["pending"]


def test_what_could_never_deliver_is_refused_when_it_is_built(clock: Hands, rows: Rows) -> None:
    slow = Receiver()
    slow.longest_s = 45.0
    with pytest.raises(ConfigError, match="at least one target"):
        delivery(rows, clock)
    with pytest.raises(ConfigError, match="a name of its own"):
        delivery(rows, clock, Receiver(), Receiver())
    with pytest.raises(ConfigError, match="20 s at most"):
        delivery(rows, clock, slow)


def test_a_message_is_the_same_bytes_each_time_and_its_account_cannot_be_replaced(clock: Hands, rows: Rows) -> None:
    row = rows.all[rows.owe("alice")]._replace(data={"account": "bob", "ticket": "T-1"})
    again = row._replace(tries=5, data=dict(reversed(list(row.data.items()))), next_try_at=0)
    assert body_of(row) == body_of(again)
    assert orjson.loads(body_of(row)) == {
        "type": "hold.placed",
        "timestamp": "2025-11-21T04:40:00.000000Z",
        "number": 1,
        "data": {"account": "alice", "ticket": "T-1"},
    }
    assert orjson.loads(body_of(row._replace(account="")))["data"]["account"] is None, "nobody had signed in"


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.integers(0, 2**32))
def test_every_message_is_delivered_or_parked_and_those_of_an_account_in_order(accounts: list[str], seed: int) -> None:
    """Whatever fails, and whenever a process dies: first arrivals of an account are in order, nothing is lost."""

    async def story() -> None:
        draw = random.Random(seed)
        clock = Hands()
        rows = Rows(clock)
        for account in accounts:
            rows.owe(account)
        arrived: list[tuple[str, int]] = []

        def answer(account: str, message: str) -> Tried:
            if draw.random() < 0.4:
                return NO
            arrived.append((account, int(message.removeprefix("msg_"))))
            return OK

        lives = 0
        one = delivery(rows, clock, Receiver(answer=answer), owner="0", tries=Tries(most=4))
        for _ in range(400):
            if "pending" not in rows.states():
                break
            await one.round()
            if draw.random() < 0.2:
                for task in one._under_way.values():
                    task.cancel()
                lives += 1
                clock.forward(61)
                one = delivery(rows, clock, Receiver(answer=answer), owner=str(lives), tries=Tries(most=4))
            await one.settled()
            clock.forward(20)
        assert "pending" not in rows.states()
        for row in rows.all.values():
            assert row.state == "parked" or (row.account, row.number) in arrived
        for account in set(accounts):
            firsts = list(dict.fromkeys(number for name, number in arrived if name == account))
            assert firsts == sorted(firsts)

    asyncio.run(story())


async def test_over_http_what_fails_comes_again_under_the_same_key(clock: Hands, rows: Rows) -> None:
    taken: list[Taken] = []
    first, second = rows.owe("alice", ticket="T-1"), rows.owe("alice")
    async with service(answers(503, None), taken) as url:
        target = WebhookTarget("exchange", url, lambda: (Secret(bytes(32)),), allow_private=True)
        one = Delivery(rows, [target], clock=clock, owner="one", chance=random.Random(1).random)
        for _ in range(4):
            await worked_off(one)
            clock.forward(40)
        await one.close()
    assert [request.headers["webhook-id"] for request in taken] == [first, first, first, second]
    assert len({request.body for request in taken[:3]}) == 1
    assert len({request.headers["webhook-timestamp"] for request in taken[:3]}) == 3
    assert set(rows.states()) == {"delivered"}


async def test_the_embedded_store_is_worked_off_as_the_one_in_memory(tmp_path: Path) -> None:
    clock = SetClock()
    async with opened(tmp_path, clock) as store:
        outbox = OutboxStore(store)
        async with store.writing("owe messages") as connection:
            for number in range(6):
                told = message(Told.HOLD_PLACED, f"account-{number % 2}", ticket=f"T-{number}")
                await connection.run_sync(tell, [told], clock.at)
        receiver = Receiver(answer=lambda account, _: NO if account == "account-1" else OK)
        one = Delivery(outbox, [receiver], clock=clock, owner="one", chance=lambda: 0.5, tries=Tries(most=2))
        await worked_off(one)
        clock.at += 60 * MICROSECONDS
        await worked_off(one)
        pages = {state: (await outbox.rows(OutboxFilter(state=state))).rows for state in ("delivered", "parked")}
        stuck = await outbox.row(receiver.got[1][1])
        await one.close()
    assert {row.account for row in pages["delivered"]} == {"account-0"}
    assert len(pages["delivered"]) == 3
    assert [row.last_error for row in pages["parked"]] == ["exchange: answered 500"]
    assert stuck is not None
    assert (stuck.tries, stuck.state) == (2, "parked")
