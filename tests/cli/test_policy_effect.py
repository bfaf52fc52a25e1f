import json

import pytest
import typer
from typer.testing import CliRunner

from gateway.adapters.policy_files import BundleArchive, read_sources
from gateway.cli import policy_effect
from gateway.core.errors import GatewayError, PolicyError
from gateway.policies.bundle import assemble

POLICY = """\
policy: far
title: Far away
owner: security
rules:
  - {id: all, grant: full, when: true}
  - id: far
    limit: read_only
    when: country == "CU"
    reason: hold
    basis: b
    in_force: {from: 2026-01-01}
"""
CONFIG = """\
[client_ip]
trusted_proxies = []
[policies]
paths = ["far.yaml"]
[journal]
directory = "journal"
"""

app = typer.Typer()
policy_effect.register(app)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "far.yaml").write_text(POLICY)
    (tmp_path / "farther.yaml").write_text(POLICY.replace('country == "CU"', 'country in ["CU", "IR"]'))
    (tmp_path / "gateway.toml").write_text(CONFIG)

    def invoke(*arguments):
        return CliRunner().invoke(app, arguments, catch_exceptions=False)

    invoke.folder = tmp_path
    return invoke


def test_a_narrowing_is_told_and_is_fine(run):
    found = run("diff", "far.yaml", "farther.yaml", "--since", "2026-02-01")
    assert found.exit_code == 0
    assert found.stdout.startswith("narrower  ")
    assert "where country IR, at 2026-02-01: far/far changed" in found.stdout


def test_a_widening_exits_1(run):
    found = run("diff", "farther.yaml", "configured")
    assert found.exit_code == 1
    assert found.stdout.startswith("wider     ")
    assert "--allow-widening" in found.stderr


def test_a_widening_that_is_allowed_with_a_reason_is_fine(run):
    found = run("diff", "farther.yaml", "far.yaml", "--allow-widening", "--reason", "Counsel says so", "--json")
    document = json.loads(found.stdout)
    assert found.exit_code == 0
    assert document["ok"]
    assert document["widens"]
    assert document["reason"] == "Counsel says so"


@pytest.mark.parametrize("options", [["--allow-widening"], ["--reason", "x"], ["--allow-widening", "--reason", " "]])
def test_allowing_and_the_reason_go_together(run, options):
    found = run("diff", "farther.yaml", "far.yaml", *options)
    assert found.exit_code == 2
    assert "--allow-widening" in found.stderr


def test_nothing_differs_from_itself(run):
    found = run("diff", "configured", "far.yaml")
    assert (found.exit_code, found.stdout) == (0, "No answer differs.\n")


def test_a_bundle_that_was_in_force_is_named_by_its_digest(run):
    texts = read_sources(["farther.yaml"], run.folder)
    bundle = assemble(texts, sources_configured=None)
    BundleArchive(run.folder / "journal" / "bundles").put(bundle)
    assert run("diff", bundle.digest, "far.yaml").exit_code == 1
    unknown = run("diff", "0" * 64, "far.yaml")
    assert unknown.exit_code == 2
    assert "was ever in force" in unknown.stderr


def test_policies_that_do_not_load_are_refused_with_what_is_wrong(run):
    (run.folder / "far.yaml").write_text(POLICY.replace("country", "contry"))
    found = run("diff", "far.yaml", "farther.yaml")
    assert found.exit_code == 1
    assert "did you mean `country`?" in found.stderr
    with pytest.raises(PolicyError, match="nowhere"):
        run("diff", "nowhere", "far.yaml")


def test_a_part_that_grants_nothing_is_compared_as_one(run):
    found = run("diff", "library:new-york,library:us-exit", "library:new-york", "--json")
    assert "counts as granted" in found.stderr
    assert {one["rules"][0]["policy"] for one in json.loads(found.stdout)["widenings"]} == {"us-exit"}


def test_the_matrix_is_a_table(run):
    found = run("matrix", "--operation", "withdraw", "--status", "open", "--at", "2026-02-01")
    assert found.exit_code == 0
    assert found.stdout.splitlines()[0].split() == ["status", "open", "withdraw"]
    assert "CU" in found.stdout


def test_the_matrix_is_csv_and_json(run):
    lines = run("matrix", "--operation", "withdraw", "--status", "open", "--csv").stdout.splitlines()
    assert lines[0] == "place,name,status,operation,outcome,reason,rules"
    assert "CU,Cuba,open,withdraw,deny,hold,far/far" in lines
    document = json.loads(run("matrix", "--operation", "withdraw", "--status", "open", "--json").stdout)
    assert ["CU", "unknown"] in [group["places"] for group in document["groups"]]


def test_the_matrix_is_a_map(run):
    found = run("matrix", "--operation", "withdraw", "--svg", "world.svg")
    assert found.exit_code == 0
    drawn = (run.folder / "world.svg").read_text()
    assert drawn.startswith("<svg")
    assert "Cuba: closed" in drawn
    assert run("matrix", "--svg", "nowhere/world.svg").exit_code == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--operation", "withdrw"], "did you mean `withdraw`?"),
        (["--status", "opne"], "did you mean `open`?"),
        (["--csv", "--json"], "exclude each other"),
        (["--at", "soon"], "is no date"),
    ],
)
def test_wrong_usage_says_what_was_meant(run, options, message):
    found = run("matrix", *options)
    assert found.exit_code == 2
    assert message in " ".join(found.stderr.split())


@pytest.mark.parametrize("fact", ["verifcation=basic", "verification=basc", "country=US", "verification"])
def test_a_fact_that_cannot_be_stated_is_a_fault(run, fact):
    with pytest.raises(GatewayError):
        run("matrix", "--fact", fact)


@pytest.mark.parametrize("command", ["diff", "matrix"])
def test_help_ends_with_an_example(run, command):
    assert "Example: gateway policy " in run(command, "--help").stdout
