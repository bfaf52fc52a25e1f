"""Whoever asks the store is stopped by one breaker, and what waits for nothing is passed on as it is."""

from types import SimpleNamespace

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.service.breaker import Breaker
from gateway.service.guarded import (
    GuardedAccounts,
    GuardedDesk,
    GuardedProfiles,
    GuardedRevocations,
    GuardedWithdrawals,
)
from tests.world import SECOND, FakeAccounts, FakeClock, account


class Asked:
    """A part of which every method answers with its arguments."""

    generation, everyone, networks = 7, "everyone", "networks"

    def __getattr__(self, name):
        async def method(*arguments):
            return (name, *arguments)

        return method


@pytest.fixture
def breaker() -> Breaker:
    return Breaker("store", FakeClock(), StoreUnavailable, faults=1)


QUESTIONS = [
    (GuardedAccounts, "read", ("alice",)),
    (GuardedAccounts, "key_owner", (b"digest",)),
    (GuardedRevocations, "of", ("alice",)),
    (GuardedProfiles, "read", ("alice",)),
    (GuardedWithdrawals, "amount_usd", ("alice", 1, 2)),
    (GuardedDesk, "carry_out", ("errands",)),
    (GuardedDesk, "open_ticket_for", ("alice", "withdraw")),
]


@pytest.mark.parametrize(("guarded", "name", "arguments"), QUESTIONS)
async def test_what_is_asked_is_passed_on_until_the_store_is_silent(breaker, guarded, name, arguments) -> None:
    ask = getattr(guarded(Asked(), breaker), name)
    assert await ask(*arguments) == (name, *arguments)
    breaker._opened_at = FakeClock().now()
    with pytest.raises(StoreUnavailable, match="not asked for a while"):
        await ask(*arguments)


async def test_what_waits_for_nothing_is_the_ports_own(breaker) -> None:
    accounts = FakeAccounts({"alice": account()}, generation=5)
    guarded = GuardedAccounts(accounts, breaker)
    assert (guarded.generation, guarded.changed_at("alice"), guarded.fresh(SECOND)) == (5, 5, True)
    assert await guarded.read("alice") == account()
    profiles = GuardedProfiles(Asked(), breaker)
    assert (profiles.generation, profiles.everyone, profiles.networks) == (7, "everyone", "networks")


async def test_a_store_that_is_silent_for_one_is_so_for_all() -> None:
    clock = FakeClock()
    breaker = Breaker("store", clock, StoreUnavailable, faults=1)

    async def slow(*_):
        clock.at += SECOND
        raise StoreUnavailable("silent")

    with pytest.raises(StoreUnavailable, match="silent"):
        await GuardedRevocations(SimpleNamespace(of=slow), breaker).of("alice")
    with pytest.raises(StoreUnavailable, match="not asked"):
        await GuardedDesk(Asked(), breaker).carry_out(None)
