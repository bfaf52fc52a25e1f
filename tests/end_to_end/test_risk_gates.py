"""What the anomaly score must reach on pretend histories, at the budget that serves where nothing else is said.

Nothing is chosen on the part that is tested: budget and numbers were decided on other seeds (11 to 16).
"""

import pytest

from gateway.core.login import Digests
from gateway.service.backtest import BUDGET, Backtest
from gateway.service.backtest_report import Report, report_of
from gateway.service.history import BadLine, Reader, events
from gateway.service.synth import Size, history, ndjson
from gateway.service.synth.attacks import NEW_DEVICE


def refused(fault: BadLine) -> None:
    raise fault


def judged(seed: int, size: Size) -> tuple[Report, Backtest]:
    run = Backtest((BUDGET,), seed=seed)
    reader = Reader(Digests(b"only for these tests"))
    for _ in run.run(events(ndjson(history(seed, size)), reader, refused)):
        pass
    return report_of(run, main=BUDGET), run


def test_few_customers_are_held_and_most_of_each_attacker_in_a_small_history() -> None:
    report, run = judged(7, Size(300, 365, 20))
    row = report.rows[0]

    assert run.fitted
    assert row.held <= 0.05
    assert min(row.caught[label] for label in NEW_DEVICE) >= 0.85
    assert row.caught["session_hijack"] >= 0.5
    assert sorted(run.shelf.sizes())[int(0.95 * 300)] <= 3_500


@pytest.mark.soak
@pytest.mark.parametrize("seed", [7, 8, 9])
def test_two_percent_of_customers_are_held_and_hardly_an_attacker_gets_away(seed: int) -> None:
    report, run = judged(seed, Size(5_000, 365, 800))
    row = report.rows[0]

    assert 0.015 <= row.held <= 0.02
    assert {label: row.caught[label] for label in NEW_DEVICE if row.caught[label] < 0.99} == {}
    assert row.caught["session_hijack"] >= 0.75
    assert "malware_on_device" in row.caught
    assert sorted(run.shelf.sizes())[int(0.95 * 5_000)] <= 3_000
