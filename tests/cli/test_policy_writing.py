import json

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import policy, policy_writing
from gateway.core.errors import PolicyError

UNTIDY = "title: t\npolicy: p   \n# about the owner\nowner: o\nrules:\n- when: true\n  id: a\n  grant: full\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.add_typer(policy.app, name="policy")
    written = typer.Typer()
    policy_writing.register(written)
    app.add_typer(written, name="writing")

    def invoke(*arguments):
        group = "policy" if arguments[0] in {"check", "test"} else "writing"
        return CliRunner().invoke(app, [group, *arguments], catch_exceptions=False)

    invoke.folder = tmp_path
    return invoke


def test_what_is_made_checks_and_its_tests_pass(run):
    made = run("new", "canada-exit", "--country", "CA", "--from", "2026-03-01", "--exit-until", "2026-06-01")
    assert made.exit_code == 0
    assert (
        made.stdout
        == "policies/canada-exit.yaml: written. Look at it, then: gateway policy check policies/canada-exit.yaml\n"
    )
    assert run("check", "policies").exit_code == 0
    assert run("check", "policies", "--strict").exit_code == 1  # the basis is still to be named
    assert run("test", "policies", "--coverage", "--fail-under", "100").exit_code == 0
    assert run("format", "policies", "--check").exit_code == 0
    first = (run.folder / "policies" / "canada-exit.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=policy.v1.json"
    assert json.loads((run.folder / "policies" / "policy.v1.json").read_text())["title"] == "Gateway policy"


def test_what_is_there_is_never_overwritten(run):
    run("new", "one", "--country", "CA", "--basis", "Legal memo 7")
    (run.folder / "policies" / "one.yaml").write_text("mine")
    (run.folder / "policies" / "policy.v1.json").write_text("mine, too")
    again = run("new", "one", "--country", "FR")
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert (run.folder / "policies" / "one.yaml").read_text() == "mine"
    assert run("new", "two", "--country", "FR").exit_code == 0
    assert (run.folder / "policies" / "policy.v1.json").read_text() == "mine, too"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--country", "Canada"), "did you mean `CA`"),
        (("--country", "CA", "--exit-until", "2026-06-01"), "begins at a date"),
        (("--country", "CA", "--basis", "\u202e"), "which nobody can see"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(run, arguments, message):
    with pytest.raises(PolicyError, match=message):
        run("new", "one", *arguments)
    assert not (run.folder / "policies").exists()


def test_new_says_where_it_wrote_as_json(run):
    made = json.loads(run("new", "one", "--country", "CA", "--to", "here", "--json").stdout)
    assert made == {"policy": "one", "file": "here/one.yaml", "schema": "here/policy.v1.json"}
    (run.folder / "file").write_text("")
    assert "is a file" in run("new", "one", "--country", "CA", "--to", "file").stderr


def test_format_lays_out_files_and_says_which(run):
    (run.folder / "p.yaml").write_text(UNTIDY)
    (run.folder / "p.yaml").chmod(0o640)
    looked = run("format", "p.yaml", "--check")
    assert looked.exit_code == 1
    assert looked.stderr == "p.yaml: would be laid out anew\n"
    assert looked.stdout == "1 file, 1 to change\n"
    assert (run.folder / "p.yaml").read_text() == UNTIDY
    done = run("format", "p.yaml", "--json")
    assert json.loads(done.stdout) == {"ok": True, "files": 1, "changed": ["p.yaml"]}
    text = (run.folder / "p.yaml").read_text()
    assert text.startswith("policy: p\ntitle: t\n# about the owner\nowner: o\nrules:\n  - id: a\n")
    assert (run.folder / "p.yaml").stat().st_mode & 0o777 == 0o640
    assert run("format", "p.yaml", "--check").exit_code == 0
    assert sorted(path.name for path in run.folder.iterdir()) == ["p.yaml"]


def test_where_one_file_cannot_be_read_none_is_written(run):
    (run.folder / "a.yaml").write_text(UNTIDY)
    (run.folder / "b.yaml").write_text("policy: [")
    found = run("format", ".")
    assert found.exit_code == 1
    assert found.stderr.startswith("b.yaml:1:10: not readable as YAML")
    assert (run.folder / "a.yaml").read_text() == UNTIDY


def test_without_paths_the_configured_files_are_laid_out(run):
    (run.folder / "p.yaml").write_text(UNTIDY)
    (run.folder / "gateway.toml").write_text(
        '[client_ip]\ntrusted_proxies = []\n[policies]\npaths = ["p.yaml", "library:account-status"]\n'
    )
    assert run("format").stdout == "1 file, 1 changed\n"


@pytest.mark.parametrize("command", ["new", "format"])
def test_every_command_shows_an_example(run, command):
    assert f"Example: gateway policy {command}" in run(command, "--help").stdout
