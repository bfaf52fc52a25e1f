import hashlib
import json
import os
import pwd
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.account import app
from gateway.core.errors import ConfigError, StoreUnavailable

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `gateway account …` on the test's own store."""

    def do(*words: str) -> Any:
        return CliRunner().invoke(app, [*words, "--store", f"sqlite:///{tmp_path}/gateway.db"])

    return do


@pytest.fixture
def alice(run: Run) -> Run:
    """The same, with Alice verified in Lisbon."""
    words = ("--verification", "full", "--documents", "PT", "--residence", "PT", "--nationality", "PT")
    made = run("set", "alice", "--create", *words, "--why", "moved in", "--who", "import")
    assert made.exit_code == 0, made.output
    return run


def shown(run: Run, uid: str = "alice") -> dict[str, object]:
    result = run("show", uid, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def test_an_account_is_made_and_shown(alice: Run) -> None:
    assert shown(alice) == {
        "uid": "alice",
        "status": "open",
        "flags": [],
        "verification": "full",
        "documents": ["PT"],
        "residence": "PT",
        "nationality": "PT",
        "holds": [],
    }
    text = alice("show", "alice").stdout
    assert text.splitlines()[:3] == ["alice", "  status        open", "  flags         -"]


def test_an_account_that_is_not_there_is_not_made_by_the_way(alice: Run) -> None:
    for words in (
        ("show", "bob"),
        ("set", "bob", "--status", "flagged", "--why", "x"),
        ("flag", "bob", "a", "--why", "x"),
    ):
        result = alice(*words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "gateway: there is no account `bob`\n"
    assert alice("history", "bob").exit_code == 1
    result = alice("show", "bob", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"refused": "uid", "message": "there is no account `bob`", "allowed": []}


def test_several_fields_change_together_or_not_at_all(alice: Run) -> None:
    before = shown(alice)
    refused = alice("set", "alice", "--residence", "ES", "--documents", "ES, UK", "--why", "moved")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == (
        "gateway: documents: `UK` is no ISO 3166-1 country code any more; did you mean GB? (allowed: GB)\n"
    )
    assert shown(alice) == before
    done = alice(
        "set", "alice", "--residence", "ES", "--documents", "ES, PT", "--nationality", "none", "--why", "moved"
    )
    assert done.exit_code == 0
    assert shown(alice) == {**before, "residence": "ES", "documents": ["ES", "PT"], "nationality": None}
    alice("set", "alice", "--documents", "none", "--residence", "none", "--why", "withdrawn")
    assert shown(alice) == {**before, "residence": None, "documents": [], "nationality": None}


def test_a_forbidden_transition_is_refused_with_what_is_allowed(alice: Run) -> None:
    assert alice("set", "alice", "--status", "restricted", "--why", "sanctions list").exit_code == 0
    refused = alice("set", "alice", "--status", "open", "--evidence", "T-1", "--why", "mistaken")
    assert refused.exit_code == 1
    assert refused.stderr == (
        "gateway: an account that is `restricted` cannot become `open`; it can become `exit_only`, `flagged`, "
        "`archived` (allowed: archived)\n"
    )
    refused = alice("set", "alice", "--status", "flagged", "--evidence", "T-1", "--why", "mistaken", "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["refused"] == "status"
    assert "is for two people to decide" in json.loads(refused.stdout)["message"]
    assert shown(alice)["status"] == "restricted"


def test_one_person_archives_with_evidence_and_brings_nobody_back(alice: Run) -> None:
    refused = alice("set", "alice", "--status", "archived", "--why", "she asked us to")
    assert (refused.exit_code, "needs evidence" in refused.stderr) == (1, True)
    done = alice("set", "alice", "--status", "archived", "--evidence", "T-1", "--why", "she asked us to", "--json")
    assert json.loads(done.stdout)["status"] == "archived"
    back = alice("set", "alice", "--status", "restricted", "--evidence", "T-2", "--why", "mistaken")
    assert (back.exit_code, "two people" in back.stderr) == (1, True)


def test_flags_go_on_and_come_off(alice: Run) -> None:
    assert alice("flag", "alice", "us-documents", "--why", "scan").exit_code == 0
    assert shown(alice)["flags"] == ["us-documents"]
    assert alice("unflag", "alice", "us-documents", "--why", "not hers").exit_code == 0
    assert shown(alice)["flags"] == []
    again = alice("unflag", "alice", "us-documents", "--why", "not hers")
    assert (again.exit_code, "there is no flag `us-documents`" in again.stderr) == (1, True)
    assert alice("flag", "alice", "US Documents", "--why", "scan").exit_code == 1


def test_history_tells_who_changed_what_and_why(alice: Run) -> None:
    alice("flag", "alice", "us-ip", "--why", "three logins from Ohio", "--who", "ben")
    result = alice("history", "alice", "--json")
    newest, oldest = json.loads(result.stdout)
    assert {**newest, "at": ""} == {
        "at": "",
        "who": "ben",
        "action": "flag.add",
        "account": "alice",
        "before": {"flags": []},
        "after": {"flags": ["us-ip"]},
        "why": "three logins from Ohio",
    }
    assert (oldest["who"], oldest["why"], oldest["before"]) == ("import", "moved in", {})
    text = alice("history", "alice").stdout
    assert text.splitlines()[0].endswith("Z  flag.add  by ben: three logins from Ohio")
    assert text.splitlines()[1] == '  flags: [] -> ["us-ip"]'
    assert '  residence: "PT"' in text.splitlines()
    assert len(json.loads(alice("history", "alice", "--limit", "1", "--json").stdout)) == 1


def test_whoever_runs_the_command_answers_for_it_unless_somebody_else_is_named(
    alice: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "mallory")
    monkeypatch.setenv("LOGNAME", "mallory")
    alice("flag", "alice", "a", "--why", "x")
    assert json.loads(alice("history", "alice", "--json").stdout)[0]["who"] == pwd.getpwuid(os.getuid()).pw_name

    def nobody(_uid: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    alice("flag", "alice", "b", "--why", "x")
    assert json.loads(alice("history", "alice", "--json").stdout)[0]["who"] == f"uid {os.getuid()}"


@pytest.mark.parametrize(
    "words",
    [
        ("set", "alice", "--status", "flagged"),
        ("flag", "alice", "us-ip"),
        ("unflag", "alice", "us-ip"),
        ("key", "add", "alice", "--label", "bot"),
        ("key", "revoke", "0" * 16),
    ],
)
def test_no_change_without_a_reason(alice: Run, words: tuple[str, ...]) -> None:
    missing = alice(*words)
    assert missing.exit_code == 2
    assert "--why" in missing.stderr
    blank = alice(*words, "--why", " ")
    assert blank.exit_code == 1
    assert "every change says why" in blank.stderr


def test_a_change_of_nothing_is_wrong_usage(alice: Run) -> None:
    result = alice("set", "alice", "--why", "x")
    assert result.exit_code == 2
    assert "say what to change" in result.stderr


def test_a_key_is_shown_once_and_can_be_revoked(alice: Run, tmp_path: Path) -> None:
    made = alice("key", "add", "alice", "--label", "trading bot", "--why", "asked for")
    secret = made.stdout.strip()
    assert (made.exit_code, secret[:4]) == (0, "gwk_")
    key_id = hashlib.sha256(secret.encode()).hexdigest()[:16]
    assert made.stderr == f"Key {key_id}. Keep the secret now: it cannot be shown again.\n"
    (listed,) = json.loads(alice("key", "list", "alice", "--json").stdout)
    assert (listed["key_id"], listed["label"], listed["revoked_at"]) == (key_id, "trading bot", None)
    assert alice("key", "list", "alice").stdout.startswith(f"{key_id}  trading bot  made 20")
    revoked = alice("key", "revoke", key_id, "--why", "leaked", "--json")
    assert (revoked.exit_code, json.loads(revoked.stdout)["revoked_at"][-1]) == (0, "Z")
    assert ", revoked 20" in alice("key", "list", "alice").stdout
    assert ", revoked 20" in alice("key", "revoke", key_id, "--why", "leaked").stdout
    unknown = alice("key", "revoke", "nonsense", "--why", "leaked")
    assert (unknown.exit_code, "there is no key `nonsense`" in unknown.stderr) == (1, True)
    second = json.loads(alice("key", "add", "alice", "--label", "x", "--why", "y", "--json").stdout)
    assert set(second) == {"secret", "key_id", "account", "label", "created_at", "revoked_at"}
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as database:
        assert not [line for line in database.iterdump() if secret[4:] in line]


def test_a_key_for_nobody_is_refused(alice: Run) -> None:
    result = alice("key", "add", "bob", "--label", "bot", "--why", "x")
    assert (result.exit_code, result.stderr) == (1, "gateway: there is no account `bob`\n")


def test_accounts_are_listed_a_page_at_a_time(alice: Run) -> None:
    for uid in ("bob", "carol"):
        alice("set", uid, "--create", "--why", "x")
    alice("flag", "carol", "us-ip", "--why", "x")
    assert alice("list").stdout.splitlines() == [
        "alice  open  full  PT",
        "bob  open  none  -",
        "carol  open  none  -  us-ip",
    ]
    page = alice("list", "--after", "alice", "--limit", "1", "--json")
    assert [account["uid"] for account in json.loads(page.stdout)] == ["bob"]


def test_looking_makes_no_store(run: Run, tmp_path: Path) -> None:
    for words in (("show", "alice"), ("list",), ("history", "alice"), ("key", "list", "alice")):
        result = run(*words)
        assert isinstance(result.exception, StoreUnavailable)
        assert "No such file or directory" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_without_a_store_url_the_configuration_says_where_it_is(alice: Run, tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('[client_ip]\ntrusted_proxies = []\n[store]\nurl = "sqlite:///gateway.db"\n')
    for words, environment in (
        (("show", "alice", "--config", str(config)), {}),
        (("show", "alice"), {"GATEWAY_CONFIG": str(config)}),
    ):
        result = CliRunner().invoke(app, words, env=environment)
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith("alice\n")
    result = CliRunner().invoke(app, ["show", "alice", "--config", str(tmp_path / "absent.toml")])
    assert isinstance(result.exception, ConfigError)


@pytest.mark.parametrize(
    "words",
    [
        ("show",),
        ("list",),
        ("set",),
        ("flag",),
        ("unflag",),
        ("history",),
        ("timeline",),
        ("key", "add"),
        ("key", "revoke"),
        ("key", "list"),
    ],
)
def test_help_ends_with_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"Example: gateway account {' '.join(words)}" in result.stdout
