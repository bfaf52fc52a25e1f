import signal
import subprocess
import sys

import httpx2
import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import app as gateway_command
from gateway.cli import main, serve
from gateway.core.errors import ConfigError


def test_nothing_to_serve_is_one_clear_line(site) -> None:
    app = typer.Typer()
    serve.register(app)
    result = CliRunner().invoke(app, ["serve", "--config", str(site.config)])
    assert isinstance(result.exception, ConfigError)
    assert "add `[upstream]`" in str(result.exception)


def test_nowhere_to_ship_to_is_one_clear_line(site) -> None:
    site.config.write_text(site.config.read_text().replace('ship = "off"', 'url = "none"'))
    app = typer.Typer()
    serve.register(app)
    result = CliRunner().invoke(app, ["ship", "--config", str(site.config)])
    assert isinstance(result.exception, ConfigError)
    assert "nowhere to ship to" in str(result.exception)


def test_nowhere_to_listen_for_the_admin_api_is_one_clear_line(site) -> None:
    result = CliRunner().invoke(gateway_command, ["admin", "--config", str(site.config)])
    assert isinstance(result.exception, ConfigError)
    assert "add `[admin]` with `port = 8081`" in str(result.exception)


def test_the_admin_api_is_served_alone_until_it_is_asked_to_end(site) -> None:
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "admin", "--config", str(site.config)]
    with subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True) as process:
        said = next(line for line in process.stderr if "admin API on" in line)
        url = said.split()[-1]
        assert httpx2.get(f"{url}/health").json() == {"status": "ok"}
        assert httpx2.get(f"{url}/decisions").status_code == 401
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(30) in {0, -signal.SIGTERM}
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/health")
    assert not list(site.folder.glob("journal/*")), "it decides nothing, and writes no journal"


@pytest.mark.parametrize("arguments", [["serve"], ["replay", "--since", "1h"]])
def test_a_fault_that_somebody_must_mend_is_one_line_and_exit_code_2(arguments, monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["gateway", *arguments, "--config", "nowhere.toml"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gateway: ")
    assert err.count("\n") == 1


def _commands(group, above=()):
    for command in group.registered_commands:
        yield (*above, command.name or command.callback.__name__.replace("_", "-")), command
    for one in group.registered_groups:
        yield from _commands(one.typer_instance, (*above, one.name))


@pytest.mark.parametrize("path", [path for path, _ in _commands(gateway_command)], ids=" ".join)
def test_every_command_has_help_that_ends_in_an_example(path) -> None:
    result = CliRunner().invoke(gateway_command, [*path, "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.stdout
