import pytest

from gateway.core.anomaly import Score
from gateway.core.errors import StoreUnavailable
from gateway.core.forgetting import DAY
from gateway.core.score_days import ScoreDays
from gateway.core.signals import Lines
from gateway.service.hold_line import HoldLine

TODAY = 20_000 * DAY
FIXED = Lines(0.0, 3.6)


class FakeScores:
    """Counts of all processes, in memory."""

    def __init__(self) -> None:
        self.kept, self.broken = ScoreDays(), False

    async def add(self, counted: ScoreDays) -> ScoreDays:
        if self.broken:
            raise StoreUnavailable("no store")
        self.kept.add(counted)
        return self.kept


class FakeClock:
    def now(self) -> int:
        return TODAY


@pytest.fixture
def scores() -> FakeScores:
    return FakeScores()


def line(scores: FakeScores, fixed: Lines = FIXED) -> HoldLine:
    return HoldLine(scores, budget=0.02, fixed=fixed, clock=FakeClock())


def months(hold: HoldLine, days: int = 40) -> None:
    for back in range(days, 0, -1):
        for number in range(50):
            hold.count("alice", number, Score(number / 10, ()), TODAY - back * DAY, held=False)


async def test_fixed_lines_serve_until_there_is_history_enough(scores: FakeScores) -> None:
    hold = line(scores)
    months(hold, 20)
    await hold.look()
    assert (hold.lines, hold.drawn) == (FIXED, False)

    months(hold)
    await hold.look()
    assert hold.drawn
    assert 4.7 < hold.lines.high < 5
    assert hold.lines.medium == 0.0


async def test_every_process_draws_the_same_line(scores: FakeScores) -> None:
    one, other = line(scores), line(scores)
    months(one, 15)
    months(other)
    await one.look()
    await other.look()
    await one.look()

    assert one.lines == other.lines != FIXED


async def test_a_line_below_the_medium_one_takes_it_along(scores: FakeScores) -> None:
    hold = line(scores, Lines(9.0, 9.5))
    months(hold)
    await hold.look()

    assert hold.lines.medium == hold.lines.high < 5


async def test_a_withdrawal_that_is_tried_again_is_counted_once_a_day(scores: FakeScores) -> None:
    hold = line(scores)
    for at in (TODAY, TODAY + 1, TODAY + DAY):
        for account in ("alice", "alice", "bob"):
            hold.count(account, 7, Score(1.0, ()), at, held=True)
    await hold.look()

    assert [day.withdrawals for day in scores.kept.days.values()] == [2, 2]
    assert [day.held for day in scores.kept.days.values()] == [2, 2]


async def test_what_the_store_did_not_take_is_handed_in_later(scores: FakeScores) -> None:
    hold = line(scores)
    months(hold)
    scores.broken = True
    with pytest.raises(StoreUnavailable):
        await hold.look()
    assert hold.lines == FIXED

    scores.broken = False
    await hold.look()
    await hold.look()
    assert sum(day.withdrawals for day in scores.kept.days.values()) == 40 * 50
    assert hold.drawn


async def test_what_is_left_at_the_end_is_handed_in(scores: FakeScores) -> None:
    hold = line(scores)
    await hold.start()
    hold.count("alice", 1, Score(1.0, ()), TODAY, held=False)
    await hold.close()

    assert sum(day.withdrawals for day in scores.kept.days.values()) == 1


async def test_a_store_that_is_away_at_the_end_keeps_nobody_waiting(scores: FakeScores) -> None:
    hold = line(scores)
    await hold.start()
    scores.broken = True
    hold.count("alice", 1, Score(1.0, ()), TODAY, held=False)
    await hold.close()
    await hold.close()

    assert not scores.kept.days
