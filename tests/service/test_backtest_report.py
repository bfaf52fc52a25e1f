import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.service.backtest import Backtest, Result
from gateway.service.backtest_report import document, report_of, text, wilson


def result(label: str | None, account: int, held: int, total: float = 1.0, top: str = "device") -> Result:
    return Result(label, account, total, held, top)


def run_of(*found: Result) -> Backtest:
    run = Backtest((0.015, 0.09))
    run.tested = list(found)
    run.thresholds = (3.0, 1.0)
    return run


def test_each_detector_has_its_share_of_customers_and_of_each_attacker() -> None:
    found = report_of(
        run_of(
            *(result(None, number, 0b000010 if number < 2 else 0) for number in range(40)),
            *(result("bot", 1, 0b100011, top="network") for _ in range(3)),
            result("bot", 2, 0b000010),
        ),
        main=0.015,
    )

    strict, wide, *_, last = found.rows
    assert (strict.name, strict.threshold, strict.held, strict.caught) == (
        "score, budget 1.5 %",
        3.0,
        0.0,
        {"bot": 0.75},
    )
    assert (wide.held, wide.caught) == (0.05, {"bot": 1.0})
    assert (last.name[:2], last.threshold, last.caught) == ("N:", None, {"bot": 0.75})
    assert found.holding["bot"] == [("network", 1.0)]
    assert found.holding["legitimate"] == []
    assert found.interval.startswith("bootstrap over accounts")


def test_few_accounts_have_wilsons_interval() -> None:
    found = report_of(run_of(*(result(None, 1, number & 1) for number in range(20))), main=0.09)

    assert found.interval == "Wilson"
    assert found.rows[0].interval == pytest.approx(wilson(10, 20))


def test_one_account_that_is_held_often_widens_the_interval() -> None:
    spread = [result(None, number % 100, 1 if number < 20 else 0) for number in range(400)]
    bunched = [result(None, number // 4, 1 if number < 20 else 0) for number in range(400)]

    low, high = report_of(run_of(*spread), main=0.015).rows[0].interval
    lower, higher = report_of(run_of(*bunched), main=0.015).rows[0].interval
    assert higher - lower > high - low


def test_the_text_has_a_line_for_each_detector_and_the_document_is_json() -> None:
    run = run_of(*(result(None, number, 0) for number in range(40)), result("bot", 1, 0b1))
    found = report_of(run, main=0.015)

    lines = list(text(found))
    assert any("score, budget 1.5 %" in line and "100.0" in line for line in lines)
    assert any(line.startswith("note: ") for line in lines)
    assert json.loads(json.dumps(document(found)))["detectors"][0]["caught"] == {"bot": 1.0}


def test_a_line_that_could_not_be_drawn_is_none_since_json_knows_no_infinity() -> None:
    run = run_of(result(None, 1, 0))
    run.thresholds = (float("inf"), 1.0)

    assert [row.threshold for row in report_of(run, main=0.015).rows[:2]] == [None, 1.0]
    assert "Infinity" not in json.dumps(document(report_of(run, main=0.015)))


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilsons_interval_holds_the_share(hits: int, misses: int) -> None:
    low, high = wilson(hits, hits + misses)

    assert 0 <= low <= high <= 1
    if hits + misses:
        assert low <= hits / (hits + misses) + 1e-12
        assert high >= hits / (hits + misses) - 1e-12
