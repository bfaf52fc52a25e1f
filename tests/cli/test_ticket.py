"""Tickets at the command line: who acts is who holds the token, and the same person does not do both halves."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from tests.api.desk import PNG, desk_of, fill
from tests.cli.desk import Commands

RELEASE = ("--outcome", "release", "--why", "the selfie shows her")


def evidenced(run: Commands) -> str:
    ticket = run.hold()
    done = run.attach("sue", ticket)
    assert done.exit_code == 0, done.output
    return ticket


def state(run: Commands, ticket: str) -> str:
    return str(run.json("ticket", "show", ticket)["state"])


def test_a_hold_is_evidenced_proposed_approved_and_gone(run: Commands) -> None:
    ticket = run.hold()
    early = run.as_("sue", "ticket", "propose", ticket, *RELEASE, "--json")
    assert (early.exit_code, json.loads(early.stdout)["allowed"]) == (1, ["selfie_with_document"])
    assert run.attach("sue", ticket).exit_code == 0
    proposed = run.as_("sue", "ticket", "propose", ticket, *RELEASE, "--json")
    assert (proposed.exit_code, json.loads(proposed.stdout)["proposal"]["by"]) == (0, "sue")
    done = run.as_("app", "ticket", "approve", ticket, "--why", "I see her too")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{ticket}  withdrawal_review of alice: released")
    assert "  held withdraw\n" in done.stdout
    assert run.json("account", "show", "alice")["holds"] == []
    shown = run("ticket", "show", ticket).stdout
    assert "approve  by app: I see her too" in shown
    assert "has selfie_with_document by sue" in shown


def test_the_same_person_does_not_do_both_halves(run: Commands) -> None:
    ticket = evidenced(run)
    assert run.as_("sam", "ticket", "propose", ticket, *RELEASE).exit_code == 0
    for act in ("approve", "decline"):
        refused = run.as_("sam", "ticket", act, ticket, "--why", "it is right", "--json")
        assert (refused.exit_code, json.loads(refused.stdout)["refused"]) == (1, "proposal")
    assert state(run, ticket) == "proposed"
    assert run.as_("app", "ticket", "decline", ticket, "--why", "no date on the note").exit_code == 0
    assert state(run, ticket) == "evidenced"


@pytest.mark.parametrize(("first", "second"), [("api", "cli"), ("cli", "api")])
async def test_one_person_does_not_do_one_half_here_and_the_other_there(
    tmp_path: Path, first: str, second: str
) -> None:
    async with desk_of(tmp_path, await fill(tmp_path)) as desk:
        desk.clock.at = (await asyncio.to_thread(_now)) - 1_000_000
        commands = Commands(tmp_path)
        # Tokens of the other clock's time would be over or not begun: they are made anew.
        for name, roles in (("sam", ["support", "approver"]), ("app", ["approver"])):
            made = await desk.tokens.create_personal(person=name, roles=roles, days=1, who="ben", why="T-1")
            desk.held[name] = made.text
            commands.keep(name, made.text)
        hold = {"account": "alice", "operations": ["withdraw"], "why": "x", "hours": 72}
        ticket = (await desk.ask("sam", "POST", "/api/v1/holds", hold)).json()["id"]

        async def act(way: str, who: str, what: str) -> Any:
            version = (await desk.desk.tickets.ticket(ticket)).version
            if way == "cli":
                words = RELEASE if what == "propose" else ("--why", "it is right")
                done = await asyncio.to_thread(commands.as_, who, "ticket", what, ticket, *words)
                return done.exit_code == 0
            body = {"why": "it is right"} | ({"outcome": "release"} if what == "propose" else {})
            url = f"/api/v1/tickets/{ticket}/{what}"
            return (await desk.ask(who, "POST", url, body, if_match=f'"{version}"')).status_code == 200

        assert await act(first, "sam", "propose")
        assert not await act(second, "sam", "approve")
        assert (await desk.desk.tickets.ticket(ticket)).state == "proposed"
        assert await act(second, "app", "approve")


def _now() -> int:
    from gateway.adapters.clock import SystemClock

    return SystemClock().now()


def test_who_acts_is_never_who_somebody_says(run: Commands) -> None:
    ticket = evidenced(run)
    assert run.as_("sue", "ticket", "propose", ticket, *RELEASE, "--who", "app").exit_code == 2
    silent = run("ticket", "propose", ticket, *RELEASE, env={"GATEWAY_TOKEN_FILE": ""})
    assert (silent.exit_code, "--token-file" in silent.stderr) == (2, True)
    by_environment = run("ticket", "propose", ticket, *RELEASE, env={"GATEWAY_TOKEN_FILE": str(run.token("sue"))})
    assert by_environment.exit_code == 0


@pytest.mark.parametrize("who", ["vera", "app", "bot"])
def test_who_may_not_propose_does_not(run: Commands, who: str) -> None:
    ticket = evidenced(run)
    refused = run.as_(who, "ticket", "propose", ticket, *RELEASE)
    assert (refused.exit_code, state(run, ticket)) == (1, "evidenced")


@pytest.mark.parametrize("who", ["vera", "app", "bot"])
def test_who_may_not_attach_evidence_does_not(run: Commands, who: str) -> None:
    ticket = run.hold()
    refused = run.attach(who, ticket)
    assert (refused.exit_code, state(run, ticket)) == (1, "open")


def test_a_revoked_token_is_nobodys(run: Commands) -> None:
    ticket = evidenced(run)
    run("token", "revoke", run.token("sue").read_text().split("_")[1], "--why", "she has left")
    refused = run.as_("sue", "ticket", "propose", ticket, *RELEASE)
    assert (refused.exit_code, "was revoked" in refused.stderr) == (1, True)
    run.token("sue").write_text("nonsense")
    assert run.as_("sue", "ticket", "propose", ticket, *RELEASE).exit_code == 1


def test_a_token_file_that_others_may_read_is_not_used(run: Commands) -> None:
    ticket = evidenced(run)
    run.token("sue").chmod(0o640)
    refused = run.as_("sue", "ticket", "propose", ticket, *RELEASE)
    assert (refused.exit_code, state(run, ticket)) == (2, "evidenced")
    assert run.as_("nobody", "ticket", "propose", ticket, *RELEASE).exit_code == 2


def test_a_step_over_another_version_is_not_made(run: Commands) -> None:
    ticket = evidenced(run)
    refused = run.as_("sue", "ticket", "propose", ticket, *RELEASE, "--version", "1", "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["refused"]) == (1, "version")
    assert run.as_("sue", "ticket", "propose", ticket, *RELEASE, "--version", "2").exit_code == 0


def test_a_file_is_sealed_where_the_gateway_keeps_evidence(run: Commands) -> None:
    ticket = run.hold()
    picture = ("ticket", "attach", ticket, "--file", str(run.path / "selfie.png"), "--kind", "selfie_with_document")
    assert run.as_("sue", *picture).exit_code == 2, "nobody said where"
    for kind in ("passport", "identity_result"):
        assert run.attach("sue", ticket, kind=kind).exit_code == 1
    for _ in range(2):
        assert run.attach("sue", ticket).exit_code == 0
    kept = [path for path in (run.path / "kept").rglob("*") if path.is_file()]
    assert len(kept) == 1
    assert PNG not in kept[0].read_bytes()
    assert state(run, ticket) == "evidenced"
    (run.path / "selfie.png").write_bytes(b"<svg/>")
    refused = run.attach("sue", ticket)
    assert (refused.exit_code, "image/jpeg" in refused.stderr) == (1, True)


def test_an_appeal_brings_back_what_one_person_may_not(run: Commands) -> None:
    assert run("account", "set", "alice", "--status", "flagged", "--why", "Ohio").exit_code == 0
    ticket = run.json("ticket", "open", "alice", "--why", "she sent her passport")["id"]
    for kind in ("selfie_with_document", "signed_note"):
        assert run.attach("sue", ticket, kind=kind).exit_code == 0
    assert run.as_("sue", "ticket", "propose", ticket, *RELEASE).exit_code == 1
    assert run.as_("sue", "ticket", "propose", ticket, *RELEASE, "--to", "open").exit_code == 0
    assert run.as_("app", "ticket", "approve", ticket, "--why", "examined").exit_code == 0
    assert run.json("account", "show", "alice")["status"] == "open"


def test_tickets_are_listed_open_ones_first_asked_for(run: Commands) -> None:
    first = run.hold()
    second = run.json("ticket", "open", "alice", "--kind", "review", "--why", "odd")["id"]
    assert {one["id"] for one in run.json("ticket", "list")["tickets"]} == {first, second}
    assert [one["id"] for one in run.json("ticket", "list", "--kind", "review")["tickets"]] == [second]
    page = run.json("ticket", "list", "--limit", "1")
    rest = run.json("ticket", "list", "--limit", "1", "--cursor", page["cursor"])
    assert page["tickets"][0]["id"] != rest["tickets"][0]["id"]
    assert run("ticket", "list", "--state", "gone").exit_code == 2
    assert run("ticket", "list", "--cursor", "x").exit_code == 2
    assert run.json("ticket", "list", "--state", "released")["tickets"] == []
    assert run("ticket", "show", "T-AAAAAAAAAA").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("attach", "T-A"),
        ("attach", "T-A", "--file", "x.png"),
        ("attach", "T-A", "--result", "found.json"),
        ("propose", "T-A", "--outcome", "maybe", "--why", "x"),
        ("propose", "T-A", "--outcome", "release", "--to", "shut", "--why", "x"),
        ("open", "alice", "--kind", "unfamiliar_login", "--why", "x"),
        ("approve", "T-A"),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Commands, words: tuple[str, ...]) -> None:
    assert run("ticket", *words).exit_code == 2


@pytest.mark.parametrize("command", ["list", "show", "open", "attach", "propose", "approve", "decline"])
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: gateway ticket {command}" in " ".join(
        CliRunner().invoke(app, ["ticket", command, "--help"]).stdout.split()
    )


def decided(site: SimpleNamespace) -> dict[str, Any]:
    """Return what the gateway would answer to alice's withdrawal now."""
    line = {"peer": "10.0.0.1", "method": "POST", "target": "/api/v1/withdrawals"}
    request = json.dumps(line | {"headers": list(site.headers("alice").items())})
    words = ["decide", "--requests", "-", "--config", str(site.config)]
    found: dict[str, Any] = json.loads(CliRunner().invoke(app, words, input=request).stdout)
    return found


def test_a_withdrawal_is_refused_while_it_is_held_and_passes_once_two_people_released_it(site: SimpleNamespace) -> None:
    run = Commands(site.folder)
    run.fill()
    run("account", "set", "alice", "--verification", "full", "--why", "moved in")
    assert decided(site)["verdict"]["outcome"] == "allow"
    ticket = evidenced(run)
    held = decided(site)["verdict"]
    assert (held["outcome"], held["reason"], held["by"][0]["policy"]) == ("deny", "hold", "holds")
    assert run.as_("sue", "ticket", "propose", ticket, *RELEASE).exit_code == 0
    assert decided(site)["verdict"]["outcome"] == "deny"
    assert run.as_("app", "ticket", "approve", ticket, "--why", "I see her too").exit_code == 0
    assert decided(site)["verdict"]["outcome"] == "allow"


def test_files_go_where_the_configuration_says(site: SimpleNamespace) -> None:
    run = Commands(site.folder)
    run.fill()
    ticket, picture = run.hold(), run.path / "selfie.png"
    attach = ["ticket", "attach", ticket, "--file", str(picture), "--kind", "selfie_with_document"]
    words = [*attach, "--token-file", str(run.token("sue")), "--config", str(site.config)]
    without = CliRunner().invoke(app, words)
    assert (without.exit_code, "[evidence]" in without.stderr) == (2, True)
    site.config.write_text(site.config.read_text() + '\n[evidence]\nwhere = "kept"\nkey_file = "evidence.key"\n')
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert sum(path.is_file() for path in (run.path / "kept").rglob("*")) == 1
