"""Revisions by commands, as two people use them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from tests.service.test_publishing import POLICY

TIGHTER = POLICY.replace('country == "IR"', 'country in ["IR", "KP"]')
CONFIG = """\
[client_ip]
trusted_proxies = []
[policies]
source = "store"
paths = ["policies/"]
[store]
url = "sqlite:///gateway.db"
[journal]
directory = "journal"
"""


class Commands:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "gateway.toml"

    def __call__(self, *words: str, as_: str | None = None) -> Any:
        token = () if as_ is None else ("--token-file", str(self.folder / f"{as_}.token"))
        return CliRunner().invoke(app, ["policy", *words, *token, "--config", str(self.config)])

    def json(self, *words: str, as_: str | None = None) -> Any:
        done = self(*words, "--json", as_=as_)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def write(self, text: str) -> None:
        (self.folder / "policies" / "house.yaml").write_text(text)

    def publish(self, text: str, *more: str) -> int:
        self.write(text)
        number: int = self.json("publish", "-m", "as T-1 asks", *more, as_="eve")["number"]
        self.json("approve", str(number), "--why", "I read it", as_="ada")
        return number


@pytest.fixture
def run(tmp_path: Path) -> Commands:
    commands = Commands(tmp_path)
    (tmp_path / "policies").mkdir()
    commands.config.write_text(CONFIG)
    commands.write(POLICY)
    for name, roles in (("eve", ["editor"]), ("ada", ["approver"]), ("max", ["editor", "approver"])):
        words = [word for role in roles for word in ("--role", role)]
        made = CliRunner().invoke(
            app,
            ["token", "create", "--person", name, *words, "--why", "T-1", "--config", str(commands.config)],
        )
        file = tmp_path / f"{name}.token"
        file.touch(0o600)
        file.write_text(made.stdout)
    return commands


def test_two_people_publish_one_returns_and_it_is_all_shown(run) -> None:
    run.publish(POLICY)
    run.write(TIGHTER)
    proposed = run("publish", "-m", "T-2: close KP", as_="eve")
    assert proposed.exit_code == 0, proposed.output
    assert proposed.stdout.startswith("revision 2 (")
    assert "waits for another person until" in proposed.stdout
    assert "possible: approve, decline, withdraw" in proposed.stdout
    shown = run("show", "2")
    assert "narrower  " in shown.stdout
    assert "house/closed changed" in shown.stdout
    assert "1 policies, 2 rules, 0 lists, 1 tests" in shown.stdout
    assert "of 0 recorded decisions 0 would change" in shown.stdout
    approved = run("approve", "2", "--why", "I read it", as_="ada")
    assert "active" in approved.stdout
    listed = run("revisions").stdout.splitlines()
    assert [line.split()[2] for line in listed] == ["active", "superseded"]
    closed = run("rollback", "--why", "KP is refused", as_="eve")
    assert closed.exit_code == 1
    assert "widens" in closed.stderr
    back = run("rollback", "--why", "KP is refused", "--allow-widening", as_="eve")
    assert (back.exit_code, back.stdout.split()[1]) == (0, "1")
    texts = run.json("show", "2", "--texts")
    assert texts["texts"] == {"policies/house.yaml": TIGHTER}
    assert [step["act"] for step in texts["log"]] == ["propose", "approve", "activate", "leave"]


def test_nobody_approves_alone(run) -> None:
    assert run("publish", "-m", "mine", as_="max").exit_code == 0
    refused = run("approve", "1", "--why", "fine", as_="max")
    assert (refused.exit_code, "another person" in refused.stderr) == (1, True)
    unable = run("approve", "1", "--why", "fine", as_="eve")
    assert (unable.exit_code, "takes the role approver" in unable.stderr) == (1, True)
    nobody = run("approve", "1", "--why", "fine")
    assert (nobody.exit_code, "say who you are" in nobody.stderr) == (2, True)


def test_what_is_named_from_elsewhere_has_the_same_digest(run, monkeypatch) -> None:
    here = run.json("publish", "-m", "from the configuration", as_="eve")["digest"]
    run.json("withdraw", "1", "--why", "again", as_="eve")
    monkeypatch.chdir(run.folder / "policies")
    there = run.json("publish", "house.yaml", "-m", "from the folder", as_="eve")["digest"]
    assert here == there


@pytest.mark.parametrize(("act", "who", "state"), [("decline", "ada", "declined"), ("withdraw", "eve", "withdrawn")])
def test_a_proposal_is_turned_down_or_taken_back(run, act, who, state) -> None:
    run.json("publish", "-m", "as T-1 asks", as_="eve")
    stale = run(act, "1", "--why", "a rule is missing", "--version", "7", as_=who)
    assert (stale.exit_code, "read it again" in stale.stderr) == (1, True)
    assert run.json(act, "1", "--why", "a rule is missing", as_=who)["state"] == state
    assert run.json("revisions", "--state", state)["revisions"][0]["number"] == 1


def test_an_instant_is_said_and_waited_for(run) -> None:
    wrong = run("publish", "-m", "m", "--at", "tomorrow", as_="eve")
    assert (wrong.exit_code, "--at" in wrong.stderr) == (2, True)
    assert "names no time zone" in run("publish", "-m", "m", "--at", "2100-01-01T00:00:00", as_="eve").stderr
    past = run("publish", "-m", "m", "--at", "2020-01-01T00:00:00Z", as_="eve")
    assert (past.exit_code, "within a year" in past.stderr) == (1, True)


def test_what_is_not_there_is_said(run) -> None:
    for words, who in (
        (("show", "7"), None),
        (("approve", "7", "--why", "x"), "ada"),
        (("rollback", "7", "--why", "x"), "eve"),
    ):
        done = run(*words, as_=who)
        assert done.exit_code == 1, done.output
        assert "no revision" in done.stderr or "nothing is active" in done.stderr
    assert run("revisions").stderr == "No revisions.\n"
    assert run("revisions", "--state", "nowhere").exit_code == 2


def test_where_files_decide_the_command_says_so(run) -> None:
    run.config.write_text(CONFIG.replace('source = "store"', 'source = "files"'))
    done = run("publish", "-m", "m", as_="eve")
    assert (done.exit_code, "policies come from files here" in done.stderr) == (1, True)
    assert run("revisions").exit_code == 0


def test_runs_say_who_is_behind(run) -> None:
    run.publish(POLICY)
    assert (run("runs").exit_code, run.json("runs")) == (0, {"runs": []})
    import asyncio

    from gateway.adapters.clock import SystemClock
    from gateway.adapters.revision_reads import Run
    from gateway.adapters.revisions import RevisionStore
    from gateway.adapters.sql import AccountStore

    async def say() -> None:
        store = AccountStore(f"sqlite:///{run.folder}/gateway.db", read_within_s=5, write_within_s=5)
        now = SystemClock().now()
        await RevisionStore(store).acknowledge(Run("w1", "host", "0" * 64, now, now, "1" * 64, "no source\nat all"))
        await store.close()

    asyncio.run(say())
    assert run("list", "--running").stdout == run("runs").stdout
    behind = run("runs")
    assert behind.exit_code == 1
    assert behind.stdout.rstrip().endswith("refused: no source")
