from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters import withdrawn
from gateway.adapters.event_book import EventBook
from gateway.adapters.sql import AccountStore
from gateway.adapters.withdrawn import WithdrawnStore
from gateway.core.events import LoginSucceeded, WithdrawalCompleted
from gateway.core.login import Digests
from tests.stores import AT, DAY, HOUR, KINDS, SetClock, opened


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountStore]:
    async with opened(tmp_path, SetClock(), request.param) as store:
        yield store


async def tell(store: AccountStore, *told: tuple[int, float | None], account: str = "alice") -> None:
    book = EventBook(store, Digests(b"the key of these tests"))
    paid = [
        WithdrawalCompleted(id=f"{account} {at} {amount}", account=account, at=at, amount_usd=amount)
        for at, amount in told
    ]
    await book.take([*paid, LoginSucceeded(id=f"{account} in", account=account, at=AT - HOUR)], "test")


async def day_of(store: AccountStore, account: str = "alice", at: int = AT) -> float | None:
    return await WithdrawnStore(store).amount_usd(account, at - DAY, at)


async def test_the_withdrawals_of_the_last_day_are_added_up_exactly(store: AccountStore) -> None:
    await tell(store, (AT - DAY, 1000.0), (AT - DAY + 1, 0.1), (AT - HOUR, 0.2), (AT, 0.3), (AT + 1, 5.0))

    assert await day_of(store) == pytest.approx(0.6, abs=1e-15)
    assert await day_of(store, at=AT + 1) == pytest.approx(5.5, abs=1e-15)


async def test_nobody_elses_withdrawals_count(store: AccountStore) -> None:
    await tell(store, (AT - HOUR, 7.0), account="bob")

    assert await day_of(store) == await day_of(store, "no uid at all " * 100) == 0.0


async def test_one_that_does_not_say_its_amount_makes_the_sum_unknown(store: AccountStore) -> None:
    await tell(store, (AT - HOUR, 7.0), (AT - 2 * HOUR, None))

    assert await day_of(store) is None
    assert await day_of(store, at=AT - HOUR // 2 + DAY - HOUR) == 7.0


async def test_more_than_are_added_up_make_the_sum_unknown(store: AccountStore, monkeypatch) -> None:
    monkeypatch.setattr(withdrawn, "MOST", 2)
    await tell(store, *((AT - HOUR - number, 1.0) for number in range(3)))

    assert await day_of(store) is None
