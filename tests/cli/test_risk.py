import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from tests.service.histories import line

runner = CliRunner()


def lines(days: int = 60) -> list[bytes]:
    found = []
    for day in range(days):
        session = f"s{day}"
        found.append(line(day, id=f"l{day}", session=session))
        found.append(
            line(day + 0.01, "withdrawal", id=f"w{day}", session=session, destination="wallet", balance_share=0.1)
        )
    stolen = {
        "account": "alice",
        "ip": "133.1.2.3",
        "device": "x",
        "session": "t",
        "label": "stolen",
        "geo": {"country": "JP"},
    }
    found.append(line(days + 0.2, **stolen))
    found.append(line(days + 0.3, "withdrawal", id="theft", destination="other", balance_share=1, **stolen))
    return found


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "history.ndjson"
    path.write_bytes(b"".join(lines()))
    return path


def test_a_history_in_the_words_of_others_gives_the_same_figures_and_they_are_told(
    history: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs.ndjson"
    theirs.write_bytes(
        history.read_bytes()
        .replace(b'"account":', b'"user_id":')
        .replace(b'"at":', b'"timestamp":')
        .replace(b'"outcome":"succeeded"', b'"outcome":"OK"')
    )
    same, other = (runner.invoke(app, ["risk", "backtest", str(path), "-b", "1.6%"]) for path in (history, theirs))

    assert other.exit_code == 0, other.output
    assert other.stdout == same.stdout
    assert "took `key` 'user_id' for `account`, first on line 1" in other.stderr
    assert "took `outcome` 'OK' for `succeeded`, first on line 1" in other.stderr


def test_a_history_is_reported_with_the_simple_rules_beside_the_score(history: Path, tmp_path: Path) -> None:
    done = runner.invoke(app, ["risk", "backtest", str(history), "--budget", "1.5%", "--plot", str(tmp_path / "a.svg")])

    assert done.exit_code == 0, done.output
    assert "score, budget 1.5 %" in done.stdout
    assert "N: new destination by a new device or operator" in done.stdout
    assert "stolen" in done.stdout
    assert (tmp_path / "a.svg").read_text().startswith("<svg")


def test_each_withdrawal_is_a_json_line_and_the_report_is_on_stderr(history: Path) -> None:
    done = runner.invoke(app, ["risk", "backtest", str(history), "-b", "0.02", "--json"])

    found = [json.loads(one) for one in done.stdout.splitlines()]
    assert len(found) == 61
    assert found[-1]["id"] == "theft"
    assert found[-1]["held"] == {"2%": True}
    assert found[0]["held"] is None
    assert sum(term["value"] for term in found[-1]["terms"]) == pytest.approx(found[-1]["score"], abs=0.01)
    assert found[-1]["terms"][0]["words"]
    assert json.loads(done.stderr.splitlines()[-1])["history"]["withdrawals"] == 61


def test_stdin_is_read(history: Path) -> None:
    done = runner.invoke(app, ["risk", "backtest", "-", "--test-from", "50"], input=history.read_bytes())

    assert done.exit_code == 0
    assert "score, budget 9 %" in done.stdout


def test_bad_lines_are_named_and_strict_stops_at_the_first(tmp_path: Path) -> None:
    path = tmp_path / "bad.ndjson"
    path.write_bytes(b"".join([line(0, devise="x"), b"{\n", *lines()]))

    mild = runner.invoke(app, ["risk", "backtest", str(path)])
    strict = runner.invoke(app, ["risk", "backtest", str(path), "--strict"])

    assert mild.exit_code == 0
    assert "left out line 2: not JSON" in mild.stderr
    assert "ignored the unknown key devise (did you mean `device`?), first on line 1" in mild.stderr
    assert strict.exit_code == 2
    assert "line 2" in strict.stderr


def test_a_history_without_a_withdrawal_to_test_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "short.ndjson"
    path.write_bytes(b"".join(line(day) for day in range(40)))

    done = runner.invoke(app, ["risk", "backtest", str(path), "--test-from", "300"])

    assert done.exit_code == 1
    assert "spans 39 days" in done.stderr
    assert "--test-from 32" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--budget", "lots"], "write 2%"),
        (["--budget", "150%"], "write 2%"),
        (["--plot", "catch.png"], "a plot is SVG"),
    ],
)
def test_options_that_cannot_work_are_refused(history: Path, arguments: list[str], expected: str) -> None:
    done = runner.invoke(app, ["risk", "backtest", str(history), *arguments])

    assert done.exit_code == 2
    assert expected in done.stderr


def test_a_file_that_is_not_there_is_one_line() -> None:
    done = runner.invoke(app, ["risk", "backtest", "nowhere.ndjson"])

    assert done.exit_code == 2
    assert "cannot read nowhere.ndjson" in done.stderr
