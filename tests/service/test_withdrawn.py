import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.facts import Unknown
from gateway.core.forgetting import DAY
from gateway.core.terms import Operation, WhyUnknown
from gateway.service.withdrawn import AHEAD, WithdrawnToday

NOON = 1_763_700_000_000_000


class FakeWithdrawals:
    """A sum, or a fault, and what was asked."""

    def __init__(self, told: float | Exception | None) -> None:
        self.told, self.asked = told, []

    async def amount_usd(self, uid: str, after: int, until: int) -> float | None:
        self.asked.append((uid, after, until))
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


@pytest.mark.parametrize("operation", [Operation.WITHDRAW, Operation.TRANSFER])
async def test_what_moves_money_is_measured_by_the_day_before_it(operation: Operation) -> None:
    withdrawals = FakeWithdrawals(12.5)

    assert await WithdrawnToday(withdrawals)(NOON, operation, "alice") == 12.5
    assert withdrawals.asked == [("alice", NOON - DAY, NOON + AHEAD)]


async def test_of_what_moves_no_money_and_of_nobody_nothing_is_asked() -> None:
    withdrawals = FakeWithdrawals(12.5)

    assert await WithdrawnToday(withdrawals)(NOON, Operation.VIEW, "alice") is None
    assert await WithdrawnToday(withdrawals)(NOON, Operation.WITHDRAW, None) is None
    assert withdrawals.asked == []


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (None, WhyUnknown.NOT_SUPPLIED),
        (StoreUnavailable("gone"), WhyUnknown.STORE_UNAVAILABLE),
        (RuntimeError("odd"), WhyUnknown.STORE_UNAVAILABLE),
    ],
)
async def test_what_cannot_be_added_up_is_unknown(told: Exception | None, why: WhyUnknown) -> None:
    assert await WithdrawnToday(FakeWithdrawals(told))(NOON, Operation.WITHDRAW, "alice") == Unknown(why)


async def test_an_account_that_is_unknown_has_an_unknown_sum() -> None:
    away = Unknown(WhyUnknown.KEYS_UNAVAILABLE)

    assert await WithdrawnToday(FakeWithdrawals(1.0))(NOON, Operation.WITHDRAW, away) == away
