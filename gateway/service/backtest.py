"""What the anomaly score would have held of a recorded history, run through it exactly as live traffic would be.

Everything is learned from what came before; nothing looks ahead. Attacks that were recorded are taken in like all else:
the gateway would not have known. A label is read by the report, and in one other place: what is known to be fraud is
left out where customers' habits and the line are measured, as an exchange leaves out the fraud that it has found.
"""

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Final, NamedTuple

from gateway.core.anomaly import Params, Score, bucket_of, holds, ratios, score
from gateway.core.anomaly_fit import Sample, fit, threshold
from gateway.core.everyone import ENOUGH, Global
from gateway.core.forgetting import DAY
from gateway.core.hold_budget import WINDOW_DAYS, Day, share
from gateway.core.login import DEV, NET, TIME, Login
from gateway.core.profile import Profile
from gateway.core.risk_tables import BUCKETS
from gateway.core.withdrawal_context import Classes, shares_of
from gateway.service.history import CHANGE, LOGIN, Event
from gateway.service.shelf import IN_USE, Shelf, Standing
from gateway.service.simple_rules import RULES, Flags

WINDOW: Final = WINDOW_DAYS * DAY
BUDGET: Final = 0.02
"""What may be held where nothing else is said."""
BUDGETS: Final[tuple[float, ...]] = (0.005, 0.01, 0.015, BUDGET, 0.03, 0.05, 0.09)
TEST_FROM_DAYS: Final = 300
_SAMPLES: Final = 600
"""Logins of each history size that the fit is made on."""
_MOST_CALIBRATING: Final = 200_000
"""Withdrawals of 60 days that are kept to draw the line by; of more, the latest."""
_LEAST_CALIBRATING: Final = 100
_MOST_PAID: Final = 100_000


class Judged(NamedTuple):
    """A withdrawal, and what became of it."""

    event: Event
    phase: str
    """`warm-up`, `fit`, `calibration` or `test`."""
    score: Score
    held: tuple[bool, ...]
    """For each budget; empty before the test."""
    rules: Flags


class Result(NamedTuple):
    """A withdrawal of the test, as small as the report can do with."""

    label: str | None
    account: int
    total: float
    held: int
    """A bit for each budget, and from `len(budgets)` on one for each simple rule."""
    top: str
    """The term that spoke most against it."""


class Counts(NamedTuple):
    """What a history held."""

    events: int = 0
    logins: int = 0
    failed: int = 0
    changes: int = 0
    withdrawals: int = 0
    repeats: int = 0


class Backtest:
    """One run through a history, event by event."""

    def __init__(
        self,
        budgets: Sequence[float] = BUDGETS,
        *,
        test_from_days: float = TEST_FROM_DAYS,
        seed: int = 0,
        refit: bool = True,
        in_use: int = IN_USE,
    ) -> None:
        """Build for budgets as shares. The test begins `test_from_days` after the first event.

        A fifth of the days before it warm the profiles up, three fifths are fitted on (not without `refit`), and the
        last 60 days before it draw the line, which is drawn anew each day of the test.
        """
        for budget in budgets:
            threshold((), budget)
        self.budgets = tuple(budgets)
        self.everyone = Global()
        self.shelf = Shelf(in_use)
        self.params = Params.of()
        self.thresholds: tuple[float, ...] = ()
        self.tested: list[Result] = []
        self.fitted = False
        self.first = self.last = 0
        self._counts = dict.fromkeys(Counts._fields, 0)
        self._days = test_from_days
        self._random = Random(seed)  # noqa: S311 - which logins are fitted on; the same seed, the same ones
        self._refit = refit
        self._samples: list[list[Sample]] = [[] for _ in range(BUCKETS)]
        self._offered = [0] * BUCKETS
        self._customer: tuple[tuple[tuple[float, ...], ...], ...] | None = None
        self._ends = (0, 0, 0)
        self._drawn = 0
        self._days_kept: tuple[deque[Day], ...] = tuple(deque(maxlen=WINDOW_DAYS) for _ in self.budgets)
        self._today = 0
        self._held_today = [0] * len(self.budgets)
        self._at = array("q")
        self._login_totals = array("d")
        self._classes: list[Classes] = []
        self._anyway = array("b")
        self._accounts: dict[str, int] = {}
        self._paid: dict[tuple[str, str], None] = {}

    @property
    def counts(self) -> Counts:
        """What the history held so far."""
        return Counts(**self._counts)

    @property
    def test_from(self) -> int:
        """When the test begins."""
        return self._ends[2]

    @property
    def test_days(self) -> float:
        """After how many days that is."""
        return self._days

    def warnings(self) -> Iterator[str]:
        """Yield what makes the figures say less than they seem to."""
        if self.everyone.seen < ENOUGH:
            yield f"{self.everyone.seen} logins are few: below {ENOUGH}, rule N holds besides the score"
        if not self.fitted:
            yield "the shipped shares served: nothing was fitted on this history"
        if len(self._at) < _LEAST_CALIBRATING:
            yield f"the line is drawn by {len(self._at)} withdrawals of 60 days; it takes {_LEAST_CALIBRATING}"

    def run(self, history: Iterable[Event]) -> Iterable[Judged]:
        """Take events in order of time; yield each withdrawal that was judged."""
        for event in history:
            judged = self.take(event)
            if judged is not None:
                yield judged

    def take(self, event: Event) -> Judged | None:
        """Take one event; return what became of it, where it is a withdrawal."""
        at = event.login.at
        if not self.first:
            self.first = at
            span = int(self._days * DAY)
            self._ends = (at + span // 5, at + span * 4 // 5, at + span)
        self.last = at
        self._counts["events"] += 1
        standing = self.shelf.take(event.account)
        if event.type == LOGIN:
            self._login(event, standing)
            return None
        if event.type == CHANGE:
            self._counts["changes"] += 1
            if event.done is not False and event.method is not None:
                standing.profile.change(event.method, at, recovered=event.recovered)
            return None
        if self._repeated(event):
            self._counts["repeats"] += 1
            return None
        return self._withdrawal(event, standing)

    def _repeated(self, event: Event) -> bool:
        """Return whether this withdrawal came before, as the latest ones tell; logins the profile knows."""
        if event.id is None:
            return False
        if (event.account, event.id) in self._paid:
            return True
        if len(self._paid) >= _MOST_PAID:
            del self._paid[next(iter(self._paid))]
        self._paid[event.account, event.id] = None
        return False

    def _login(self, event: Event, standing: Standing) -> None:
        self._counts["logins"] += 1
        if event.done is False:
            self._counts["failed"] += 1
            return
        login = event.login
        profile, rules = standing
        warm, fitted, _ = self._ends
        if self._refit and warm <= login.at < fitted and event.label is None:
            profile.settle(login.at)
            self._offer(login, profile)
        if not profile.observe(login):
            self._counts["repeats"] += 1
            return
        self.everyone.observe(login)
        rules.observe(login)

    def _offer(self, login: Login, profile: Profile) -> None:
        """Keep the login for the fit, with the same odds for each of its history size (reservoir sampling)."""
        bucket = bucket_of(profile.logins(login.at))
        self._offered[bucket] += 1
        kept = self._samples[bucket]
        place = len(kept) if len(kept) < _SAMPLES else self._random.randrange(self._offered[bucket])
        if place >= _SAMPLES:
            return
        usual = profile.unguarded(login.values)
        found = tuple(tuple(ratios(usual, self.everyone, login, levels)[0]) for levels in (NET, DEV, TIME))
        kept[place : place + 1] = [(bucket, found)]

    def _withdrawal(self, event: Event, standing: Standing) -> Judged:
        self._counts["withdrawals"] += 1
        login, profile = event.login, standing.profile
        _, fit_ends, test = self._ends
        assert event.withdrawal is not None
        if login.at >= fit_ends and not self.fitted and self._refit:
            self._customer = fit(sample for kept in self._samples for sample in kept)
            self.params = Params.of(self._customer)
            self.fitted = True
            self._samples = []
        if login.at >= test and login.at >= self._drawn + DAY:
            self._draw(login.at)
        profile.settle(login.at)
        told = score(profile, self.everyone, login, event.withdrawal, self.params)
        flags = standing.rules.judge(login, event.withdrawal.destination)
        phase, held = "test", tuple(holds(told, line) for line in self.thresholds)
        if login.at < test:
            phase = "warm-up" if login.at < self._ends[0] else "fit" if login.at < fit_ends else "calibration"
        else:
            bits = sum(one << place for place, one in enumerate((*held, *flags)))
            account = self._accounts.setdefault(event.account, len(self._accounts))
            top = max(told.terms, key=lambda term: term.value).name
            self.tested.append(Result(event.label, account, told.total, bits, top))
        if event.label is None:
            self._remember(told, login.at)
            if phase == "test":
                self._today += 1
                self._held_today = [count + one for count, one in zip(self._held_today, held, strict=True)]
        if event.done:
            profile.confirm(login, event.proofs, event.withdrawal.destination)
            standing.rules.pay(event.withdrawal.destination)
        return Judged(event, phase, told, held, flags)

    def _remember(self, told: Score, at: int) -> None:
        """Keep what the line is drawn by: the login's half of the score, and the classes of the withdrawal."""
        asked = sum(values[one] for values, one in zip(self.params.evidence, told.classes, strict=True))
        self._at.append(at)
        self._login_totals.append(told.total - asked)
        self._classes.append(told.classes)
        self._anyway.append(told.new_here and told.too_early)
        if len(self._at) > 2 * _MOST_CALIBRATING:
            self._forget(len(self._at) - _MOST_CALIBRATING)

    def _forget(self, count: int) -> None:
        del self._at[:count], self._login_totals[:count], self._classes[:count], self._anyway[:count]

    def _draw(self, at: int) -> None:
        """Measure customers' habits and draw the line anew, by the customers' withdrawals of the last 60 days."""
        for kept, held in zip(self._days_kept, self._held_today, strict=True):
            kept.append(Day(self._today, held))
        self._drawn, self._today, self._held_today = at, 0, [0] * len(self.budgets)
        self._forget(bisect_left(self._at, at - WINDOW))
        self.params = Params.of(self._customer, shares_of(self._classes))
        asked = {
            classes: sum([values[one] for values, one in zip(self.params.evidence, classes, strict=True)])
            for classes in set(self._classes)
        }
        totals = sorted(
            total + asked[classes]
            for total, classes, anyway in zip(self._login_totals, self._classes, self._anyway, strict=True)
            if not anyway
        )
        held_anyway, usual = len(self._at) - len(totals), len(self._at) / WINDOW_DAYS
        self.thresholds = tuple(
            threshold(totals, share(budget, tuple(kept), usual), held_anyway)
            for budget, kept in zip(self.budgets, self._days_kept, strict=True)
        )


def detectors(budgets: Sequence[float]) -> list[str]:
    """Return the names of the rows of a report: each budget, and each simple rule."""
    return [f"score, budget {100 * budget:g} %" for budget in budgets] + list(RULES)
