import asyncio
import json

import pytest
from typer.testing import CliRunner

from gateway.adapters.follow import Follower
from gateway.app import Gateway
from gateway.app.offline import read_request
from gateway.app.parts import archive_of
from gateway.cli import app
from gateway.config import load
from gateway.core.errors import ConfigError
from gateway.core.pseudonyms import Pseudonyms
from tests.cli.test_decisions import audit, rows

KEY = "0123456789abcdef" * 4
WHY = "TICKET-4711: asked to be forgotten"
ONES = Pseudonyms(KEY.encode())


def decided(site, *accounts: str) -> None:
    """Let the gateway decide one request of each account, and stop."""

    async def decide() -> None:
        gateway = Gateway(load(site.config))
        await gateway.start()
        await site.fill(gateway.store)
        for uid in accounts:
            headers = list(site.headers(uid, "65.24.10.20").items())
            text = {"peer": "10.0.0.1", "method": "POST", "target": f"/api/v1/orders/{uid}", "headers": headers}
            await gateway.line.decide(read_request(json.dumps(text).encode(), gateway.clock))
        await gateway.close()

    asyncio.run(decide())


def shipped(site) -> None:
    """Take what the journal holds into the archive."""

    async def ship() -> None:
        settings = load(site.config)
        archive = archive_of(settings)
        await archive.start()
        for stretch in Follower(settings.journal.directory).stretches(await archive.taken()):
            await archive.take(stretch)
        await archive.close()

    asyncio.run(ship())


@pytest.fixture
def with_key(site):
    (site.folder / "digest.key").write_text(KEY + "\n")
    site.config.write_text(site.config.read_text().replace("[archive]", '[archive]\ndigest_key = "digest.key"'))
    return site


@pytest.fixture
def run(site):
    def do(*words: str, answer: str | None = None):
        return CliRunner().invoke(app, ["decisions", *words, "--config", str(site.config)], input=answer)

    return do


def test_an_account_is_erased_noted_and_still_found_by_who_has_the_key(with_key, run) -> None:
    decided(with_key, "alice", "bob", "bob")
    shipped(with_key)
    result = run("erase", "--account", "bob", "--why", WHY, "--yes", "--json")
    assert json.loads(result.stdout) == {"decisions": 2, "waiting": 0, "journal_keeps_s": 7 * 86_400}
    found = rows(run("search", "--account", "bob", "--json").stdout)
    assert [one["facts"]["account"] for one in found] == [ONES.account("bob")] * 2
    assert {one["request"]["path"] for one in found} == {""}
    assert all("bob" not in json.dumps(one) for one in found)
    (alice,) = rows(run("search", "--account", "alice", "--json").stdout)
    assert alice["facts"]["account"] == "alice"
    (noted,) = audit(with_key)
    assert (noted[0], json.loads(noted[1]), noted[2]) == ("decisions.erase", {"account": ONES.account("bob")}, WHY)
    again = run("erase", "--account", "bob", "--why", WHY, "--yes")
    assert again.exit_code == 0
    assert "without personal data: 0 decisions." in again.stdout
    assert "until 7 days after" in again.stdout


def test_what_the_archive_has_not_taken_yet_is_said(with_key, run) -> None:
    decided(with_key, "bob")
    shipped(with_key)
    decided(with_key, "bob", "alice", "bob")
    result = run("erase", "--account", "bob", "--why", WHY, "--yes")
    assert "without personal data: 1 decision." in result.stdout
    assert "as they are: 2 decisions." in result.stderr


def test_an_address_is_erased_in_whichever_way_it_is_written(with_key, run) -> None:
    decided(with_key, "alice", "bob")
    shipped(with_key)
    result = run("erase", "--address", "::ffff:65.24.10.20", "--why", WHY, "--yes", "--json")
    assert json.loads(result.stdout)["decisions"] == 2
    for network in ("65.24.10.20", "65.24.10.0/24"):
        found = rows(run("search", "--address", network, "--json").stdout)
        assert [one["client_ip"]["chain"] for one in found] == [[], []]


def test_nothing_is_erased_before_it_is_meant(with_key, run) -> None:
    decided(with_key, "bob")
    shipped(with_key)
    for answer in ("n\n", "", "\n"):
        result = run("erase", "--account", "bob", "--why", WHY, answer=answer)
        assert result.exit_code == 1
    assert "bob" in run("search", "--account", "bob").stdout
    assert audit(with_key) == []
    assert "1 decision." in run("erase", "--account", "bob", "--why", WHY, answer="y\n").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "one of --account and --address"),
        (("--account", "bob", "--address", "65.24.10.20"), "one of --account and --address"),
        (("--account", ""), "it is empty"),
        (("--address", "65.24.10.0/24"), "is not one address"),
    ],
)
def test_it_is_to_be_said_whose(run, words, says) -> None:
    result = run("erase", *words, "--why", WHY, "--yes")
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.replace("│", "").split())


def test_a_reason_that_says_nothing_is_refused(with_key, run) -> None:
    decided(with_key, "bob")
    shipped(with_key)
    result = run("erase", "--account", "bob", "--why", " ", "--yes")
    assert result.exit_code == 1
    assert "why" in result.stderr
    assert "bob" in run("search", "--account", "bob").stdout


def test_without_a_key_or_an_archive_it_is_said_what_is_missing(site, run) -> None:
    decided(site, "bob")
    shipped(site)
    with pytest.raises(ConfigError, match="digest_key: name a file"):
        raise run("erase", "--account", "bob", "--why", WHY, "--yes").exception
    assert "bob" in run("search", "--account", "bob").stdout


def test_where_digests_are_kept_a_name_finds_its_own_and_what_is_not_taken_yet(with_key, run) -> None:
    text = with_key.config.read_text()
    with_key.config.write_text(text.replace("[archive]", '[archive]\npersonal = "digest"'))
    decided(with_key, "bob", "alice")
    found = rows(run("search", "--account", "bob", "--json").stdout)
    assert [one["facts"]["account"] for one in found] == [ONES.account("bob")]
    wide = run("search", "--address", "65.0.0.0/8")
    assert wide.exit_code == 2
    assert "kept as digests" in " ".join(wide.stderr.replace("│", "").split())
