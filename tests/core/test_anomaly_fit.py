from math import log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.anomaly_fit import ENOUGH, FLOOR, fit, mixture, threshold
from gateway.core.risk_tables import GROUPS


def drawn(shares: tuple[float, ...], logins: int) -> list[tuple[float, ...]]:
    """Return the ratios of logins that were each usual at one level, and at all coarser ones."""
    random = Random(5)
    rows = []
    for _ in range(logins):
        level = random.choices(range(len(shares)), shares)[0]
        rows.append(tuple(4.0**place if place <= level else 0.0 for place in range(len(shares))))
    return rows


def likelihood(rows: list[tuple[float, ...]], shares: tuple[float, ...]) -> float:
    return sum(log(sum(share * ratio for share, ratio in zip(shares, row, strict=True))) for row in rows)


def test_the_fitted_shares_explain_logins_better_than_the_shipped_ones() -> None:
    rows = drawn((0.2, 0.2, 0.2, 0.2, 0.2), 500)
    start = GROUPS[0].customer[-1]

    fitted = mixture(rows, start)

    assert sum(fitted) == pytest.approx(1)
    assert min(fitted) >= FLOOR * 0.99
    assert likelihood(rows, fitted) > likelihood(rows, start)


def test_customers_who_always_use_one_device_are_explained_by_it() -> None:
    assert mixture([(1.0, 2.0, 3.0, 4.0, 5000.0)] * 300, GROUPS[1].customer[0])[-1] > 0.99


def test_history_sizes_of_which_few_logins_were_seen_keep_the_shipped_shares() -> None:
    found = ((1.0, 0.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 0.0), (1.0, 0.0))

    fitted = fit([(2, found)] * ENOUGH + [(3, found)] * (ENOUGH - 1))

    assert fitted[0][2][0] > 0.99
    assert fitted[0][3] == GROUPS[0].customer[3]
    assert [len(table) for table in fitted] == [5, 5, 5]


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=300), st.floats(0.001, 0.5), st.integers(0, 50))
def test_a_threshold_never_holds_more_than_its_budget(scores: list[float], budget: float, anyway: int) -> None:
    line = threshold(scores, budget, anyway)
    held = sum(one > line for one in scores)

    assert held <= budget * (len(scores) + anyway)
    assert held + anyway <= max(budget * (len(scores) + anyway), 1.5 * anyway + budget * len(scores) / 2) + 1


def test_many_who_are_held_anyway_leave_the_score_half_of_the_budget() -> None:
    scores = [float(number) for number in range(1000)]

    assert sum(one > threshold(scores, 0.02) for one in scores) == 20
    assert sum(one > threshold(scores, 0.02, 5) for one in scores) == 15
    assert sum(one > threshold(scores, 0.02, 500) for one in scores) == 15


def test_without_scores_nothing_is_above_the_line() -> None:
    assert threshold([], 0.015) == float("inf")


@pytest.mark.parametrize("budget", [0, 1, 1.5, -0.1])
def test_a_budget_that_is_no_share_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match=r"0\.015"):
        threshold([1.0], budget)
