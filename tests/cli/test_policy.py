import json

import pytest
from typer.testing import CliRunner

from gateway.cli.policy import app
from gateway.core.errors import ConfigError, PolicyError

POLICY = """\
policy: far
title: Far away
owner: security
rules:
  - {id: all, grant: full, when: true}
  - id: far
    limit: read_only
    when: country == "CU"
    reason: hold
    basis: b
    in_force: {from: 2026-01-01}
tests:
  - name: Far away is far
    facts: {country: CU}
    operation: withdraw
    expect: {outcome: deny, by: [far]}
"""
CONFIG = """\
[client_ip]
trusted_proxies = []
[policies]
paths = ["far.yaml"]
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "far.yaml").write_text(POLICY)
    (tmp_path / "gateway.toml").write_text(CONFIG)

    def invoke(*arguments):
        return CliRunner().invoke(app, arguments, catch_exceptions=False)

    invoke.folder = tmp_path
    return invoke


def write(run, old, new, name="far.yaml"):
    assert old in POLICY
    (run.folder / name).write_text(POLICY.replace(old, new))


def test_check_says_in_a_line_that_all_is_in_order(run):
    found = run("check")
    assert found.exit_code == 0
    assert found.stdout.startswith("1 policy, 2 rules, 0 lists, 1 test: in order, ")
    assert found.stderr == ""


def test_check_prints_json(run):
    found = run("check", "--json")
    document = json.loads(found.stdout)
    assert {
        key: document[key] for key in ("ok", "sources_checked", "policies", "rules", "lists", "tests", "findings")
    } == {
        "ok": True,
        "sources_checked": True,
        "policies": 1,
        "rules": 2,
        "lists": 0,
        "tests": 1,
        "findings": [],
    }
    assert len(document["digest"]) == 64


def test_check_says_what_is_wrong_and_exits_1(run):
    write(run, "country ==", "contry ==")
    found = run("check")
    assert found.exit_code == 1
    assert found.stdout == ""
    assert found.stderr == "far.yaml:8:11: unknown fact `contry` in rule `far`: did you mean `country`?\n"
    document = json.loads(run("check", "--json").stdout)
    assert document == {
        "ok": False,
        "findings": [
            {
                "file": "far.yaml",
                "line": 8,
                "column": 11,
                "message": "unknown fact `contry` in rule `far`: did you mean `country`?",
                "code": "unknown-fact",
                "severity": "error",
            }
        ],
    }


def test_check_knows_what_the_configuration_supplies(run):
    write(run, 'country == "CU"', 'subdivision == "UA-43"')
    assert 'add `subdivision = ["FILE.mmdb"]` under `[geodb]`' in run("check").stderr


def test_check_of_paths_needs_no_configuration_but_says_what_it_left_out(run):
    (run.folder / "gateway.toml").unlink()
    write(run, 'country == "CU"', 'subdivision == "UA-43"')
    (run.folder / "far.yaml").write_text(
        (run.folder / "far.yaml").read_text().replace("country: CU", "subdivision: UA-43")
    )
    found = run("check", "far.yaml")
    assert found.exit_code == 0
    assert found.stderr == "gateway.toml is not there, so whether each fact has a source is not checked\n"
    assert json.loads(run("check", "--json", "far.yaml").stdout)["sources_checked"] is False


def test_check_takes_files_and_the_library(run):
    found = run("check", "far.yaml", "library:account-status")
    assert found.exit_code == 0
    assert found.stdout.startswith("2 policies, ")


def test_a_path_that_leads_nowhere_is_wrong_usage(run):
    with pytest.raises(PolicyError, match="did you mean `library:us-exit`"):
        run("check", "us-exit")


def test_without_paths_there_must_be_a_configuration(run):
    (run.folder / "gateway.toml").unlink()
    with pytest.raises(ConfigError):
        run("check")


def test_test_prints_each_test(run):
    found = run("test")
    assert found.exit_code == 0
    assert found.stdout == "ok      far: Far away is far\n1 test, 0 failed\n"


def test_test_says_what_differs_and_exits_1(run):
    write(run, "outcome: deny, by: [far]", "outcome: allow")
    found = run("test")
    assert found.exit_code == 1
    assert found.stdout == (
        "FAILED  far: Far away is far\n"
        "        far.yaml:13:5: expected the outcome allow, and it is deny (by `far`)\n"
        "1 test, 1 failed\n"
    )


def test_test_says_which_rule_has_no_test(run):
    write(run, "country: CU", "country: PT")
    found = run("test", "--json")
    assert found.exit_code == 1
    document = json.loads(found.stdout)
    assert document["ok"] is False
    assert document["tests"] == [
        {
            "policy": "far",
            "test": "Far away is far",
            "at": "far.yaml:13:5",
            "passed": False,
            "why": [
                "expected the outcome deny, and it is allow (by no rule)",
                "expected it to be determined by `far`, and it is by no rule",
            ],
        }
    ]
    assert document["findings"][0]["message"].startswith("no test is determined by rule `far`")
    assert "no test is determined by rule `far`" in run("test").stderr


@pytest.mark.parametrize("command", ["check", "test", "list"])
def test_what_cannot_be_read_exits_1(run, command):
    write(run, "title: Far away\n", "")
    found = run(command)
    assert found.exit_code == 1
    assert found.stderr == "far.yaml:1:1: the policy lacks `title`\n"


def test_schema_prints_every_fact(run):
    found = run("schema")
    assert found.exit_code == 0
    assert "country              country                  where the address is, ISO 3166-1 alpha-2" in found.stdout
    assert "one of none, open, exit_only, flagged, restricted, archived" in found.stdout
    assert 'needs: add `subdivision = ["FILE.mmdb"]` under `[geodb]`' in found.stdout
    rows = {row["fact"]: row for row in json.loads(run("schema", "--json").stdout)}
    assert rows["documents"]["is"] == "set of country"
    assert rows["assurance"]["values"] == [0, 1, 2, 3]
    assert rows["auth_age"]["is"] == "seconds or none"


def test_schema_prints_what_is_published(run, root):
    for options, name in ((["--json-schema"], "policy.v1.json"), (["--json-schema", "--lists"], "list.v1.json")):
        assert run("schema", *options).stdout == (root / "schemas" / name).read_text()


def test_the_schema_of_lists_is_a_json_schema(run):
    found = run("schema", "--lists")
    assert found.exit_code == 2
    assert "give both" in found.stderr


def test_list_shows_policies_rules_and_lists(run):
    found = run("list", "far.yaml", "library:us-exit")
    assert found.exit_code == 0
    assert "far: Far away (security; far.yaml)\n" in found.stdout
    assert '  far                          limit    country == "CU", from 2026-01-01T00:00:00' in found.stdout
    assert "us-territories: " in found.stdout


def test_list_prints_json(run):
    document = json.loads(run("list", "--json").stdout)
    (policy,) = document["policies"]
    assert (policy["policy"], policy["owner"], policy["file"], policy["tests"]) == ("far", "security", "far.yaml", 1)
    everybody, far = policy["rules"]
    assert (everybody["effect"], everybody["reason"], everybody["from"]) == ("grant", None, None)
    assert far["operations"] == ["login", "support", "view"]
    assert far["from"].startswith("2026-01-01T00:00:00")
    assert far["until"] is None


@pytest.mark.parametrize("command", ["check", "test", "schema", "list"])
def test_every_command_shows_an_example(run, command):
    assert f"Example: gateway policy {command}" in run(command, "--help").stdout


def test_check_prints_warnings_and_notes_without_stopping(run):
    write(run, "in_force: {from: 2026-01-01}", "in_force: {until: 2026-02-01}")
    (run.folder / "far.yaml").write_text(
        (run.folder / "far.yaml").read_text().replace("operation: withdraw", "operation: withdraw\n    at: 2026-01-01")
    )
    found = run("check", "--at", "2026-02-01")
    assert found.exit_code == 0
    assert found.stderr == (
        "far.yaml:6:5: note: rule `far` is out of force for good since 2026-02-01: it stands for the record alone\n"
    )
    assert run("check", "--at", "2026-01-31").stderr == ""
    (row,) = json.loads(run("check", "--at", "2026-02-01", "--json").stdout)["findings"]
    assert (row["code"], row["severity"]) == ("dates-passed", "note")


def test_check_stops_at_a_warning_where_it_is_asked_to(run):
    write(run, "basis: b", "basis: 'FILL IN: the law'")
    lenient = run("check")
    assert lenient.exit_code == 0
    assert "far.yaml:6:5: warning: rule `far` still says `FILL IN: the law`" in lenient.stderr
    assert ": in order, 1 warning, " in lenient.stdout
    strict = run("check", "--strict", "--json")
    assert strict.exit_code == 1
    document = json.loads(strict.stdout)
    assert (document["ok"], document["warnings"]) == (False, 1)


@pytest.mark.parametrize(("old", "new", "code"), [("title: Far", "titel: Far", 1), ("title", "title", 0)])
def test_check_writes_sarif_whether_or_not_it_loads(run, old, new, code):
    write(run, old, new)
    assert run("check", "--sarif", "found.sarif").exit_code == code
    document = json.loads((run.folder / "found.sarif").read_text())
    assert bool(document["runs"][0]["results"]) is bool(code)


def test_a_file_that_is_no_text_is_a_finding(run):
    (run.folder / "far.yaml").write_bytes(POLICY.encode("utf-16"))
    found = run("check")
    assert found.exit_code == 1
    assert "far.yaml:1:1: not UTF-8 text: it seems to be UTF-16, so save the file as UTF-8" in found.stderr


def test_an_instant_that_is_none_is_wrong_usage(run):
    found = run("check", "--at", "01.03.2026")
    assert found.exit_code == 2
    assert "the year stands first" in found.stderr


def test_test_says_what_no_test_would_miss(run):
    found = run("test", "--coverage")
    assert found.exit_code == 0
    assert "far.yaml:6:5: note: no test would miss the date from which rule `far` is in force" in found.stderr
    assert "withdraw         NO TEST  tested   -\n" in found.stdout
    assert found.stdout.endswith("1 of 3 parts tested, 33 %\n")
    document = json.loads(run("test", "--coverage", "--json").stdout)
    assert document["coverage"]["percent"] == 33
    assert document["coverage"]["operations"]["limit"]["withdraw"] is True
    assert {row["code"] for row in document["coverage"]["untested"]} == {"part-untested"}


def test_test_fails_where_too_little_is_covered(run):
    assert run("test", "--coverage", "--fail-under", "33").exit_code == 0
    assert run("test", "--coverage", "--fail-under", "34").exit_code == 1
    assert run("test", "--fail-under", "34").exit_code == 2
