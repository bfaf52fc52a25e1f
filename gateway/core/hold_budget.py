"""What a hold budget has left for the next day, from what the days before held of it.

A line that is drawn where the budget's share of the last 60 days lies is off by a sixth in either direction: 60 days
have some 70 holds at 2 %, and customers change. So what was held too much or too little is given back within some
weeks (as adaptive conformal inference does, Gibbs and Candès 2021), and a reserve is kept, so that it errs on the safe
side. Given back slowly: a line that jumps lets thieves pass on the days on which it is high.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple

WINDOW_DAYS: Final = 60
"""Days that are looked back to."""
GIVEN_BACK_DAYS: Final = 21
"""Days over which a difference is made good."""
RESERVE: Final = 1.5
"""How many standard deviations of the holds of `GIVEN_BACK_DAYS` are kept back."""
LEAST: Final = 0.25
"""Of the budget. Nobody blinds the score altogether by being held on purpose."""
MOST: Final = 2.0


class Day(NamedTuple):
    """Customers' withdrawals of one day, and how many of them the line held."""

    withdrawals: int
    held: int


def share(budget: float, days: Sequence[Day], usual: float) -> float:
    """Return the share of the next day's withdrawals that the line shall hold, of a quarter to twice the budget.

    `budget` is a share, such as 0.02; `days` are those on which it was kept to, the latest last; `usual` is how many
    withdrawals a day has.
    """
    if usual <= 0:
        return budget
    days = days[-WINDOW_DAYS:]
    seen, given_back = sum(day.withdrawals for day in days), usual * GIVEN_BACK_DAYS
    # It is built up as the days go by: at once, it would make the line of the first weeks too high.
    reserve = RESERVE * sqrt(budget * given_back) * min(1.0, seen / given_back)
    left = budget * seen - sum(day.held for day in days) - reserve
    return max(LEAST * budget, min(MOST * budget, budget + left / given_back))
