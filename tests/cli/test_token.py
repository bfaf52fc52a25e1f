import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app


@pytest.fixture
def store(tmp_path: Path) -> list[str]:
    return ["--store", f"sqlite:///{tmp_path}/gateway.db"]


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["token", *words])


def create(store: list[str], *more: str) -> Any:
    words = ["--label", "desk", "--scope", "decisions:read", "--why", "T-9", "--who", "ben"]
    return run("create", *words, *more, *store)


def test_a_token_is_printed_once_and_alone_on_stdout(store: list[str]) -> None:
    made = create(store)
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    assert token.startswith("gwt_")
    assert made.stdout.count("\n") == 1
    token_id = token.split("_")[1]
    assert made.stderr == f"Token {token_id}. Keep it now: it cannot be shown again.\n"
    listed = run("list", *store)
    assert listed.stdout.split() == [token_id, "valid", "until", listed.stdout.split()[3], "decisions:read", "desk"]
    assert token.split("_", 2)[2] not in listed.output


def test_a_token_is_revoked_and_listed_as_such(store: list[str]) -> None:
    made = json.loads(create(store, "--scope", "metrics:read", "--days", "7", "--json").stdout)
    assert made["scopes"] == ["decisions:read", "metrics:read"]
    done = run("revoke", made["token_id"], "--why", "lost", "--json", *store)
    assert json.loads(done.stdout)["revoked_at"] is not None
    (listed,) = json.loads(run("list", "--json", *store).stdout)
    assert listed == {**{k: v for k, v in made.items() if k != "token"}, **listed}
    assert listed["state"] == "revoked"
    assert "token" not in listed


def test_what_cannot_be_is_refused_with_exit_code_1(store: list[str]) -> None:
    refused = create(store, "--scope", "everything")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "`everything` is no scope; the scopes are accounts:read, " in refused.stderr
    refused = run("revoke", "000000000000", "--why", "lost", "--json", *store)
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["refused"] == "token"


@pytest.mark.parametrize(
    "words",
    [
        ("--label", "desk"),
        ("--label", "desk", "--scope", "decisions:read"),
        ("--label", "desk", "--why", "x"),
        ("--scope", "decisions:read", "--why", "x"),
        ("--person", "ann", "--scope", "decisions:read", "--why", "x"),
        ("--label", "desk", "--role", "approver", "--scope", "decisions:read", "--why", "x"),
        ("--why", "x"),
    ],
)
def test_wrong_usage_is_exit_code_2(store: list[str], words: tuple[str, ...]) -> None:
    assert run("create", *words, *store).exit_code == 2


def test_a_personal_token_is_a_persons_with_roles(store: list[str]) -> None:
    words = ("--person", "Ann Lee", "--role", "approver", "--role", "support", "--why", "T-9")
    made = json.loads(run("create", *words, "--json", *store).stdout)
    assert (made["person"], made["roles"], made["scopes"]) == ("Ann Lee", ["approver", "support"], [])
    listed = run("list", *store).stdout.split()
    assert listed[4:] == ["approver,support", "Ann", "Lee"]
    refused = run("create", "--person", "ann", "--role", "boss", "--why", "T-9", *store)
    assert (refused.exit_code, "`boss` is no role; the roles are viewer" in refused.stderr) == (1, True)


@pytest.mark.parametrize("command", ["create", "list", "revoke"])
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: gateway token {command}" in " ".join(run(command, "--help").stdout.split())
