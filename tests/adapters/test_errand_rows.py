from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.desk_store import DeskStore
from gateway.adapters.sql import AccountStore
from gateway.core.account import Account, Author
from gateway.core.evidence import After
from gateway.core.obligations import Notify, SetFlag, SetStatus, cause_of
from gateway.core.terms import Status
from gateway.core.verdict import RuleRef
from gateway.ports import Outcome
from tests.stores import AT, BY, DAY, HOUR, KINDS, SetClock, errands, hold, opened, rows

RULE = RuleRef("us-exit", "us-closed")


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


def flag(after: After | None = None, name: str = "us-ip", account: str = "alice") -> SetFlag:
    return SetFlag(account, cause_of(account, RULE, "flag", name), RULE, name, after)


def status(to: Status, after: After | None = None) -> SetStatus:
    return SetStatus("alice", cause_of("alice", RULE, "status", to), RULE, to, after)


async def flags(store: AccountStore) -> frozenset[str]:
    account = await store.read("alice")
    assert account is not None
    return account.flags


async def test_a_flag_is_set_at_once_with_its_cause_on_the_timeline(desk: DeskStore, store: AccountStore) -> None:
    (done,) = await desk.carry_out(errands(flag(), decision="0197-aa"))
    assert done.outcome is Outcome.DONE
    assert await flags(store) == {"us-ip"}
    entry = (await store.history("alice"))[0]
    assert (entry.who, entry.action, entry.why) == ("policy us-exit/us-closed", "flag.add", "decision 0197-aa")
    assert entry.after == {"flags": ["us-ip"], "decision": "0197-aa"}
    (again,) = await desk.carry_out(errands(flag(), decision="0197-ab"))
    assert again.outcome is Outcome.THERE


async def test_one_day_is_no_evidence_and_three_days_are(desk: DeskStore, store: AccountStore, clock: SetClock) -> None:
    weak = flag(After(3, 30))
    outcomes = []
    for day in (0, 0, 4, 4, 9):
        clock.at = AT + day * DAY
        (done,) = await desk.carry_out(errands(weak, at=clock.at))
        outcomes.append(done.outcome)
    assert outcomes == [Outcome.WAITING] * 4 + [Outcome.DONE]
    assert await flags(store) == {"us-ip"}


async def test_three_days_that_lie_too_far_apart_are_no_evidence(
    desk: DeskStore, store: AccountStore, clock: SetClock
) -> None:
    for day in (0, 20, 40):
        clock.at = AT + day * DAY
        (done,) = await desk.carry_out(errands(flag(After(3, 30)), at=clock.at))
        assert done.outcome is Outcome.WAITING
    assert await flags(store) == frozenset()


async def test_a_status_is_narrowed_with_orders_cancelled_and_never_widened(
    desk: DeskStore, store: AccountStore
) -> None:
    (done,) = await desk.carry_out(errands(status(Status.FLAGGED)))
    assert done.outcome is Outcome.DONE
    assert rows(store, "SELECT type FROM outbox ORDER BY number") == [
        ("account.status_changed",),
        ("orders.cancel_requested",),
    ]
    (lower,) = await desk.carry_out(errands(status(Status.EXIT_ONLY)))
    assert lower.outcome is Outcome.THERE
    account = await store.read("alice")
    assert account is not None
    assert account.status == "flagged"


async def test_a_decision_from_before_undoes_nothing_that_people_did_since(
    desk: DeskStore, store: AccountStore, clock: SetClock
) -> None:
    await desk.carry_out(errands(flag(), status(Status.FLAGGED)))
    clock.at += HOUR
    await store.remove_flag("alice", "us-ip", **BY)
    back = await store.set_status("alice", "open", by=Author.TWO_PEOPLE, evidence="T-1", **BY)
    assert isinstance(back, Account)
    clock.at += HOUR
    done = await desk.carry_out(errands(flag(), status(Status.FLAGGED), decision="from the journal"))
    assert [one.outcome for one in done] == [Outcome.SETTLED, Outcome.SETTLED]
    assert await flags(store) == frozenset()
    later = await desk.carry_out(errands(flag(), status(Status.FLAGGED), at=clock.at))
    assert [one.outcome for one in later] == [Outcome.DONE, Outcome.DONE]


async def test_what_people_have_examined_counts_no_second_time(
    desk: DeskStore, store: AccountStore, clock: SetClock
) -> None:
    weak = flag(After(3, 30))

    async def seen_on(day: int) -> Outcome:
        clock.at = AT + day * DAY
        (done,) = await desk.carry_out(errands(weak, at=clock.at))
        return done.outcome

    assert [await seen_on(day) for day in (0, 1, 2)] == [Outcome.WAITING, Outcome.WAITING, Outcome.DONE]
    clock.at += HOUR
    await store.remove_flag("alice", "us-ip", **BY)
    assert [await seen_on(day) for day in (3, 4, 5)] == [Outcome.WAITING, Outcome.WAITING, Outcome.DONE]


async def test_what_a_person_changed_besides_keeps_no_errand_from_being_done(
    desk: DeskStore, store: AccountStore, clock: SetClock
) -> None:
    clock.at += HOUR
    await store.add_flag("alice", "vip", **BY)
    (done,) = await desk.carry_out(errands(flag()))
    assert done.outcome is Outcome.DONE
    assert await flags(store) == {"us-ip", "vip"}


async def test_an_account_that_nobody_told_of_is_not_made_by_an_errand(desk: DeskStore, store: AccountStore) -> None:
    (done,) = await desk.carry_out(errands(flag(account="nobody")))
    assert done.outcome is Outcome.REFUSED
    assert "no account `nobody`" in done.why
    assert await store.read("nobody") is None


async def test_a_notice_is_told_once_a_day_for_its_cause(desk: DeskStore, store: AccountStore, clock: SetClock) -> None:
    notice = Notify(None, cause_of(None, RULE, "notify", "us-attempt"), RULE, "us-attempt")
    outcomes = []
    for later in (0, HOUR, DAY):
        clock.at = AT + later
        (done,) = await desk.carry_out(errands(notice, at=clock.at))
        outcomes.append(done.outcome)
    assert outcomes == [Outcome.DONE, Outcome.THERE, Outcome.DONE]
    assert rows(store, "SELECT type, account FROM outbox") == [("notice", ""), ("notice", "")]


async def test_the_errands_of_one_decision_are_done_together(desk: DeskStore, store: AccountStore) -> None:
    done = await desk.carry_out(errands(flag(), hold(), status(Status.RESTRICTED)))
    assert [one.outcome for one in done] == [Outcome.DONE] * 3
    account = await store.read("alice")
    assert account is not None
    assert (account.status, account.flags, account.holds) == ("restricted", {"us-ip"}, {"withdraw"})
