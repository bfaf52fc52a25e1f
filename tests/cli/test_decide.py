import asyncio
import json

import pytest
import typer
from typer.testing import CliRunner

from gateway.adapters.clock import SystemClock
from gateway.adapters.sql import AccountStore
from gateway.app import Gateway
from gateway.app.offline import read_request
from gateway.cli import decide as commands
from gateway.config import load
from gateway.core.errors import GatewayError


@pytest.fixture
def run(site):
    app = typer.Typer()
    commands.register(app)

    def invoke(*arguments, input=None):  # noqa: A002 - the runner's own word
        return CliRunner().invoke(app, [*arguments, "--config", str(site.config)], input=input)

    return invoke


@pytest.fixture
def stored(site):
    async def fill():
        store = AccountStore(load(site.config).store.url)
        await store.start()
        await site.fill(store)
        await store.close()

    asyncio.run(fill())


@pytest.fixture
def recorded(site, stored):
    """The ids of three decisions on record: allowed, refused, unread."""

    async def live():
        gateway = Gateway(load(site.config))
        await gateway.start()
        told = []
        for who, target in (("alice", "/api/v1/orders"), ("bob", "/api/v1/orders"), ("alice", "/%2f")):
            headers = [[name, value] for name, value in site.headers(who).items()]
            line = {"peer": "10.0.0.1", "method": "POST", "target": target, "headers": headers}
            passage = await gateway.line.decide(read_request(json.dumps(line).encode(), SystemClock()))
            told.append(passage.decision_id.decode())
        await gateway.close()
        return told

    return asyncio.run(live())


def lines(site, *who):
    return "".join(
        json.dumps(
            {
                "peer": "10.0.0.1",
                "method": "POST",
                "target": "/api/v1/orders",
                "headers": [[name, value] for name, value in site.headers(one).items()],
            }
        )
        + "\n"
        for one in who
    )


def test_decide_answers_each_line_with_a_decision(run, site, stored) -> None:
    result = run("decide", input=lines(site, "alice", "bob") + "\n")
    assert result.exit_code == 0
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["verdict"]["outcome"] for one in told] == ["allow", "deny"]


def test_decide_reads_files_and_supposes_what_it_is_told(run, site, stored) -> None:
    file = site.folder / "requests.ndjson"
    file.write_text(lines(site, "alice"))
    result = run(
        "decide", "--requests", str(file), "--country", "US", "--at", "2023-03-01T00:00:00Z", "--account", "alice"
    )
    told = json.loads(result.stdout)
    assert told["at"] == "2023-03-01T00:00:00.000000Z"
    assert told["reply"]["reason"] == "jurisdiction-exit"


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        (["decide"], "{}\nnonsense\n", "request 2: "),
        (["decide", "--requests", "nowhere.ndjson"], "", "cannot read nowhere.ndjson: No such file"),
        (["explain", "-"], "[]", "does not hold a Decision"),
        (["explain", "-"], "{", "does not hold one Decision as JSON"),
        (["replay", "--since", "yesterday"], "", "--since: "),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(run, arguments, text, message) -> None:
    result = run(*arguments, input=text)
    assert isinstance(result.exception, GatewayError)
    assert message in str(result.exception)


def test_explain_says_why_in_sentences_and_in_json(run, recorded) -> None:
    allowed, refused, unread = recorded
    told = run("explain", refused)
    assert told.exit_code == 0
    assert "us-closed" in told.stdout
    assert "NYAG settlement, February 2023" in told.stdout
    assert "Allowed" in run("explain", allowed).stdout
    assert "ambiguous" in run("explain", unread).stdout.lower()
    assert json.loads(run("explain", refused, "--json").stdout)


def test_explain_reads_a_decision_from_stdin(run, site, stored) -> None:
    decision = run("decide", input=lines(site, "bob")).stdout
    assert "jurisdiction-blocked" in run("explain", "-", input=decision).stdout


def test_an_id_that_is_not_on_record_is_a_no(run) -> None:
    for command in ("explain", "replay"):
        result = run(command, "01a1fe24-0781-76f5-8448-bc975e14658b")
        assert result.exit_code == 1
        assert "is on record in" in result.stderr


def test_replay_finds_every_recorded_verdict_the_same(run, recorded) -> None:
    result = run("replay", *recorded)
    assert result.exit_code == 0
    assert result.stdout.count("same verdict") == 3
    assert run("replay", "--since", "1h").stdout == "3 same, 0 different, 0 impossible\n"
    told = [json.loads(line) for line in run("replay", "--since", "1h", "--json").stdout.splitlines()]
    assert [one["replay"] for one in told] == ["same"] * 3


def test_replay_of_an_altered_decision_is_a_no(run, site, recorded, tmp_path) -> None:
    decision = json.loads(run("decide", input=lines(site, "bob")).stdout)
    decision["facts"]["documents"] = ["PT"]
    result = run("replay", "-", input=json.dumps(decision))
    assert result.exit_code == 1
    assert "DIFFERENT" in result.stdout


def test_replay_wants_to_know_what(run) -> None:
    assert run("replay").exit_code == 2


def test_doctor_shows_the_hops_the_address_and_what_the_databases_say(run, stored) -> None:
    result = run("doctor", "--peer", "10.0.0.1", "-H", "X-Forwarded-For: 1.2.3.4, 2.80.10.20, 10.9.9.9")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()[:6]] == [
        ["peer", "10.0.0.1"],
        ["hop", "10.0.0.1", "peer"],
        ["hop", "10.9.9.9", "trusted"],
        ["hop", "2.80.10.20", "client"],
        ["hop", "1.2.3.4", "ignored"],
        ["client", "2.80.10.20", "(forwarded)"],
    ]
    assert "country    PT" in result.stdout
    assert "dbip-country-lite@" in result.stdout
    assert json.loads(run("doctor", "--peer", "8.8.8.8", "--json").stdout)["client_ip"]["address"] == "8.8.8.8"


def test_doctor_says_why_an_address_is_not_resolved_or_a_request_not_read(run, stored) -> None:
    assert "unresolved  (unresolved, header-missing)" in run("doctor", "--peer", "10.0.0.1").stdout
    result = run("doctor", "--peer", "8.8.8.8", "--target", "/a/%2e%2e/b")
    assert "refused    400: " in result.stdout
    assert run("doctor", "-H", "nonsense").exit_code == 2


WHY = ("--unmask", "complaint 4711 of the customer")


@pytest.mark.parametrize("role", ["analyst", "auditor"])
def test_nobody_sees_more_than_support_without_saying_why(run, recorded, role) -> None:
    _, refused, _ = recorded
    result = run("explain", refused, "--role", role)
    assert result.exit_code == 2
    assert "say why" in result.output
    assert "Which address" not in result.stdout


def test_explain_says_more_to_who_may_see_more(run, recorded) -> None:
    _, refused, _ = recorded
    assert "is shown here" in run("explain", refused).stdout
    analyst = run("explain", refused, "--role", "analyst", *WHY, "--language", "de-AT").stdout
    assert "It says: " in analyst
    assert "In Deutsch: " in analyst
    assert json.loads(run("explain", refused, "--role", "auditor", *WHY, "--json").stdout)["masked"] == []
    assert run("explain", refused, "--role", "boss").exit_code == 2


def test_explain_says_whether_it_would_be_the_same_now(run, recorded) -> None:
    _, refused, _ = recorded
    assert "Whether it would be the same now\n  Yes: at " in run("explain", refused, "--now").stdout
