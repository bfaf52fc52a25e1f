import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.anomaly import Score
from gateway.core.forgetting import DAY
from gateway.core.hold_budget import WINDOW_DAYS
from gateway.core.score_days import ENOUGH, ENOUGH_DAYS, ScoreDays

TODAY = 20_000 * DAY
BUDGET = 0.02


def scored(total: float, *, anyway: bool = False) -> Score:
    return Score(total, (), new_here=anyway, too_early=anyway)


def counted(days: int = 30, each: int = 50, *, drawn: bool = False) -> ScoreDays:
    """Return days before today on each of which scores lay evenly between 0 and 5."""
    found = ScoreDays()
    for back in range(1, days + 1):
        for number in range(each):
            found.count(TODAY - back * DAY, scored(5 * number / each), held=False, drawn=drawn)
    return found


def above(found: ScoreDays, line: float) -> int:
    return sum(count for day in found.days.values() for step, count in day.steps.items() if (step + 0.5) * 0.05 > line)


def test_a_line_lies_where_the_budget_says() -> None:
    found = counted()

    assert above(found, found.line(BUDGET, TODAY)) == 0.02 * 1500
    assert above(found, found.line(0.1, TODAY)) == 0.1 * 1500
    assert above(found, found.line(0.019, TODAY)) < 0.019 * 1500


def test_no_line_is_drawn_by_too_few_days_or_withdrawals() -> None:
    assert counted(ENOUGH_DAYS - 1, 1000).line(BUDGET, TODAY) is None
    assert counted(ENOUGH_DAYS, ENOUGH // ENOUGH_DAYS).line(BUDGET, TODAY) is None
    assert ScoreDays().line(BUDGET, TODAY) is None


def test_the_day_itself_draws_nothing() -> None:
    found = counted()
    before = found.line(BUDGET, TODAY)
    for _ in range(500):
        found.count(TODAY, scored(9), held=True, drawn=True)

    assert found.line(BUDGET, TODAY) == before != found.line(BUDGET, TODAY + DAY)


def test_what_was_held_too_much_raises_the_line_of_the_next_days() -> None:
    found = counted(drawn=True)
    line = found.line(0.05, TODAY)
    for day in found.days.values():
        day.held = 5

    assert found.line(0.05, TODAY) > line


def test_days_under_fixed_lines_are_no_debt_of_the_budget() -> None:
    found = counted()
    before = found.line(BUDGET, TODAY)
    for day in found.days.values():
        day.held = 25

    assert found.line(BUDGET, TODAY) == before


def test_who_is_held_anyway_uses_up_half_of_the_budget_at_most() -> None:
    found = counted()
    for number in range(300):
        found.count(TODAY - (1 + number % 30) * DAY, scored(0, anyway=True), held=True, drawn=False)

    assert above(found, found.line(0.1, TODAY)) == 90


SCORES = st.tuples(st.integers(0, 70), st.floats(-30, 30), st.booleans(), st.booleans())


@settings(max_examples=50)
@given(st.lists(SCORES, max_size=60), st.lists(SCORES, max_size=60))
def test_it_does_not_matter_who_counted_what(some: list[tuple[int, float, bool, bool]], others: list) -> None:
    one, other, both = ScoreDays(), ScoreDays(), ScoreDays()
    for days, counts in ((one, some), (other, others), (both, some + others)):
        for back, total, anyway, held in counts:
            days.count(TODAY - back * DAY, scored(total, anyway=anyway), held=held, drawn=held)
    other.add(one)

    assert other.to_bytes() == both.to_bytes() == ScoreDays.from_bytes(both.to_bytes()).to_bytes()
    both.forget(TODAY)
    assert all(TODAY // DAY - number <= WINDOW_DAYS for number in both.days)
    assert both.line(BUDGET, TODAY) == other.line(BUDGET, TODAY)


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_damaged_bytes_are_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="damaged scores"):
        ScoreDays.from_bytes(counted().to_bytes()[:cut])


def test_sixty_days_take_a_few_kilobytes() -> None:
    found = ScoreDays()
    for number in range(60_000):
        found.count(TODAY - (1 + number % 60) * DAY, scored(-20 + 0.0007 * number), held=False, drawn=True)

    assert len(found.to_bytes()) < 256 * 1024
