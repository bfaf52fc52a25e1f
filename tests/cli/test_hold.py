import json

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from tests.cli.desk import Commands


def test_a_hold_is_placed_listed_and_shown(run: Commands) -> None:
    nothing = run("hold", "show", "alice")
    assert (nothing.exit_code, nothing.stdout) == (1, "alice: nothing held\n")
    ticket = run.hold()
    (listed,) = run.json("hold", "list")["holds"]
    assert (listed["ticket"], listed["operations"], listed["missing"]) == (
        ticket, ["withdraw"], ["selfie_with_document"]
    )  # fmt: skip
    shown = run.json("hold", "show", "alice")
    assert (shown["operations"], shown["holds"]) == (["withdraw"], [listed])
    assert run("hold", "list").stdout.startswith(f"{ticket}  alice  withdraw  until 20")
    assert run.json("hold", "list", "--operation", "transfer")["holds"] == []
    assert run.json("account", "show", "alice")["holds"] == ["withdraw"]


def test_a_hold_of_nobody_is_exit_code_1(run: Commands) -> None:
    refused = run("hold", "place", "bob", "--operation", "withdraw", "--why", "x", "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["refused"]) == (1, "uid")
    assert run("hold", "show", "bob").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--operation", "fly"),
        (),
        ("--operation", "withdraw", "--kind", "appeal"),
        ("--operation", "withdraw", "--not-expeditable"),
        ("--operation", "withdraw", "--hours", "0"),
        ("--operation", "withdraw", "--evidence", "a note"),
    ],
)
def test_a_hold_that_cannot_be_is_wrong_usage(run: Commands, words: tuple[str, ...]) -> None:
    assert run("hold", "place", "alice", *words, "--why", "x").exit_code == 2
    assert run.json("hold", "list")["holds"] == []


@pytest.mark.parametrize("command", ["list", "show", "place"])
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: gateway hold {command}" in " ".join(
        CliRunner().invoke(app, ["hold", command, "--help"]).stdout.split()
    )
