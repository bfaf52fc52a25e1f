"""`gateway risk synth`: a history on stdout or in a file, and its figures."""

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app, synth

SMALL = ["risk", "synth", "--accounts", "8", "--days", "40", "--attacks", "1"]


def test_every_line_is_an_event_and_stderr_is_silent_where_nobody_looks() -> None:
    result = CliRunner().invoke(app, SMALL)
    lines = result.stdout.splitlines()

    assert result.exit_code == 0
    assert result.stderr == ""
    assert all(json.loads(line)["at"] >= "2025-01-01" for line in lines)
    assert any("label" in json.loads(line) for line in lines)


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not() -> None:
    said = [CliRunner().invoke(app, [*SMALL, "--seed", seed]).stdout_bytes for seed in ("7", "7", "8")]

    assert said[0] == said[1] != said[2]


def test_a_file_holds_what_stdout_would(tmp_path: Path) -> None:
    file = tmp_path / "history.ndjson"
    result = CliRunner().invoke(app, [*SMALL, "-o", str(file)])

    assert result.exit_code == 0
    assert file.read_bytes() == CliRunner().invoke(app, SMALL).stdout_bytes


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*SMALL, "-o", str(tmp_path / "nowhere" / "history.ndjson")])

    assert result.exit_code == 2
    assert "No such file" in result.stderr


def test_the_first_day_may_be_chosen() -> None:
    result = CliRunner().invoke(app, [*SMALL, "--from", "2026-03-01"])

    assert json.loads(result.stdout.splitlines()[0])["at"].startswith("2026-03-0")


def test_figures_come_in_place_of_the_history() -> None:
    result = CliRunner().invoke(app, [*SMALL, "--describe"])

    assert result.exit_code == 0
    assert "any classic trigger" in result.stdout
    assert "{" not in result.stdout


@pytest.mark.parametrize(("option", "value"), [("--days", "5"), ("--accounts", "0"), ("--from", "yesterday")])
def test_impossible_sizes_are_refused(option: str, value: str) -> None:
    assert CliRunner().invoke(app, [*SMALL, option, value]).exit_code == 2


def test_progress_is_shown_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    show = synth._progress(120)
    for done in range(1, 121):
        show(done)

    assert "100 of 120" in capsys.readouterr().err


def test_the_page_on_pretend_histories_shows_commands_that_work() -> None:
    page = Path(__file__).parents[2] / "docs" / "risk-synth.md"
    commands = [line.split(" > ")[0].split() for line in page.read_text().splitlines() if line.startswith("gateway ")]

    assert len(commands) == 2
    for command in commands:
        assert CliRunner().invoke(app, command[1:]).exit_code == 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", [7, 8, 9])
def test_a_whole_year_of_5000_accounts_is_as_large_as_the_page_says(seed: int) -> None:
    lines = CliRunner().invoke(app, ["risk", "synth", "--seed", str(seed)]).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    logins = sum(one["type"] == "login" and one["outcome"] == "succeeded" and "label" not in one for one in events)
    thefts = Counter(one["label"] for one in events if one["type"] == "withdrawal" and "label" in one)

    assert 371_000 < logins < 375_500
    assert set(thefts.values()) == {1_200}
    assert len(thefts) == 9
