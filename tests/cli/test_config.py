"""`gateway config`: the answer is no where anything would stop a start, and secrets are not shown."""

import json

import pytest
from typer.testing import CliRunner

from gateway.cli import app

RUN = CliRunner()


def test_what_would_start_is_said_in_one_line(site) -> None:
    done = RUN.invoke(app, ["config", "check", str(site.config)])
    assert done.exit_code == 0, done.output
    assert "would start, with bundle" in done.stdout.splitlines()[-1]
    assert not (site.folder / "gateway.db").exists()


@pytest.mark.parametrize("as_json", [False, True])
def test_everything_that_is_wrong_with_the_file_is_said_at_once(site, as_json: bool) -> None:
    site.config.write_text(site.config.read_text().replace("[geodb]", "[geodb]\ncontry = 1") + "\n[sever]\n")
    done = RUN.invoke(app, ["config", "check", str(site.config), *(["--json"] if as_json else [])])
    assert done.exit_code == 1
    assert "did you mean `country`?" in done.stdout
    assert "did you mean `server`?" in done.stdout
    if as_json:
        document = json.loads(done.stdout)
        assert (document["ok"], len(document["problems"])) == (False, 2)


def test_a_mistyped_variable_is_one_of_the_problems(site, monkeypatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVR__PORT", "1")
    done = RUN.invoke(app, ["config", "check", str(site.config)])
    assert done.exit_code == 1
    assert "GATEWAY_SERVR__PORT: unknown setting: did you mean `GATEWAY_SERVER__PORT`?" in done.stdout


def test_a_place_that_does_not_answer_is_a_problem_where_it_is_tried(site) -> None:
    site.config.write_text(site.config.read_text() + '\n[upstream]\nurl = "http://127.0.0.1:1"\n')
    assert RUN.invoke(app, ["config", "check", str(site.config)]).exit_code == 0
    done = RUN.invoke(app, ["config", "check", str(site.config), "--connect"])
    assert done.exit_code == 1
    assert "problem: upstream.url: http://127.0.0.1:1" in done.stdout
    assert "reached: store.url" in done.stdout


def test_what_is_in_effect_is_shown_with_the_environment(site, monkeypatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVER__PORT", "8181")
    assert "server.port = 8181" in RUN.invoke(app, ["config", "show", str(site.config)]).stdout
    shown = json.loads(RUN.invoke(app, ["config", "show", str(site.config), "--json"]).stdout)
    assert shown["server"]["port"] == 8181
