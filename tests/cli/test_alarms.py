import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.adapters.alarms import AlarmFile
from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.policy_files import BundleArchive
from gateway.cli import app
from gateway.core.alarms import HOUR, RuleShare
from gateway.core.decision import instant_text
from gateway.core.errors import StoreUnavailable
from gateway.policies.bundle import digest_of
from gateway.service.watch import SETTLE_S, Watch
from tests.contract.stretches import decision, ruling, stretch
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


async def test_what_the_watch_finds_in_an_archive_is_listed_with_what_changed(site) -> None:
    """From decisions to the line that a person reads: nothing of it is pretended but the decisions."""
    start = 1_763_946_000_000_000
    texts = [
        {"policies/fr.yaml": "old", "policies/same.yaml": "x"},
        {"policies/fr.yaml": "new", "policies/same.yaml": "x"},
    ]
    kept = BundleArchive(site.folder / "journal" / "bundles")
    old, new = (SimpleNamespace(digest=digest_of(sources), sources=sources) for sources in texts)
    kept.put(old)
    kept.put(new)
    archive = SqliteArchive(site.folder / "decisions.db")
    await archive.start()
    usual = [start - (168 * weeks + beside) * HOUR for weeks in range(1, 5) for beside in (-1, 0, 1)]
    number = 0
    for hour in [*usual, start - 5 * HOUR, start]:
        bundle, refused = (new.digest, 90) if hour == start else (old.digest, 2)
        rule = "fr/closed" if hour == start else "holds/hold"
        denied = ruling(country="FR", rules=[rule], bundle=bundle)
        allowed = ruling(country="FR", outcome="allow", reason=None, rules=[], bundle=bundle)
        made = [decision(number + n, denied if n < refused else allowed, hour + n * 1_000_000) for n in range(100)]
        await archive.take(stretch(made, [denied, allowed], start=number, end=number + 100))
        number += 100
    clock = SimpleNamespace(now=lambda: start + HOUR + SETTLE_S * 1_000_000)
    journal = site.folder / "journal"
    await Watch(archive, clock, memory=AlarmFile(journal), texts_of=kept.get).look()
    await archive.close()

    listed = await asyncio.to_thread(run, site, "--open")

    (country,) = [one for one in listed.stdout.split("\n\n") if "country-FR" in one]
    name, what, *lines = country.strip().split("\n  ")
    assert name == f"{instant_text(start)[:13].replace('-', '')}-country-FR-rose  open"
    assert what.startswith("country FR, hour from ")
    assert lines == [
        "90 of 100 refused (90.0%)",
        lines[1],
        "90 of them reason jurisdiction-blocked",
        "90 of them operation withdraw",
        "rule fr/closed determined 90 of the newest 90, usually 0 of 6",
        "rule holds/hold determined 0 of the newest 90, usually 6 of 6",
        f"bundle {new.digest[:12]} is new",
        "policies/fr.yaml changed with it",
    ]
    assert lines[1].startswith("usually 2.0% (")
