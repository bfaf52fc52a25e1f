import json
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from tests.cli.desk import Commands


def test_messages_are_listed_and_shown(run: Commands) -> None:
    run.hold()
    messages = run.json("outbox", "list")["messages"]
    assert [one["type"] for one in messages] == ["ticket.opened", "hold.placed"]
    shown = run.json("outbox", "show", messages[0]["id"])
    assert shown == messages[0]
    assert "data:" in run("outbox", "show", messages[0]["id"]).stdout
    assert run.json("outbox", "list", "--type", "hold.placed", "--account", "alice")["messages"] == messages[1:]
    assert run("outbox", "list", "--limit", "1").stderr.startswith("Older ones: --cursor ")
    assert run("outbox", "show", "msg_x").exit_code == 1
    assert run("outbox", "list", "--state", "lost").exit_code == 2
    assert run("outbox", "list", "--cursor", "x").exit_code == 2


def test_a_parked_message_is_tried_again_and_another_is_not(run: Commands) -> None:
    run.hold()
    (message, *_) = run.json("outbox", "list")["messages"]
    refused = run("outbox", "retry", message["id"], "--why", "the receiver is back", "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["refused"]) == (1, "state")
    with closing(sqlite3.connect(run.path / "gateway.db")) as database, database:
        database.execute("UPDATE outbox SET state = 'parked'")
    again = run("outbox", "retry", message["id"], "--why", "the receiver is back")
    assert (again.exit_code, "pending" in again.stdout) == (0, True)
    assert run("outbox", "retry", message["id"]).exit_code == 2


@pytest.mark.parametrize("command", ["list", "show", "retry"])
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: gateway outbox {command}" in " ".join(
        CliRunner().invoke(app, ["outbox", command, "--help"]).stdout.split()
    )
