import asyncio
import csv
import json

import pytest
from typer.testing import CliRunner

from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.clock import SystemClock
from gateway.adapters.shadow_file import ShadowFile
from gateway.cli import app
from gateway.core.errors import GatewayError
from tests.recorded import bundle, facts, limit, policy, recorded

CONFIG = """\
[client_ip]
trusted_proxies = []
[policies]
paths = ["now.yaml"]
[journal]
directory = "journal"
[archive]
url = "sqlite:///decisions.db"
"""
TESTS = """\
tests:
  - name: It is closed
    facts: {country: US, status: open}
    operation: withdraw
    expect: {outcome: deny, by: [us]}
"""
LIST = "list: far\nkind: countries\ntitle: t\nsource: s\ndate: 2026-01-01\nentries: [%s]\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.toml").write_text(CONFIG)
    (tmp_path / "now.yaml").write_text(policy())
    (tmp_path / "new.yaml").write_text(policy(limit("us", 'country == "US"')) + TESTS)
    at = SystemClock().now() - 3_600_000_000

    async def archived() -> None:
        archive = SqliteArchive(tmp_path / "decisions.db")
        await archive.start()
        await archive.take(recorded([facts(country=one, at=at) for one in ("US", "US", "DE", "CU")], bundle()))
        await archive.close()

    asyncio.run(archived())

    def invoke(*arguments):
        return CliRunner().invoke(app, ["policy", *arguments], catch_exceptions=False)

    invoke.folder = tmp_path
    return invoke


def test_a_simulation_is_printed(run) -> None:
    found = run("simulate", "new.yaml", "--since", "7d")
    assert found.exit_code == 0
    assert "2 would have another outcome (50.000%)" in found.stdout
    assert "rule p/us: 2 decisions of 1 account, 2 withdrawals" in found.stdout


def test_a_simulation_is_json_and_a_page(run) -> None:
    found = run("simulate", "new.yaml", "--json", "--html", "report.html")
    assert json.loads(found.stdout)["refused"]["decisions"] == 2
    assert "<svg" in (run.folder / "report.html").read_text()


def test_a_candidate_that_does_not_load_is_refused(run) -> None:
    (run.folder / "new.yaml").write_text(policy(limit("us", 'contry == "US"')))
    found = run("simulate", "new.yaml")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "did you mean `country`" in found.stderr


def test_more_than_may_change_is_a_no(run) -> None:
    assert run("simulate", "new.yaml", "--at-most", "0.5").exit_code == 0
    found = run("simulate", "new.yaml", "--at-most", "0.4")
    assert found.exit_code == 1
    assert "at most 40.000% may" in found.stderr


def test_the_current_policies_are_what_may_be_compared_with(run) -> None:
    assert "0 would have another outcome" in run("simulate", "--against", "current").stdout
    assert run("simulate", "--against", "then").exit_code == 2


def test_a_list_is_tried_in_place_of_the_one_of_its_name(run) -> None:
    rule = limit("us", "country in far")
    (run.folder / "new.yaml").write_text(policy(rule) + TESTS)
    (run.folder / "far.yaml").write_text(LIST % "US")
    (run.folder / "tried.yaml").write_text(LIST % "US, CU")
    assert "2 would have another" in run("simulate", "new.yaml", "far.yaml").stdout
    assert "3 would have another" in run("simulate", "new.yaml", "far.yaml", "--list", "tried.yaml").stdout
    assert run("simulate", "new.yaml", "--list", "now.yaml").exit_code == 2


def test_a_time_that_has_no_length_is_wrong_usage(run) -> None:
    assert run("simulate", "--since", "1h", "--until", "2h").exit_code == 2
    assert run("simulate", "--since", "soon").exit_code == 2


def test_looking_back_says_whom_a_rule_would_have_refused(run) -> None:
    found = run("lookback", "p/us", "--candidate", "new.yaml", "--since", "5y")
    assert found.exit_code == 0
    assert "It would have refused, by the data of that day: 2 decisions of 1 account" in found.stdout
    assert "then they were answered: allow 2" in found.stdout


def test_looking_back_lists_each_decision(run) -> None:
    found = run("lookback", "p/us", "--candidate", "new.yaml", "--csv")
    rows = list(csv.DictReader(found.stdout.splitlines()))
    assert [
        (row["account"], row["country"], row["answered"], row["then"]) for row in rows if row["then"] == "deny"
    ] == [("alice", "US", "allow", "deny")] * 2
    assert "2 decisions of 1 account" in found.stderr


def test_an_account_is_no_formula_to_a_spreadsheet(run) -> None:
    at = SystemClock().now() - 3_600_000_000

    async def archived() -> None:
        archive = SqliteArchive(run.folder / "decisions.db")
        await archive.start()
        more = recorded([facts(country="US", account="=1+1", at=at - 3_600_000_000)], bundle(), worker="w1")
        await archive.take(more)
        await archive.close()

    asyncio.run(archived())
    found = run("lookback", "p/us", "--candidate", "new.yaml", "--csv")
    assert ",'=1+1,withdraw,US,allow,deny," in found.stdout


def test_looking_back_is_json(run) -> None:
    told = json.loads(run("lookback", "p/us", "--candidate", "new.yaml", "--json").stdout)
    assert (told["decisions"], told["then"]["refused"]["accounts"], told["answered"]) == (4, 1, {"allow": 2})


@pytest.mark.parametrize(("rule", "why"), [("p/usa", "did you mean `p/us`"), ("p/all", "is a grant")])
def test_looking_back_wants_a_rule_that_refuses(run, rule, why) -> None:
    found = run("lookback", rule, "--candidate", "new.yaml")
    assert found.exit_code == 2
    assert why in " ".join(found.stderr.replace("│", "").split())


def test_csv_and_json_are_two_answers(run) -> None:
    assert run("lookback", "p/us", "--candidate", "new.yaml", "--csv", "--json").exit_code == 2


def test_where_no_candidate_is_followed_that_is_a_no(run) -> None:
    found = run("shadow")
    assert found.exit_code == 1
    assert 'name it: `[policies] shadow = ["candidate/"]`' in found.stderr


def test_what_a_candidate_would_have_answered_is_printed(run) -> None:
    (run.folder / "journal").mkdir()
    ShadowFile(run.folder / "journal").write({"decisions": 3, "text": "3 decisions", "refused": "broken"})
    found = run("shadow")
    assert (found.exit_code, found.stdout) == (0, "3 decisions\n")
    assert "does not load: broken" in found.stderr
    assert json.loads(run("shadow", "--json").stdout)["decisions"] == 3


def test_a_database_that_is_none_is_a_fault_that_says_which(run) -> None:
    (run.folder / "no.mmdb").write_text("no")
    with pytest.raises(GatewayError, match=r"no\.mmdb"):
        run("simulate", "new.yaml", "--edition", "no.mmdb")
