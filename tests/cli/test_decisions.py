import asyncio
import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from typer.testing import CliRunner

from gateway.app import Gateway
from gateway.app.offline import read_request
from gateway.cli import app
from gateway.config import load
from gateway.core.errors import GatewayError

GATEWAY = [sys.executable, "-c", "from gateway.cli import main; main()", "decisions"]
WHY = "TICKET-7: the customer disputes the address"


@pytest.fixture
def recorded(site):
    """A journal with refusals of bob from Ohio and answers to alice, as a gateway that was stopped left it."""

    async def decide() -> None:
        gateway = Gateway(load(site.config))
        await gateway.start()
        await site.fill(gateway.store)
        for uid, address in (("alice", "2.80.10.20"), ("bob", "65.24.10.20"), ("bob", "65.24.10.20")):
            headers = list(site.headers(uid, address).items())
            text = {"peer": "10.0.0.1", "method": "POST", "target": "/api/v1/orders", "headers": headers}
            await gateway.line.decide(read_request(json.dumps(text).encode(), gateway.clock))
        await gateway.close()

    asyncio.run(decide())
    return site


@pytest.fixture
def run(recorded):
    def do(*words: str):
        return CliRunner().invoke(app, ["decisions", *words, "--config", str(recorded.config)])

    return do


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def audit(site) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(site.folder / "gateway.db")) as database:
        return database.execute("SELECT action, after, why FROM audit WHERE action LIKE 'dec%'").fetchall()


def test_a_search_prints_a_table_of_what_it_found(run) -> None:
    result = run("search", "--account", "bob", "--outcome", "deny")
    heading, *lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert heading.split()[:3] == ["AT", "OUTCOME", "OPERATION"]
    assert [line.split()[1:6] for line in lines] == [
        ["deny", "trade.spot", "jurisdiction-blocked", "bob", "65.24.10.0/24"]
    ] * 2


def test_pages_follow_each_other_by_their_cursor(run) -> None:
    first = run("search", "--json", "--limit", "2")
    cursor = first.stderr.split("--cursor ")[1].strip()
    second = run("search", "--json", "--limit", "2", "--cursor", cursor)
    accounts = [one["facts"]["account"] for one in rows(first.stdout) + rows(second.stdout)]
    assert accounts == ["bob", "bob", "alice"]
    assert second.stderr == ""


def test_nothing_found_is_exit_code_1(run) -> None:
    result = run("search", "--account", "nobody")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "No decision is like that.\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["search", "--outcome", "denied"], "none of allow, challenge, deny"),
        (["search", "--cursor", "nonsense"], "not one that a page"),
        (["search", "--limit", "0"], "greater than or equal to 1"),
        (["search", "--unmask", "curious"], "10 to 500 characters"),
        (["export", "--to", "x", "--format", "xml"], "none of ndjson, csv, ocsf, ecs"),
        (["stats", "--by", "colour"], "none of outcome, reason"),
        (["stats", "--since", "soon"], "90m, 24h, 7d"),
        (["verify", "--since", "soon"], "90m, 24h, 7d"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_right(run, words, says) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.replace("│", " ").split())


def test_personal_data_is_masked_until_somebody_says_why_and_that_is_kept(run, recorded) -> None:
    masked = run("search", "--account", "bob", "--json").stdout
    assert "65.24.10.20" not in masked
    assert rows(masked)[0]["facts"]["documents"] == {"count": 1}
    assert audit(recorded) == []
    whole = run("search", "--account", "bob", "--json", "--unmask", WHY).stdout
    assert rows(whole)[0]["client_ip"]["address"] == "65.24.10.20"
    assert audit(recorded) == [("decisions.unmask", '{"search": {"account": "bob"}}', WHY)]


@pytest.mark.parametrize("form", ["ndjson", "csv", "ocsf", "ecs"])
def test_an_export_holds_every_decision_in_its_form(run, tmp_path, form) -> None:
    result = run("export", "--format", form, "--to", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"3 decisions in {tmp_path / 'out'}\n"
    assert "3 decisions" in result.stderr
    text = (tmp_path / "out").read_text()
    assert "65.24.10.20" not in text
    if form == "csv":
        found = [row["account"] for row in csv.DictReader(io.StringIO(text))]
    else:
        name = {
            "ndjson": lambda one: one["facts"]["account"],
            "ocsf": lambda one: one["actor"]["user"]["uid"],
            "ecs": lambda one: one["user"]["id"],
        }[form]
        found = [name(one) for one in rows(text)]
    assert found == ["bob", "bob", "alice"]


def test_an_export_is_begun_once(run, tmp_path) -> None:
    assert run("export", "--to", str(tmp_path / "out"), "--json").exit_code == 0
    again = run("export", "--to", str(tmp_path / "out"))
    assert isinstance(again.exception, GatewayError)
    assert "is there already" in str(again.exception)


def test_decisions_are_counted(run) -> None:
    document = json.loads(run("stats", "--json", "--by", "outcome", "--by", "reason").stdout)
    assert document["decisions"] == 3
    assert document["by"]["outcome"] == {"deny": 2, "allow": 1}
    text = run("stats").stdout
    assert text.startswith("3 decisions from ")
    assert "  deny   2   66.7 %" in text.splitlines()


def test_an_untouched_journal_is_proved_whole_and_an_altered_one_is_not(run, recorded) -> None:
    assert run("verify", "--since", "1d").exit_code == 0
    (segment,) = [path for path in (recorded.folder / "journal").glob("*.gwj") if b"/orders" in path.read_bytes()]
    content = bytearray(segment.read_bytes())
    at = content.index(b"/api/v1/orders")
    content[at + 1] ^= 1
    segment.chmod(0o600)
    segment.write_bytes(content)
    result = run("verify", "--json")
    assert result.exit_code == 1
    assert segment.name in result.stdout


def test_whoever_follows_sees_new_decisions_and_ends_it_by_ctrl_c(recorded, root) -> None:
    following = subprocess.Popen(
        [*GATEWAY, "tail", "--since", "1h", "--account", "bob", "--json", "--config", str(recorded.config)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath},
    )
    assert following.stdout is not None
    told = [json.loads(following.stdout.readline()) for _ in range(2)]
    assert {one["facts"]["account"] for one in told} == {"bob"}
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate(timeout=30)
    assert (following.returncode, errors) == (0, "")


@pytest.mark.parametrize("command", ["search", "tail", "export", "stats", "verify"])
def test_every_command_shows_an_example(run, command) -> None:
    shown = " ".join(CliRunner().invoke(app, ["decisions", command, "--help"]).stdout.split())
    assert f"Example: gateway decisions {command}" in shown


def test_an_explanation_shows_an_address_to_who_says_why_and_keeps_that(run, recorded) -> None:
    decision = rows(run("search", "--account", "bob", "--json", "--limit", "1").stdout)[0]["id"]

    def explain(*words: str):
        return CliRunner().invoke(app, ["explain", str(decision), *words, "--config", str(recorded.config)])

    assert "65.24.10.0/24" in explain("--language", "de").stdout
    assert "Deutsch" in explain("--language", "de").stdout
    assert audit(recorded) == []
    for role in ("support", "analyst", "auditor"):
        assert "65.24.10.20" in explain("--role", role, "--unmask", WHY).stdout
    assert audit(recorded) == [("decision.unmask", json.dumps({"decision": decision}), WHY)] * 3


def test_an_explanation_is_unmasked_for_a_reason_that_says_something(run, recorded) -> None:
    decision = str(rows(run("search", "--json", "--limit", "1").stdout)[0]["id"])
    words = ["explain", decision, "--unmask", "curious", "--config", str(recorded.config)]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "10 to 500 characters" in " ".join(result.stderr.split())
    assert audit(recorded) == []
