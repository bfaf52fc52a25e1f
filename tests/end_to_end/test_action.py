"""The hooks for pre-commit and the action for continuous integration name commands that exist, and do what they say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from gateway.cli import app

SCRIPT = "deploy/action/policies"
POLICY = """\
policy: far
title: Far away
owner: security
rules:
  - {id: all, grant: full, when: true}
  - id: far
    limit: read_only
    when: country == "CU" or country == "KP"
    reason: hold
    basis: b
tests:
  - name: Far away is far
    facts: {country: CU}
    operation: withdraw
    expect: {outcome: deny, by: [far]}
"""


def loaded(path: Path):
    return YAML(typ="safe", pure=True).load(path.read_text())


def options(command: str) -> set[str]:
    """Return the options of `gateway policy COMMAND`."""
    (group,) = (one for name, one in get_command(app).commands.items() if name == "policy")
    return {option for parameter in group.commands[command].params for option in parameter.opts}


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments],
        cwd=folder, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "far.yaml").write_text(POLICY)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "before")
    return tmp_path


@pytest.fixture
def act(repository, root):
    """Run what the action runs, and return its exit code, its output and the job's summary."""

    def run(**said: str) -> tuple[int, str, str]:
        summary = repository / "summary.md"
        summary.write_text("")
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
            "HOME": str(repository),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_OUTPUT": str(repository / "output"),
            "POLICY_SARIF": str(repository / "policy.sarif"),
            **said,
        }
        done = subprocess.run(
            [root / SCRIPT], cwd=repository, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        return done.returncode, done.stdout + done.stderr, summary.read_text()

    run.folder = repository
    return run


def change(act, old, new):
    file = act.folder / "policies" / "far.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def test_a_change_that_widens_fails_unless_it_is_meant_and_is_shown_in_the_summary(act):
    base = git(act.folder, "rev-parse", "HEAD")
    change(act, ' or country == "KP"', "")
    code, said, summary = act(POLICY_BASE=base)
    assert code == 1, said
    assert "### Check: in order" in summary
    assert "### Tests: in order" in summary
    assert "### Effect: look here" in summary
    assert "where country KP" in summary
    code, said, summary = act(POLICY_BASE=base, POLICY_ALLOW="Counsel, 3 March")
    assert code == 0, said
    assert "### Effect: in order" in summary


def test_a_policy_that_does_not_load_fails_and_is_uploaded(act):
    change(act, "title: Far", "titel: Far")
    code, _, summary = act()
    assert code == 1
    assert "### Check: look here" in summary
    assert "did you mean `title`?" in summary
    assert "### Effect" not in summary
    assert (act.folder / "output").read_text() == f"sarif={act.folder / 'policy.sarif'}\n"
    assert json.loads((act.folder / "policy.sarif").read_text())["runs"][0]["results"]


def test_what_a_policy_says_never_ends_the_fence_that_it_is_shown_in(act):
    change(act, "name: Far away is far", "name: '~~~~~~~~~~'")
    change(act, "outcome: deny", "outcome: allow")
    _, _, summary = act()
    assert summary.count("\n~~~~~~~~~~text\n") == summary.count("\n~~~~~~~~~~\n") == 2


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ({"POLICY_PATHS": "../elsewhere"}, 2, "must be a path within the repository"),
        ({"POLICY_PATHS": "--config"}, 2, "must be a path within the repository"),
        ({"POLICY_BASE": "HEAD; true"}, 2, "is no commit"),
        ({"POLICY_BASE": "0" * 40}, 0, "1 test, 0 failed"),
        ({"POLICY_STRICT": "true"}, 0, "in order"),
    ],
)
def test_what_the_workflow_says_is_data_and_never_a_command(act, said, code, message):
    found, output, _ = act(**said)
    assert found == code, output
    assert message in output


def test_policies_that_are_new_are_compared_with_nothing(act):
    base = git(act.folder, "rev-parse", "HEAD")
    git(act.folder, "mv", "policies", "rules")
    code, said, summary = act(POLICY_BASE=base, POLICY_PATHS="rules")
    assert code == 0, said
    assert "### Effect: everything is new" in summary


def test_the_action_gives_the_script_what_it_reads_and_pins_what_it_uses(root):
    action = loaded(root / "action.yml")
    steps = action["runs"]["steps"]
    (step,) = (one for one in steps if one.get("id") == "policies")
    script = (root / SCRIPT).read_text()
    assert set(step["env"]) == set(re.findall(r"POLICY_[A-Z]+", script))
    named = set(re.findall(r"inputs\.([a-z-]+)", json.dumps(steps)))
    assert named == set(action["inputs"])
    for one in steps:
        assert "${{" not in one.get("run", ""), "an expression within a script is a way to inject commands"
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one.get("uses", f"a@{'0' * 40}"))
    for option in re.findall(r"--[a-z-]+", script.replace("--quiet --depth", "")):
        assert option in options("check") | options("test") | options("diff") | {"--"}, option


def test_every_hook_runs_a_command_that_there_is(root):
    hooks = loaded(root / ".pre-commit-hooks.yaml")
    assert [hook["id"] for hook in hooks] == ["gateway-policy-check", "gateway-policy-test", "gateway-policy-format"]
    for hook in hooks:
        program, group, command = hook["entry"].split()
        assert (program, group) == ("gateway", "policy")
        assert options(command)
        assert re.search(hook["files"], "policies/canada.yaml")
        assert not re.search(hook["files"], "README.md")
        # A bundle is checked as a whole; a file is laid out by itself.
        assert hook.get("pass_filenames", True) is (command == "format")


def test_the_script_may_be_run(root):
    assert (root / SCRIPT).stat().st_mode & 0o111 == 0o111
