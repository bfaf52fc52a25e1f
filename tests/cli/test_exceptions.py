import json

import pytest
from typer.testing import CliRunner

from gateway.cli import app

POLICY = """policy: us-exit
title: United States
owner: compliance
rules:
  - {id: all, grant: full, when: true}
  - {id: us-closed, limit: support_only, when: country == "US", reason: jurisdiction-blocked, basis: b}
tests:
  - {name: a, facts: {country: US}, operation: view, expect: {outcome: deny, by: [us-closed]}}
"""
ENTRY = """  - id: NAME
    operations: [withdraw]
    account: c-4711
    lifts: [us-exit/us-closed]
    reason: A court asks that the balance be paid out
    basis: Ticket 4711
    approved_by: head-of-legal
    from: FROM
    until: UNTIL
"""
DATES = {
    "past": ("2026-08-01", "2026-09-01"),
    "soon": ("2026-11-01", "2026-11-25"),
    "later": ("2026-11-10", "2027-01-10"),
    "coming": ("2026-12-01", "2026-12-24"),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entries = "".join(
        ENTRY.replace("NAME", name).replace("FROM", start).replace("UNTIL", end) for name, (start, end) in DATES.items()
    )
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "e.yaml").write_text(f"exceptions: desk\nowner: compliance\nentries:\n{entries}")

    def invoke(*arguments):
        words = ["policy", "exceptions", "p.yaml", "e.yaml", "--at", "2026-11-21", *arguments]
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return invoke


def test_all_are_listed_the_next_to_end_first_and_the_ended_last(run):
    found = run()
    assert found.exit_code == 0
    heads = [line for line in found.stdout.splitlines() if not line.startswith(" ")]
    assert heads == [
        "desk/soon: in force, 4 days left (e.yaml:13)",
        "desk/coming: coming (e.yaml:31)",
        "desk/later: in force, 50 days left (e.yaml:22)",
        "desk/past: expired (e.yaml:4)",
    ]
    assert '  withdraw where account in ["c-4711"], from 2026-11-01T00:00:00.000000Z until 2026-11-25T' in found.stdout
    assert "  lifts us-exit/us-closed; owner compliance, approved by head-of-legal" in found.stdout
    assert "  A court asks that the balance be paid out (Ticket 4711)" in found.stdout


def test_json_says_the_same(run):
    found = json.loads(run("--json").stdout)["exceptions"]
    assert [(one["exception"], one["state"], one["days_left"]) for one in found] == [
        ("desk/soon", "in force", 4),
        ("desk/coming", "coming", 33),
        ("desk/later", "in force", 50),
        ("desk/past", "expired", 0),
    ]
    assert found[0]["lifts"] == ["us-exit/us-closed"]
    assert found[0]["owner"] == "compliance"


def test_what_ends_soon_exits_1(run):
    found = run("--expiring", "14d")
    assert (found.exit_code, found.stdout.count("in force")) == (1, 1)
    assert found.stdout.startswith("desk/soon")
    none = run("--expiring", "3d")
    assert (none.exit_code, none.stdout) == (0, "no exception ends within 3d\n")


def test_a_time_that_is_none_is_wrong_usage(run):
    found = run("--expiring", "14")
    assert found.exit_code == 2
    assert "`14` has no unit; did you mean `14h`?" in found.stderr.replace("\n", " ")


def test_a_bundle_that_is_refused_has_none_to_list(run, tmp_path):
    (tmp_path / "p.yaml").write_text(POLICY.replace("basis: b}", "basis: b, absolute: true}"))
    found = run()
    assert found.exit_code == 1
    assert "e.yaml:7:13: `us-exit/us-closed` is absolute" in found.stderr


def test_where_there_are_none_it_says_so(run, tmp_path):
    (tmp_path / "e.yaml").write_text("exceptions: desk\nowner: compliance\nentries: []\n")
    assert run().stdout == "there are no exceptions\n"


def test_the_list_of_policies_says_what_is_absolute(run, tmp_path):
    (tmp_path / "p.yaml").write_text(POLICY.replace("basis: b}", "basis: b, absolute: true}"))
    found = CliRunner().invoke(app, ["policy", "list", "p.yaml"], catch_exceptions=False)
    assert [line.endswith(", absolute") for line in found.stdout.splitlines()] == [False, False, True]


def test_the_schema_of_exceptions_is_one_of_three():
    def schema(*words):
        return CliRunner().invoke(app, ["policy", "schema", *words], catch_exceptions=False)

    assert json.loads(schema("--json-schema", "--exceptions").stdout)["title"] == "Gateway exceptions"
    assert schema("--exceptions").exit_code == 2
    assert schema("--json-schema", "--exceptions", "--lists").exit_code == 2
