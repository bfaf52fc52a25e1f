"""What a back-test found, as a table for people and as one document for programs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite, sqrt
from random import Random
from typing import Any, Final, NamedTuple

from gateway.core.decision import instant_text
from gateway.core.forgetting import DAY
from gateway.service.backtest import Backtest, Result, detectors

RESAMPLES: Final = 400
_MOST_DRAWN: Final = 4_000_000
_FEW_ACCOUNTS: Final = 30
_FIELD: Final = 64
_WHOLE: Final = (1 << _FIELD) - 1
_Z: Final = 1.96
_TOP: Final = 5


class Row(NamedTuple):
    """What one detector did."""

    name: str
    threshold: float | None
    """The latest; None for a rule, which has none, and where nothing could be measured."""
    held: float
    """Share of the customers' withdrawals."""
    interval: tuple[float, float]
    """95 % of resamples, or Wilson's, see `Report.interval`."""
    caught: dict[str, float]
    """Share of each attacker's withdrawals."""


class Report(NamedTuple):
    """All of it."""

    history: dict[str, Any]
    interval: str
    rows: tuple[Row, ...]
    holding: dict[str, list[tuple[str, float]]]
    """For customers (`legitimate`) and each attacker: the terms that spoke most against what was held, with shares."""
    holding_budget: float


def report_of(run: Backtest, *, main: float, seed: int = 0) -> Report:
    """Return the report of a run that is over; `main` is the budget whose holds are explained."""
    groups: dict[str | None, list[Result]] = {}
    for one in run.tested:
        groups.setdefault(one.label, []).append(one)
    customers = groups.pop(None, [])
    labels = sorted(label for label in groups if label is not None)
    clustered = len({one.account for one in customers}) >= _FEW_ACCOUNTS
    names = detectors(run.budgets)
    intervals = _clustered(customers, len(names), seed) if clustered else []
    rows = []
    for place, name in enumerate(names):
        held = [one.held >> place & 1 for one in customers]
        rows.append(
            Row(
                name,
                next((line for line in run.thresholds[place : place + 1] if isfinite(line)), None),
                _share(sum(held), len(held)),
                intervals[place] if clustered else wilson(sum(held), len(held)),
                {
                    label: _share(sum(one.held >> place & 1 for one in groups[label]), len(groups[label]))
                    for label in labels
                },
            )
        )
    bit = run.budgets.index(main)
    return Report(
        _history(run, customers, {label: len(groups[label]) for label in labels}),
        f"bootstrap over accounts, {RESAMPLES} resamples, seed {seed}" if clustered else "Wilson",
        tuple(rows),
        {
            name: _holding([one for one in tested if one.held >> bit & 1])
            for name, tested in (("legitimate", customers), *((label, groups[label]) for label in labels))
        },
        main,
    )


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the interval that holds the true share in 19 of 20 samples (Wilson 1927)."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, _Z * _Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    reach = _Z * sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def text(report: Report) -> Iterator[str]:
    """Yield the report as lines."""
    history = report.history
    yield (
        f"{history['events']} events of {history['accounts']} accounts, {history['from']} to {history['until']}: "
        f"{history['logins']} logins ({history['failed']} failed), {history['withdrawals']} withdrawals"
    )
    tested = history["tested"]
    yield (
        f"tested from {history['test_from']}: {tested['legitimate']} legitimate withdrawals"
        + "".join(f", {count} {label}" for label, count in tested["attacks"].items())
    )
    for warning in history["warnings"]:
        yield f"note: {warning}"
    yield ""
    labels = list(tested["attacks"])
    width = max(len(row.name) for row in report.rows)
    yield f"{'% of withdrawals held':<{width}}  {'legitimate':>10}  {'95 %':>13}" + "".join(
        f"  {one}" for one in labels
    )
    for row in report.rows:
        low, high = row.interval
        yield (
            f"{row.name:<{width}}  {100 * row.held:>10.2f}  {100 * low:>5.2f} - {100 * high:>5.2f}"
            + "".join(f"  {100 * row.caught[one]:>{len(one)}.1f}" for one in labels)
        )
    yield f"interval: {report.interval}"
    yield ""
    yield f"what spoke most against what was held at a budget of {100 * report.holding_budget:g} %"
    width = max(map(len, report.holding))
    for name, terms in report.holding.items():
        if terms:
            yield f"  {name:<{width}}  " + ", ".join(f"{term} {100 * share:.0f} %" for term, share in terms)


def document(report: Report) -> dict[str, Any]:
    """Return the report as a JSON document, shares as fractions."""
    return {
        "history": report.history,
        "interval": report.interval,
        "detectors": [row._asdict() for row in report.rows],
        "holding": {"budget": report.holding_budget, "terms": report.holding},
    }


def _history(run: Backtest, customers: Sequence[Result], attacks: dict[str, int]) -> dict[str, Any]:
    counts = run.counts
    warnings = list(run.warnings())
    return {
        **counts._asdict(),
        "accounts": len(run.shelf),
        "from": instant_text(run.first),
        "until": instant_text(run.last),
        "days": round((run.last - run.first) / DAY, 1),
        "test_from": instant_text(run.test_from),
        "fitted": run.fitted,
        "tested": {"legitimate": len(customers), "attacks": attacks},
        "warnings": warnings,
    }


def _share(hits: int, of: int) -> float:
    return hits / of if of else 0.0


def _clustered(customers: Sequence[Result], how_many: int, seed: int) -> list[tuple[float, float]]:
    """Return the interval of each detector's share under drawing accounts anew: one account's withdrawals are alike.

    What all detectors held is added up as one number, with a field for each, and one for the withdrawals.
    """
    by_account: dict[int, int] = {}
    fields: dict[int, int] = {}
    for one in customers:
        if one.held not in fields:
            fields[one.held] = 1 + sum((one.held >> place & 1) << _FIELD * (place + 1) for place in range(how_many))
        by_account[one.account] = by_account.get(one.account, 0) + fields[one.held]
    counts = list(by_account.values())
    random = Random(seed)  # noqa: S311 - a bootstrap; the same seed gives the same interval
    sums = [
        sum(random.choices(counts, k=len(counts))) for _ in range(min(RESAMPLES, max(100, _MOST_DRAWN // len(counts))))
    ]
    return [
        _middle(sorted(_share(one >> _FIELD * place & _WHOLE, one & _WHOLE) for one in sums))
        for place in range(1, how_many + 1)
    ]


def _middle(shares: Sequence[float]) -> tuple[float, float]:
    return shares[int(0.025 * len(shares))], shares[min(len(shares) - 1, int(0.975 * len(shares)))]


def _holding(held: Sequence[Result]) -> list[tuple[str, float]]:
    counted = Counter(one.top for one in held)
    return [(term, count / len(held)) for term, count in counted.most_common(_TOP)]
