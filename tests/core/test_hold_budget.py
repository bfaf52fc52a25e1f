from hypothesis import given
from hypothesis import strategies as st

from gateway.core.hold_budget import GIVEN_BACK_DAYS, LEAST, MOST, WINDOW_DAYS, Day, share

BUDGETS = st.floats(0.001, 0.2)
DAYS = st.lists(st.integers(0, 500).flatmap(lambda n: st.builds(Day, st.just(n), st.integers(0, n))), max_size=90)


def test_a_budget_that_nothing_was_held_of_yet_is_the_budget() -> None:
    assert share(0.02, (), 50) == 0.02
    assert share(0.02, (), 0) == 0.02


def test_what_was_held_too_much_is_given_back() -> None:
    spent, kept, saved = (share(0.02, [Day(100, held)] * 21, 100) for held in (4, 2, 0))

    assert spent < kept < 0.02 < saved


@given(BUDGETS, DAYS, st.floats(0.1, 1000))
def test_one_more_hold_never_lets_the_next_day_hold_more(budget: float, days: list[Day], usual: float) -> None:
    before = share(budget, [*days, Day(10, 1)], usual)

    assert share(budget, [*days, Day(10, 2)], usual) <= before
    assert LEAST * budget <= before <= MOST * budget


@given(BUDGETS, DAYS)
def test_days_beyond_the_window_are_forgotten(budget: float, days: list[Day]) -> None:
    window = [Day(20, 1)] * WINDOW_DAYS

    assert share(budget, [*days, *window], 20) == share(budget, window, 20)


@given(st.floats(0.5, 2.0), st.floats(0.01, 0.05))
def test_a_line_that_holds_more_or_less_than_was_foreseen_ends_near_the_budget(drift: float, budget: float) -> None:
    """A line of share `a` holds `drift * a`: as where customers change after it was drawn."""
    days: list[Day] = []
    owed = 0.0
    for _ in range(3 * GIVEN_BACK_DAYS):
        owed += drift * share(budget, days, 400) * 400
        days.append(Day(400, int(owed)))
        owed -= int(owed)
    realised = sum(day.held for day in days) / sum(day.withdrawals for day in days) / budget

    assert abs(realised - 1) <= 0.6 * abs(drift - 1) + 0.06
    assert realised <= 1 or drift > 1
