import json
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.adapters.alarms import AlarmFile
from gateway.cli import app
from gateway.core.alarms import HOUR, RuleShare
from gateway.core.errors import StoreUnavailable
from tests.core.test_alarms import ALARM, AT

WHY = "the list of November, as announced"


@pytest.fixture
def noted(site):
    """A site with two alarms on record, of which the first has ended."""
    file = AlarmFile(site.folder / "journal")
    file.note(AT, [ALARM._replace(rules=(RuleShare("us-exit/us-closed", 9, 9, 0, 4),))], {}, AT + HOUR)
    file.note(AT + HOUR, [ALARM._replace(hour=AT + HOUR)], {ALARM.id: AT + HOUR}, AT + 2 * HOUR)
    return site


def run(site, *words: str) -> Any:
    return CliRunner().invoke(app, ["alarms", *words, "--config", str(site.config)])


def test_alarms_are_listed_the_newest_first(noted) -> None:
    listed = run(noted)
    assert listed.exit_code == 0, listed.output
    newest, oldest = listed.stdout.split("\n\n")
    assert newest.startswith("20251124T02-country-FR-rose  open\n  country FR, hour from 2025-11-24T02:00Z\n")
    assert oldest.startswith("20251124T01-country-FR-rose  usual again from 2025-11-24T02:00Z\n")
    assert "\n  rule us-exit/us-closed determined 9 of the newest 9, usually 0 of 4\n" in oldest
    assert run(noted, "--limit", "1").stdout == newest + "\n"


def test_only_what_lasts_is_listed_where_that_is_asked(noted) -> None:
    lines = run(noted, "--open", "--json").stdout.splitlines()
    (alarm,) = map(json.loads, lines)
    assert (alarm["id"], alarm["open"], alarm["acknowledged"]) == ("20251124T02-country-FR-rose", True, None)


def test_no_alarm_is_exit_code_1(site) -> None:
    listed = run(site)
    assert (listed.exit_code, listed.stdout, listed.stderr) == (1, "", "There is no alarm.\n")
    assert not (site.folder / "journal").exists(), "who only reads makes no folder"


def test_an_alarm_is_acknowledged_with_who_and_why(noted) -> None:
    done = run(noted, "ack", ALARM.id, "--why", WHY, "--who", "ben")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].endswith(f"by ben: {WHY}")
    again = json.loads(run(noted, "ack", ALARM.id, "--why", "I saw it as well", "--who", "ann", "--json").stdout)
    assert (again["acknowledged"]["who"], again["acknowledged"]["why"]) == ("ben", WHY)
    assert run(noted).stdout.count("acknowledged") == 1


@pytest.mark.parametrize(
    ("name", "why", "said"),
    [("20990101T00-country-XX-rose", WHY, "there is no alarm `20990101"), (ALARM.id, "seen", "say why in one line")],
)
def test_what_cannot_be_acknowledged_is_one_line_and_exit_code_1(noted, name, why, said) -> None:
    done = run(noted, "ack", name, "--why", why)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"gateway: {said}")
    assert "refused" in json.loads(run(noted, "ack", name, "--why", why, "--json").stdout)


def test_a_damaged_file_is_one_clear_line(noted) -> None:
    (noted.folder / "journal" / "alarms" / "alarms.json").write_text("{")
    result = run(noted)
    assert isinstance(result.exception, StoreUnavailable)
    assert "this is no file of alarms" in str(result.exception)


def test_an_option_where_it_would_not_count_is_said(noted) -> None:
    words = ["alarms", "--config", str(noted.config), "ack", ALARM.id, "--why", WHY]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "options stand behind `ack`" in " ".join(result.stderr.split())
